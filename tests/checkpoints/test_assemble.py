"""Model folders from training runs."""

import shutil
import tomllib

import pytest
import tomlkit
import torch
from safetensors.torch import load_file, save_file

from jukectl.checkpoints import quantized
from jukectl.checkpoints.assemble import Run, assemble, read_card
from jukectl.checkpoints.fingerprints import fingerprint
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadModel
from jukectl.prior.vocabulary import Vocabulary

CPU = torch.device("cpu")
NAMES = ("vqvae", "top", "middle", "bottom")


@pytest.fixture
def runs(tiny_model, tmp_path):
    """Return copies of the runs that the tiny model was assembled from, which a test may change."""
    shutil.copytree(tiny_model.parent / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def loaded(runs, *names):
    return [Run.load(runs / name) for name in names or NAMES]


def describe(run, **changes):
    """Change the model.toml of a run."""
    path = run / "model.toml"
    about = tomllib.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(tomlkit.dumps(about), encoding="utf-8")


def state(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def test_a_model_assembled_from_runs_can_be_loaded(runs, tmp_path):
    folder = assemble(tmp_path / "model", loaded(runs), {"name": "mine", "licence": "CC0-1.0"})
    assert sorted(path.name for path in folder.path.glob("[!.]*")) == [
        "bottom.safetensors",
        "middle.safetensors",
        "model.toml",
        "top.safetensors",
        "vqvae.safetensors",
    ]
    assert (folder.card.name, folder.card.licence) == ("mine", "CC0-1.0")
    folder.vqvae(CPU)
    for level in Level:
        folder.prior(level, CPU)


def test_an_assembled_model_records_the_label_dropout_of_each_prior(runs, tmp_path):
    describe(runs / "top", label_dropout=0.1)
    describe(runs / "bottom", label_dropout=0.0)
    folder = assemble(tmp_path / "model", loaded(runs), {"name": "mine"})
    assert folder.card.label_dropout == {"top": 0.1}
    describe(runs / "top", label_dropout=0.25)
    assert assemble(tmp_path / "other", loaded(runs, "top"), {}, base=folder).card.label_dropout == {"top": 0.25}
    describe(runs / "top", label_dropout=0.0)
    assert assemble(tmp_path / "model", loaded(runs, "top"), {"name": "mine"}).card.label_dropout == {}


def test_the_fingerprint_is_that_of_the_rounded_weights(runs, tmp_path):
    folder = assemble(tmp_path / "model", loaded(runs), {"name": "mine"})
    models = {"vqvae": folder.vqvae(CPU), **{level.label: folder.prior(level, CPU) for level in Level}}
    for part, model in models.items():
        in_memory = fingerprint((name, tensor.numpy()) for name, tensor in model.state_dict().items())
        assert in_memory == folder.fingerprint(part) == ModelFolder(folder.path).card.fingerprints[part]
        trained = load_file(runs / part / "best.safetensors")
        assert in_memory != fingerprint((name, tensor.numpy()) for name, tensor in trained.items())
        assert all(torch.equal(trained[name].half().float(), one) for name, one in model.state_dict().items())


def test_a_model_can_be_assembled_in_another_precision(runs, tmp_path):
    folder = assemble(tmp_path / "model", loaded(runs, "top", "vqvae"), {"name": "mine"}, dtype=torch.float32)
    trained = load_file(runs / "top" / "best.safetensors")
    assert all(torch.equal(trained[name], one) for name, one in load_file(folder.part("top")).items())


def test_a_model_of_eight_bits_holds_multiples_of_a_scale_for_each_output(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(quantized, "SMALLEST", 64)  # the model is tiny
    folder = assemble(tmp_path / "model", loaded(runs), {"name": "mine"}, dtype=torch.int8)
    halves = assemble(tmp_path / "halves", loaded(runs), {"name": "mine"})
    trained, model = load_file(runs / "top" / "best.safetensors"), folder.prior(Level.TOP, CPU).state_dict()
    stored = load_file(folder.part("top"))
    eight_bits = [name for name, tensor in stored.items() if tensor.dtype == torch.int8]
    assert eight_bits
    for name in eight_bits:
        exact, read = trained[name], model[name]
        is_matrix = ".qkv." in name or ".out." in name or ".mlp_" in name  # stored as (in, out)
        exact, read = (exact.T, read.T) if is_matrix else (exact.flatten(1), read.flatten(1))
        steps = exact.abs().max(1, keepdim=True).values / 127
        assert ((read - exact).abs() <= steps * 0.501).all()
        torch.testing.assert_close(read / steps, (read / steps).round(), atol=1e-3, rtol=0)
    assert folder.fingerprint("top") == folder.card.fingerprints["top"]
    assert folder.part("top").stat().st_size < 0.7 * halves.part("top").stat().st_size
    vectors = [load_file(one.part("vqvae"))["levels.top.codebook.vectors"] for one in (folder, halves)]
    assert torch.equal(*vectors)


def test_a_level_of_eight_bits_is_replaced_by_one_of_sixteen(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(quantized, "SMALLEST", 64)
    for dtype in (torch.int8, torch.float16):
        folder = assemble(tmp_path / "model", loaded(runs), {"name": "mine"}, dtype=dtype)
    halves = assemble(tmp_path / "halves", loaded(runs), {"name": "mine"})
    assert state(folder.path)["vqvae.safetensors"] == state(halves.path)["vqvae.safetensors"]


def test_a_codec_can_be_assembled_from_one_run_for_each_level(runs, tmp_path):
    whole = load_file(runs / "vqvae" / "best.safetensors")
    parts = []
    for level in Level:
        run = shutil.copytree(runs / "vqvae", runs / f"vqvae-{level.label}")
        save_file({name: one for name, one in whole.items() if f".{level.label}." in name}, run / "best.safetensors")
        describe(run, levels=[level.label])
        parts.append(run.name)

    one = assemble(tmp_path / "one", loaded(runs, "vqvae"), {"name": "mine"})
    three = assemble(tmp_path / "three", loaded(runs, *parts), {"name": "mine"})
    by_and_by = tmp_path / "by and by"
    for part in parts:
        last = assemble(by_and_by, loaded(runs, part), {"name": "mine"})
    assert one.fingerprint("vqvae") == three.fingerprint("vqvae") == last.fingerprint("vqvae")


def test_assembling_keeps_the_other_parts_of_a_folder(runs, tmp_path):
    assemble(tmp_path / "model", loaded(runs, "vqvae", "top"), {"name": "mine", "summary": "first"})
    before = state(tmp_path / "model")
    folder = assemble(tmp_path / "model", loaded(runs, "middle"), {"name": "mine", "version": "2"})

    assert {name: content for name, content in state(folder.path).items() if name in before} == before | {
        "model.toml": (folder.path / "model.toml").read_bytes()
    }
    assert set(folder.card.priors) == {Level.TOP, Level.MIDDLE}
    assert set(folder.card.fingerprints) == {"vqvae", "top", "middle"}
    assert (folder.card.summary, folder.card.version) == ("first", "2")


def test_a_damaged_codec_in_the_folder_is_reported(runs, tmp_path):
    codec = assemble(tmp_path / "model", loaded(runs, "vqvae"), {"name": "mine"}).part("vqvae")
    codec.write_bytes(codec.read_bytes()[:-9])
    with pytest.raises(BadModel, match=r"vqvae\.safetensors is damaged: it is cut short: .*; or remove it"):
        assemble(tmp_path / "model", loaded(runs, "vqvae"), {"name": "mine"})


def test_weights_too_large_for_half_precision_are_named_and_nothing_is_written(runs, tmp_path):
    top = runs / "top" / "best.safetensors"
    tensors = load_file(top)
    tensors["positions"][0, 0] = 1e6
    save_file(tensors, top)
    with pytest.raises(BadModel, match=r"positions of .*top does not fit torch\.float16: its numbers are too large"):
        assemble(tmp_path / "model", loaded(runs), {"name": "mine"})
    assert not (tmp_path / "model").exists()


def test_parts_of_different_models_are_refused_and_nothing_is_written(runs, tmp_path):
    describe(runs / "middle", vocabulary={"artists": ["unlabelled", "Zoë"], "genres": ["unlabelled"]})
    with pytest.raises(BadModel, match=r"middle was trained with another vocabulary than the parts beside it"):
        assemble(tmp_path / "model", loaded(runs), {"name": "mine"})
    assert not (tmp_path / "model").exists()


def test_a_new_codec_under_the_priors_of_an_old_one_is_refused(runs, tmp_path):
    assemble(tmp_path / "model", loaded(runs), {"name": "mine"})
    before = state(tmp_path / "model")
    weights = runs / "vqvae" / "best.safetensors"
    tensors = load_file(weights)
    tensors["levels.middle.codebook.vectors"] *= 1.1
    save_file(tensors, weights)

    for given, stale in ((("top", "bottom"), "middle"), (("top", "middle"), "bottom")):
        message = f"holds a {stale} prior that was trained on other middle codes: give a new {stale} run"
        with pytest.raises(BadModel, match=message):
            assemble(tmp_path / "model", loaded(runs, "vqvae", *given), {"name": "mine"})
        assert state(tmp_path / "model") == before
    assemble(tmp_path / "model", loaded(runs, "vqvae", "middle", "bottom"), {"name": "mine"})  # the top's are the same


def test_a_codec_trained_further_is_assembled_without_the_priors_of_its_base(runs, tmp_path):
    base = assemble(tmp_path / "model", loaded(runs), {"name": "mine", "sampling": {"top": {"temperature": 0.9}}})
    weights = runs / "vqvae" / "best.safetensors"
    tensors = load_file(weights)
    tensors["levels.middle.codebook.vectors"] *= 1.1
    save_file(tensors, weights)

    codec = assemble(tmp_path / "codec", loaded(runs, "vqvae"), {"name": "ours"}, base=base, codec_only=True)
    assert sorted(path.name for path in codec.path.glob("[!.]*")) == ["model.toml", "vqvae.safetensors"]
    assert (codec.card.priors, codec.card.sampling) == ({}, {})
    assert codec.card.vocabulary == Vocabulary() != base.card.vocabulary
    assert codec.fingerprint("vqvae") != base.fingerprint("vqvae")
    assert set(codec.card.fingerprints) == {"vqvae"}
    codec.vqvae(CPU)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "best.safetensors").unlink(), "holds no training run with best weights"),
        (lambda run: (run / "best.safetensors").write_bytes(b"no"), "holds no training run with best weights"),
        (lambda run: (run / "model.toml").unlink(), "holds no training run"),
        (lambda run: (run / "model.toml").write_text("="), "holds no training run"),
        (lambda run: (run / "model.toml").write_text("x = 1"), "does not say what was trained"),
    ],
)
def test_an_unfinished_run_or_another_folder_is_refused(runs, damage, message):
    damage(runs / "top")
    with pytest.raises(BadModel, match=message):
        Run.load(runs / "top")


def test_the_last_weights_can_be_loaded_instead_of_the_best(runs):
    tensors = {name: 0 * one for name, one in load_file(runs / "top" / "best.safetensors").items()}
    save_file(tensors, runs / "top" / "last.safetensors")
    assert not any(one.any() for one in Run.load(runs / "top", "last").tensors.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "hierarchical"}, "one autoencoder of all levels, for comparison only"),
        ({"vqvae": {"codebook_size": 0}}, "has no codebook, so it makes no codes to build a model on"),
    ],
)
def test_codecs_for_comparison_cannot_become_a_model(runs, changes, message):
    describe(runs / "vqvae", **changes)
    with pytest.raises(BadModel, match=message):
        Run.load(runs / "vqvae")


def test_a_hand_written_card_is_read_from_its_file(tmp_path):
    (tmp_path / "card.toml").write_text('name = "mine"\n[sampling.top]\ntemperature = 0.9\n', encoding="utf-8")
    assert read_card(tmp_path / "card.toml") == {"name": "mine", "sampling": {"top": {"temperature": 0.9}}}
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(BadModel, match="cannot read the card"):
            read_card(path)
