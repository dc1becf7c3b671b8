"""Models in Hugging Face layout: read unchanged, and refused with every kind of mistake."""

import json
import re
from dataclasses import replace

import pytest
import torch
from foreign_models import ENCODED, MERGED, STYLES, TOP, port_state, random_model, write_huggingface
from pairs import pairs
from safetensors.torch import save_file

from jukectl.checkpoints.store import ModelFolder, holds_model
from jukectl.codes.level import Level
from jukectl.errors import BadModel

CPU = torch.device("cpu")
BIN, SAFE = "pytorch_model.bin", "model.safetensors"


def same(model, folder):
    """Return True if every part of a folder has the numbers of a model."""
    for part, expected in model.state.items():
        loaded = (folder.vqvae(CPU) if part == "vqvae" else folder.prior(Level.parse(part), CPU)).state_dict()
        assert loaded.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(loaded[name], tensor), name
    return True


@pytest.mark.parametrize(("style", "shards", "kind"), pairs(STYLES, [1, 3], [BIN, SAFE]))
def test_every_tensor_of_a_hugging_face_folder_is_read_unchanged(style, shards, kind, tmp_path):
    model = random_model(STYLES[style])
    folder = ModelFolder(write_huggingface(model, tmp_path / "port", kind, shards))
    assert folder.card.vqvae == model.vqvae
    assert folder.card.priors == model.priors
    assert same(model, folder)


def test_the_card_of_a_hugging_face_folder_has_advances_and_numbers_of_ids(tmp_path):
    card = ModelFolder(write_huggingface(random_model(MERGED), tmp_path / "port")).card
    assert card.name == "port"
    assert card.sampling == {"top": {"advance": 0.5}, "middle": {"advance": 0.5}, "bottom": {"advance": 0.5}}
    assert card.labels(Level.TOP, "#4", ("#3",)) == (4, (3,))


def test_a_snapshot_of_the_hub_is_named_after_its_repository(tmp_path):
    path = tmp_path / "models--someone--small" / "snapshots" / ("0" * 40)
    assert ModelFolder(write_huggingface(random_model(), path)).card.name == "small"


def test_single_levels_of_a_hugging_face_codec_are_loaded(tmp_path):
    model = random_model()
    codec = ModelFolder(write_huggingface(model, tmp_path / "port", BIN, 2)).vqvae(CPU, (Level.MIDDLE,)).state_dict()
    assert codec.keys() == {name for name in model.state["vqvae"] if ".middle." in name}
    assert all(torch.equal(tensor, model.state["vqvae"][name]) for name, tensor in codec.items())


def test_a_hugging_face_folder_with_a_top_prior_alone_is_a_model(tmp_path):
    folder = ModelFolder(write_huggingface(random_model(lower=False), tmp_path / "port"))
    assert folder.parts == ("vqvae", "top")
    with pytest.raises(BadModel, match="has no bottom prior"):
        folder.prior(Level.BOTTOM, CPU)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_hugging_face_weights_are_rounded_to_the_given_precision(dtype, tmp_path):
    model = random_model(MERGED)
    loaded = ModelFolder(write_huggingface(model, tmp_path / "port", BIN)).prior(Level.TOP, CPU, dtype).state_dict()
    assert all(torch.equal(loaded[name], tensor.to(dtype)) for name, tensor in model.state["top"].items())


def test_fingerprints_are_equal_in_both_formats(tmp_path):
    model = random_model(MERGED)
    native = tmp_path / "native"
    native.mkdir()
    for part, tensors in model.state.items():
        save_file(tensors, native / f"{part}.safetensors")
    (native / "model.toml").write_text(model.card.to_toml())
    port = ModelFolder(write_huggingface(model, tmp_path / "port", BIN, 2))
    assert [port.fingerprint(part) for part in model.state] == [
        ModelFolder(native).fingerprint(part) for part in model.state
    ]
    assert port.parameters() == ModelFolder(native).parameters()


def rewritten(model, folder, edit, kind=SAFE):
    """Return the layout with changed tensors."""
    write_huggingface(model, folder, kind)
    tensors = port_state(model)
    edit(tensors)
    torch.save(tensors, folder / kind) if kind == BIN else save_file(tensors, folder / kind)
    return ModelFolder(folder)


EMBEDDING, HEAD = "priors.0.prior.embed_tokens.weight", "priors.0.prior.fc_proj_out.weight"


@pytest.mark.parametrize("kind", [BIN, SAFE])
@pytest.mark.parametrize("left_out", [EMBEDDING, HEAD])
@pytest.mark.parametrize("style", ["no lyrics", "one sequence, tied"])
def test_one_of_two_tied_tensors_is_enough(style, left_out, kind, tmp_path):
    model = random_model(STYLES[style])
    assert same(model, rewritten(model, tmp_path / "port", lambda tensors: tensors.pop(left_out), kind))


def test_different_tied_tensors_are_refused(tmp_path):
    folder = rewritten(random_model(), tmp_path / "port", lambda tensors: tensors[HEAD].add_(1))
    with pytest.raises(BadModel, match=rf"both {re.escape(EMBEDDING)} and {re.escape(HEAD)}.*but they differ"):
        folder.prior(Level.TOP, CPU)


def test_an_untied_head_must_be_in_the_file(tmp_path):
    folder = rewritten(random_model(MERGED), tmp_path / "port", lambda tensors: tensors.pop(HEAD))
    with pytest.raises(BadModel, match=r"in priors\.0: prior\.fc_proj_out\.weight is missing"):
        folder.prior(Level.TOP, CPU)


LAYER = "priors.0.encoder.transformer._attn_mods.1.mlp.c_fc.weight"


@pytest.mark.parametrize("kind", [BIN, SAFE])
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop(LAYER), r"priors\.0: encoder\.transformer.*\.1\.mlp\.c_fc\.weight is missing"),
        (
            lambda tensors: tensors.update({LAYER: torch.zeros(8, 9)}),
            r"c_fc\.weight has the shape \(8, 9\), not \(8, 16\)",
        ),
        (lambda tensors: tensors.update({"priors.0.spare": torch.zeros(2)}), r"spare is not known"),
        (lambda tensors: tensors.update({"spare": torch.zeros(2)}), r"spare is not known"),
        (lambda tensors: tensors.update({"priors.3.x": torch.zeros(2)}), r"priors\.3\.x is not known"),
        (lambda tensors: tensors.update({LAYER: torch.zeros(8, 16).long()}), r"c_fc\.weight in .* holds no weights"),
    ],
    ids=["missing", "misshapen", "extra", "of no part", "of no prior", "whole numbers"],
)
def test_the_first_tensor_that_does_not_fit_the_config_is_named(edit, message, kind, tmp_path):
    folder = rewritten(random_model(ENCODED), tmp_path / "port", edit, kind)
    with pytest.raises(BadModel, match=message) as caught:
        folder.prior(Level.TOP, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "spoil",
    [
        torch.zeros(1).expand(10**9, 10**3),
        torch.zeros(20, 16).to_sparse(),
        torch.zeros(20, 16, dtype=torch.complex64),
    ],
    ids=["giant", "sparse", "complex"],
)
def test_tensors_of_other_types_than_weights_are_refused(spoil, tmp_path):
    folder = rewritten(random_model(), tmp_path / "port", lambda tensors: tensors.update({EMBEDDING: spoil}), BIN)
    with pytest.raises(BadModel, match=r"embed_tokens|is refused"):
        folder.prior(Level.TOP, CPU)


@pytest.fixture
def sharded(tmp_path):
    """Return a folder of shards, and its index to change."""
    folder = write_huggingface(random_model(), tmp_path / "port", BIN, 2)
    return folder, json.loads((folder / f"{BIN}.index.json").read_text())


def refused(folder, index):
    """Return the message about an index."""
    text = index if isinstance(index, str) else json.dumps(index)
    (folder / f"{BIN}.index.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadModel) as caught:
        ModelFolder(folder).prior(Level.TOP, CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../outside.bin", "/etc/outside.bin", "a/b.bin", "..", "", "c:\\outside.bin", "config.json", 3, None, ["a"]],
)
def test_an_index_that_leads_out_of_the_folder_is_refused(sharded, tmp_path, name):
    folder, index = sharded
    torch.save({}, tmp_path / "outside.bin")
    index["weight_map"][EMBEDDING] = name
    assert "which is not a weight file beside it" in refused(folder, index)


def test_an_index_that_does_not_agree_with_its_shards_is_refused(sharded):
    folder, index = sharded
    shards = sorted(set(index["weight_map"].values()))
    missing = {**index["weight_map"], EMBEDDING: "absent.bin"}
    assert f"absent.bin, which {BIN}.index.json names, is missing" in refused(folder, {"weight_map": missing})
    other = {name: shards[(shards.index(file) + (name == EMBEDDING)) % 2] for name, file in index["weight_map"].items()}
    assert re.search(
        r"is without priors\.0\.prior\.embed|holds priors\.0\.prior\.embed", refused(folder, {"weight_map": other})
    )
    fewer = {name: file for name, file in index["weight_map"].items() if name != EMBEDDING}
    assert f"holds {EMBEDDING}, which {BIN}.index.json does not have in it" in refused(folder, {"weight_map": fewer})


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000, "\x00"])
def test_a_file_that_is_not_an_index_is_refused(sharded, index):
    assert f"{BIN}.index.json" in refused(sharded[0], index)


def test_a_config_without_weights_is_not_a_model(tmp_path):
    folder = write_huggingface(random_model(), tmp_path / "port")
    (folder / SAFE).unlink()
    assert not holds_model(folder)
    with pytest.raises(BadModel, match="is not a model folder"):
        _ = ModelFolder(folder).card


def changed(tmp_path, edit, model=None):
    """Return the card of a folder with a changed config.json."""
    folder = write_huggingface(model or random_model(ENCODED), tmp_path / "port")
    config = json.loads((folder / "config.json").read_text())
    edit(config)
    (folder / "config.json").write_text(json.dumps(config))
    return ModelFolder(folder).card


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ((), "model_type", "bert", "describes no Jukebox model"),
        ((), "metadata_conditioning", False, "metadata_conditioning must be true, got False"),
        ((), "nb_priors", 4, "nb_priors must be a whole number from 0 to 3, got 4"),
        ((), "nb_priors", "3", "nb_priors must be a whole number"),
        ((), "sampling_rate", 0, "sampling_rate must be"),
        ((), "max_duration", 0.01, "min_seconds must lie in"),
        ((), "max_duration", "long", "max_duration must be a number, got 'long'"),
        ((), "hop_fraction", [0.5, 0.5], "hop_fraction must be a list of 3 numbers"),
        ((), "hop_fraction", [0.5, 0.5, 2], r"hop_fraction\[2\] must be a number from"),
        ((), "vqvae_config", [], "vqvae_config must be an object"),
        ((), "prior_1", "middle", "prior_1 must be an object"),
        ((), "prior_config_list", [{}], "prior_config_list must be a list of at least"),
        (("vqvae_config",), "levels", 2, "vqvae_config: levels is 2, but models here have 3 levels"),
        (("vqvae_config",), "conv_input_shape", 2, "conv_input_shape is 2"),
        (("vqvae_config",), "act_fn", "gelu", "act_fn is 'gelu'"),
        (("vqvae_config",), "res_downs_t", [3, 2], "res_downs_t must be a list of 3 whole numbers"),
        (("vqvae_config",), "res_downs_t", [3, 2, 0], r"res_downs_t\[2\] must be a whole number"),
        (("vqvae_config",), "res_strides_t", [3, 4, 2], "strides must be even"),
        (("vqvae_config",), "nb_discrete_codes", 10**6, "nb_discrete_codes must be"),
        (("vqvae_config",), "res_conv_depth", 10**9, "res_conv_depth must be"),
        (("prior_0",), "act_fn", "gelu_new", "prior_0: act_fn is 'gelu_new'"),
        (("prior_0",), "attention_pattern", "summary_attention", "prior_0: attention_pattern must be one of"),
        (("prior_0",), "attention_pattern", ["dense"], "attention_pattern must be one of"),
        (("prior_0",), "attention_pattern", "enc_dec_with_lyrics", "attention to lyrics needs lyrics"),
        (("prior_0",), "n_heads", 3, "which 3 heads cannot share"),
        (("prior_0",), "n_heads", True, "n_heads must be a whole number"),
        (("prior_0",), "blocks", 5, "context must be a multiple of blocks"),
        (("prior_0",), "num_layers", 10**9, "num_layers must be a whole number from 1 to 1024"),
        (("prior_0",), "hidden_size", 10**12, "hidden_size must be"),
        (("prior_0",), "music_vocab_size", 21, "music_vocab_size is 21, but the codec has 20"),
        (("prior_0",), "metadata_dims", [4], "metadata_dims must be a list of 2"),
        (("prior_0",), "encoder_config", None, "encoder_config is missing"),
        (("prior_0",), "nb_relevant_lyric_tokens", 13, "characters must be a multiple of the encoder's blocks"),
        (("prior_0",), "merged_decoder", "no", "merged_decoder must be true or false"),
        (("prior_0", "encoder_config"), "blocks", 0, "encoder_config: blocks must be"),
        (("prior_0", "encoder_config"), "attention_pattern", "large_separated_enc_dec_w_lyrics", None),
        (("prior_1",), "res_downs_t", [1, 2, 1], r"prior_1: res_downs_t\[1\] and res_strides_t\[1\] make 4 middle"),
        (("prior_1",), "is_encoder_decoder", True, "nb_relevant_lyric_tokens must be over 0"),
    ],
)  # fmt: skip
def test_wrong_and_unsupported_values_of_a_config_are_named(where, key, value, message, tmp_path):
    def edit(config):
        for step in where:
            config = config[step]
        config[key] = value

    if message is None:  # as long as no layer attends to an encoder, the name does not matter
        assert changed(tmp_path, edit).priors[Level.TOP].lyrics.encoder == ENCODED.lyrics.encoder
        return
    with pytest.raises(BadModel, match=rf"config\.json.*{message}") as caught:
        changed(tmp_path, edit)
    assert "\n" not in str(caught.value)


def test_both_forms_of_priors_in_a_config_are_equivalent(tmp_path):
    def listed(config):
        config["prior_config_list"] = [config.pop(f"prior_{index}") for index in range(3)]

    assert changed(tmp_path, listed).priors == random_model(ENCODED).priors


def test_missing_keys_of_a_config_have_the_defaults_of_the_port(tmp_path):
    def bare(config):
        config["nb_priors"] = 1
        config["vqvae_config"] = {"embed_dim": 64}
        config["prior_0"] = {}
        for key in ("sampling_rate", "timing_dims", "min_duration", "max_duration", "max_nb_genres", "hop_fraction"):
            del config[key]

    card = changed(tmp_path, bare)
    top = card.priors[Level.TOP]
    assert [card.vqvae.hop(level) for level in Level] == [8, 32, 128]
    assert (card.vqvae.widths, card.vqvae.depths, card.vqvae.sample_rate) == ((64, 32, 32), (8, 4, 4), 44_100)
    assert (top.context, top.width, top.depth, top.heads, top.blocks) == (6_144, 2_048, 72, 2, 64)
    assert (top.genres, top.artists, top.genre_slots, top.timing.bins) == (604, 7_898, 5, 64)
    assert (top.lyrics.characters, top.lyrics.alphabet, top.lyrics.drawable) == (384, 80, True)
    assert (top.lyric_tokens, top.tied_head, top.timing.min_seconds, top.timing.max_seconds) == (384, False, 0, 600)
    assert card.sampling == {"top": {"advance": 0.125}}


def test_model_wide_keys_of_a_config_override_those_of_a_prior(tmp_path):
    def edit(config):
        config["prior_0"] |= {"timing_dims": 99, "max_nb_genres": 9, "sampling_rate": 1, "max_duration": 1}

    assert changed(tmp_path, edit).priors[Level.TOP] == ENCODED


def test_a_config_may_have_no_multipliers_and_a_dense_pattern(tmp_path):
    def edit(config):
        config["vqvae_config"]["multipliers"] = None
        config["prior_0"]["attention_pattern"] = "full_dense_attention"

    card = changed(tmp_path, edit, random_model(TOP))
    assert (card.vqvae.widths, card.vqvae.depths) == ((4, 4, 4), (2, 2, 2))
    assert set(map(str, card.priors[Level.TOP].kinds)) == {"dense"}


def test_an_alignment_layer_that_does_not_attend_to_lyrics_is_ignored(tmp_path):
    model = random_model(
        replace(ENCODED, depth=12, pattern=TOP.pattern, lyrics=replace(ENCODED.lyrics, alignment_layer=None))
    )
    lyrics = (
        changed(tmp_path, lambda config: config["prior_0"].update(alignment_layer=68), model).priors[Level.TOP].lyrics
    )
    assert (lyrics.alignment_layer, lyrics.alignment_head) == (None, 0)
