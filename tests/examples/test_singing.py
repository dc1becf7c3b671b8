"""Synthetic singing: plans of songs, files that say what is sung when, and sound that keeps to them."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from jukectl.training.config import VQVAERecipe, load_recipe

FOLDER = Path(__file__).parents[2] / "examples" / "singing"
SEEDS = [f"test {index}" for index in range(8)]


@pytest.fixture(scope="module")
def plans() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    yield import_module("song_plan")
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def words(plans):
    return plans.read_words(FOLDER / "words.txt")


@pytest.fixture(scope="module")
def rare(plans):
    return plans.read_words(FOLDER / "held_out_words.txt")


def test_the_held_out_words_are_in_no_training_song(words, rare):
    assert (len(words), len(rare)) == (250, 50)
    texts = [text for text, _ in words + rare]
    assert len(set(texts)) == 300 and all(text.isalpha() and text.islower() for text in texts)


def test_syllables_are_counted_by_hyphens(plans, tmp_path):
    (tmp_path / "words.txt").write_text("# a re-mark\nsun ri-ver\nre-mem-ber\n", encoding="utf-8")
    assert plans.read_words(tmp_path / "words.txt") == [("sun", 1), ("river", 2), ("remember", 3)]


def test_a_seed_is_a_song_and_another_seed_another(plans, words):
    assert plans.plan_song("a", words) == plans.plan_song("a", words)
    assert plans.plan_song("a", words).words != plans.plan_song("b", words).words


@pytest.mark.parametrize("seed", SEEDS)
def test_words_follow_each_other_within_the_song_a_note_a_syllable(plans, words, seed):
    song = plans.plan_song(seed, words)
    syllables = dict(words)
    notes = [note for word in song.words for note in word.notes]
    assert all(len(word.notes) == syllables[word.text] for word in song.words)
    assert all(0.17 < note.end - note.start < 0.81 for note in notes)
    assert all(one.end <= two.start + 0.002 for one, two in pairwise(notes))
    assert 0.5 <= notes[0].start <= 5 and notes[-1].end < plans.SECONDS
    assert all(plans.FEWEST <= len(line) <= plans.MOST for line in song.lines)
    rests = [two[0].start - one[-1].end for one, two in pairwise(song.lines)]
    assert all(0.29 < rest < 3.11 for rest in rests)


@pytest.mark.parametrize("seed", SEEDS)
def test_melodies_keep_to_the_voice_and_to_one_scale(plans, words, seed):
    song = plans.plan_song(seed, words)
    pitches = [note.midi for word in song.words for note in word.notes]
    assert max(abs(pitch - plans.ARTISTS[song.artist]) for pitch in pitches) <= plans.RANGE
    scales = [{(tonic + step) % 12 for step in plans.MAJOR} for tonic in range(12)]
    assert any({pitch % 12 for pitch in pitches} <= scale for scale in scales)


def test_half_of_the_words_of_a_validation_song_are_held_out(plans, words, rare):
    sung = [word.text for seed in SEEDS for word in plans.plan_song(seed, words, rare).words]
    held_out = {text for text, _ in rare}
    assert 0.4 < np.mean([text in held_out for text in sung]) < 0.6
    assert not held_out & {word.text for seed in SEEDS for word in plans.plan_song(seed, words).words}


def test_an_even_spread_of_the_characters_is_clearly_wrong(plans, words):
    """What makes the songs a test of alignment: spread over the song, words are seconds off."""
    errors = []
    for seed in SEEDS:
        song = plans.plan_song(seed, words)
        lengths = np.array([len(word.text) + 1 for word in song.words])
        even = (np.cumsum(lengths) - lengths) / lengths.sum() * plans.SECONDS
        errors.append(np.abs(even - [word.start for word in song.words]).mean())
    assert np.mean(errors) > 1.5


def test_the_lyrics_file_gives_the_times_of_lines_and_words(plans, words):
    song = plans.plan_song("a", words)
    lines = plans.lrc(song).splitlines()
    assert len(lines) == len(song.lines)
    for line, sung in zip(lines, song.lines, strict=True):
        found = re.findall(r"<(\d\d):(\d\d\.\d{3})>(\w+)", line)
        assert [text for _, _, text in found] == [word.text for word in sung]
        assert [60 * int(minutes) + float(seconds) for minutes, seconds, _ in found] == [word.start for word in sung]
        assert line.startswith(f"[{found[0][0]}:{found[0][1]}]")
    times = json.loads(plans.word_times(song))
    assert [(one["word"], one["start"], one["end"]) for one in times] == [(w.text, w.start, w.end) for w in song.words]
    assert tomllib.loads(plans.tags(song))["artist"] == song.artist


can_sing = (
    shutil.which("espeak-ng") and shutil.which("fluidsynth") and find_spec("pyworld") and find_spec("pkg_resources")
)


@pytest.mark.skipif(not can_sing, reason="needs espeak-ng, fluidsynth and examples/singing/requirements.txt")
def test_a_song_sounds_where_its_words_are_and_is_the_same_again(tmp_path):
    for out in ("one", "two"):
        options = ["--songs", "1", "--validation", "0", "--seed", "2", "--jobs", "1"]  # a cappella
        subprocess.run([sys.executable, FOLDER / "make_singing.py", tmp_path / out, *options], check=True)
    song = tmp_path / "one/train/train-0000.flac"
    assert song.read_bytes() == (tmp_path / "two/train/train-0000.flac").read_bytes()
    wave, rate = soundfile.read(song)
    assert (wave.shape, rate) == ((24 * 22_050,), 22_050)
    sung = np.zeros(wave.shape[0], dtype=bool)
    for word in json.loads(song.with_suffix(".json").read_text(encoding="utf-8")):
        span = slice(round(word["start"] * rate), round(word["end"] * rate))
        assert np.sqrt(np.mean(wave[span] ** 2)) > 0.02
        sung[span] = True
    assert np.sqrt(np.mean(wave[~sung] ** 2)) < 0.01


def test_the_codec_is_judged_by_mel_bands_and_keeps_the_held_out_songs_out():
    recipe = load_recipe(FOLDER / "vqvae.toml", VQVAERecipe)
    assert recipe.loss.mel > recipe.loss.spectral > recipe.loss.waveform == 0
    assert recipe.data.held_out == ("held-out/*",)
    assert (recipe.start, recipe.levels) == ("mini", ("top",))
