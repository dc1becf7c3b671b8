"""Recordings that are continued: an offset is removed, other faults are warnings, and neither changes a good prompt."""

from pathlib import Path

import numpy as np
import pytest

from jukectl import api
from jukectl.audio import io, mix
from jukectl.checkpoints.store import ModelFolder
from jukectl.plan.prompt import Recording, load_prompt
from jukectl.plan.request import Request
from jukectl.progress import Event, Remark, WarningEvent

SHARED_RATE = 8_000


@pytest.fixture
def stereo(riff: Path) -> np.ndarray:
    return io.load(riff).samples


def told(path: Path, model: Path) -> tuple[np.ndarray, list[str], list[str]]:
    """The samples of a prompt, and what is remarked and warned of."""
    events: list[Event] = []
    prompt = load_prompt(Recording(path), ModelFolder(model), listener=events.append)
    remarks = [event.text for event in events if isinstance(event, Remark)]
    return prompt.samples, remarks, [event.text for event in events if isinstance(event, WarningEvent)]


def test_a_prompt_without_faults_is_the_down_mix_bit_for_bit(riff, stereo, tiny_model):
    samples, remarks, warnings = told(riff, tiny_model)
    assert np.array_equal(samples, mix.to_mono(stereo)[: len(samples)])
    assert (remarks, warnings) == ([], [])


def test_a_constant_offset_is_removed_from_a_prompt(stereo, tiny_model, tmp_path):
    io.save(path := tmp_path / "a.wav", stereo / 2 + np.float32(0.5), SHARED_RATE)
    samples, (remark,), warnings = told(path, tiny_model)
    assert abs(samples.mean()) < 1e-3
    assert np.abs(samples - mix.to_mono(stereo / 2)[: len(samples)]).max() < 0.01
    assert remark == f"a constant offset of {0.5 + mix.to_mono(stereo / 2).mean():.3f} was removed from {path}"
    assert warnings == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda stereo: np.stack([stereo[0], -stereo[0]]), "is silent as mono, since its channels cancel each other"),
        (lambda stereo: stereo * np.float32(0.01), "is nearly silent, at -5"),
        (lambda stereo: stereo * 0, "is silent"),
        (lambda stereo: (stereo * np.float32(9)).clip(-1, 1), "is clipped"),
    ],
)
def test_other_faults_of_a_prompt_are_warnings(spoil, said, stereo, tiny_model, tmp_path):
    io.save(path := tmp_path / "a.wav", spoil(stereo), SHARED_RATE)
    _, _, (warning,) = told(path, tiny_model)
    assert warning.startswith(f"{path} {said}")


def test_a_prompt_from_a_file_that_is_cut_short_is_used_with_a_warning(riff, tiny_model, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(riff.read_bytes()[:-8_000])
    events: list[Event] = []
    request = Request(model=str(tiny_model), seconds=0.3, seed=1)
    api.continue_(path, tmp_path / "song", request, listener=events.append)
    warnings = [event.text for event in events if isinstance(event, WarningEvent)]
    assert warnings[0] == f"{path} is cut short after 1.8 seconds: its header promises 0.2 more"


def test_a_song_whose_prompt_kept_its_offset_is_resumed_from_the_source(stereo, tiny_model, tmp_path, monkeypatch):
    """Earlier versions left the offset in."""
    io.save(path := tmp_path / "a.wav", stereo / 2 + np.float32(0.3), SHARED_RATE)
    with monkeypatch.context() as earlier:
        earlier.setattr("jukectl.plan.prompt.offset", lambda samples, rate: 0.0)
        request = Request(model=str(tiny_model), seconds=0.3, seed=1)
        api.continue_(path, tmp_path / "song", request)
    whole = {file.name: file.read_bytes() for file in (tmp_path / "song").glob("*.*")}
    for name in ("prompt.wav", "bottom.npz"):
        (tmp_path / "song" / name).unlink()
    api.resume(tmp_path / "song")
    assert {file.name: file.read_bytes() for file in (tmp_path / "song").glob("*.*")} == whole
