"""Models without some of their parts: what is there is named, and can be used; what is missing too."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from foreign_models import random_model, write_huggingface, write_originals
from safetensors.torch import load_file, save_file

from jukectl.checkpoints.convert import convert, convert_model, source_of
from jukectl.checkpoints.layout import abilities
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.inspect.info import describe_model
from jukectl.progress import Event, WarningEvent

CPU = torch.device("cpu")
FILES = {"vqvae": "vqvae.pth.tar", "middle": "prior_level_1.pth.tar", "top": "prior_level_2.pth.tar"}


def native(folder: Path, gone: str) -> tuple[Path, str]:
    """The tiny model without a part, and what is said of the part."""
    (folder / f"{gone}.safetensors").unlink()
    return folder, f"{gone}.safetensors is missing"


def single(folder: Path, gone: str) -> tuple[Path, str]:
    """A Hugging Face folder of one file without a part."""
    port, prefix = write_huggingface(random_model(), folder / "port"), prefix_of(gone)
    tensors = load_file(port / "model.safetensors")
    kept = {name: one for name, one in tensors.items() if not name.startswith(prefix)}
    save_file(kept, port / "model.safetensors")
    return port, rf"{prefix}* is missing from model.safetensors"


def sharded(folder: Path, gone: str) -> tuple[Path, str]:
    """A Hugging Face folder of a shard a part, without one of them."""
    port, model = folder / "port", random_model()
    tensors = load_file(write_huggingface(model, port) / "model.safetensors")
    listed = {name: f"{name.split('.')[0]}-{name.split('.')[1]}.safetensors" for name in tensors}
    listed = {name: "vqvae.safetensors" if name.startswith("vqvae") else file for name, file in listed.items()}
    (port / "model.safetensors").unlink()
    (port / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    missing = "vqvae.safetensors" if gone == "vqvae" else f"{prefix_of(gone)[:-1].replace('.', '-')}.safetensors"
    for file in set(listed.values()) - {missing}:
        save_file({name: tensors[name] for name in tensors if listed[name] == file}, port / file)
    return port, f"{missing}, which model.safetensors.index.json names, is missing"


def originals(folder: Path, gone: str) -> tuple[Path, str]:
    """Original files, described by a config.json, without that of a part."""
    model = random_model()
    files = write_originals(model, folder / "files")
    (files / "config.json").write_text(json.dumps(model.config_json))
    (files / FILES[gone]).unlink()
    return files, f"{FILES[gone]} is missing"


def prefix_of(part: str) -> str:
    return "vqvae." if part == "vqvae" else f"priors.{['top', 'middle', 'bottom'].index(part)}."


MAKERS: tuple[Callable[[Path, str], tuple[Path, str]], ...] = (native, single, sharded, originals)
LEFT = {
    "vqvae": "It has top, middle, bottom, which can do nothing without the codec, vqvae",
    "middle": "It has vqvae, top, bottom, and so can encode and decode, make songs with --levels top, "
    "upsample encoded recordings to bottom",
    "top": "It has vqvae, middle, bottom, and so can encode and decode, "
    "upsample encoded recordings to middle and bottom",
}


@pytest.mark.parametrize("gone", LEFT)
@pytest.mark.parametrize("make", MAKERS)
def test_a_model_without_a_part_says_what_it_has_and_can(make, gone, model, tmp_path):
    path, said = make(model if make is native else tmp_path, gone)
    folder = ModelFolder(path)
    assert folder.parts == tuple(part for part in ("vqvae", "bottom", "middle", "top") if part != gone)
    assert folder.layout.missing == (gone,)
    assert folder.layout.shortage == f"{path} is incomplete: {said}. {LEFT[gone]}"
    with pytest.raises(BadModel) as caught:
        folder.vqvae(CPU) if gone == "vqvae" else folder.prior(Level.parse(gone), CPU)
    assert str(caught.value) == folder.layout.shortage

    facts = describe_model(str(path))
    assert (facts["missing"], facts["abilities"]) == ([gone], LEFT[gone])
    assert sorted(facts["parts"]) == sorted(folder.parts)
    assert gone not in facts["contexts"]


@pytest.mark.parametrize("gone", LEFT)
@pytest.mark.parametrize("make", MAKERS)
def test_the_parts_that_are_there_are_converted_with_a_warning(make, gone, model, tmp_path):
    path, _ = make(model if make is native else tmp_path, gone)
    events: list[Event] = []
    facts = convert_model(str(path), tmp_path / "out", listener=events.append)
    assert [event.text for event in events if isinstance(event, WarningEvent)] == [ModelFolder(path).layout.shortage]
    assert facts["missing"] == [gone]
    written = ModelFolder(tmp_path / "out")
    assert written.parts == ModelFolder(path).parts
    for part in written.parts:
        assert written.fingerprint(part) == ModelFolder(path).fingerprint(part)


def test_a_model_without_any_weights_cannot_be_converted(model, tmp_path):
    for file in model.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(BadModel, match="It has no part that could be used"):
        convert(source_of(model), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_complete_model_can_do_everything():
    assert abilities(("vqvae", "bottom", "middle", "top")) == (
        "It has vqvae, top, middle, bottom, and so can encode and decode, make songs with --levels top,middle,bottom"
    )
