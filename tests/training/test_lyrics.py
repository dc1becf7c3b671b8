"""Learning to hear lyrics: from beside the songs to the windows of segments, into a trained prior, to a model."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from jukectl.checkpoints.assemble import Run, assemble
from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder
from jukectl.data.lyrics_notes import NOTHING
from jukectl.data.manifest import Manifest
from jukectl.data.segments import Dropout, with_other_lyrics
from jukectl.errors import BadManifest, BadRecipe
from jukectl.lyrics.value import Lyrics
from jukectl.progress import ignore
from jukectl.training.config import PriorRecipe, load_recipe
from jukectl.training.prior_task import PriorTask
from jukectl.training.runs import train_prior

ALPHABET = "abcdefghijklmnopqrstuvwxyz \n"
SUNG = {  # what is sung in the songs of the `codes` fixture; in the one that is trained on it is known when
    "a/long.flac": ("a/long.lrc", "[00:00.10]<00:00.10>ab<00:00.20> <00:00.30>cd<00:00.50>\n"),
    "a/short.flac": ("a/short.txt", "efg hij"),
    "b/plain.wav": ("b/plain.txt", "klm"),
}


@pytest.fixture
def sung_codes(codes, tmp_path):
    """The codes of three songs and their lyrics, as `jukectl data encode` leaves them."""
    folder, tracks = CodeFolder(codes), []
    for found in folder.manifest().tracks:
        track = found
        if track.path in SUNG:
            name, text = SUNG[track.path]
            source = tmp_path / "music" / name
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
            track = replace(track, lyrics=name)
            folder.keep_lyrics(track, source)
            source.unlink()
        tracks.append(track)
    Manifest(codes, tuple(tracks)).save(codes / "manifest.jsonl")
    return codes


@pytest.fixture
def base(sung_codes, tmp_path):
    """The recipe of a top prior without lyrics, trained."""
    path = tmp_path / "base.toml"
    path.write_text(f"""
out = "{(tmp_path / "base").as_posix()}"
[model]
context = 8
width = 16
depth = 3
heads = 2
blocks = 4
genre_slots = 2
timing = {{ max_seconds = 60.0 }}
[data]
codes = "{sung_codes.as_posix()}"
held_out = ["a/short.flac", "b/*"]
validation_segments = 2
[train]
steps = 2
batch = 2
learning_rate = 0.01
evaluate_every = 2
threads = 1
""")
    train_prior(path, (), ignore)
    return path


READERS = {
    "encoder": "encoder = { width = 8, depth = 1, heads = 2, blocks = 4 }",
    "apart": "apart = true",
}


@pytest.fixture(params=READERS)
def grown(base, tmp_path, request):
    """The recipe of that prior grown, in one of the two architectures."""
    path = tmp_path / "grown.toml"
    path.write_text(f"""
out = "{(tmp_path / "grown").as_posix()}"
start = "{(tmp_path / "base").as_posix()}"
add_lyrics = true
lyrics_blocks = 2
lyrics_dropout = 0.5
copying = {{ samples = 0 }}
[model.lyrics]
characters = 8
alphabet = "{ALPHABET.encode("unicode_escape").decode()}"
{READERS[request.param]}
{base.read_text().partition("timing")[2].partition(chr(10))[2]}""")
    return path


def task_of(path, *overrides):
    recipe = load_recipe(path, PriorRecipe, overrides)
    from jukectl.training.starting import find_prior

    return PriorTask(recipe, None if recipe.start is None else find_prior(recipe.start, Level.TOP))


def told(ids):
    """The characters of a window, with a dot where there is none."""
    return "".join("." if one == 0 else ALPHABET[one - 1] for one in ids.tolist())


def validation(folder):
    with (folder / "validation.csv").open() as file:
        return list(csv.DictReader(file))


def test_segments_are_told_their_lyrics_and_a_share_of_them_none(grown):
    training = task_of(grown).training
    drawn = training.draw(400, Dropout(lyrics=0.25), np.random.default_rng(0))
    windows = [told(row) for row in drawn.labels.lyrics]
    assert set(windows) == {"...ab cd", "........"}
    assert 0.18 < windows.count("........") / 400 < 0.32


def test_without_dropout_all_are_told(grown):
    drawn = task_of(grown).training.draw(64, Dropout(), np.random.default_rng(0))
    assert {told(row) for row in drawn.labels.lyrics} == {"...ab cd"}


def test_a_song_without_lyrics_is_told_that_nothing_is_sung(grown, sung_codes):
    tracks = [replace(track, lyrics="") for track in CodeFolder(sung_codes).manifest().tracks]
    Manifest(sung_codes, tuple(tracks)).save(sung_codes / "manifest.jsonl")
    drawn = task_of(grown).training.draw(8, Dropout(), np.random.default_rng(0))
    assert not drawn.labels.lyrics.any() and (drawn.sung == NOTHING).all()


def test_dropping_lyrics_leaves_the_rest_of_a_draw_as_it_is(grown):
    training = task_of(grown).training
    some, none = (
        training.draw(16, Dropout(labels=0.5, lyrics=share), np.random.default_rng(3)) for share in (0.0, 1.0)
    )
    assert torch.equal(some.codes, none.codes) and torch.equal(some.labels.artist, none.labels.artist)
    assert some.labels.lyrics.any() and not none.labels.lyrics.any()


def test_the_character_sung_at_a_code_is_that_of_the_times(grown):
    """Codes are 32 ms long: of "ab cd" a is sung from 0.1 s on, b from 0.15, c from 0.3, d from 0.4 until the end.

    The blank begins where ab is over, at 0.2 s; before it all it is the a.
    """
    training = task_of(grown).training
    drawn = training.draw(64, Dropout(), np.random.default_rng(0))
    begin = {"a": 0.0, "b": 0.15, " ": 0.2, "c": 0.3, "d": 0.4}
    seen = set()
    for ids, sung, offset in zip(drawn.labels.lyrics, drawn.sung, drawn.labels.offset.tolist(), strict=True):
        for code, place in enumerate(sung.tolist()):
            now = (offset + code * 256 + 128) / 8_000
            expected = [letter for letter, start in begin.items() if now >= start][-1]
            assert told(ids)[place] == expected, now
            seen.add(expected)
    assert seen == set(begin)


def test_lyrics_that_did_not_travel_with_the_codes_are_missed(grown, sung_codes):
    (sung_codes / "lyrics/a/long.flac.lrc").unlink()
    with pytest.raises(BadManifest, match=r"holds the codes of a/long.flac, but not its lyrics a/long.lrc. Copy them"):
        task_of(grown)


def test_damaged_lyrics_are_named(grown, sung_codes):
    (sung_codes / "lyrics/a/short.flac.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(
        BadManifest, match=r"short\.flac\.txt of a/short\.flac: .*short\.flac\.txt is not UTF-8 \(byte 0\)"
    ):
        task_of(grown)


def test_before_the_first_step_a_grown_prior_is_as_good_as_it_was_whatever_it_is_told(grown, base, tmp_path):
    train_prior(grown, (), ignore)
    first = validation(tmp_path / "grown")[0]
    before = min(float(row["bits"]) for row in validation(tmp_path / "base"))
    assert float(first["bits"]) == pytest.approx(before, abs=2e-5)
    assert first["bits_other_lyrics"] == first["bits"]


def test_a_grown_run_resumes_exactly(grown, tmp_path):
    train_prior(grown, ("train.steps=4", "train.checkpoint_every=2", "train.schedule=constant"), ignore)
    expected = Run.load(tmp_path / "grown", "last").tensors
    other = (f"out={tmp_path / 'resumed'}", "train.schedule=constant", "train.checkpoint_every=2")
    train_prior(grown, (*other, "train.steps=2"), ignore)
    train_prior(grown, (*other, "train.steps=4"), ignore)
    found = Run.load(tmp_path / "resumed", "last").tensors
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_a_model_made_of_it_spells_with_the_recipes_characters(grown, tmp_path):
    from jukectl.checkpoints import catalogue

    train_prior(grown, (), ignore)
    card = {"name": "sung", "vqvae": catalogue.find("mini").card.vqvae.to_dict()}
    folder = assemble(tmp_path / "model", [Run.load(tmp_path / "grown")], card)
    spelled = folder.card.spell(Level.TOP, Lyrics("abz 7"))
    assert spelled.ids == (1, 2, 26, 27) and spelled.left_out == "7"
    again = assemble(tmp_path / "model", [Run.load(tmp_path / "base")], card)
    assert again.card.priors[Level.TOP].lyrics is None


def test_a_grown_run_is_trained_on_with_its_characters(grown, tmp_path):
    train_prior(grown, (), ignore)
    text = grown.read_text().replace("add_lyrics = true\n", "").replace("lyrics_blocks = 2\n", "")
    text = text.partition("[model.lyrics]")[0] + "[data]" + text.partition("[data]")[2]
    on = tmp_path / "on.toml"
    on.write_text(text.replace("base", "grown").replace('out = "', 'out = "' + tmp_path.as_posix() + '/on"\n#'))
    task = task_of(on)
    assert told(task.validation[0].labels.lyrics[0]) == ".efg hij"
    assert task.config.lyrics.alphabet == len(ALPHABET) + 1


def test_a_guided_run_logs_how_far_it_looks_from_the_singing_and_names_its_layer(grown, tmp_path):
    train_prior(grown, ("lyrics_guide=1.0", "train.log_every=1"), ignore)
    with (tmp_path / "grown/train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["guide"]) >= 0 for row in rows) and any(float(row["guide"]) > 0 for row in rows)
    assert Run.load(tmp_path / "grown").about["prior"]["lyrics"]["alignment_layer"] == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.lyrics.alphabet=aab"], "each once"),
        (["model.lyrics.characters=0"], "add_lyrics: characters must be a positive integer"),
        (["lyrics_blocks=9"], "between 1 and 3 blocks"),
        (["lyrics_blocks=0"], "lyrics_blocks must be at least 1"),
        (["lyrics_guide=-1"], "lyrics_guide must be at least 0"),
        (["lyrics_guide=1", "train.checkpoint_activations=true"], "reads attention inside a block"),
        (["lyrics_dropout=2"], "lyrics_dropout must be in \\[0, 1\\], got 2"),
        (["level=middle"], "add_lyrics is for level top"),
        (["model={}"], "add_lyrics needs a table"),
        (["adapter={rank = 2}"], "leave adapter out"),
        (["model.width=32"], "model.width is 32, but 16"),
    ],
)
def test_what_cannot_be_added_is_refused(grown, overrides, message):
    with pytest.raises(BadRecipe, match=message):
        task_of(grown, *overrides)


def test_lyrics_are_added_to_a_prior_without_only(grown, tmp_path):
    train_prior(grown, (), ignore)
    with pytest.raises(BadRecipe, match="conditioned on lyrics already"):
        task_of(grown, f"start={tmp_path / 'grown'}")


def test_other_lyrics_are_as_many_characters_and_not_its_own(grown):
    training = task_of(grown).training
    drawn = training.draw(2, Dropout(), np.random.default_rng(0))
    rows = torch.tensor([[0, 0, 1, 2, 3], [0, 5, 6, 7, 8], [0, 0, 0, 0, 0], [0, 0, 0, 0, 9]])
    batches = [replace(drawn, codes=drawn.codes[:1], labels=replace(drawn.labels, lyrics=row[None])) for row in rows]
    found = [batch.labels.lyrics[0].tolist() for batch in with_other_lyrics(batches)]
    assert found == [[0, 0, 9, 9, 9], [0, 1, 2, 3, 1], [0] * 5, [0, 0, 0, 0, 5]]
