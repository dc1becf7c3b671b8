"""Forced alignment by pocketsphinx, whose wheel has an acoustic model of English speech and a dictionary."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from jukectl.alignment.pronunciation import sounds
from jukectl.audio.mix import Samples
from jukectl.errors import MissingTool


@dataclass(frozen=True)
class Span:
    """Time span of a sung word, in seconds from the start of the samples."""

    start: float
    end: float


class Aligner(Protocol):
    """Forced alignment: the words are known, only their times are not."""

    sample_rate: int
    """Hz, of the samples that `align` takes."""

    def can_say(self, word: str) -> bool:
        """Return True if a word has any sound."""

    def unsure(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words whose pronunciation is guessed, each once."""

    def align(self, samples: Samples, words: Sequence[str]) -> list[Span] | None:
        """Return the times of words in samples (N,): all of them, one after another. None if no alignment is found.

        Every word must pass `can_say`.
        """


NOISES = (0.02, 0.01, 0.004)
"""Levels of added noise, of full scale. It masks remains of instruments, and digital silence, which the acoustic model
was not trained on: without noise, no alignment is found for every other song."""

LOUDEST = 0.9
"""Peak of the samples that are aligned, of full scale."""

NARROW = {"beam": 1e-48, "pbeam": 1e-48, "wbeam": 7e-29}
WIDE = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60}
"""Beams of the search: as for speech, or wider, since sung vowels are longer."""

UNEVEN = 1.75
"""The best noise and beams differ between songs, so all are tried. In a wrong alignment some words are far too short
and others too long: alignments with this many times the unevenness of the most even one are dropped."""

FRAMES = 100  # a second
Times = npt.NDArray[np.float64]  # (words, 2): start and end in seconds

_SAID = re.compile(r"[a-z0-9']*[a-z0-9][a-z0-9']*")


class SphinxAligner:
    """Forced alignment of English, and by spelling of other words that can be written in Latin letters."""

    sample_rate = 16_000

    def __init__(self) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise MissingTool("to align lyrics takes pocketsphinx: pip install 'jukectl[align]'") from error
        self._decoder_of = pocketsphinx.Decoder
        self._spelt: set[str] = set()  # words whose sounds follow from their letters

    def can_say(self, word: str) -> bool:
        """Return True if the word has letters or digits."""
        return bool(_said(word))

    def unsure(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words with a part that is not in the dictionary."""

        def known(part: str) -> bool:
            return part not in self._spelt and self._sounds(part) is not None

        return tuple(dict.fromkeys(word for word in words if not all(map(known, _said(word)))))

    def align(self, samples: Samples, words: Sequence[str]) -> list[Span] | None:
        """Return the times of words in samples (N,) at 16 kHz; None if no alignment of all of them is found."""
        said = [_said(word) for word in words]
        if not all(said):
            raise ValueError("each word needs a sound")
        for part in dict.fromkeys(one for parts in said for one in parts):
            if self._sounds(part) is None:
                self._spelt.add(part)
                for decoder in self._decoders:
                    decoder.add_word(part, " ".join(sounds(part)), update=True)
        parts = [one for word in said for one in word]
        tries = (self._align_once(decoder, samples, parts, noise) for decoder in self._decoders for noise in NOISES)
        found = [np.array(times) for times in tries if times is not None]
        if not found:
            return None
        uneven = [self._unevenness(times, parts) for times in found]
        kept = [times for times, one in zip(found, uneven, strict=True) if one <= UNEVEN * min(uneven)]
        times = np.median(kept, axis=0)  # (parts, 2), in ascending order as each alignment is
        firsts = np.cumsum([0, *map(len, said)])
        return [Span(float(times[first, 0]), float(times[stop - 1, 1])) for first, stop in pairwise(firsts)]

    @cached_property
    def _decoders(self) -> list[Any]:
        return [self._decoder_of(lm=None, loglevel="FATAL", bestpath=False, **beams) for beams in (NARROW, WIDE)]

    def _sounds(self, part: str) -> str | None:
        """Return the phonemes of a word in the dictionary, None for an unknown one."""
        found: str | None = self._decoders[0].lookup_word(part)
        return found

    def _unevenness(self, times: Times, parts: Sequence[str]) -> float:
        """Return how much the durations per phoneme vary between words, as the variance of their logarithms."""
        counts = np.array([len((self._sounds(part) or part).split()) for part in parts])
        lengths = np.log((times[:, 1] - times[:, 0]) / counts)
        return float(np.square(lengths - np.median(lengths)).mean())

    def _align_once(
        self, decoder: Any, samples: Samples, parts: Sequence[str], noise: float
    ) -> list[tuple[float, float]] | None:
        """Return start and end of each part in seconds; None if the search ends before the last word."""
        decoder.set_align_text(" ".join(parts))
        decoder.start_utt()
        decoder.process_raw(_pcm(samples, noise), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return None
        found = [one for one in decoder.seg() if not one.word.startswith(("<", "[", "+"))]
        if len(found) != len(parts):
            return None
        return [(one.start_frame / FRAMES, (one.end_frame + 1) / FRAMES) for one in found]


def _said(word: str) -> list[str]:
    """Return the parts of a word as a dictionary lists them: lower-case letters, digits, apostrophes."""
    from anyascii import anyascii

    plain = anyascii(word).casefold()
    found = []
    for part in _SAID.findall(plain):
        bare = part.strip("'")
        found.append(part.lstrip("'") if part.endswith("in'") else bare)
    return [part for part in found if sounds(part)]


def _pcm(samples: Samples, noise: float) -> bytes:
    """Return 16-bit samples with noise added, the same noise each time."""
    loudest = float(np.abs(samples).max(initial=0.0))
    scaled = samples * (LOUDEST / loudest) if loudest else samples
    bed = np.random.Generator(np.random.Philox(0)).standard_normal(len(samples), dtype=np.float32)
    return bytes((np.clip(scaled + noise * bed, -1, 1) * 32_767).astype("<i2").tobytes())
