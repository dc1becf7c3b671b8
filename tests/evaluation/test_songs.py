"""Songs as audio, and the recording that continues where a song's prompt ends."""

from dataclasses import replace

import numpy as np
import pytest
from music_fixtures import RATE, music, save_music

from jukectl.audio import io
from jukectl.codes.recipe import Prompt
from jukectl.evaluation.songs import SampleAudio, load_song
from jukectl.plan.prompt import digest

SAMPLES = music(6, 3)


@pytest.fixture
def recording(tmp_path):
    return save_music(tmp_path / "long.wav", SAMPLES)


def continued(recording, seconds=2.0):
    """A song that continues two seconds of a recording from its first second on."""
    first = SAMPLES[RATE : 3 * RATE]
    return SampleAudio(
        name="song",
        path=recording.parent,
        samples=np.concatenate([first, np.zeros(int(seconds * RATE), np.float32)]),
        sample_rate=RATE,
        prompt=len(first),
        code_rate=500,
        source=Prompt(source=str(recording), start=1.0, seconds=2.0, sha256=digest(first), samples=len(first)),
    )


def test_the_original_is_what_follows_the_prompt_in_the_recording(recording):
    assert np.array_equal(continued(recording).original(), SAMPLES[3 * RATE : 5 * RATE])
    assert np.array_equal(continued(recording, seconds=9).original(), SAMPLES[3 * RATE :])


def test_there_is_no_original_of_a_song_from_nothing_or_of_a_branch(recording):
    song = continued(recording)
    assert replace(song, source=None).original() is None
    assert replace(song, prompt=song.prompt + 2 * RATE).original() is None


def test_there_is_no_original_if_the_recording_is_gone_or_is_another_or_ends(recording):
    song = continued(recording)
    io.save(recording, SAMPLES[: 3 * RATE], RATE, subtype="float")
    assert song.original() is None
    save_music(recording, music(6, 4))
    assert song.original() is None
    recording.unlink()
    assert song.original() is None


def test_song_folders_and_audio_files_are_loaded(prompted_song, recording):
    first, second = load_song(prompted_song)
    assert (first.name, second.name, first.code_rate, first.prompt) == ("song/0", "song/1", 500, 8_192)
    assert len(first.first) == len(first.new) == 8_192
    assert not np.array_equal(first.new, second.new)
    (file,) = load_song(recording)
    assert (file.name, file.genres, file.prompt) == ("long.wav", (), 0)
    assert file.new == pytest.approx(SAMPLES)
