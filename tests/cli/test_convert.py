"""`jukectl models convert`, and models of other layouts wherever a model is named."""

import json
import os
import pickle

import pytest
import torch
from foreign_models import MERGED, TOP, port_state, random_model, write_huggingface, write_originals
from safetensors.torch import load_file


@pytest.fixture
def port(tmp_path):
    return write_huggingface(random_model(TOP), tmp_path / "port", "pytorch_model.bin", 2)


def test_converting_prints_the_folder_and_with_json_more(jukectl, port, tmp_path):
    answer = jukectl("models", "convert", port, tmp_path / "out", "--precision", "fp16")
    assert answer.out == f"{tmp_path / 'out'}\n"
    assert "writing top.safetensors" in answer.err
    facts = jukectl("--json", "--quiet", "models", "convert", port, tmp_path / "again").json
    assert facts["model"] == str(tmp_path / "again")
    assert set(facts["fingerprints"]) == {"vqvae", "top", "middle", "bottom"}
    assert {one.dtype for one in load_file(tmp_path / "out" / "top.safetensors").values()} == {torch.float16}


def test_a_model_converted_to_ours_and_back_has_the_same_tensors(jukectl, port, tmp_path):
    jukectl("models", "convert", port, tmp_path / "ours")
    jukectl("models", "convert", tmp_path / "ours", tmp_path / "back", "--to", "huggingface")
    found, expected = load_file(tmp_path / "back" / "model.safetensors"), port_state(random_model(TOP))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], one) for name, one in expected.items())


def test_original_files_are_converted_with_a_config(jukectl, fails, tmp_path):
    model = random_model(MERGED)
    files = write_originals(model, tmp_path / "files", old=True)
    (tmp_path / "config.json").write_text(json.dumps(model.config_json))
    assert "--config FILE, a config.json, describes it" in fails("models", "convert", files, tmp_path / "out")
    jukectl("models", "convert", files, tmp_path / "out", "--config", tmp_path / "config.json")
    assert torch.equal(load_file(tmp_path / "out" / "top.safetensors")["head"], model.state["top"]["head"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int8"], "--precision is one of fp32, fp16, bf16, got 'int8'"),
        (["--to", "onnx"], "--to is one of native, huggingface, got 'onnx'"),
        (["--config", "config.json"], "--config describes original files"),
    ],
)
def test_converting_refuses_wrong_options(fails, port, tmp_path, arguments, message):
    assert message in fails("models", "convert", port, tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_converting_keeps_an_existing_model_unless_overwrite_is_given(jukectl, fails, port, tmp_path):
    jukectl("models", "convert", port, tmp_path / "out")
    assert "is not empty" in fails("models", "convert", port, tmp_path / "out", "--precision", "fp16")
    jukectl("models", "convert", port, tmp_path / "out", "--overwrite")
    assert "there is no model" in fails("models", "convert", tmp_path / "nothing", tmp_path / "other")


def test_converting_again_says_that_nothing_is_left(jukectl, port, tmp_path):
    first = jukectl("--json", "models", "convert", port, tmp_path / "out").json
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    answer = jukectl("models", "convert", port, tmp_path / "out")
    assert answer.out == f"{tmp_path / 'out'}\n"
    assert "is converted already: nothing to do" in answer.err
    assert jukectl("--json", "models", "convert", port, tmp_path / "out").json == {**first, "new": False}
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == written


class Trap:
    """An object whose pickle creates a folder when it is loaded without checks."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


CONVERT = ["models", "convert", "{}", "out"]


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("port", CONVERT),
        ("originals", CONVERT),
        ("plain pickle", CONVERT),
        ("port", ["models", "show", "{}"]),
        ("originals", ["info", "{}"]),
    ],
)
def test_a_malicious_pickle_is_refused_without_running_it(fails, kind, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trap, model = Trap(str(tmp_path / "sprung")), random_model(TOP)
    if kind == "port":
        folder = write_huggingface(model, tmp_path / "model", "pytorch_model.bin")
        torch.save({**port_state(model), "priors.0.x": trap}, folder / "pytorch_model.bin")
    else:
        folder = write_originals(model, tmp_path / "model")
        (folder / "config.json").write_text(json.dumps(model.config_json))
        file = folder / "prior_level_2.pth.tar"
        torch.save({"model": {}, "hps": trap}, file) if kind == "originals" else file.write_bytes(pickle.dumps(trap))
    assert (
        ".pth.tar is " in (line := fails(*[part.format(folder) for part in command])) or "pytorch_model.bin is" in line
    )
    assert not (tmp_path / "sprung").exists()
    assert not list(tmp_path.glob("out/*.safetensors"))


@pytest.mark.parametrize("kind", ["port", "originals"])
def test_a_model_of_another_layout_makes_the_same_codes_as_converted(jukectl, kind, port, riff, tmp_path):
    model = random_model(TOP)
    if kind == "originals":
        port = write_originals(model, tmp_path / "files", old=True)
        (port / "config.json").write_text(json.dumps(model.config_json))
    shown = jukectl("--json", "models", "show", port).json
    assert shown["hops"] == {"bottom": 4, "middle": 16, "top": 32}
    assert jukectl("--json", "info", port).json["name"] == shown["name"]
    jukectl("models", "convert", port, tmp_path / "ours")
    options = [
        "--seconds",
        "0.1",
        "--song-seconds",
        "3",
        "--seed",
        "4",
        "--artist",
        "#2",
        "--genre",
        "#1",
        "--genre",
        "#3",
    ]
    for name, folder in (("theirs", port), ("mine", tmp_path / "ours")):
        jukectl("continue", riff, "--model", folder, "--out", tmp_path / name, "--prompt-seconds", "0.05", *options)
    for level in ("top", "middle", "bottom"):
        assert (tmp_path / "theirs" / f"{level}.npz").read_bytes() == (tmp_path / "mine" / f"{level}.npz").read_bytes()
