"""song.toml: written to be read by people, read back exactly, and refused with a reason."""

import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jukectl.codes import recipe_toml
from jukectl.codes.level import Level
from jukectl.codes.recipe import (
    LARGEST_SEED,
    MOST_SECONDS,
    PARTS,
    Labels,
    LevelSampling,
    Made,
    ModelRef,
    PrefixRef,
    Prompt,
    Recipe,
)
from jukectl.codes.schedule import LONGEST
from jukectl.errors import BadInput, NotASong
from jukectl.lyrics.value import Lyrics

texts = st.text(max_size=30)
amounts = st.floats(0, LONGEST)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
samplings = st.builds(
    LevelSampling,
    temperature=st.floats(0, 1e6),
    top_k=st.integers(0, 65_536),
    top_p=st.floats(0, 1, exclude_min=True),
    advance=st.floats(0, 1, exclude_min=True),
    expected=st.booleans(),
)
recipes = st.builds(
    Recipe,
    kind=st.sampled_from(["sample", "continue", "encode", "upsample"]),
    version=texts,
    model=st.builds(
        ModelRef,
        name=st.text(min_size=1, max_size=20),
        path=st.none() | texts,
        fingerprints=st.dictionaries(st.sampled_from(PARTS), hashes),
    ),
    seed=st.integers(0, LARGEST_SEED),
    samples=st.integers(1, 1000),
    seconds=st.floats(min_value=0, max_value=MOST_SECONDS),
    song_seconds=amounts,
    levels=st.lists(st.sampled_from(Level), min_size=1).map(tuple),
    labels=st.builds(
        Labels,
        artist=st.none() | texts,
        genres=st.lists(texts).map(tuple),
        lyrics=st.none() | st.builds(Lyrics, st.text()),
    ),
    prompt=st.none()
    | st.builds(
        Prompt,
        source=st.text(st.characters()),  # stray halves of characters too, as file names have them
        start=amounts,
        seconds=amounts,
        sha256=hashes,
        samples=st.integers(0, 10**9),
    ),
    sampling=st.fixed_dictionaries(dict.fromkeys(Level, samplings)),
    made=st.dictionaries(st.sampled_from(Level), st.builds(Made, device=texts, precision=texts, upper=texts)),
)


def make(**changes):
    values = {
        "kind": "continue",
        "version": "0.1.0",
        "model": ModelRef(
            name="mini", fingerprints={part: letter * 64 for part, letter in zip(PARTS, "abcd", strict=True)}
        ),
        "seed": 3,
        "samples": 2,
        "seconds": 20.0,
        "song_seconds": 180.0,
        "labels": Labels(artist="Ada", genres=("folk", "waltz"), lyrics=Lyrics("la la\nlo lo\n")),
        "prompt": Prompt(source="riff.wav", start=1.5, seconds=12.0, sha256="e" * 64, samples=264_600),
        "sampling": {level: LevelSampling(temperature=0.98) for level in Level},
        "made": {Level.TOP: Made(device="cpu", precision="float32")},
        **changes,
    }
    return Recipe(**values)


def read(text):
    return recipe_toml.loads(text, "my-song/song.toml")


def lyrics(text):
    return make(labels=Labels(lyrics=Lyrics(text)))


@settings(deadline=None)  # the first recipe that is read makes its converter
@given(recipes)
@example(lyrics("one\r\ntwo\rthree\n"))
@example(lyrics('she said """no"""\n\\'))
@example(lyrics("\n\nlate\n\n"))
@example(lyrics("\x00\x1f\x7f\t\u2028\n"))
@example(make(seed=LARGEST_SEED, seconds=0.1 + 0.2, song_seconds=5e-324))
def test_a_recipe_that_was_written_is_read_back_exactly(recipe):
    text = recipe_toml.dumps(recipe)
    again = recipe_toml.loads(text.encode().decode(), "song.toml")
    assert again == recipe
    assert recipe_toml.dumps(again) == text
    assert again.differences(recipe) == []


def test_a_written_recipe_is_plain_toml_that_a_person_can_read():
    text = recipe_toml.dumps(make())
    assert text.startswith("# The recipe of this song: ")
    assert 'lyrics = """la la\nlo lo\n"""' in text
    assert "seconds = 20.0 # of new music" in text
    found = tomllib.loads(text)
    assert found["format"] == 1
    assert found["levels"] == ["top", "middle", "bottom"]
    assert found["sampling"]["bottom"] == {"temperature": 0.98, "top_k": 0, "top_p": 1.0, "advance": 0.5}
    assert found["model"]["fingerprints"] == {
        "vqvae": "a" * 64,
        "top": "b" * 64,
        "middle": "c" * 64,
        "bottom": "d" * 64,
    }


def test_fields_that_are_not_set_are_not_written():
    text = recipe_toml.dumps(make(prompt=None, labels=Labels(), made={}))
    assert not {"prompt", "made"} & tomllib.loads(text).keys()
    assert tomllib.loads(text)["labels"] == {"genres": []}
    assert "path" not in text


def test_levels_are_kept_top_first_and_once():
    recipe = make(levels=(Level.BOTTOM, Level.TOP, Level.BOTTOM))
    assert recipe.levels == (Level.TOP, Level.BOTTOM)
    assert recipe == make(levels=(Level.TOP, Level.BOTTOM))


def test_whole_numbers_do_for_seconds():
    recipe = make(seconds=20)
    assert recipe_toml.dumps(recipe) == recipe_toml.dumps(make())
    assert read(recipe_toml.dumps(recipe).replace("seconds = 20.0", "seconds = 20")) == recipe


def test_unknown_keys_of_a_recipe_are_ignored():
    text = (
        recipe_toml.dumps(make()).replace("[model]", 'mood = "blue"\n[model]\nsize = 3', 1) + "\n[notes]\nfor = 'me'\n"
    )
    assert read(text) == make()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 3", "", "seed is missing"),
        ("seed = 3", "seed = 3.5", "seed must be a whole number, got 3.5"),
        ("seed = 3", "seed = true", "seed must be a whole number, got True"),
        ("seed = 3", "seed = -1", f"seed must be 0 to {LARGEST_SEED}, got -1"),
        ("seed = 3", f"seed = {2**63}", "seed must be a whole number of 64 bits"),
        ("samples = 2", "samples = 0", "samples must be 1 to 100000, got 0"),
        ("\nseconds = 20.0", "\nseconds = 'long'", "seconds must be a number, got 'long'"),
        ("\nseconds = 20.0", "\nseconds = 1000000", "seconds must be at most 36000"),
        ("\nseconds = 20.0", "\nseconds = nan", "seconds must be a number, got nan"),
        ("song_seconds = 180.0", "song_seconds = inf", "song_seconds must be a number, got inf"),
        (
            'kind = "continue"',
            'kind = "remix"',
            "kind must be one of .*, branch, got 'remix'",
        ),
        ('levels = ["top", "middle", "bottom"]', 'levels = "top"', "levels must be a list, got 'top'"),
        ('levels = ["top", "middle", "bottom"]', "levels = []", "levels must be one or more"),
        ('levels = ["top", "middle", "bottom"]', 'levels = ["low"]', r"levels\[0\]: no level is called 'low'"),
        ('name = "mini"', "", "model.name is missing"),
        ('name = "mini"', 'name = ""', "model.name must be the name of a model, got ''"),
        ("[model.fingerprints]", "[model.fingerprints.vqvae]", "model.fingerprints.vqvae must be text"),
        ('genres = ["folk", "waltz"]', "genres = [1]", r"labels.genres\[0\] must be text, got 1"),
        ("start = 1.5", "start = -1.5", r"prompt.start must be 0 to 1e\+09 seconds, got -1.5"),
        ("[sampling.middle]\ntemperature = 0.98", "[sampling.middle]", r"sampling.middle.temperature is missing"),
        ("[sampling.middle]", "[sampling.centre]", "sampling.centre: no level is called 'centre'"),
        (
            "[sampling.top]\ntemperature = 0.98",
            "[sampling.top]\ntemperature = -1",
            r"sampling.top.temperature must be a number, 0 or more, got -1.0",
        ),
        ("top_k = 0", "top_k = -1", "sampling.top.top_k must be 0"),
        ("top_p = 1.0", "top_p = 1.5", "sampling.top.top_p must be above 0 and up to 1"),
        ("advance = 0.5", "advance = 0", "sampling.top.advance must be a fraction of the context"),
        ("format = 1", "format = 0", "format must be a whole number from 1"),
        ("[prompt]", "[prompt", "line 2"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_file_key_and_what_is_expected(old, new, message):
    text = recipe_toml.dumps(make())
    assert old in text
    with pytest.raises(NotASong, match=message) as caught:
        read(text.replace(old, new, 1))
    assert str(caught.value).startswith("my-song/song.toml is no recipe: ")
    assert "--overwrite" in str(caught.value)


def test_a_recipe_without_a_format_is_of_the_first_one():
    text = recipe_toml.dumps(make())
    assert text.count("format = 1\n") == 1
    assert read(text.replace("format = 1\n", "")) == make()


def test_a_newer_format_is_refused_with_the_way_out():
    with pytest.raises(NotASong, match=r"my-song/song.toml has recipe format 2, .*up to 1. Upgrade with: pip install"):
        read("format = 2\neverything = 'else'\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2**63}, "seed must be 0 to"),
        ({"levels": ()}, "levels"),
        ({"sampling": {}}, "none for top, middle, bottom"),
        ({"labels": Labels(artist="\udcff")}, "labels.artist must be text that UTF-8 can hold"),
        ({"labels": Labels(genres=("folk", "\ud800"))}, "labels.genres must be text"),
    ],
)
def test_a_recipe_that_could_not_be_rendered_or_written_cannot_be_made(changes, message):
    with pytest.raises(BadInput, match=message):
        make(**changes)


def test_a_file_name_that_is_not_unicode_can_be_a_prompts_source():
    recipe = make(prompt=replace(make().prompt, source="caf\udce9.wav"))
    assert recipe.prompt.source == "caf?.wav"
    assert read(recipe_toml.dumps(recipe)) == recipe


def test_a_fingerprint_belongs_to_a_part_of_the_model():
    with pytest.raises(BadInput, match="fingerprints must be one for each of vqvae, top, middle, bottom, got 'drums'"):
        ModelRef(name="mini", fingerprints={"drums": "a" * 64})


def test_encoding_needs_no_settings_for_sampling():
    assert make(kind="encode", sampling={}).sampling == {}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"version": "9.9", "made": {}}, []),
        ({"seed": 4}, ["seed: 3 here, 4 asked"]),
        ({"samples": 1, "seconds": 30}, ["samples: 2 here, 1 asked", "seconds: 20.0 here, 30.0 asked"]),
        ({"kind": "sample"}, ["kind: 'continue' here, 'sample' asked"]),
        ({"levels": (Level.TOP,)}, ["levels: top, middle, bottom here, top asked"]),
        ({"prompt": None}, ["prompt.source: 'riff.wav' here, none asked"]),
        (
            {"labels": Labels(genres=("folk",), lyrics=Lyrics("la la\nli li\n"))},
            [
                "labels.artist: 'Ada' here, none asked",
                "labels.genres: folk, waltz here, folk asked",
                r"labels.lyrics, line 2: 'lo lo\n' here, 'li li\n' asked",
            ],
        ),
        (
            {"labels": Labels(artist="Ada", genres=("folk", "waltz"), lyrics=Lyrics("la la\n"))},
            [r"labels.lyrics, line 2: 'lo lo\n' here, none asked"],
        ),
        (
            {"sampling": {**make().sampling, Level.MIDDLE: LevelSampling(temperature=0.9)}},
            ["sampling.middle.temperature: 0.98 here, 0.9 asked"],
        ),
    ],
)
def test_differences_name_each_key_and_both_values(changes, lines):
    assert make().differences(make(**changes)) == lines


def test_a_model_with_other_tensors_is_another_model():
    other = ModelRef(name="mini", fingerprints={**make().model.fingerprints, "top": "f" * 64})
    (line,) = make().differences(make(model=other))
    assert line.startswith("model.fingerprints.top: 'bbbb")
    assert "here, 'ffff" in line


def test_the_same_tensors_are_the_same_model_wherever_they_lie():
    moved = replace(make().model, name="my-copy", path="/models/my-copy")
    assert make().differences(make(model=moved)) == []
    unknown = replace(moved, fingerprints={})
    assert make(model=unknown).differences(make(model=ModelRef(name="mini"))) == [
        "model.name: 'my-copy' here, 'mini' asked",
        "model.path: '/models/my-copy' here, none asked",
    ]


def test_equal_prompts_are_equal_under_any_file_name():
    prompt = make().prompt
    assert make().differences(make(prompt=replace(prompt, source="/tmp/copy.wav"))) == []
    louder = replace(prompt, source="/tmp/copy.wav", sha256="f" * 64)
    assert [line.partition(":")[0] for line in make().differences(make(prompt=louder))] == [
        "prompt.source",
        "prompt.sha256",
    ]


@settings(deadline=None)
@given(recipes, recipes)
def test_no_difference_is_found_the_one_way_round_only(one, other):
    assert len(one.differences(other)) == len(other.differences(one))


def test_a_record_of_how_a_level_was_made_is_added_to_those_there_are():
    made = Made(device="cuda", precision="bfloat16", upper="f" * 64)
    recipe = make().with_made(Level.MIDDLE, made)
    assert recipe.made == {Level.TOP: Made(device="cpu", precision="float32"), Level.MIDDLE: made}
    assert recipe.differences(make()) == []


def test_codes_and_their_folder_do_without_torch():
    modules = "jukectl.codes.song, jukectl.codes.recipe, jukectl.sampling.windows"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Branches, and samples by themselves


def make_prefix(**changes) -> PrefixRef:
    values = {
        "source": "/songs/first",
        "sample": 2,
        "seconds": 1.5,
        "frames": {Level.TOP: 10, Level.MIDDLE: 40},
        "sha256": {Level.TOP: "a" * 64, Level.MIDDLE: "b" * 64},
    }
    return PrefixRef(**{**values, **changes})


@pytest.mark.parametrize("changes", [{}, {"sample": None}, {"begins": 7}], ids=str)
def test_a_branch_reads_back_unchanged(changes):
    recipe = make(kind="branch", prefix=make_prefix(**changes), samples=2, streams=(2_000, 2_001))
    assert recipe_toml.loads(recipe_toml.dumps(recipe), "song.toml") == recipe


def test_a_recipe_of_another_kind_has_no_branch_table():
    text = recipe_toml.dumps(make())
    assert not [word for word in ("trunk", "sample_numbers", "begins") if word in text]


def test_branches_of_the_same_codes_are_the_same_wherever_the_song_lies():
    here = make(kind="branch", prefix=make_prefix())
    assert not here.differences(replace(here, prefix=make_prefix(source="/elsewhere")))
    other = replace(here, prefix=make_prefix(sha256={Level.TOP: "c" * 64, Level.MIDDLE: "b" * 64}, source="/elsewhere"))
    keys = [line.partition(":")[0] for line in here.differences(other)]
    assert keys == ["trunk.source", "trunk.top"]
    numbered = replace(here, streams=tuple(range(5, 5 + here.samples)))
    assert [line.partition(":")[0] for line in here.differences(numbered)] == ["sample_numbers"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "branch"}, "trunk"),
        ({"prefix": make_prefix()}, "trunk"),
        ({"streams": tuple(range(99))}, "sample_numbers"),
        ({"samples": 1, "streams": (-1,)}, "sample_numbers"),
    ],
    ids=["no prefix", "no branch", "other count", "negative"],
)
def test_a_branch_that_cannot_be_is_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        make(**changes)


@pytest.mark.parametrize(
    "changes", [{"frames": {}}, {"sha256": {}}, {"seconds": 0.0}, {"begins": -1}, {"sample": -1}], ids=str
)
def test_invalid_prefix_codes_in_a_recipe_are_refused(changes):
    with pytest.raises(BadInput, match=f"^{next(iter(changes))} must be"):
        make_prefix(**changes)
