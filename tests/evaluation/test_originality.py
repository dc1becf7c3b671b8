"""Codes that new music shares with training songs, and `jukectl eval originality` from the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from music_fixtures import is_picture

from jukectl.codes.level import Level
from jukectl.codes.overlap import Match
from jukectl.codes.song import Song
from jukectl.data.encoded import CodeFolder
from jukectl.evaluation.originality import COVERED, TrainingCodes, longest_agreement, percentile, stretches


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(2_048, size=5_000).astype(np.uint16) for _ in range(5)]


@pytest.fixture(scope="module")
def training(songs) -> TrainingCodes:
    return TrainingCodes(songs)


def test_a_copy_with_every_tenth_code_changed_is_a_near_copy(songs, training):
    query = np.random.default_rng(1).integers(2_048, size=1_000).astype(np.uint16)
    query[300:700] = songs[3][1_100:1_500]
    query[309:700:10] ^= 1
    found = training.overlap(query)
    assert found.exact == Match(length=9, query_start=300, song=3, song_start=1_100)
    assert (found.near.song, found.near.song_start - found.near.query_start) == (3, 800)
    assert 400 <= found.near.length <= 520  # it may extend at either end until a fifth of it differs
    assert found.near.query_start <= 300


def test_a_copy_from_the_very_end_of_a_song_is_found_whole(songs, training):
    found = training.overlap(songs[2][-200:])
    assert found.exact == found.near == Match(length=200, query_start=0, song=2, song_start=4_800)
    assert found.coverage == (1.0,) * len(COVERED)


def test_random_codes_share_hardly_a_pair(training):
    found = training.overlap(np.random.default_rng(2).integers(2_048, size=1_000).astype(np.uint16))
    assert found.exact.length <= 2
    assert found.coverage[1:] == (0.0,) * (len(COVERED) - 1)


def test_runs_longer_than_the_music_have_no_coverage(training):
    assert training.overlap(np.arange(20, dtype=np.uint16)).coverage[-2:] == (None, None)


@given(st.lists(st.booleans(), max_size=40))
def test_the_longest_agreement_equals_a_search_of_all_stretches(equal):
    start, length = longest_agreement(np.array(equal, dtype=bool))
    fits = [
        last - first
        for first in range(len(equal))
        for last in range(first + 1, len(equal) + 1)
        if 5 * sum(equal[first:last]) >= 4 * (last - first)
    ]
    assert length == max(fits, default=0)
    assert 5 * sum(equal[start : start + length]) >= 4 * length


def test_stretches_are_whole_and_do_not_overlap():
    found = stretches([np.arange(10), np.arange(3), np.arange(4)], 4)
    assert [part.tolist() for part in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 12.5), (2, 50), (3, 87.5), (9, 100)])
def test_a_percentile_counts_equal_values_half(value, expected):
    assert percentile(value, [1, 2, 2, 3]) == expected
    assert percentile(value, []) is None


@pytest.fixture
def copied(prompted_song, codes):
    """The song with a first sample that continues with 20 other codes and 12 of the training song three."""
    found = Song(prompted_song).codes(Level.TOP)
    assert found is not None
    array = found.array.copy()
    array[0, -12:] = CodeFolder(codes).find("three.wav", Level.TOP)[40:52]
    Song(prompted_song).save(replace(found, array=array))
    return prompted_song


def test_eval_originality_finds_a_planted_copy_and_its_origin(run, copied, codes, held_out):
    facts = json.loads(run("--json", "eval", "originality", copied, "--codes", codes, "--held-out", held_out))
    assert (facts["level"], facts["training_songs"]) == ("top", 4)
    first, second = facts["songs"]
    assert [one["name"] for one in facts["songs"]] == ["song/0", "song/1"]
    found = first["exact"]
    assert found["codes"] >= 12 and found["codes"] > second["exact"]["codes"]
    assert (found["from"]["title"], found["from"]["artist"]) == ("three", "Ada")
    code_seconds = 256 / 8_000
    before = found["codes"] - 12  # by chance the run may begin before the copy
    assert found["at"] == pytest.approx((32 + 20 - before) * code_seconds, abs=1e-3)
    assert found["from_at"] == pytest.approx((40 - before) * code_seconds, abs=1e-3)
    assert found["seconds"] == pytest.approx(found["codes"] * code_seconds, abs=1e-3)
    assert first["near"]["codes"] >= found["codes"]
    assert found["held_out"]["stretches"] == 2 * (93 // 32)  # two songs of 3 s, in stretches as long as the new part
    assert found["held_out"]["percentile"] == pytest.approx(100)
    assert 0 < first["coverage"]["8"] < 1 and first["coverage"]["64"] is None


def test_eval_originality_leaves_out_the_prompt(run, codes, tmp_path, tiny_model, held_out):
    """The prompt is a training song, the codes after it are random."""
    path = tmp_path / "prompted"
    run("--quiet", "encode", tmp_path / "music" / "one.wav", "--out", path, "--model", tiny_model)
    message = run("eval", "originality", path, "--codes", codes, status=2)
    assert "no new top codes" in message and "jukectl continue" in message
    prompt = Song(path).codes(Level.TOP)
    assert prompt is not None
    Song(path).save(prompt.append(np.random.default_rng(0).integers(32, size=(1, 30))))
    (found,) = json.loads(run("--json", "eval", "originality", path, "--codes", codes))["songs"]
    assert found["codes"] == 30 and found["exact"]["codes"] < 10
    assert found["exact"]["held_out"] is None


def test_eval_originality_refuses_codes_of_another_codec(run, copied, codes):
    found = Song(copied).codes(Level.TOP)
    assert found is not None
    Song(copied).save(replace(found, vqvae="0123456789abcdef"))
    message = run("eval", "originality", copied, "--codes", codes, status=2)
    assert "0123456789ab" in message and "jukectl data encode" in message


def test_eval_originality_prints_markdown_tables_and_draws_a_picture(run, copied, codes, held_out, tmp_path):
    arguments = ("eval", "originality", copied, "--codes", codes, "--held-out", held_out, "--level", "middle")
    table = run("--quiet", *arguments, "--plots", tmp_path / "plots")
    assert "near copy" in table and "| held out, as long as song/0" in table
    for part in table.split("\n\n"):
        assert len({line.count("|") for line in part.splitlines()}) == 1
    assert is_picture(str(tmp_path / "plots" / "originality.png"))
