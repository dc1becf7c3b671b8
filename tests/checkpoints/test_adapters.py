"""Adapters on disk, and models with adapters."""

import json
import math
import shutil
import struct
from dataclasses import replace

import pytest
import torch

from jukectl.checkpoints.adapters import AdaptedModel, AdapterCard, AdapterFile, AppliedAdapter, save_adapter
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.level import Level
from jukectl.errors import BadAdapter, UnknownName
from jukectl.prior.adapters import ARTISTS, GENRES

CPU = torch.device("cpu")
QKV = "transformer.blocks.0.attention.qkv"


@pytest.fixture
def model(tiny_model):
    return ModelFolder(tiny_model)


@pytest.fixture
def make(tmp_path, model):
    """Return a function that writes a random adapter of the tiny model: rank 2, alpha 4, one layer, new names."""

    def make(name, level=Level.TOP, artists=(), genres=(), seed=0, **card):
        generator = torch.Generator().manual_seed(seed)
        sizes = {f"{QKV}.down": (32, 2), f"{QKV}.up": (2, 24)}
        sizes |= {f"{kind}.rows": (len(new), 32) for kind, new in ((ARTISTS, artists), (GENRES, genres)) if new}
        tensors = {name: torch.randn(size, generator=generator) for name, size in sizes.items()}
        facts = {"model": "tiny", "base": model.fingerprint(level.label), "rank": 2, "alpha": 4.0} | card
        save_adapter(tmp_path / name, AdapterCard(level=level, artists=artists, genres=genres, **facts), tensors)
        return AdapterFile.load(tmp_path / name)

    return make


def weight(model, level=Level.TOP):
    return model.prior(level, CPU).get_parameter(f"{QKV}.weight")


def test_an_adapter_file_round_trips(make, model):
    card = {"artists": ("Zoë", "Ümit"), "genres": ("Tango",)}
    adapter = make("new.safetensors", **card)
    assert adapter.card == AdapterCard(
        model="tiny", level=Level.TOP, base=model.fingerprint("top"), rank=2, alpha=4.0, **card
    )
    assert {name: tuple(one.shape) for name, one in adapter.tensors.items()} == {
        f"{QKV}.down": (32, 2),
        f"{QKV}.up": (2, 24),
        f"{ARTISTS}.rows": (2, 32),
        f"{GENRES}.rows": (1, 32),
    }
    assert adapter.fingerprint == make("again.safetensors", **card).fingerprint
    assert adapter.fingerprint != make("other.safetensors", seed=1, **card).fingerprint


def test_an_adapter_is_merged_with_its_strength(make, model):
    adapter = make("a.safetensors")
    product = adapter.tensors[f"{QKV}.down"] @ adapter.tensors[f"{QKV}.up"]
    for strength in (1.0, 0.5, 0.0):
        adapted = AdaptedModel.with_adapters(model, [AppliedAdapter(adapter, strength)])
        torch.testing.assert_close(weight(adapted), weight(model) + strength * 4.0 / 2 * product)


def test_several_adapters_add_up_at_their_own_levels(make, model):
    first, second, lower = make("a", seed=1), make("b", seed=2), make("c", Level.MIDDLE, seed=3)
    adapted = AdaptedModel.with_adapters(
        model, [AppliedAdapter(first), AppliedAdapter(second, 0.5), AppliedAdapter(lower)]
    )
    terms = [one.tensors[f"{QKV}.down"] @ one.tensors[f"{QKV}.up"] for one in (first, second, lower)]
    torch.testing.assert_close(weight(adapted), weight(model) + 2 * terms[0] + terms[1])
    torch.testing.assert_close(weight(adapted, Level.MIDDLE), weight(model, Level.MIDDLE) + 2 * terms[2])
    assert torch.equal(weight(adapted, Level.BOTTOM), weight(model, Level.BOTTOM))


def test_new_names_have_the_embedding_rows_of_their_adapter(make, model):
    first = make("a", artists=("Zoë",), genres=("Tango",))
    second = make("b", artists=("Ümit", "ZOË"), seed=1)
    adapted = AdaptedModel.with_adapters(model, [AppliedAdapter(first), AppliedAdapter(second)])
    assert adapted.card.vocabulary.artists == ("unlabelled", "Ada", "Björk B.", "Zoë", "Ümit")
    assert adapted.card.labels(Level.TOP, "zoë", ("Tango",)) == (3, (3,))
    assert adapted.card.labels(Level.TOP, "Ada", ("Jazz",)) == model.card.labels(Level.TOP, "Ada", ("Jazz",))
    rows, before = (one.prior(Level.TOP, CPU).artist_genre.artist.weight for one in (adapted, model))
    assert torch.equal(rows[:3], before)
    assert torch.equal(rows[3], second.tensors[f"{ARTISTS}.rows"][1])  # the last one's holds
    assert torch.equal(rows[4], second.tensors[f"{ARTISTS}.rows"][0])


def test_a_level_without_the_adapter_is_unconditioned_by_its_new_name(make, model):
    adapted = AdaptedModel.with_adapters(model, [AppliedAdapter(make("a", artists=("Zoë",), genres=("Tango",)))])
    assert adapted.card.labels(Level.MIDDLE, "Zoë", ("Tango", "Jazz")) == (0, (1,))
    assert adapted.card.labels(Level.MIDDLE, "Zoë", ("Tango",)) == (0, (0,))
    assert adapted.card.unknown_at(Level.MIDDLE, "Zoë", ("Tango", "Jazz")) == ("Zoë", "Tango")
    assert adapted.card.unknown_at(Level.TOP, "Zoë", ("Tango",)) == ()
    assert adapted.card.vocabulary_at(Level.MIDDLE).artists == ("unlabelled", "Ada", "Björk B.")
    assert len(adapted.prior(Level.MIDDLE, CPU).artist_genre.artist.weight) == 3
    with pytest.raises(UnknownName, match="Zoë"):
        adapted.card.labels(Level.TOP, "Zoe B.", ())


def test_new_names_of_adapters_of_other_levels_have_no_effect(make, model):
    """The middle level was trained with the second name alone: the first has an id there without effect."""
    adapted = AdaptedModel.with_adapters(
        model, [AppliedAdapter(make("a", artists=("Zoë",))), AppliedAdapter(make("b", Level.MIDDLE, artists=("Ümit",)))]
    )
    rows = adapted.prior(Level.MIDDLE, CPU).artist_genre.artist.weight
    assert adapted.card.labels(Level.MIDDLE, "Ümit", ()) == (4, (0,))
    assert torch.equal(rows[3], rows[0])
    assert adapted.card.labels(Level.TOP, "Ümit", ()) == (0, (0,))


def test_an_adapter_of_another_model_is_refused_and_both_are_named(make, model):
    with pytest.raises(BadAdapter) as caught:
        AdaptedModel.with_adapters(model, [AppliedAdapter(make("a", base="0123456789abcdef", model="mini"))])
    assert all(text in str(caught.value) for text in ("mini", "0123456789ab", "tiny", model.fingerprint("top")[:12]))


def test_an_adapter_whose_tensors_do_not_fit_its_card_is_refused(make, model, tmp_path):
    adapter = make("a", artists=("Zoë",))
    for left_out in (f"{ARTISTS}.rows", f"{QKV}.up"):
        some = {name: tensor for name, tensor in adapter.tensors.items() if name != left_out}
        save_adapter(tmp_path / "b", adapter.card, some)
        with pytest.raises(BadAdapter, match="does not fit"):
            AdaptedModel.with_adapters(model, [AppliedAdapter(AdapterFile.load(tmp_path / "b"))]).prior(Level.TOP, CPU)


def test_a_file_that_is_not_an_adapter_is_refused(make, tmp_path, tiny_model):
    whole = make("a").path.read_bytes()
    size = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + size])
    card = json.loads(header["__metadata__"]["jukectl.adapter"])

    def with_card(**changes):
        text = json.dumps({**header, "__metadata__": {"jukectl.adapter": json.dumps({**card, **changes})}}).encode()
        return struct.pack("<Q", len(text)) + text + whole[8 + size :]

    for number, content in enumerate([b"", whole[:100], whole[:-1], with_card(level="attic"), with_card(rank="x")]):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(content)
        with pytest.raises(BadAdapter, match="damaged, or not an adapter"):
            AdapterFile.load(path)
    with pytest.raises(BadAdapter, match="damaged, or not an adapter"):
        AdapterFile.load(tiny_model / "top.safetensors")
    with pytest.raises(BadAdapter, match="cannot read"):
        AdapterFile.load(tmp_path / "none.safetensors")
    (tmp_path / "newer").write_bytes(with_card(format=2))
    with pytest.raises(BadAdapter, match="update jukectl"):
        AdapterFile.load(tmp_path / "newer")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_an_adapter_with_numbers_that_are_not_finite_is_refused(make, number, tmp_path):
    adapter = make("a")
    tensors = {name: tensor.clone() for name, tensor in adapter.tensors.items()}
    next(iter(tensors.values())).view(-1)[0] = number
    save_adapter(tmp_path / "b.safetensors", adapter.card, tensors)
    with pytest.raises(BadAdapter, match="infinite or not a number"):
        AdapterFile.load(tmp_path / "b.safetensors")


@pytest.mark.parametrize("change", [{"rank": 0}, {"rank": 10**9}, {"alpha": 1e308}, {"alpha": -1.0}])
def test_an_adapter_of_an_impossible_size_is_refused(make, change, tmp_path):
    adapter = make("a")
    save_adapter(tmp_path / "b.safetensors", replace(adapter.card, **change), adapter.tensors)
    with pytest.raises(BadAdapter, match=r"(rank|alpha) must be"):
        AdapterFile.load(tmp_path / "b.safetensors")


def test_new_names_of_a_model_without_word_lists_come_after_its_ids(make, tiny_model, tmp_path):
    folder = tmp_path / "nameless"
    shutil.copytree(tiny_model, folder)
    card = (folder / "model.toml").read_text(encoding="utf-8")
    (folder / "model.toml").write_text(card[: card.index("[vocabulary]")], encoding="utf-8")
    adapted = AdaptedModel.with_adapters(ModelFolder(folder), [AppliedAdapter(make("a", artists=("Zoë",)))])
    assert adapted.card.labels(Level.TOP, "Zoë", ("#2",)) == (3, (2,))
    assert adapted.card.labels(Level.TOP, "#1", ()) == (1, (0,))
