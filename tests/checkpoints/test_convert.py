"""Conversion of models between formats: equal tensors in every direction, and no incomplete models."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign_models import (
    ENCODED,
    LOWER,
    MERGED,
    STYLES,
    TOP,
    port_state,
    random_model,
    write_huggingface,
    write_originals,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from jukectl.checkpoints import convert as module
from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.convert import Format, convert, source_of
from jukectl.checkpoints.store import NOTE, ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadInput, BadModel, CannotWrite
from jukectl.files import atomic_write
from jukectl.prior.config import AttentionKind, MidiConfig
from jukectl.prior.vocabulary import Style, Vocabulary
from jukectl.vqvae.config import VQVAEConfig

CPU = torch.device("cpu")


def numbers(folder):
    """Return all tensors of a native folder."""
    return {path.stem: load_file(path) for path in folder.glob("*.safetensors")}


def equal(one, other):
    """Return True if two sets of parts are bit for bit equal."""
    assert one.keys() == other.keys()
    for part in one:
        assert one[part].keys() == other[part].keys()
        for name in one[part]:
            assert one[part][name].dtype == other[part][name].dtype
            assert torch.equal(one[part][name], other[part][name]), name
    return True


@pytest.fixture
def native(tmp_path):
    """Return a function that makes a native folder of a model."""

    def make(model, name="native", **card):
        folder = tmp_path / name
        folder.mkdir()
        for part, tensors in model.state.items():
            save_file(tensors, folder / f"{part}.safetensors")
        (folder / "model.toml").write_text(replace(model.card, **card).to_toml(), encoding="utf-8")
        return folder

    return make


@pytest.mark.parametrize("style", STYLES)
def test_conversion_from_the_port_and_back_changes_no_tensor(style, tmp_path):
    kind = "pytorch_model.bin" if style == next(iter(STYLES)) else "model.safetensors"
    model = random_model(STYLES[style])
    port = write_huggingface(model, tmp_path / "port", kind, 2)
    convert(source_of(port), tmp_path / "ours")
    assert equal(numbers(tmp_path / "ours"), model.state)
    assert ModelFolder(tmp_path / "ours").card.priors == model.priors

    convert(source_of(tmp_path / "ours"), tmp_path / "back", to=Format.HUGGINGFACE)
    written, expected = load_file(tmp_path / "back" / "model.safetensors"), port_state(model)
    assert equal({"all": written}, {"all": expected})
    back = ModelFolder(tmp_path / "back")
    assert (back.card.priors, back.card.vqvae) == (model.priors, model.vqvae)
    assert back.card.sampling == ModelFolder(port).card.sampling


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_configuration_round_trips_through_the_port(data, tmp_path_factory):
    place = tmp_path_factory.mktemp("shapes")
    downs = data.draw(st.tuples(*[st.integers(1, 2)] * 3))
    unit, multipliers = data.draw(st.integers(1, 3)), data.draw(st.tuples(*[st.integers(1, 3)] * 3))
    vqvae = VQVAEConfig(
        downs=downs,
        codebook_size=data.draw(st.integers(2, 9)),
        latent_width=data.draw(st.integers(1, 4)),
        widths=tuple(2 * one for one in multipliers),
        depths=tuple(unit * one for one in multipliers),
        hidden_multiplier=data.draw(st.sampled_from([1, 2])),
        scale_residuals=data.draw(st.booleans()),
    )
    top = data.draw(st.sampled_from(list(STYLES.values())))
    top = replace(
        top,
        hop=vqvae.hop(Level.TOP),
        sample_rate=44_100,
        codebook_size=vqvae.codebook_size,
        width=8 * data.draw(st.integers(1, 3)),
        mlp_ratio=data.draw(st.sampled_from([0.5, 1.0, 2.0])),
        artists=data.draw(st.integers(1, 5)),
        scale_residuals=data.draw(st.booleans()),
    )
    model = random_model(top, lower=False, vqvae=vqvae, seed=data.draw(st.integers(0, 9)))
    convert(
        source_of(
            write_huggingface(
                model, place / "port", data.draw(st.sampled_from(["pytorch_model.bin", "model.safetensors"]))
            )
        ),
        place / "ours",
    )
    assert equal(numbers(place / "ours"), model.state)
    convert(source_of(place / "ours"), place / "back", to=Format.HUGGINGFACE)
    assert equal({"all": load_file(place / "back" / "model.safetensors")}, {"all": port_state(model)})
    (place / "config.json").write_text(json.dumps(model.config_json))
    files = write_originals(
        model, place / "files", old=data.draw(st.booleans()), prefix=data.draw(st.sampled_from(["", "module."]))
    )
    convert(source_of(files, place / "config.json"), place / "original")
    assert equal(numbers(place / "original"), model.state)


@pytest.mark.parametrize("style", STYLES)
def test_conversion_of_original_files_keeps_all_tensors(style, tmp_path):
    model = random_model(STYLES[style])
    files = write_originals(model, tmp_path / "files", old=style == next(iter(STYLES)))
    (tmp_path / "config.json").write_text(json.dumps(model.config_json))
    convert(source_of(files, tmp_path / "config.json"), tmp_path / "ours")
    assert equal(numbers(tmp_path / "ours"), model.state)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
@pytest.mark.parametrize("to", Format)
def test_conversion_changes_all_tensors_to_the_given_precision(precision, dtype, to, tmp_path):
    model = random_model(MERGED)
    convert(source_of(write_originals_of(model, tmp_path)), tmp_path / "out", precision=precision, to=to)
    expected = model.state if to is Format.NATIVE else {"model": port_state(model)}
    rounded = {
        part: {name: one.half().to(dtype) if is_half(name) else one.to(dtype) for name, one in tensors.items()}
        for part, tensors in expected.items()
    }
    assert equal(numbers(tmp_path / "out"), rounded)


def write_originals_of(model, place):
    files = write_originals(model, place / "files", half=True)
    (files / "config.json").write_text(json.dumps(model.config_json))
    return files


def is_half(name):
    """Return True for a matrix that the files hold in half precision."""
    return re.search(r"(attention\.\w+|mlp_in|mlp_out|c_attn|c_proj|c_fc)\.weight$", name) is not None


def test_conversion_without_a_precision_keeps_the_types(tmp_path):
    model = random_model(TOP)
    convert(source_of(write_originals_of(model, tmp_path)), tmp_path / "out")
    for name, tensor in load_file(tmp_path / "out" / "top.safetensors").items():
        assert tensor.dtype == (torch.float16 if is_half(name) else torch.float32)


def test_a_converted_card_has_the_fingerprints_of_its_tensors(tmp_path):
    model = random_model(ENCODED)
    port = write_huggingface(model, tmp_path / "port")
    convert(source_of(port), tmp_path / "out")
    folder = ModelFolder(tmp_path / "out")
    assert folder.card.fingerprints == {part: folder.fingerprint(part) for part in folder.parts}
    assert folder.card.fingerprints == {part: ModelFolder(port).fingerprint(part) for part in folder.parts}
    assert folder.card.name == "out"


def test_conversion_refuses_numbers_too_large_for_the_precision_and_leaves_no_model(tmp_path):
    model = random_model()
    model.state["middle"]["positions"][3, 5] = 7e4
    port = write_huggingface(model, tmp_path / "port")
    with pytest.raises(BadModel, match="positions does not fit float16: its numbers are too large"):
        convert(source_of(port), tmp_path / "out", precision="fp16")
    assert not (tmp_path / "out" / "model.toml").exists()
    assert not (tmp_path / "out" / "middle.safetensors").exists()
    convert(source_of(port), tmp_path / "out", precision="bf16", overwrite=True)
    assert ModelFolder(tmp_path / "out").prior(Level.MIDDLE, CPU).positions[3, 5] == 70_144


def test_a_large_model_is_converted_to_one_shard_for_each_part(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ONE_FILE", 1_000)
    model = random_model()
    convert(source_of(write_huggingface(model, tmp_path / "port")), tmp_path / "out", to=Format.HUGGINGFACE)
    shards = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert shards == [f"model-0000{number}-of-00004.safetensors" for number in range(1, 5)]
    written = {name: one for shard in shards for name, one in load_file(tmp_path / "out" / shard).items()}
    assert equal({"all": written}, {"all": port_state(model)})
    convert(source_of(tmp_path / "out"), tmp_path / "back")
    assert equal(numbers(tmp_path / "back"), model.state)


@pytest.fixture
def port(tmp_path):
    return write_huggingface(random_model(MERGED), tmp_path / "port")


def _gone() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class Killed(BaseException):
    """Stands for a killed process."""


@pytest.mark.parametrize("written", [1, 3, 6])
def test_an_interrupted_conversion_is_not_a_model_and_can_be_resumed(written, port, tmp_path, monkeypatch):
    out = tmp_path / "out"
    real, count = atomic_write, []

    def failing(path):
        count.append(path.name)
        if len(count) > written:
            raise Killed
        return real(path)

    monkeypatch.setattr(module, "atomic_write", failing)
    with pytest.raises(Killed):
        convert(source_of(port), out)
    with pytest.raises(BadModel, match="is not a model folder"):
        _ = ModelFolder(out).card
    (out / f".top.safetensors.{_gone()}.part").write_bytes(b"litter")
    whole = {path.name: path.stat().st_mtime_ns for path in out.glob("*.safetensors")}

    with pytest.raises(BadInput, match="holds another, interrupted conversion"):
        convert(source_of(port), out, precision="fp16")
    monkeypatch.setattr(module, "atomic_write", real)
    convert(source_of(port), out)
    assert equal(numbers(out), random_model(MERGED).state)
    assert set(ModelFolder(out).card.fingerprints) == {"vqvae", "top", "middle", "bottom"}
    noted = len([name for name in count[:written] if name == NOTE]) - 1
    kept = [name for name, changed in whole.items() if (out / name).stat().st_mtime_ns == changed]
    assert len(kept) >= noted  # finished files are not written again
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        "bottom.safetensors", "middle.safetensors", "model.toml", "top.safetensors", "vqvae.safetensors"
    ]  # fmt: skip
    assert not list(out.glob(".*.part"))


def test_a_conversion_with_a_damaged_note_is_not_resumed(port, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for note in ("{", "[]", '{"key": 3}', '{"key": "a", "done": 3}'):
        (out / NOTE).write_text(note)
        with pytest.raises(BadInput, match="interrupted conversion"):
            convert(source_of(port), out)
    convert(source_of(port), out, overwrite=True)
    assert equal(numbers(out), random_model(MERGED).state)


def test_conversion_replaces_an_existing_model_only_with_overwrite(port, tmp_path):
    out = tmp_path / "out"
    convert(source_of(port), out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"out is not empty\. Name another folder, or replace .* with --overwrite"):
        convert(source_of(port), out, precision="bf16")
    convert(source_of(port), out, to=Format.HUGGINGFACE, overwrite=True)
    assert sorted(path.name for path in out.glob("[!.]*")) == ["config.json", "model.safetensors", "notes.txt"]
    convert(source_of(port), out, overwrite=True)
    assert ModelFolder(out).parts == ("vqvae", "bottom", "middle", "top")
    assert not (out / "config.json").exists()
    assert (out / "notes.txt").read_text() == "mine"


def test_a_model_is_not_converted_onto_itself(port):
    with pytest.raises(BadInput, match="is the model to convert"):
        convert(source_of(port), port / ".." / "port", overwrite=True)
    assert ModelFolder(port).prior(Level.TOP, CPU)


def test_conversion_checks_the_free_disk_space_before_writing(port, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(CannotWrite, match="has room for"):
        convert(source_of(port), tmp_path / "out")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_a_folder_without_a_model_cannot_be_converted(make, tmp_path):
    make(tmp_path / "empty")
    with pytest.raises(BadModel, match="holds no model"):
        source_of(tmp_path / "empty")
    with pytest.raises(BadInput, match="--config describes original files"):
        source_of(tmp_path / "empty", tmp_path / "config.json")


NAMED = {
    Level.TOP: Vocabulary(style=Style.V3, artists=("unknown", "the björks", "zz", "b"), genres=("unknown", "hip hop")),
    Level.MIDDLE: Vocabulary(
        style=Style.V2, artists=("unknown", "the_bj_rks"), genres=("unknown", "hip", "hop"), genre_numbers=(0, 3, 1)
    ),
}


def test_names_round_trip_through_the_port(native, tmp_path):
    sets = {**NAMED, Level.BOTTOM: NAMED[Level.MIDDLE]}
    folder = native(random_model(TOP), vocabularies=sets)
    convert(source_of(folder), tmp_path / "port", to=Format.HUGGINGFACE)
    assert json.loads((tmp_path / "port" / "genres.json").read_text()) == {
        "unknown": 0, "hip hop": 1, "unknown.v2": 0, "hip.v2": 3, "hop.v2": 1
    }  # fmt: skip
    card = ModelFolder(tmp_path / "port").card
    for level in Level:
        assert card.labels(level, "The Björks", ("Hip_Hop" if level is not Level.TOP else "Hip Hop",)) == ModelFolder(
            folder
        ).card.labels(level, "The Björks", ("Hip_Hop" if level is not Level.TOP else "Hip Hop",))
    convert(source_of(tmp_path / "port"), tmp_path / "back")
    kept = ModelCard.parse((tmp_path / "back" / "model.toml").read_text(encoding="utf-8"), tmp_path)
    assert kept.vocabularies == card.vocabularies


@pytest.mark.parametrize(
    ("top", "vqvae", "message"),
    [
        (replace(TOP, timing=None), {}, "top prior without timing"),
        (replace(TOP, pattern=(AttentionKind.COLUMN,)), {}, "prior with this order of attention: column"),
        (replace(MERGED, lyrics=replace(MERGED.lyrics, drawable=False)), {}, "draws no characters"),
        (
            replace(
                MERGED,
                pattern=(AttentionKind.ROW, AttentionKind.ENCODER),
                lyrics=replace(MERGED.lyrics, drawable=False, apart=True),
            ),
            {},
            "prior that reads lyrics apart from the codes by the same blocks",
        ),
        (replace(TOP, midi=MidiConfig(width=8, depth=1)), {}, "prior that follows notes"),
        (replace(TOP, scale_residuals=True, scale_depth=1), {}, "scaled for fewer blocks than there are"),
        (TOP, {"audio_head": False}, "codec without a last convolution"),
        (TOP, {"widths": (8, 8, 4)}, "codec whose widths"),
        (TOP, {"hidden_multiplier": 1.5}, "convolutions whose inner width is 1.5"),
    ],
)
def test_a_model_that_the_port_lacks_is_refused_before_writing(top, vqvae, message, native, tmp_path):
    model = random_model(TOP, lower=False)
    folder = native(model, priors={Level.TOP: top}, vqvae=replace(model.vqvae, **vqvae))
    with pytest.raises(BadModel, match=f"the Hugging Face format has no model like this: it has no .*{message}"):
        convert(source_of(folder), tmp_path / "out", to=Format.HUGGINGFACE)
    assert not (tmp_path / "out").exists()


def test_an_upsampler_without_a_top_cannot_be_converted_to_the_port(native, tmp_path):
    folder = native(random_model(TOP), priors=LOWER)
    (folder / "top.safetensors").unlink()
    with pytest.raises(BadModel, match="prior without the ones above it"):
        convert(source_of(folder), tmp_path / "out", to=Format.HUGGINGFACE)
