"""Forced alignment by pocketsphinx, on a line whose times are known."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jukectl.alignment.sphinx import SphinxAligner
from jukectl.audio.io import load
from jukectl.audio.mix import resample, to_mono
from jukectl.errors import MissingTool

DATA = Path(__file__).parent.parent / "data"
WORDS = json.loads((DATA / "sung_twinkle.json").read_text())


@pytest.fixture(scope="module")
def aligner():
    return SphinxAligner()


@pytest.fixture(scope="module")
def sung(aligner):
    audio = load(DATA / "sung_twinkle.ogg")
    return resample(to_mono(audio.samples), audio.sample_rate, aligner.sample_rate)


def error(spans):
    """The mean distance of word onsets from the truth, in seconds."""
    return np.mean([abs(span.start - word["start"]) for span, word in zip(spans, WORDS, strict=True)])


def test_words_of_a_sung_line_over_chords_are_found_within_a_tenth_of_a_second(aligner, sung):
    texts = [word["word"] for word in WORDS]
    spans = aligner.align(sung, texts)
    assert error(spans) < 0.1
    assert all(one.end <= other.start for one, other in pairwise(spans))
    characters = np.cumsum([0, *(len(text) + 1 for text in texts)])
    seconds = len(sung) / aligner.sample_rate
    even = np.mean(np.abs(characters[:-1] / characters[-1] * seconds - [word["start"] for word in WORDS]))
    assert even > 0.3


def test_words_in_no_dictionary_are_found_by_their_letters(aligner, sung):
    texts = ["Twynkel,", "brightly!", "little", "STAR", "how", "I", "wonnder", "what", "you", "are?"]
    assert error(aligner.align(sung, texts)) < 0.2
    assert aligner.unsure(texts) == ("Twynkel,", "wonnder")


def test_words_without_sound_cannot_be_aligned(aligner):
    assert [word for word in ("—", "♪", "...", "'", "l'été", "7", "жук", "rock'n'roll") if aligner.can_say(word)] == [
        "l'été",
        "7",
        "жук",
        "rock'n'roll",
    ]
    with pytest.raises(ValueError, match="each word needs a sound"):
        aligner.align(np.zeros(16_000, dtype=np.float32), ["—"])


def test_more_words_than_can_be_said_in_the_time_have_no_way_through(aligner, sung):
    assert aligner.align(sung[: 16_000 // 4], ["anthropological"] * 8) is None


def test_without_pocketsphinx_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MissingTool, match=r"pip install 'jukectl\[align\]'"):
        SphinxAligner()
