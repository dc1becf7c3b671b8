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
    """Hz, of what it hears."""

    def can_say(self, word: str) -> bool:
        """Return True if a word has any sound."""

    def unsure(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words whose pronunciation is guessed, each once."""

    def align(self, samples: Samples, words: Sequence[str]) -> list[Span] | None:
        """When each of the words, all of which it can say, is sung in samples (N,): one after the other, none left out.

        None where it finds no way through all of them.
        """


NOISES = (0.02, 0.01, 0.004)
"""Of full scale. A bed of noise under the voice hides what is soft, such as chords that are left over, and digital
silence, which the model has never heard: without it every other song finds no way through."""

LOUDEST = 0.9
"""Of full scale, the peak of what is heard."""

NARROW = {"beam": 1e-48, "pbeam": 1e-48, "wbeam": 7e-29}
WIDE = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60}
"""How unlikely a way may be and still be followed: as for speech, or more, since a sung vowel is drawn out."""

UNEVEN = 1.75
"""Which of these is right differs from song to song, so all are tried. Where one goes wrong, words are squeezed or
drawn out: ways whose sounds differ in length by so many times what they do in the most even way are left out."""

FRAMES = 100  # a second
Times = npt.NDArray[np.float64]  # (words, 2): start and end in seconds

_SAID = re.compile(r"[a-z0-9']*[a-z0-9][a-z0-9']*")


class SphinxAligner:
    """English, and by letters whatever has Latin letters or can be written in them."""

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
        """Those of which a part is not in the dictionary."""

        def known(part: str) -> bool:
            return part not in self._spelt and self._sounds(part) is not None

        return tuple(dict.fromkeys(word for word in words if not all(map(known, _said(word)))))

    def align(self, samples: Samples, words: Sequence[str]) -> list[Span] | None:
        """When each of the words is sung in samples (N,) at 16 kHz; None where there is no way through all of them."""
        said = [_said(word) for word in words]
        if not all(said):
            raise ValueError("of each word something has to be heard")
        for part in dict.fromkeys(one for parts in said for one in parts):
            if self._sounds(part) is None:
                self._spelt.add(part)
                for decoder in self._decoders:
                    decoder.add_word(part, " ".join(sounds(part)), update=True)
        parts = [one for word in said for one in word]
        heard = (self._heard(decoder, samples, parts, noise) for decoder in self._decoders for noise in NOISES)
        ways = [np.array(way) for way in heard if way is not None]
        if not ways:
            return None
        uneven = [self._unevenness(way, parts) for way in ways]
        ways = [way for way, one in zip(ways, uneven, strict=True) if one <= UNEVEN * min(uneven)]
        times = np.median(ways, axis=0)  # (parts, 2), in order as each of the ways is
        firsts = np.cumsum([0, *map(len, said)])
        return [Span(float(times[first, 0]), float(times[stop - 1, 1])) for first, stop in pairwise(firsts)]

    @cached_property
    def _decoders(self) -> list[Any]:
        return [self._decoder_of(lm=None, loglevel="FATAL", bestpath=False, **beams) for beams in (NARROW, WIDE)]

    def _sounds(self, part: str) -> str | None:
        """As the dictionary has it."""
        found: str | None = self._decoders[0].lookup_word(part)
        return found

    def _unevenness(self, way: Times, parts: Sequence[str]) -> float:
        """Return how much the durations per phoneme vary between words, as the variance of their logarithms."""
        counts = np.array([len((self._sounds(part) or part).split()) for part in parts])
        lengths = np.log((way[:, 1] - way[:, 0]) / counts)
        return float(np.square(lengths - np.median(lengths)).mean())

    def _heard(
        self, decoder: Any, samples: Samples, parts: Sequence[str], noise: float
    ) -> list[tuple[float, float]] | None:
        """Start and end of each part in seconds; None where the way ends before the words do."""
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
    """16-bit samples over a bed of noise, the same each time."""
    loudest = float(np.abs(samples).max(initial=0.0))
    scaled = samples * (LOUDEST / loudest) if loudest else samples
    bed = np.random.Generator(np.random.Philox(0)).standard_normal(len(samples), dtype=np.float32)
    return bytes((np.clip(scaled + noise * bed, -1, 1) * 32_767).astype("<i2").tobytes())
