"""From a recording and a text to a file of words with times, with stand-ins for demucs and pocketsphinx."""

import json
from typing import Any

import numpy as np
import pytest

from jukectl.alignment.align import Separation, align_file
from jukectl.alignment.sphinx import Span
from jukectl.audio.io import save
from jukectl.errors import BadAudio, BadInput
from jukectl.lyrics.lrc import parse
from jukectl.progress import WarningsOnly


class EverySecond:
    """Finds a word in each second of what it hears, from where it is loud on."""

    sample_rate = 1_000

    def can_say(self, word):
        return word.isalpha()

    def unsure(self, words):
        return tuple(word for word in words if word == "zyx")

    def align(self, samples, words):
        if not words or "lost" in words:
            return None
        first = int(np.flatnonzero(np.abs(samples) > 0.1)[0]) / self.sample_rate
        return [Span(first + number, first + number + 0.5) for number in range(len(words))]


class RightIsVoice:
    """Leaves the right channel."""

    sample_rate = 4_000

    def __init__(self):
        self.heard = None

    def vocals(self, samples, sample_rate):
        self.heard = (samples.shape, sample_rate)
        return samples[1, :: sample_rate // self.sample_rate]


@pytest.fixture
def mix(tmp_path):
    """Ten seconds in which a band plays on the left from the start, and a voice on the right from the third second."""
    samples = np.zeros((2, 80_000), dtype=np.float32)
    samples[0] = 0.5
    samples[1, 24_000:] = 0.5
    save(tmp_path / "mix.wav", samples, 8_000)
    return tmp_path / "mix.wav"


def words_file(tmp_path, text, name="words.txt"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def starts(path):
    return [round(word.start, 1) for word in parse(path.read_text()).words]


def test_words_are_looked_for_in_the_voice_alone(mix, tmp_path):
    separator, out = RightIsVoice(), tmp_path / "song.lrc"
    text = words_file(tmp_path, "one two\nthree")
    align_file(mix, text, out, separator=separator, aligner=EverySecond())
    assert separator.heard == ((2, 80_000), 8_000)
    assert starts(out) == [3.0, 4.0, 5.0]


def test_without_separation_they_are_looked_for_in_the_mix(mix, tmp_path):
    out = tmp_path / "song.lrc"
    align_file(mix, words_file(tmp_path, "one two"), out, separation=Separation(wanted=False), aligner=EverySecond())
    assert starts(out) == [0.0, 1.0]


def test_timed_lines_keep_their_words_and_other_formats_are_written(mix, tmp_path):
    lines = words_file(tmp_path, "[00:04.00]one two\n[00:07.00]three", "lines.lrc")
    options: dict[str, Any] = {"separation": Separation(wanted=False), "aligner": EverySecond()}
    align_file(mix, lines, tmp_path / "song.json", **options)
    found = json.loads((tmp_path / "song.json").read_text())
    assert [(word["word"], word["start"]) for word in found] == [("one", 3.75), ("two", 4.75), ("three", 6.75)]
    align_file(mix, lines, tmp_path / "song", file_format="vtt", **options)
    assert (tmp_path / "song").read_text().startswith("WEBVTT\n\n00:00:03.750 -->")


def test_guessed_unsure_and_omitted_words_are_reported(mix, tmp_path):
    warnings = []
    text = words_file(tmp_path, "[Verse]\nzyx lost - \n")
    options: dict[str, Any] = {"separation": Separation(wanted=False), "aligner": EverySecond()}
    found = align_file(mix, text, tmp_path / "song.lrc", listener=WarningsOnly(warnings.append), **options)
    assert [word.guessed for word in found.lyrics.words] == [True, True]
    assert warnings == [
        "2 of 2 words could not be aligned, so they are spread evenly over the loud parts near them: zyx, lost",
        "not in the dictionary, so aligned by their spelling: zyx",
        "not sung, so they have no time: [Verse], -",
    ]


def test_invalid_input_is_refused_before_anything_is_written(mix, tmp_path):
    words = words_file(tmp_path, "one")
    empty = words_file(tmp_path, "[Intro]\n...\n", "empty.txt")
    bad = words_file(tmp_path, "one", "bad.lrc")
    options: dict[str, Any] = {"separation": Separation(wanted=False), "aligner": EverySecond()}
    for audio, text, out, error, said in (
        (mix, words, "song.txt", BadInput, "written as lrc, vtt, json"),
        (mix, bad, "song.lrc", BadInput, r"bad\.lrc: line 1 has no time"),
        (mix, empty, "song.lrc", BadInput, "no words that can be sung"),
        (words, words, "song.lrc", BadAudio, r"words\.txt"),
    ):
        with pytest.raises(error, match=said):
            align_file(audio, text, tmp_path / out, **options)
    assert not list(tmp_path.glob("song*"))
