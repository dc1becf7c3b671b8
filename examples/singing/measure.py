"""Measure how well top codes keep sung words, in two ways, on songs of make_singing.py outside the training data.

onsets: pocketsphinx aligns the words with songs without chords, original and decoded from their top codes; the errors
of word onsets are reported. letters: a small convolution over 13 codes predicts the letter that is sung, each letter of
a word having an equal share of its time; it is trained on train/ and evaluated on held-out/.

    python examples/singing/measure.py onsets build/singing/music --models mini build/singing/codec
    python examples/singing/measure.py letters build/singing/music --models mini build/singing/codec
"""

import argparse
import json
import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jukectl.alignment.sphinx import SphinxAligner
from jukectl.audio.io import load
from jukectl.audio.mel import log_mel
from jukectl.audio.mix import resample, to_mono
from jukectl.checkpoints import catalogue
from jukectl.codes.level import Level
from jukectl.vqvae.model import VQVAE

SAMPLE_RATE, HOP = 22_050, 256  # Hz; samples a code
FRAMES = 2_064  # codes of a song, a multiple of what a codec asks for
LETTERS = 27  # and 0 for none
NEIGHBOURS = 13  # codes that the probe sees
STEPS, BATCH = 400, 6


@dataclass(frozen=True)
class Word:
    text: str
    start: float  # seconds
    end: float


def words_of(song: Path) -> list[Word]:
    sung = json.loads(song.with_suffix(".json").read_text(encoding="utf-8"))
    return [Word(one["word"], one["start"], one["end"]) for one in sung]


def audio_of(song: Path) -> Tensor:
    """Load samples (1, N), a whole number of codes."""
    return torch.from_numpy(to_mono(load(song).samples)).float()[None, : FRAMES * HOP]


def codec_of(model: str) -> VQVAE:
    return catalogue.find(model).vqvae(torch.device("cpu"))


@torch.no_grad()
def decoded(codec: VQVAE | None, audio: Tensor) -> Tensor:
    """Return audio (1, N) decoded from its top codes; unchanged without a codec."""
    return audio if codec is None else codec.decode(codec.encode(audio, Level.TOP), Level.TOP)


@torch.no_grad()
def features_of(codec: VQVAE | None, audio: Tensor) -> Tensor:
    """Return the probe's input (FRAMES, D): the vectors of the top codes; without a codec mel bands, an upper bound."""
    if codec is None:
        return F.avg_pool1d(log_mel(audio, SAMPLE_RATE)[..., :-1], 2)[0].T
    vectors = codec.codebook(Level.TOP).vectors
    return vectors[codec.encode(audio, Level.TOP)[0]].float()


def onsets(name: str, codec: VQVAE | None, songs: list[Path]) -> str:
    """Return a row: the songs aligned, the mean and median onset error in seconds, the share of errors below 0.1 s."""
    aligner = SphinxAligner()
    errors: list[float] = []
    aligned = 0
    for song in songs:
        words = words_of(song)
        heard = resample(decoded(codec, audio_of(song)).numpy(), SAMPLE_RATE, aligner.sample_rate)[0]
        if spans := aligner.align(heard, [word.text for word in words]):
            aligned += 1
            errors += [abs(span.start - word.start) for span, word in zip(spans, words, strict=True)]
    if not errors:
        return f"| {name} | 0 of {len(songs)} | | | |"
    under = np.mean(np.array(errors) < 0.1)
    return f"| {name} | {aligned} of {len(songs)} | {np.mean(errors):.3f} | {np.median(errors):.3f} | {under:.0%} |"


def letters_of(song: Path) -> Tensor:
    """Return the letter (FRAMES,) that is sung at each code, 1 to 26; 0 for none."""
    letters = torch.zeros(FRAMES, dtype=torch.int64)
    times = (np.arange(FRAMES) + 0.5) * HOP / SAMPLE_RATE
    for word in words_of(song):
        inside = np.flatnonzero((times >= word.start) & (times < word.end))
        share = (times[inside] - word.start) / (word.end - word.start)
        letters[inside] = torch.tensor([ord(word.text[int(one * len(word.text))]) - ord("a") + 1 for one in share])
    return letters


def letters(name: str, codec: VQVAE | None, train: list[Path], held_out: list[Path]) -> str:
    """Return a row: of the sung codes of held-out songs, the share of correct letters, and the bits per letter."""
    torch.manual_seed(0)
    seen = [(features_of(codec, audio_of(song)), letters_of(song)) for song in train]
    features, targets = torch.stack([one for one, _ in seen]), torch.stack([one for _, one in seen])
    mean, spread = features.mean(dim=(0, 1)), features.std(dim=(0, 1)) + 1e-5
    probe = nn.Sequential(
        nn.Conv1d(features.shape[-1], 96, NEIGHBOURS, padding="same"), nn.ReLU(), nn.Conv1d(96, LETTERS, 1)
    )
    optimizer = torch.optim.AdamW(probe.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.006, STEPS)

    def scores(some: Tensor) -> Tensor:
        """Return logits (B, LETTERS, FRAMES) for features (B, FRAMES, D)."""
        result: Tensor = probe(((some - mean) / spread).transpose(1, 2))
        return result

    for _ in range(STEPS):
        picks = torch.randint(len(features), (BATCH,))
        loss = F.cross_entropy(scores(features[picks]), targets[picks])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    right, bits = [], []
    with torch.no_grad():
        for song in held_out:
            truth = letters_of(song)
            sung = truth > 0
            of_letters = scores(features_of(codec, audio_of(song))[None])[0, 1:, sung]  # (26, sung)
            right.append((of_letters.argmax(dim=0) == truth[sung] - 1).float())
            bits.append(F.cross_entropy(of_letters.T, truth[sung] - 1, reduction="none") / np.log(2))
    return f"| {name} | {torch.cat(right).mean():.1%} | {torch.cat(bits).mean():.2f} |"


def by_frequency(train: list[Path], held_out: list[Path]) -> str:
    """Return the row of the baseline: frequencies of letters, without any audio."""
    counts = torch.bincount(torch.cat([letters_of(song) for song in train]), minlength=LETTERS)[1:] + 1.0
    truth = torch.cat([letters_of(song) for song in held_out])
    truth = truth[truth > 0] - 1
    bits = -torch.log2(counts / counts.sum())[truth]
    return f"| nothing | {(truth == counts.argmax()).float().mean():.1%} | {bits.mean():.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("onsets", "letters"))
    parser.add_argument("music", type=Path, help="a folder of make_singing.py")
    parser.add_argument("--models", nargs="*", default=["mini"], help="whose codecs; the audio itself comes first")
    parser.add_argument("--songs", type=int, default=135, help="to learn letters from")
    options = parser.parse_args()
    torch.set_num_threads(1)

    train = sorted((options.music / "train").glob("*.flac"))[: options.songs]
    held_out = sorted((options.music / "held-out").glob("*.flac"))
    alone = [
        song for song in held_out if tomllib.loads(song.with_suffix(".toml").read_text())["genres"] == ["A cappella"]
    ]
    if options.what == "onsets":
        print("| from | songs aligned | mean error (s) | median | under 0.1 s |\n| --- | --- | --- | --- | --- |")
        measure = partial(onsets, songs=alone)
    else:
        print("| from | letters told | bits a letter |\n| --- | --- | --- |")
        print(by_frequency(train, held_out))
        measure = partial(letters, train=train, held_out=held_out)
    print(measure("the audio", None), flush=True)
    for model in options.models:
        print(measure(model, codec_of(model)), flush=True)


if __name__ == "__main__":
    main()
