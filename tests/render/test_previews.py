"""Previews while a level is made: what is added to a file is what the whole would have been."""

import numpy as np
import pytest
import soundfile

from jukectl import api
from jukectl.api import Request, choose, decode
from jukectl.codes.level import Level
from jukectl.plan.job import resumed
from jukectl.progress import Event, LevelProgress
from jukectl.render.decode import Preview


@pytest.fixture
def growing(song):
    """A song whose bottom level is put back to its beginning, and the whole level."""
    whole = song.codes(Level.BOTTOM)
    for sample in range(2):
        song.audio_path(sample).unlink()
    return song, whole, Preview(resumed(song, Request(), choose("cpu")), Level.BOTTOM)


@pytest.mark.parametrize("steps", [[64, 96, 304], [1, 2, 3, 304], [304, 304]], ids=str)
def test_a_file_that_grew_is_the_file_that_is_decoded_at_once(growing, steps, tmp_path):
    song, whole, preview = growing
    for done in steps:
        song.save(whole.cut(done))
        preview.write(whole.cut(done))
        assert soundfile.info(song.audio_path(1)).frames == done * 16
    grown = [soundfile.read(song.audio_path(sample), dtype="int16")[0] for sample in range(2)]
    decode(song.path)
    for sample, samples in enumerate(grown):
        at_once = soundfile.read(song.audio_path(sample), dtype="int16")[0]
        assert np.abs(samples.astype(int) - at_once).max() <= 1  # where rounding decides


def test_only_the_end_is_decoded(growing, monkeypatch):
    from jukectl.render import decode as previewing

    song, whole, preview = growing
    lengths = []
    decoded = previewing.waveform
    monkeypatch.setattr(
        previewing, "waveform", lambda v, codes, *rest: lengths.append(len(codes)) or decoded(v, codes, *rest)
    )
    for done in (200, 264, 304):
        song.save(whole.cut(done))
        preview.write(whole.cut(done))
    assert lengths[:2] == [200, 200]
    assert max(lengths[2:]) < 200


def test_a_preview_changed_by_others_is_written_again(growing):
    song, whole, preview = growing
    preview.write(whole.cut(200))
    soundfile.write(song.audio_path(0), np.zeros(100), 8_000)
    song.audio_path(1).unlink()
    preview.write(whole)
    first = [soundfile.read(song.audio_path(sample))[0] for sample in range(2)]
    decode(song.path)
    for sample in range(2):
        assert np.abs(first[sample] - soundfile.read(song.audio_path(sample))[0]).max() < 1e-4


def test_without_codes_no_previews_are_written(song):
    job = resumed(song, Request(), choose("cpu"))
    Preview(job, Level.MIDDLE).write(job.codes[Level.MIDDLE].cut(0))
    assert not (song.path / "previews").exists()


def test_a_window_is_reported_after_its_preview_is_written(ask, tmp_path):
    behind = []

    def listener(event: Event) -> None:
        if isinstance(event, LevelProgress) and event.level == "middle" and event.seconds_saved is not None:
            written = soundfile.info(tmp_path / "song" / "previews" / "middle-0.wav")
            behind.append(event.seconds_saved - written.frames / written.samplerate)

    api.sample(tmp_path / "song", ask(levels=(Level.TOP, Level.MIDDLE), preview=(Level.MIDDLE,)), listener=listener)
    assert len(behind) > 1
    assert np.abs(behind).max() < 1e-6
