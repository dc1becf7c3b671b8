"""Embeddings equal a plain forward pass of the whole prior, in recordings of any length."""

import numpy as np
import pytest
import torch

from jukectl.api import Request, embed
from jukectl.audio import io
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadAudio, BadInput
from jukectl.inspect.embed import activations_of, default_layer
from jukectl.plan.device import choose
from jukectl.prior.labels import LabelBatch

CPU = torch.device("cpu")
RATE, HOP, CONTEXT = 8_000, 256, 64


@pytest.fixture
def folder(tiny_model):
    return ModelFolder(tiny_model)


def after_layers(prior, codes, offset, length, layers):
    """Return the activations (T, width) after some layers of a whole prior, by a hook in a plain forward pass."""
    found = []
    hook = prior.transformer.blocks[layers - 1].register_forward_hook(lambda *args: found.append(args[2]))
    labels = LabelBatch.repeat(1, slots=2, total_length=length, offset=offset, sample_length=CONTEXT * HOP)
    labels = labels.unlabelled()
    with torch.inference_mode():
        prior(torch.from_numpy(codes[None].astype(np.int64)), labels)
    hook.remove()
    return found[0][0].numpy()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_window_has_the_activations_of_a_plain_forward_pass(folder, layers):
    codes = np.random.default_rng(0).integers(32, size=CONTEXT)
    ours = activations_of(folder.prior_layers(Level.TOP, layers, CPU), codes, choose("cpu"))
    plain = after_layers(folder.prior(Level.TOP, CPU), codes, 0, CONTEXT * HOP, layers)
    assert np.array_equal(ours, plain)


def test_longer_recordings_are_read_by_windows_that_cover_each_code_once(folder):
    total = 2 * CONTEXT + 10
    codes = np.random.default_rng(1).integers(32, size=total)
    ours = activations_of(folder.prior_layers(Level.TOP, 2, CPU), codes, choose("cpu"))
    prior = folder.prior(Level.TOP, CPU)
    for start, first in ((0, 0), (CONTEXT, CONTEXT), (total - CONTEXT, 2 * CONTEXT)):
        window = after_layers(prior, codes[start : start + CONTEXT], start * HOP, total * HOP, 2)
        stop = min(start + CONTEXT, total)
        assert np.allclose(ours[first:stop], window[first - start :], atol=1e-6)
    assert np.isfinite(ours).all()


def test_only_the_layers_that_are_needed_are_loaded(folder):
    prior, whole = folder.prior_layers(Level.TOP, 1, CPU), folder.prior(Level.TOP, CPU)
    assert len(prior.transformer.blocks) == 1
    assert sum(one.numel() for one in prior.parameters()) < sum(one.numel() for one in whole.parameters())


def test_the_mean_is_that_of_the_frames(riff, tiny_model):
    request = Request(model=str(tiny_model))
    (mean,), (frames,) = (list(embed([riff], request, frames=one)) for one in (False, True))
    assert frames.array.shape == (2 * RATE // HOP, 32)
    assert mean.array.shape == (32,)
    assert np.allclose(mean.array, frames.array.mean(axis=0), atol=1e-6)
    assert (mean.layer, mean.frames_per_second) == (1, RATE / HOP)


def test_the_default_layer_is_the_middle_one_as_published():
    assert [default_layer(depth) for depth in (72, 3, 1)] == [36, 1, 1]


@pytest.mark.parametrize("layer", [0, 4, -1])
def test_a_layer_that_is_not_there_is_refused(riff, tiny_model, layer):
    with pytest.raises(BadInput, match="layers 1 to 3"):
        list(embed([riff], Request(model=str(tiny_model)), layer=layer))


def test_a_recording_that_is_too_short_is_refused(tmp_path, tiny_model):
    io.save(tmp_path / "click.wav", np.zeros(100, dtype=np.float32), RATE)
    with pytest.raises(BadAudio, match="too short"):
        list(embed([tmp_path / "click.wav"], Request(model=str(tiny_model))))


def test_two_recordings_of_one_name_are_refused(run, tmp_path):
    answer = run("embed", "a/x.wav", "b/x.flac", "--out", tmp_path / "out", status=2)
    assert "a/x.wav and b/x.flac would both be x.npz" in answer
    assert not (tmp_path / "out").exists()


def test_the_command_writes_a_file_for_each_recording(run, riff, tmp_path, tiny_model):
    options = ["--model", tiny_model, "--layer", 2, "--frames"]
    answer = run("--quiet", "embed", riff, "--out", tmp_path / "out", *options)
    assert answer.splitlines() == [str(tmp_path / "out" / f"{riff.stem}.npz")]
    with np.load(answer.strip()) as found:
        fields = {name: found[name].tolist() for name in found if name != "embedding"}
        assert found["embedding"].shape == (2 * RATE // HOP, 32)
    fingerprint = ModelFolder(tiny_model).fingerprint("top")
    assert fields == {"layer": 2, "model": "tiny", "fingerprint": fingerprint, "frames_per_second": RATE / HOP}
