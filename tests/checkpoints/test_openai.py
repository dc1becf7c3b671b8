"""Original files: recognized by their shapes or described by a config.json, and read unchanged."""

import json
import re
from dataclasses import replace

import pytest
import torch
from foreign_models import (
    CODEC,
    ENCODED,
    LOWER,
    MERGED,
    STYLES,
    TOP,
    original_state,
    random_model,
    save_original,
    write_originals,
)

from jukectl.checkpoints import openai
from jukectl.checkpoints.openai import OriginalLayout
from jukectl.checkpoints.store import ModelFolder, holds_model
from jukectl.codes.level import Level
from jukectl.errors import BadModel

CPU = torch.device("cpu")
TOPS = {"1b-lyrics": MERGED, "5b-lyrics": ENCODED, "5b": TOP}


@pytest.fixture
def published(monkeypatch):
    """Let small models stand for the published ones."""
    monkeypatch.setattr(openai, "TOPS", TOPS)
    monkeypatch.setattr(openai, "CODEC", CODEC)
    monkeypatch.setattr(openai, "MIDDLE", LOWER[Level.MIDDLE])
    monkeypatch.setattr(openai, "BOTTOM", LOWER[Level.BOTTOM])


def same(model, folder, rounded=lambda name, tensor: tensor):
    """Return True if every part of a folder has the numbers of a model."""
    for part, expected in model.state.items():
        loaded = (folder.vqvae(CPU) if part == "vqvae" else folder.prior(Level.parse(part), CPU)).state_dict()
        assert loaded.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(loaded[name], rounded(name, tensor)), name
    return True


@pytest.mark.parametrize("written", [{}, {"prefix": "module."}, {"old": True}, {"blocks": True}], ids=str)
@pytest.mark.parametrize("name", TOPS)
def test_original_files_are_recognized_by_the_shapes_of_their_tensors(name, written, tmp_path, published):
    model = random_model(TOPS[name])
    folder = ModelFolder(write_originals(model, tmp_path / "files", **written))
    assert folder.card.name == name
    assert folder.card.priors == model.priors
    assert folder.card.sampling["top"] == {"advance": 0.125}
    assert same(model, folder)


@pytest.mark.parametrize("old", [False, True])
def test_original_matrices_in_half_precision_are_loaded_in_float32(old, tmp_path, published):
    model = random_model(ENCODED)
    folder = ModelFolder(write_originals(model, tmp_path / "files", half=True, old=old))
    matrices = re.compile(r".*\.(attention\.\w+|mlp_in|mlp_out|project)\.weight")

    def rounded(name, tensor):
        is_matrix = matrices.fullmatch(name) and name.startswith(("transformer", "lyrics"))
        return tensor.half().float() if is_matrix else tensor

    assert same(model, folder, rounded)
    assert {folder.weights("top").dtype(name) for name in model.state["top"]} == {torch.float16, torch.float32}


@pytest.mark.parametrize(
    ("top", "tied", "left_out"),
    [
        (MERGED, True, None),
        (MERGED, False, None),
        (TOP, False, None),
        (TOP, True, "prior.x_emb.weight"),
        (MERGED, True, "prior.x_out.weight"),
    ],
)
def test_a_head_counts_as_tied_if_it_equals_the_embedding(top, tied, left_out, tmp_path, published):
    model = random_model(replace(top, tied_head=tied))
    write_originals(model, tmp_path)
    tensors = original_state(model, "top")
    tensors.pop(left_out, None)
    save_original(tensors, tmp_path / "prior_level_2.pth.tar")
    folder = ModelFolder(tmp_path)
    assert folder.card.priors[Level.TOP].tied_head is tied
    assert same(model, folder)


def test_equal_copies_of_head_and_embedding_count_as_tied(tmp_path, published):
    model = random_model(TOP)
    write_originals(model, tmp_path)
    tensors = original_state(model, "top")
    tensors["prior.x_out.weight"] = tensors["prior.x_out.weight"].clone()
    save_original(tensors, tmp_path / "prior_level_2.pth.tar", old=True)
    assert same(model, ModelFolder(tmp_path))


@pytest.fixture
def base(tmp_path, published):
    """Return a base folder with all three models, which share codec and upsamplers."""
    for seed, (folder, name) in enumerate(openai.FOLDERS.items()):
        model = random_model(TOPS[name], seed=seed)
        save_original(original_state(model, "top"), tmp_path / folder / "prior_level_2.pth.tar")
    shared = random_model(TOP)
    for part, file in (("vqvae", "vqvae"), ("bottom", "prior_level_0"), ("middle", "prior_level_1")):
        save_original(original_state(shared, part), tmp_path / "5b" / f"{file}.pth.tar")
    return tmp_path


@pytest.mark.parametrize("folder", openai.FOLDERS)
def test_original_models_in_one_base_folder_share_codec_and_upsamplers(base, folder):
    model = ModelFolder(base / folder)
    assert model.card.name == openai.FOLDERS[folder]
    assert model.parts == ("vqvae", "bottom", "middle", "top")
    assert torch.equal(model.prior(Level.MIDDLE, CPU).positions, random_model(TOP).state["middle"]["positions"])


def test_a_base_folder_with_several_models_is_refused_with_the_choices(base):
    assert holds_model(base)
    with pytest.raises(BadModel, match=r"holds several models: give the folder of one of them: .*1b_lyrics, .*/5b$"):
        _ = ModelFolder(base).card
    for other in ("5b_lyrics", "1b_lyrics"):
        (base / other / "prior_level_2.pth.tar").unlink()
    assert ModelFolder(base).card.name == "5b"


def test_original_files_without_a_codec_are_incomplete(base):
    (base / "5b" / "vqvae.pth.tar").unlink()
    folder = ModelFolder(base / "1b_lyrics")
    assert folder.parts == ("bottom", "middle", "top")
    with pytest.raises(BadModel, match=r"is incomplete: vqvae\.pth\.tar is missing"):
        folder.vqvae(CPU)


def test_original_files_without_upsamplers_are_a_model_of_the_top_level(base):
    for level in (0, 1):
        (base / "5b" / f"prior_level_{level}.pth.tar").unlink()
    folder = ModelFolder(base / "1b_lyrics")
    assert folder.parts == ("vqvae", "top")
    assert folder.card.priors == {Level.TOP: MERGED}


@pytest.mark.parametrize("style", STYLES)
def test_an_unpublished_model_is_described_by_a_config(style, tmp_path):
    model = random_model(STYLES[style])
    files = write_originals(model, tmp_path / "files", half=False, old=True)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(model.config_json))
    layout = OriginalLayout(files, config)
    assert layout.card.priors == model.priors
    (files / "config.json").write_text(config.read_text())
    assert same(model, ModelFolder(files))


def test_an_unrecognized_original_file_is_refused_with_the_difference_and_the_way_out(tmp_path):
    write_originals(random_model(TOP), tmp_path)
    with pytest.raises(BadModel, match=r"vqvae\.pth\.tar is not that of the published codec: .*--config FILE"):
        _ = ModelFolder(tmp_path).card


PLACE = "prior.transformer._attn_mods.1.attn.c_attn.w"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop(PLACE), rf"is not that of 5b-lyrics: {re.escape(PLACE)} is missing"),
        (
            lambda tensors: tensors.update({PLACE: torch.zeros(3, 4)}),
            r"c_attn\.w has the shape \(3, 4\), not \(16, 12\)",
        ),
        (lambda tensors: tensors.update({"spare": torch.zeros(2)}), r"is not that of 5b-lyrics: spare is not known"),
    ],
    ids=["missing", "misshapen", "extra"],
)
def test_the_first_original_tensor_that_does_not_fit_is_named(edit, message, tmp_path, published):
    model = random_model(ENCODED)
    write_originals(model, tmp_path)
    tensors = original_state(model, "top")
    edit(tensors)
    save_original(tensors, tmp_path / "prior_level_2.pth.tar")
    with pytest.raises(BadModel, match=message) as caught:
        _ = ModelFolder(tmp_path).card
    assert "\n" not in str(caught.value)


def test_different_tensors_that_a_config_ties_are_refused(tmp_path):
    model = random_model(TOP)
    write_originals(model, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(model.config_json))
    tensors = original_state(model, "top")
    save_original(
        {**tensors, "prior.x_out.weight": tensors["prior.x_out.weight"] + 1}, tmp_path / "prior_level_2.pth.tar"
    )
    with pytest.raises(BadModel, match=r"both prior\.x_emb\.weight and prior\.x_out\.weight.*but they differ"):
        ModelFolder(tmp_path).prior(Level.TOP, CPU)
