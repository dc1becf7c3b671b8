"""Make the golden files: small random models of every published style, and the port's results for them.

It needs transformers 4.57.6: `python scripts/parity/golden.py tests/golden`. Each folder it writes holds a model in
Hugging Face layout, expected.npz with the results and cases.json with the inputs.
"""

import argparse
import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxModel
from variants import GOLDEN, V2, V3, SongPlan, Variant
from windows import Row, Window, fill, metadata_of

from port import build, forward, greedy, margins, save

LEVELS = ("top", "middle", "bottom")  # the port's order
CLEAR = 1e-3  # margin of the most likely code, in logits: rounding errors are a hundred times smaller
ATTEMPTS = 12

TEXT = """Count the numbers as they fall, one by one, and keep them all;
nothing here was ever sung: random weights have no tongue.
(Still they hum!) At "seven-three" all the codes agree with me?
Row by row: it's 2 past 10; now the block begins again.
"""

Result = TypeVar("Result")


class NotClear(Exception):
    """Rounding could decide between codes: the model needs another seed."""


class Recorder:
    """Results by name, and the narrowest margin of all greedy choices."""

    def __init__(self, clear: float) -> None:
        self.clear = clear  # required margin of the most likely id over the next
        self.arrays: dict[str, np.ndarray] = {}
        self.gap = float("inf")  # the narrowest of all decisions

    def keep(self, name: str, tensor: Tensor) -> None:
        """Keep a result: integers as 32 bits, other types unchanged."""
        array = tensor.numpy()
        self.arrays[name] = array.astype(np.int32) if array.dtype == np.int64 else array

    def clearly(self, attempt: Callable[[int], Result]) -> Result:
        """Return the result of the first attempt in which all choices had the margin."""
        for number in range(ATTEMPTS):
            with margins() as gaps:
                result = attempt(number)
            if min(gaps) > self.clear:
                self.gap = min(self.gap, *gaps)
                return result
        raise NotClear(f"no greedy path without a narrow decision in {ATTEMPTS} attempts")


class Golden:
    """Results of the port for one model."""

    def __init__(self, variant: Variant, *, clear: float = CLEAR) -> None:
        self.variant = variant
        self.model: JukeboxModel = build(variant)
        self.recorder = Recorder(clear)
        self.cases: dict[str, Any] = {
            "style": variant.style,
            "hops": list(variant.hops),
            "sample_rate": self.model.config.sampling_rate,
            "codebook_size": variant.config["vqvae_config"]["nb_discrete_codes"],
            "slots": self.model.config.max_nb_genres,
        }
        self.slots: int = self.model.config.max_nb_genres

    def make(self, folder: Path) -> None:
        """Compute all results and write them to a folder."""
        shutil.rmtree(folder, ignore_errors=True)
        save(self.model, self.variant, folder / "model")
        self.cases["codec"] = self.codec()
        self.cases["windows"] = [self.windows(level) for level in range(len(LEVELS))]
        self.cases["rows"] = [self.rows(level) for level in range(len(LEVELS))]
        self.cases["songs"] = [self.song(plan, number) for number, plan in enumerate(self.variant.songs)]
        self.cases["narrowest"] = self.recorder.gap
        (folder / "cases.json").write_text(json.dumps(self.cases, indent=1) + "\n", encoding="utf-8")
        np.savez_compressed(folder / "expected.npz", **self.recorder.arrays)

    def codec(self) -> dict[str, Any]:
        """Keep a recording, its codes, and each level's decoded audio."""
        vqvae, frames = self.model.vqvae, max(30, *(plan.prompt + 3 for plan in self.variant.songs))
        recording = self.recording(frames)
        with torch.no_grad():
            codes = vqvae.encode(recording[None, :, None])
        self.recorder.keep("recording", recording)
        for level, tensor in enumerate(codes):
            label = LEVELS[-1 - level]
            with torch.no_grad():
                audio = vqvae.decode([tensor], start_level=level, end_level=level + 1)
            self.recorder.keep(f"codes/{label}", tensor)
            self.recorder.keep(f"decode/{label}", audio[:, :, 0])
        return {"top_codes": frames}

    def recording(self, frames: int) -> Tensor:
        """Return noise and sines (n,), `frames` top codes long, whose codes do not depend on rounding."""
        hop, rate = self.variant.hops[-1], self.model.config.sampling_rate
        time = torch.arange(frames * hop) / rate
        for attempt in range(ATTEMPTS):
            dice = torch.Generator().manual_seed(1_000 * self.variant.seed + attempt)
            pitches = 200 + 0.2 * rate * torch.rand(3, 1, generator=dice)
            sines = (0.2 * torch.sin(2 * torch.pi * pitches * time)).sum(0)
            recording = sines + 0.15 * torch.randn(len(time), generator=dice)
            if self._clear_codes(recording):
                return recording
        raise NotClear(f"no recording whose codes are clear in {ATTEMPTS} attempts")

    @torch.no_grad()
    def _clear_codes(self, recording: Tensor) -> bool:
        """Return True if every latent is clearly nearer to one vector than to the next, in prompts and the whole."""
        vqvae = self.model.vqvae
        lengths = {len(recording), *(plan.prompt * self.variant.hops[-1] for plan in self.variant.songs if plan.prompt)}
        for length in lengths:
            for encoder, book in zip(vqvae.encoders, vqvae.bottleneck.level_blocks, strict=True):
                latents = encoder(recording[None, None, :length])[-1][0].T.double()
                distances = torch.cdist(latents, book.codebook.double()).square()
                nearest, next_ = distances.topk(2, largest=False).values.unbind(-1)
                if (next_ - nearest).min() < 1e-4 * latents.square().sum(-1).mean():
                    return False
        return True

    def windows(self, level: int) -> dict[str, Any]:
        """Keep two whole windows of one level: logits, losses, and greedy samples after prefixes of several lengths."""
        prior, name = self.model.priors[level], LEVELS[level]
        context = prior.n_ctx
        span = context * int(prior.raw_to_tokens)
        dice = self.dice("windows", level)
        codes = self.random_codes(dice, 2, context)
        upper = self.random_codes(dice, 2, context // prior.cond_downsample) if level else None
        metadata = metadata_of(prior, [self.row(dice, span, characters) for characters in (150, 20)], 0, self.slots)
        result = forward(prior, codes, metadata, upper)
        keep = self.recorder.keep
        keep(f"windows/{name}/codes", codes)
        keep(f"windows/{name}/metadata", metadata)
        if upper is not None:
            keep(f"windows/{name}/upper", upper)
        keep(f"windows/{name}/logits", result.logits)
        keep(f"windows/{name}/bits", result.bits)
        keep(f"windows/{name}/lyric_bits", result.lyric_bits)
        keep(f"windows/{name}/loss", result.loss)

        known = sorted({0, 1, prior.prior.n_ctx // prior.config.blocks, context // 2 + 1, context - 1})
        for count in known:

            def attempt(number: int, count: int = count) -> tuple[Tensor, Tensor]:
                dice = self.dice("prefix", level, count, number)
                labels = metadata_of(prior, [self.row(dice, span, 90) for _ in range(2)], 0, self.slots)
                return labels, greedy(prior, self.random_codes(dice, 2, count), labels, upper, length=context)

            labels, sampled = self.recorder.clearly(attempt)
            keep(f"windows/{name}/greedy/{count}", sampled)
            keep(f"windows/{name}/greedy/{count}/metadata", labels)
        return {"level": name, "known": known}

    def rows(self, level: int) -> dict[str, Any]:
        """Keep one level of two samples with different labels, sampled over several windows from a prefix."""
        prior, name = self.model.priors[level], LEVELS[level]
        context, ratio = prior.n_ctx, prior.cond_downsample or 1
        advance = self.advance(level)
        total = (2 * context + advance // 2) // ratio * ratio
        begun = context // 3
        span = total * int(prior.raw_to_tokens)

        def attempt(number: int) -> tuple[list[Row], Tensor | None, Tensor, Tensor, list[Window]]:
            dice = self.dice("rows", level, number)
            rows = [self.row(dice, span, characters) for characters in (130, 40)]
            first = self.random_codes(dice, 2, begun)
            upper = self.random_codes(dice, 2, total // ratio + 3) if level else None  # more than is needed
            codes, windows = fill(prior, first, rows, total=total, advance=advance, slots=self.slots, upper=upper)
            return rows, upper, first, codes, windows

        rows, upper, _, codes, windows = self.recorder.clearly(attempt)
        if upper is not None:
            self.recorder.keep(f"rows/{name}/upper", upper)
        self.recorder.keep(f"rows/{name}/codes", codes)
        self.recorder.keep(f"rows/{name}/lyrics", torch.stack([window.lyrics for window in windows]))
        return {
            "level": name,
            "begun": begun,
            "advance": advance,
            "rows": [asdict(row) for row in rows],
            "windows": [[window.start, window.known, window.stop] for window in windows],
        }

    def song(self, plan: SongPlan, number: int) -> dict[str, Any]:
        """Keep a whole song, sampled greedily level by level, with or without the start of the recording as prompt."""
        hops = self.variant.hops[::-1]
        top_codes, hop = plan.prompt + plan.new, hops[0]
        text = lyrics_text(plan.characters or 0)
        with torch.no_grad():
            audio = torch.from_numpy(self.recorder.arrays["recording"])[: plan.prompt * hop]
            prompt = (
                self.model.vqvae.encode(audio[None, :, None])[::-1] if plan.prompt else [torch.zeros(1, 0).long()] * 3
            )

        def attempt(trial: int) -> tuple[Row, list[Tensor], list[list[Window]]]:
            row = self.row(self.dice("song", plan.name, trial), top_codes * hop, 0, begin=0)
            row = replace(row, lyrics=self.ids(text))
            codes: list[Tensor] = []
            windows: list[list[Window]] = []
            for level, prior in enumerate(self.model.priors):
                filled, sampled = fill(
                    prior,
                    prompt[level],
                    [row],
                    total=top_codes * hop // hops[level],
                    advance=self.advance(level),
                    slots=self.slots,
                    upper=codes[-1] if codes else None,
                )
                codes.append(filled)
                windows.append(sampled)
            return row, codes, windows

        row, codes, windows = self.recorder.clearly(attempt)
        for label, filled, sampled in zip(LEVELS, codes, windows, strict=True):
            self.recorder.keep(f"songs/{number}/{label}", filled)
            self.recorder.keep(f"songs/{number}/{label}/lyrics", torch.stack([window.lyrics[0] for window in sampled]))
        return {
            "name": plan.name,
            "new": plan.new,
            "prompt": plan.prompt,
            "artist": row.artist,
            "genres": row.genres,
            "total": row.total,
            "lyrics": None if plan.characters is None else text,
            "windows": {
                label: [[window.start, window.known, window.stop] for window in sampled]
                for label, sampled in zip(LEVELS, windows, strict=True)
            },
        }

    def row(self, dice: torch.Generator, span: int, characters: int, *, begin: int | None = None) -> Row:
        """Return labels for `span` audio samples of music that the port accepts; some songs end before the music."""
        config = self.model.config
        lowest, highest = (
            round(seconds * config.sampling_rate) for seconds in (config.min_duration, config.max_duration)
        )
        offset = whole(dice, 0, highest - span) if begin is None else begin
        artists, genres = (min(prior.config.metadata_dims[index] for prior in self.model.priors) for index in (1, 0))
        count = whole(dice, 1, self.slots)
        return Row(
            artist=whole(dice, 0, artists - 1),
            genres=tuple(torch.randperm(genres, generator=dice)[:count].tolist()),
            total=whole(dice, max(lowest + 1, offset + int(0.95 * span)), highest - 1),
            offset=offset,
            lyrics=self.ids(lyrics_text(characters)),
        )

    def ids(self, text: str) -> tuple[int, ...]:
        """Return the ids of characters in the top prior, without those that it does not have."""
        released = V3 if self.variant.style == "1b-lyrics" else V2
        letters = released if self.variant.letters is None else self.variant.letters
        return tuple(letters.index(character) + 1 for character in text if character in letters)

    def random_codes(self, dice: torch.Generator, rows: int, count: int) -> Tensor:
        """Return random codes (rows, count)."""
        return torch.randint(0, self.cases["codebook_size"], (rows, count), generator=dice)

    def advance(self, level: int) -> int:
        """Return the number of new codes of a window."""
        return int(self.model.config.hop_fraction[level] * self.model.priors[level].n_ctx)

    def dice(self, *what: object) -> torch.Generator:
        """Return a random generator for one purpose."""
        return torch.Generator().manual_seed(zlib.crc32(repr((self.variant.seed, *what)).encode()))


def whole(dice: torch.Generator, lowest: int, highest: int) -> int:
    """Return a random integer from `lowest` to `highest`."""
    return int(torch.randint(lowest, highest + 1, (), generator=dice))


def lyrics_text(characters: int) -> str:
    """Return that many characters of text, not ending with a space."""
    text = TEXT[:characters]
    return text if text == text.strip() else text[:-1] + "."


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a folder for each variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("tests/golden"))
    out: Path = parser.parse_args(arguments).out
    torch.set_num_threads(1)
    for variant in GOLDEN:
        golden = Golden(variant)
        golden.make(out / variant.name)
        print(f"{variant.name}: the smallest margin of a greedy path is {golden.recorder.gap:.4f}")


if __name__ == "__main__":
    main()
