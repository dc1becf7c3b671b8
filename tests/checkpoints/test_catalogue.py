"""Models by name."""

import shutil

import pytest

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.hub import pull
from jukectl.errors import BadModel

REPOSITORY = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.fixture
def places(tmp_path, tiny_model, monkeypatch):
    """Set up two embedded models and one of the user's."""
    for place, name in (("assets", "mini"), ("assets", "piano"), ("user", "mine")):
        (tmp_path / place / name).mkdir(parents=True)
        shutil.copy(tiny_model / "model.toml", tmp_path / place / name)
    (tmp_path / "assets" / "litter").mkdir()
    monkeypatch.setattr(catalogue, "assets", lambda: tmp_path / "assets")
    monkeypatch.setattr(catalogue, "user_models", lambda: tmp_path / "user")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_available_models_are_the_embedded_and_the_users_own(places):
    assert [model.path.name for model in catalogue.available().values()] == ["mini", "piano", "mine"]


@pytest.mark.parametrize(
    ("name", "place"), [("mini", "assets/mini"), ("mine", "user/mine"), ("./user/mine", "user/mine")]
)
def test_a_model_is_found_by_its_name_or_by_its_folder(places, name, place):
    assert catalogue.find(name).path == places / place


def test_a_users_model_replaces_an_embedded_one_of_the_same_name(places):
    shutil.copytree(places / "user" / "mine", places / "user" / "mini")
    assert catalogue.find("mini").path == places / "user" / "mini"


def test_a_folder_without_a_model_does_not_hide_a_model_of_its_name(places):
    (places / "mini").mkdir()
    assert catalogue.find("mini").path == places / "assets" / "mini"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pianno", r"no model or model folder 'pianno'\. At hand: piano\. See"),
        ("nothing like it", r"At hand: mine, mini, piano\. See: jukectl models list"),
        ("assets/litter", r"assets/litter is a folder without a model\.toml"),
    ],
)
def test_an_unknown_model_is_refused_with_near_names_or_all_names(places, name, message):
    with pytest.raises(BadModel, match=message):
        catalogue.find(name)


def test_the_message_for_an_unknown_model_says_if_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "assets", lambda: tmp_path / "a")
    monkeypatch.setattr(catalogue, "user_models", lambda: tmp_path / "b")
    with pytest.raises(BadModel, match="At hand: none"):
        catalogue.find("mini")


def test_a_published_model_is_found_once_it_is_pulled(places, hub):
    with pytest.raises(BadModel, match=r"1b-lyrics is not here\. Fetch it with: .* pull 1b-lyrics \(12 GB\)"):
        catalogue.find("1b-lyrics")
    hub.add("openai/jukebox-1b-lyrics", REPOSITORY)
    folder = pull("1b-lyrics")
    assert catalogue.find("1b-lyrics").path == folder
    assert catalogue.find(str(folder)).path == folder
    assert list(catalogue.available()) == ["mini", "piano", "mine", "1b-lyrics"]


def test_a_pulled_repository_is_found_by_its_owner_and_name(places, hub):
    hub.add("someone/jukebox", REPOSITORY)
    folder = pull("someone/jukebox")
    assert catalogue.find("someone/jukebox").path == folder


def test_a_users_model_replaces_a_pulled_one_of_the_same_name(places, hub):
    hub.add("openai/jukebox-1b-lyrics", REPOSITORY)
    pull("1b-lyrics")
    shutil.copytree(places / "user" / "mine", places / "user" / "1b-lyrics")
    assert catalogue.find("1b-lyrics").path == places / "user" / "1b-lyrics"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("5b", r"5b is not here\. .*5b/prior_level_2\.pth\.tar.* jukectl models convert FOLDER OUT"),
        (
            "5b_lyrics",
            r"no model or model folder '5b_lyrics'; 5b-lyrics is one\. Fetch it with: jukectl models pull 5b-l",
        ),
    ],
)
def test_a_missing_published_model_is_reported_with_the_way_to_get_it(places, name, message):
    with pytest.raises(BadModel, match=message):
        catalogue.find(name)
