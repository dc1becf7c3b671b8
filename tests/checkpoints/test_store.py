"""Model folders: their cards, and their parts, loaded strictly."""

import hashlib
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jukectl.checkpoints import fingerprints
from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.convert import convert
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadModel, UnknownName
from jukectl.evaluation.check import check_model
from jukectl.prior.config import ConditionerConfig, PriorConfig, TimingConfig
from jukectl.prior.labels import LabelBatch
from jukectl.prior.vocabulary import Vocabulary
from jukectl.vqvae.config import VQVAEConfig

CPU = torch.device("cpu")


def prior_config(level=Level.TOP, **changes):
    values = {"context": 32, "width": 16, "depth": 3, "heads": 2, "blocks": 4, "hop": 128, "genre_slots": 2}
    return PriorConfig(**({"level": level, "artists": 3, "genres": 2, **values} | changes))


CARD = ModelCard(
    name="mine",
    version="1.2",
    licence="CC-BY-4.0",
    summary='With "quotes", a \\ and\ntwo lines',
    vqvae=VQVAEConfig(dilation_cycle=4, audio_head=False),
    priors={
        Level.TOP: prior_config(timing=TimingConfig(bins=8)),
        Level.MIDDLE: prior_config(Level.MIDDLE, hop=32, conditioner=ConditionerConfig(width=8, depth=2, downs=2)),
    },
    vocabulary=Vocabulary(artists=("unlabelled", "Björk B.", "#1 [x]"), genres=("unlabelled", "Jazz")),
    sampling={"top": {"temperature": 0.98, "advance": 0.5}, "bottom": {"temperature": 0.95}},
    fingerprints={"vqvae": "ab12"},
    sources=({"artist": "Ada", "title": "Ünö"}, {"artist": "Bo", "licence": "CC0-1.0"}),
)


def change(path, edit):
    """Edit the tensors of a safetensors file."""
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize("card", [CARD, ModelCard(name="codec", vqvae=VQVAEConfig())], ids=["full", "codec alone"])
def test_a_model_card_round_trips(card):
    assert ModelCard.parse(card.to_toml(), Path("model.toml")) == card


def test_a_model_folder_has_the_card_that_was_assembled(tiny_model):
    card = ModelFolder(tiny_model).card
    assert (card.name, card.licence) == ("tiny", "CC0-1.0")
    assert [card.vqvae.hop(level) for level in Level] == [16, 64, 256]
    assert {level: config.context for level, config in card.priors.items()} == dict.fromkeys(Level, 64)
    assert card.vocabulary == Vocabulary(
        artists=("unlabelled", "Ada", "Björk B."), genres=("unlabelled", "Jazz", "Ambient")
    )
    assert card.sources == ({"artist": "Ada", "title": "Sines", "licence": "CC0-1.0"},)


def test_label_ids_are_those_of_the_given_level():
    assert CARD.labels(Level.TOP, "björk b.", ("jazz",)) == (1, (1,))
    assert CARD.labels(Level.MIDDLE, None, ()) == (0, (0,))
    assert CARD.labels(Level.TOP, "#2", ()) == (2, (0,))
    with pytest.raises(UnknownName, match="The nearest: Björk B"):
        CARD.labels(Level.TOP, "Bjork", ())
    with pytest.raises(BadModel, match="has no bottom prior"):
        CARD.labels(Level.BOTTOM, None, ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "mine"\n', "", "name is missing"),
        ("format = 1", "format = 2", r"is of format 2, and this jukectl reads formats up to 1"),
        ("format = 1", 'format = "1"', "is not a model description"),
        ("format = 1\n", "", "no 'format'"),
        ("[vqvae]", "[codec]", "vqvae is missing"),
        ("downs = [3, 2, 2]", "downs = 3", "is not a model description"),
        ("downs = [3, 2, 2]", "down = [3, 2, 2]", "down"),
        ("codebook_size = 2048\nlatent", "codebook_size = 1\nlatent", "codebook_size must be 2 to 65536"),
        ("[priors.top]", "[priors.tip]", "no level is called 'tip'"),
        ("context = 32", "context = 33", "context must be a multiple of blocks"),
        ("bins = 8", "bin = 8", "TimingConfig has no field bin"),
        ('name = "mine"', "name = mine", "is not TOML"),
    ],
)
def test_a_mistake_in_a_card_is_reported_with_the_file(old, new, message):
    text = CARD.to_toml()
    assert old in text
    with pytest.raises(BadModel, match=rf"^some/model\.toml .*{message}"):
        ModelCard.parse(text.replace(old, new), Path("some/model.toml"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_folder_without_a_readable_card_is_not_a_model(tmp_path, content):
    if content is not None:
        (tmp_path / "model.toml").write_bytes(content)
    with pytest.raises(BadModel, match=r"is not a model folder|is not UTF-8"):
        _ = ModelFolder(tmp_path).card


def test_loaded_parts_have_the_numbers_of_their_files(tiny_model):
    folder = ModelFolder(tiny_model)
    for name, model in [
        ("vqvae", folder.vqvae(CPU)),
        *((level.label, folder.prior(level, CPU)) for level in Level),
    ]:
        kept, loaded = load_file(tiny_model / f"{name}.safetensors"), model.state_dict()
        assert kept.keys() == loaded.keys()
        assert all(kept[key].dtype == torch.float16 for key in kept)
        assert all(torch.equal(kept[key].float(), loaded[key]) for key in kept)
        assert not model.training
        assert not any(one.requires_grad for one in model.parameters())


def test_a_prior_can_be_loaded_in_another_precision(tiny_model):
    prior = ModelFolder(tiny_model).prior(Level.TOP, CPU, torch.bfloat16)
    assert {one.dtype for one in prior.state_dict().values()} == {torch.bfloat16}


def test_single_levels_of_a_codec_are_loaded_unchanged(tiny_model):
    folder = ModelFolder(tiny_model)
    part, whole = folder.vqvae(CPU, (Level.MIDDLE,)), folder.vqvae(CPU)
    assert all(".middle." in name for name in part.state_dict())
    audio = torch.randn(1, 1_024)
    assert torch.equal(part.encode(audio, Level.MIDDLE), whole.encode(audio, Level.MIDDLE))


def test_a_loaded_model_encodes_and_predicts(tiny_model):
    folder = ModelFolder(tiny_model)
    codes = folder.vqvae(CPU).encode(torch.randn(1, 64 * 256), Level.TOP)
    logits = folder.prior(Level.TOP, CPU)(codes, LabelBatch.repeat(1, slots=2))
    assert logits.shape == (1, 64, 32)
    assert torch.isfinite(logits).all()


def test_parameters_are_counted_without_loading_a_model(tiny_model):
    folder = ModelFolder(tiny_model)
    expected = sum(one.numel() for path in tiny_model.glob("*.safetensors") for one in load_file(path).values())
    assert folder.parameters() == expected > 10_000


@pytest.mark.parametrize("part", ["vqvae", "top"])
def test_missing_extra_and_misshapen_tensors_are_named(model, part):
    path = model / f"{part}.safetensors"
    name = sorted(load_file(path))[3]

    def load():
        folder = ModelFolder(model)
        return folder.vqvae(CPU) if part == "vqvae" else folder.prior(Level.TOP, CPU)

    whole = path.read_bytes()
    change(path, lambda tensors: tensors.pop(name))
    with pytest.raises(
        BadModel, match=rf"{part}\.safetensors does not fit its model\.toml: {re.escape(name)} is missing"
    ):
        load()

    path.write_bytes(whole)
    change(path, lambda tensors: tensors.update({"spare.weight": torch.zeros(2)}))
    with pytest.raises(BadModel, match=r"does not fit its model\.toml: spare\.weight is not known"):
        load()

    path.write_bytes(whole)
    change(path, lambda tensors: tensors.update({name: torch.zeros(3, 1, 4, 1)}))
    with pytest.raises(BadModel, match=rf"{re.escape(name)} has the shape \(3, 1, 4, 1\), not \(\d") as caught:
        load()
    assert "\n" not in str(caught.value)


def test_an_unknown_tensor_is_named_when_a_single_level_is_loaded(model):
    change(model / "vqvae.safetensors", lambda tensors: tensors.update({"levels.attic.x": torch.zeros(2)}))
    with pytest.raises(BadModel, match=r"levels\.attic\.x is not known"):
        ModelFolder(model).vqvae(CPU, (Level.TOP,))


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: b"\xff" * 8 + whole[8:]])
def test_a_damaged_weight_file_is_reported_by_every_reader(model, damage):
    path = model / "top.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    folder = ModelFolder(model)
    for read in (lambda: folder.prior(Level.TOP, CPU), lambda: folder.fingerprint("top"), folder.parameters):
        with pytest.raises(BadModel, match=r"top\.safetensors is damaged"):
            read()
    folder.prior(Level.MIDDLE, CPU)  # the other parts are none the worse


def test_a_missing_part_is_reported(model):
    (model / "top.safetensors").unlink()
    folder = ModelFolder(model)
    for read in (lambda: folder.prior(Level.TOP, CPU), lambda: folder.fingerprint("top")):
        with pytest.raises(BadModel, match=r"top\.safetensors is missing"):
            read()
    assert folder.parameters() > 0


def test_a_missing_level_is_reported(model):
    folder = ModelFolder(model)
    text = replace(folder.card, priors={Level.TOP: folder.card.priors[Level.TOP]}).to_toml()
    (model / "model.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadModel, match="has no bottom prior"):
        ModelFolder(model).prior(Level.BOTTOM, CPU)


def test_a_fingerprint_is_the_documented_hash(tiny_model):
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(tiny_model / "vqvae.safetensors").items()):
        values = tensor.float().numpy()
        digest.update(name.encode() + str(values.shape).encode() + values.astype("<f4").tobytes())
    folder = ModelFolder(tiny_model)
    assert folder.fingerprint("vqvae") == digest.hexdigest()
    assert tomllib.loads((tiny_model / "model.toml").read_text(encoding="utf-8"))["fingerprints"] == {
        part: folder.fingerprint(part) for part in ("vqvae", "top", "middle", "bottom")
    }


def test_a_fingerprint_is_computed_again_after_a_change_of_the_file(model):
    folder = ModelFolder(model)
    before = folder.fingerprint("top")
    change(model / "top.safetensors", lambda tensors: tensors["positions"].mul_(2))
    assert folder.fingerprint("top") != before


def test_equal_numbers_in_another_precision_have_the_same_fingerprint(model):
    folder = ModelFolder(model)
    before = folder.fingerprint("vqvae")
    tensors = load_file(model / "vqvae.safetensors")
    save_file({name: tensor.double() for name, tensor in tensors.items()}, model / "vqvae.safetensors")
    assert folder.fingerprint("vqvae") == before


def spoiled(model, part, edit):
    """Change one number in the middle of a weight file, its size and header kept."""
    path = model / f"{part}.safetensors"
    tensors = load_file(path)
    name = max(tensors, key=lambda one: tensors[one].numel())
    edit(tensors[name].view(-1))
    save_file(tensors, path)
    return name


@pytest.mark.parametrize("part", ["vqvae", "top"])
def test_weights_that_are_not_those_of_the_card_are_refused(model, part):
    spoiled(model, part, lambda numbers: numbers[7].neg_())
    folder = ModelFolder(model)
    with pytest.raises(BadModel, match=rf"{part}\.safetensors is damaged, or of another model: .*fingerprint"):
        folder.vqvae(CPU) if part == "vqvae" else folder.prior(Level.TOP, CPU)


def test_the_fingerprint_of_weights_is_checked_once_per_file(model, monkeypatch):
    calls = []
    honest = fingerprints.fingerprint_of
    monkeypatch.setattr(fingerprints, "fingerprint_of", lambda weights: calls.append(1) or honest(weights))
    for _ in range(3):
        ModelFolder(model).prior(Level.TOP, CPU)
    assert len(calls) == 1


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_not_finite_are_refused_by_conversion_loading_and_check(model, tmp_path, bad):
    name = spoiled(model, "top", lambda numbers: numbers[7].fill_(bad))
    for use in (
        lambda: convert(ModelFolder(model).layout, tmp_path / "out"),
        lambda: ModelFolder(model).prior(Level.TOP, CPU),
        lambda: check_model(str(model), device="cpu"),
    ):
        with pytest.raises(BadModel, match=rf"top\.safetensors is damaged: {re.escape(name)} holds numbers"):
            use()
