"""Whether songs copy what their model learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.overlap import Match
from jukectl.codes.song import Song
from jukectl.errors import BadInput
from jukectl.evaluation.originality import COVERED, Overlap, TrainingCodes, percentile, stretches
from jukectl.evaluation.originality_plot import Judged, draw_originality
from jukectl.pipeline.evaluating.inputs import read_checked, rounded, sample_name, save_plot, split_songs
from jukectl.progress import Progress, Report, Warn, silent, unheard
from jukectl.training.manifest import Track


@dataclass(frozen=True, eq=False, kw_only=True)
class _New:
    """The new part of one sample of a song."""

    song: Path
    sample: int
    codes: Codes

    @property
    def array(self) -> np.ndarray:
        """Its codes (M,)."""
        return self.codes.array[self.sample, self.codes.prompt :]

    @property
    def name(self) -> str:
        """What it is called."""
        return sample_name(self.song, self.sample, self.codes.samples)

    def seconds(self, codes: int) -> float:
        """How long that many codes are."""
        return codes * self.codes.hop / self.codes.sample_rate


def evaluate_originality(
    songs: Sequence[Path],
    codes: Path,
    *,
    held_out: Path | None = None,
    level: Level = Level.TOP,
    plots: Path | None = None,
    report: Report = silent,
    warn: Warn = unheard,
) -> dict[str, Any]:
    """The longest runs of codes that the new part of songs shares with the training songs, and where they come from.

    `codes` is the code folder the model learned from, without the songs that `held_out` (a file of globs) names. Of
    those, stretches as long as a song's new part show what music that nobody copied shares with the training songs.
    Prompts take no part. `plots` is a folder for pictures.
    """
    new = [part for path in songs for part in _new_parts(path, level)]
    encoded, kept, held = split_songs(codes, held_out)
    first = new[0]
    for part in new:
        if part.codes.vqvae != first.codes.vqvae:
            raise BadInput(f"{first.song} and {part.song} are of different codecs: judge them one by one")
    report(Progress("reading training codes", 0, 1))
    vqvae, whose = first.codes.vqvae, str(first.song)
    learned = read_checked(encoded, kept, level, vqvae, whose=whose)
    others = read_checked(encoded, held, level, vqvae, whose=whose)
    training = TrainingCodes(learned)
    report(Progress("reading training codes", 1, 1))
    if held_out is None:
        warn("without --held-out there is no music to compare with: long runs may be what all music shares")
    usual: dict[int, list[Overlap]] = {}  # of held-out stretches, by their length
    judged = []
    for number, part in enumerate(new):
        report(Progress("comparing", number, len(new), part.name))
        length = len(part.array)
        if length not in usual:
            usual[length] = [training.overlap(stretch) for stretch in stretches(others, length)]
            if held and not usual[length]:
                warn(f"no held-out song is as long as the {part.seconds(length):.1f} s of {part.name}: none to compare")
        judged.append(Judged(name=part.name, overlap=training.overlap(part.array), held_out=usual[length]))
    report(Progress("comparing", len(new), len(new)))
    training_codes = sum(map(len, learned))
    facts = {
        "level": level.label,
        "training_songs": len(kept),
        "training_codes": training_codes,
        "run_lengths": list(COVERED),
        "songs": [_facts(part, one, kept) for part, one in zip(new, judged, strict=True)],
    }
    if plots is not None:
        about = (
            f"{level.label} codes, {1 / first.seconds(1):.0f} a second · against {len(kept)} training songs, "
            f"{training_codes:,} codes"
        )
        figure = draw_originality(judged, title="What new music shares with the training songs", about=about)
        facts["plots"] = [save_plot(plots, "originality", figure)]
    return facts


def _new_parts(path: Path, level: Level) -> list[_New]:
    """Each sample of a song; BadInput where it has no new codes at that level."""
    codes = Song.open(path).codes(level)
    if codes is None:
        raise BadInput(f"{path} has no {level.label} codes. Make them with: jukectl resume {path}")
    if codes.done <= codes.prompt:
        raise BadInput(
            f"{path} has no new {level.label} codes, only its prompt's {codes.prompt}. "
            f"Make a song that goes on from it: jukectl continue AUDIO --out SONG"
        )
    return [_New(song=path, sample=sample, codes=codes) for sample in range(codes.samples)]


def _facts(part: _New, judged: Judged, tracks: Sequence[Track]) -> dict[str, Any]:
    """What is told of one sample."""
    overlap, held_out = judged.overlap, judged.held_out
    return {
        "name": part.name,
        "path": str(part.song),
        "sample": part.sample,
        "codes": len(part.array),
        "seconds": rounded(part.seconds(len(part.array)), 3),
        "exact": {
            **_found(part, overlap.exact, tracks),
            "held_out": _usual(overlap.exact.length, [one.exact.length for one in held_out]),
        },
        "near": {
            **_found(part, overlap.near, tracks),
            "held_out": _usual(overlap.near.length, [one.near.length for one in held_out]),
        },
        "coverage": {str(length): rounded(share) for length, share in zip(COVERED, overlap.coverage, strict=True)},
        "held_out_coverage": {
            str(length): _mean([one.coverage[place] for one in held_out]) for place, length in enumerate(COVERED)
        },
    }


def _found(part: _New, match: Match, tracks: Sequence[Track]) -> dict[str, Any]:
    """A run: how long it is, where it begins in the new part, and in which training song."""
    track = tracks[match.song] if match.length else None
    return {
        "codes": match.length,
        "seconds": rounded(part.seconds(match.length), 3),
        "at": rounded(part.seconds(part.codes.prompt + match.query_start), 3),  # seconds into the song, prompt included
        "from": track and {"path": track.path, "title": track.title, "artist": track.artist},
        "from_at": rounded(part.seconds(match.song_start), 3),
    }


def _usual(length: int, others: Sequence[int]) -> dict[str, Any] | None:
    """The runs of held-out stretches, in codes, and where a song's lies among them; None where there are none."""
    if not others:
        return None
    median, high = np.percentile(others, [50, 95])
    return {
        "stretches": len(others),
        "median": float(median),
        "percentile_95": float(high),
        "longest": max(others),
        "percentile": rounded(percentile(length, others), 1),
    }


def _mean(shares: Sequence[float | None]) -> float | None:
    found = [share for share in shares if share is not None]
    return rounded(float(np.mean(found))) if found else None
