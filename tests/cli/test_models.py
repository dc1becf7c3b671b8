"""`jukectl models` with published models, from a hub on this machine."""

import pytest

from jukectl.checkpoints.published import memory
from jukectl.checkpoints.store import ModelFolder

REPOSITORY = {"config.json": b"{}", "model.safetensors": bytes(1_234_567), "vocab.json": b"{}"}
TERMS = "no commercial use"


@pytest.fixture
def published(hub):
    return hub.add("openai/jukebox-1b-lyrics", REPOSITORY)


def test_pull_prints_the_folder_to_stdout_and_terms_to_stderr(jukectl, published, tmp_path):
    answer = jukectl("models", "pull", "1b-lyrics")
    (commit,) = published.commits.values()
    folder = tmp_path / "cache" / "models--openai--jukebox-1b-lyrics" / "snapshots" / commit
    assert answer.out == f"{folder}\n"
    assert (folder / "model.safetensors").read_bytes() == REPOSITORY["model.safetensors"]
    terms, *lines = answer.err.splitlines()
    assert TERMS in terms
    assert lines[-1].startswith("fetching 1b-lyrics, MB: 1/1")
    assert jukectl("--quiet", "models", "pull", "1b-lyrics").err == ""


def test_pull_with_json_prints_what_it_fetched(jukectl, published, tmp_path):
    published.commits = {"v1": (commit := "f" * 40)}
    answer = jukectl("--json", "models", "pull", "1b-lyrics", "--revision", "v1", "--cache-dir", tmp_path / "other")
    assert answer.json == {
        "name": "1b-lyrics",
        "model": str(tmp_path / "other" / "models--openai--jukebox-1b-lyrics" / "snapshots" / commit),
        "revision": commit,
        "bytes": 1_234_567,
    }


def test_pull_offline_fetches_nothing(jukectl, fails, hub, published):
    assert "not complete in" in fails("--quiet", "models", "pull", "1b-lyrics", "--offline")
    folder = jukectl("models", "pull", "1b-lyrics").out
    hub.requests.clear()
    assert jukectl("models", "pull", "1b-lyrics", "--offline").out == folder
    assert hub.requests == []


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["5b"], 2, "5b is not on the hub"),
        (["mini"], 2, "no published model is called 'mini'"),
        (["5b-lyrics"], 2, "there is no openai/jukebox-5b-lyrics on"),
        (["1b-lyrics", "--revision", "v9"], 2, "no revision 'v9'"),
        (["1b-lyrics", "--revision", "../x"], 2, "--revision is a branch"),
    ],
)
def test_an_unknown_model_or_revision_cannot_be_pulled(fails, published, arguments, status, message):
    assert message in fails("--quiet", "models", "pull", *arguments, status=status)


def test_pull_without_a_network_fails_with_one_line(fails, monkeypatch):
    monkeypatch.setattr("jukectl.checkpoints.hub_remote.PAUSE_SECONDS", 0.0)
    line = fails("--quiet", "models", "pull", "1b-lyrics", status=1)
    assert "cannot fetch openai/jukebox-1b-lyrics from http://127.0.0.1:9" in line


def test_models_list_includes_published_models_with_size_and_licence(jukectl, published):
    before = {model["name"]: model for model in jukectl("--json", "models", "list").json["models"]}
    assert before["mini"]["state"] == "embedded"
    assert {name for name, model in before.items() if model["state"] == "not here"} == {"1b-lyrics", "5b-lyrics", "5b"}
    lines = jukectl("models", "list").out.splitlines()
    assert max(map(len, lines)) <= 80
    (line,) = (line for line in lines if line.startswith("1b-lyrics "))
    for part in ("not here", "12 GB", "non-commercial"):
        assert part in line
    assert lines[-1] == "To get 1b-lyrics, 5b-lyrics, 5b: jukectl models show NAME"
    folder = jukectl("models", "pull", "1b-lyrics").out.strip()
    after = {model["name"]: model for model in jukectl("--json", "models", "list").json["models"]}
    assert (after["1b-lyrics"]["state"], after["1b-lyrics"]["path"]) == ("pulled", folder)
    assert list(after) == ["mini", "1b-lyrics", "5b-lyrics", "5b"]


def test_models_show_describes_a_published_model_before_it_is_pulled(jukectl):
    facts = jukectl("--json", "models", "show", "5b-lyrics").json
    assert facts["hops"] == {"bottom": 8, "middle": 32, "top": 128}
    assert facts["contexts"]["top"] == 8_192
    assert facts["memory"]["fp16"] == facts["memory"]["bf16"] == facts["memory"]["fp32"] / 2 == 2 * 5_640_506_800
    assert (facts["path"], facts["state"]) == (None, "not here")
    assert TERMS in facts["terms"]
    assert TERMS in jukectl("models", "show", "5b-lyrics").out
    assert "memory: fp32 23 GB, bf16 11 GB, fp16 11 GB" in jukectl("models", "show", "5b-lyrics").out
    limits = ("artist_ids", "genre_ids", "genre_slots", "longest_song", "lyrics", "midi")
    assert [facts[name] for name in limits] == [4_111, 120, 5, 600.0, True, False]


def test_models_show_prints_size_and_memory_of_any_model(jukectl, tiny_model):
    facts = jukectl("--json", "models", "show", tiny_model).json
    assert facts["bytes"] == sum(file.stat().st_size for file in tiny_model.glob("*.safetensors"))
    folder = ModelFolder(tiny_model)
    assert facts["memory"] == memory({part: folder.weights(part).numbers() for part in folder.parts})
    assert set(facts["memory"]) == {"fp32", "bf16", "fp16"}
    assert (facts["state"], facts["terms"], facts["licence"]) == ("folder", "", "CC0-1.0")
    assert "get" not in facts
