"""Training on lyrics: from files beside songs to windows of segments, and adding lyrics to a trained prior."""

import csv
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from training_fixtures import TINY_TOP, task_of

from jukectl.checkpoints.assemble import Run, assemble
from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder
from jukectl.data.lyrics_notes import NOTHING
from jukectl.data.manifest import Manifest
from jukectl.data.segments import Dropout, with_other_lyrics
from jukectl.errors import BadManifest, BadRecipe
from jukectl.lyrics.value import Lyrics
from jukectl.progress import ignore
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
def base(sung_codes, write_recipe):
    """The recipe of a top prior without lyrics, trained."""
    path = write_recipe("base", sung_codes, TINY_TOP, held_out=("a/short.flac", "b/*"))
    train_prior(path, (), ignore)
    return path


READERS: dict[str, dict[str, Any]] = {
    "encoder": {"encoder": {"width": 8, "depth": 1, "heads": 2, "blocks": 4}},
    "apart": {"apart": True},
}


@pytest.fixture(params=READERS)
def grown(base, sung_codes, write_recipe, request):
    """The recipe of that prior with lyrics added, in one of the two architectures."""
    return write_recipe(
        "grown",
        sung_codes,
        {"lyrics": {"characters": 8, "alphabet": ALPHABET, **READERS[request.param]}},
        held_out=("a/short.flac", "b/*"),
        start=(base.parent / "base").as_posix(),
        add_lyrics=True,
        lyrics_blocks=2,
        lyrics_dropout=0.5,
        copying={"samples": 0},
    )


def text_of(ids):
    """Return the characters of a window, with a dot for the id 0."""
    return "".join("." if one == 0 else ALPHABET[one - 1] for one in ids.tolist())


def validation(folder):
    with (folder / "validation.csv").open() as file:
        return list(csv.DictReader(file))


def test_lyrics_dropout_leaves_a_share_of_segments_without_lyrics(grown):
    training = task_of(grown).training
    drawn = training.draw(400, Dropout(lyrics=0.25), np.random.default_rng(0))
    windows = [text_of(row) for row in drawn.labels.lyrics]
    assert set(windows) == {"...ab cd", "........"}
    assert 0.18 < windows.count("........") / 400 < 0.32


def test_without_dropout_all_segments_have_their_lyrics(grown):
    drawn = task_of(grown).training.draw(64, Dropout(), np.random.default_rng(0))
    assert {text_of(row) for row in drawn.labels.lyrics} == {"...ab cd"}


def test_a_song_without_lyrics_has_empty_lyric_windows(grown, sung_codes):
    tracks = [
        track if track.path == "a/long.flac" else replace(track, lyrics="")
        for track in CodeFolder(sung_codes).manifest().tracks
    ]
    Manifest(sung_codes, tuple(tracks)).save(sung_codes / "manifest.jsonl")
    training = task_of(grown, 'data.held_out=["a/short.flac"]').training
    drawn = training.draw(64, Dropout(), np.random.default_rng(0))
    without = ~drawn.labels.lyrics.any(dim=1)
    assert without.any() and not without.all()
    assert (drawn.sung[without] == NOTHING).all()


def test_lyrics_dropout_leaves_all_else_unchanged(grown):
    training = task_of(grown).training
    some, none = (
        training.draw(16, Dropout(labels=0.5, lyrics=share), np.random.default_rng(3)) for share in (0.0, 1.0)
    )
    assert torch.equal(some.codes, none.codes) and torch.equal(some.labels.artist, none.labels.artist)
    assert some.labels.lyrics.any() and not none.labels.lyrics.any()


def test_the_character_sung_at_a_code_follows_from_word_times(grown):
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
            assert text_of(ids)[place] == expected, now
            seen.add(expected)
    assert seen == set(begin)


def test_missing_lyrics_beside_codes_are_reported(grown, sung_codes):
    (sung_codes / "lyrics/a/long.flac.lrc").unlink()
    with pytest.raises(BadManifest, match=r"holds the codes of a/long.flac, but not its lyrics a/long.lrc. Copy them"):
        task_of(grown)


def test_damaged_lyrics_are_named(grown, sung_codes):
    (sung_codes / "lyrics/a/short.flac.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(
        BadManifest, match=r"short\.flac\.txt of a/short\.flac: .*short\.flac\.txt is not UTF-8 \(byte 0\)"
    ):
        task_of(grown)


def test_adding_lyrics_does_not_change_the_bits_of_a_prior(grown, base, tmp_path):
    train_prior(grown, (), ignore)
    first = validation(tmp_path / "grown")[0]
    before = min(float(row["bits"]) for row in validation(tmp_path / "base"))
    assert float(first["bits"]) == pytest.approx(before, abs=2e-5)
    assert first["bits_other_lyrics"] == first["bits"]


def test_a_run_that_added_lyrics_resumes_exactly(grown, tmp_path):
    train_prior(grown, ("train.steps=4", "train.checkpoint_every=2", "train.schedule=constant"), ignore)
    expected = Run.load(tmp_path / "grown", "last").tensors
    other = (f"out={tmp_path / 'resumed'}", "train.schedule=constant", "train.checkpoint_every=2")
    train_prior(grown, (*other, "train.steps=2"), ignore)
    train_prior(grown, (*other, "train.steps=4"), ignore)
    found = Run.load(tmp_path / "resumed", "last").tensors
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_a_model_assembled_from_the_run_has_the_characters_of_the_recipe(grown, tmp_path):
    from jukectl.checkpoints import catalogue

    train_prior(grown, (), ignore)
    card = {"name": "sung", "vqvae": catalogue.find("mini").card.vqvae.to_dict()}
    folder = assemble(tmp_path / "model", [Run.load(tmp_path / "grown")], card)
    spelled = folder.card.spell(Level.TOP, Lyrics("abz 7"))
    assert spelled.ids == (1, 2, 26, 27) and spelled.left_out == "7"
    again = assemble(tmp_path / "model", [Run.load(tmp_path / "base")], card)
    assert again.card.priors[Level.TOP].lyrics is None


def test_training_continues_with_the_characters_of_the_run(grown, tmp_path):
    train_prior(grown, (), ignore)
    text = grown.read_text().replace("add_lyrics = true\n", "").replace("lyrics_blocks = 2\n", "")
    text = text.partition("[model.lyrics]")[0] + "[data]" + text.partition("[data]")[2]
    on = tmp_path / "on.toml"
    on.write_text(text.replace("base", "grown").replace('out = "', 'out = "' + tmp_path.as_posix() + '/on"\n#'))
    task = task_of(on)
    assert text_of(task.validation[0].labels.lyrics[0]) == ".efg hij"
    assert task.config.lyrics.alphabet == len(ALPHABET) + 1


def test_a_guided_run_logs_the_guide_loss_and_stores_its_layer(grown, tmp_path):
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
def test_invalid_recipes_for_adding_lyrics_are_refused(grown, overrides, message):
    with pytest.raises(BadRecipe, match=message):
        task_of(grown, *overrides)


def test_lyrics_cannot_be_added_twice(grown, tmp_path):
    train_prior(grown, (), ignore)
    with pytest.raises(BadRecipe, match="conditioned on lyrics already"):
        task_of(grown, f"start={tmp_path / 'grown'}")


def test_other_lyrics_have_the_same_length_and_are_of_other_segments(grown):
    training = task_of(grown).training
    drawn = training.draw(2, Dropout(), np.random.default_rng(0))
    rows = torch.tensor([[0, 0, 1, 2, 3], [0, 5, 6, 7, 8], [0, 0, 0, 0, 0], [0, 0, 0, 0, 9]])
    batches = [replace(drawn, codes=drawn.codes[:1], labels=replace(drawn.labels, lyrics=row[None])) for row in rows]
    found = [batch.labels.lyrics[0].tolist() for batch in with_other_lyrics(batches)]
    assert found == [[0, 0, 9, 9, 9], [0, 1, 2, 3, 1], [0] * 5, [0, 0, 0, 0, 5]]
