"""Segments of encoded songs: codes, the codes above them, and the labels of their place."""

import dataclasses

import numpy as np
import pytest
import torch

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.manifest import Manifest, Track
from jukectl.data.segments import Dropout, SegmentSet, Song, genres_of, vocabulary_of
from jukectl.errors import BadManifest
from jukectl.prior.labels import Conditioning


def tracks_of(codes):
    return CodeFolder(codes).manifest().tracks


def own_archive(codes, track, level):
    return CodeFolder(codes).own_archive(track.name, level)


def load(*folders, level=Level.MIDDLE, context=32, slots=2, tracks=None):
    songs = EncodedSongs(*folders)
    tracks = songs.manifest.tracks if tracks is None else tracks
    ratio = 1 if level is Level.TOP else 4
    return SegmentSet.load(songs, tracks, level, vocabulary_of(tracks), context=context, ratio=ratio, slots=slots)


def draw(segments, count, dropout=0.0, seed=0):
    return segments.draw(count, Dropout(labels=dropout), np.random.default_rng(seed))


def track(**facts):
    return Track(path="x.wav", seconds=1.0, sample_rate=8_000, channels=1, **facts)


def test_the_vocabulary_is_every_name_in_alphabetical_order_after_unlabelled(codes):
    vocabulary = vocabulary_of(tracks_of(codes))
    assert vocabulary.artists == ("unlabelled", "Ada", "Björk B.")
    assert vocabulary.genres == ("unlabelled", "Ambient", "Jazz")


def test_names_that_differ_only_in_case_or_spaces_are_equal():
    tracks = [track(artist="ada", genres=("jazz ",)), track(artist=" Ada", genres=("Jazz", "")), track(artist="")]
    vocabulary = vocabulary_of(tracks)
    assert vocabulary.artists == ("unlabelled", "ada")
    assert vocabulary.genres == ("unlabelled", "jazz")


def test_a_song_tagged_unlabelled_is_unlabelled():
    assert vocabulary_of([track(artist="Unlabelled", genres=("UNLABELLED",))]).artists == ("unlabelled",)


def test_a_genre_tag_may_hold_several_genres():
    assert genres_of(track(genres=("Folk, World; & Country", "Folk", "Drum & Bass"))) == (
        "Folk",
        "World",
        "& Country",
        "Drum & Bass",
    )


def test_every_name_of_the_vocabulary_is_found():
    tracks = [
        track(artist="Ada, Bo", genres=("Folk, World", "Drum & Bass")),
        track(artist=" Cy ", genres=("Pop;Rock",)),
    ]
    vocabulary = vocabulary_of(tracks)
    for number, name in enumerate(vocabulary.artists):
        assert vocabulary.labels(name)[0] == number
    for number, name in enumerate(vocabulary.genres):
        assert vocabulary.labels(None, [name])[1] == (number,)


@pytest.mark.parametrize("level", [Level.BOTTOM, Level.MIDDLE])
def test_upper_codes_of_a_segment_are_those_of_the_same_span(codes, level):
    batch = draw(load(codes, level=level), 60)
    assert batch.codes.shape == (60, 32)
    assert batch.upper.shape == (60, 8)
    # A code is its frame % 64 at every level, so the frame above is known up to 16
    assert torch.equal(batch.upper % 16, (batch.codes[:, ::4] // 4) % 16)
    assert torch.all(batch.codes[:, 0] % 4 == 0)
    assert torch.all((batch.codes.diff(dim=1) - 1) % 64 == 0)


def test_segments_of_the_top_level_have_no_upper_codes(codes):
    batch = draw(load(codes, level=Level.TOP, context=8), 4)
    assert batch.upper is None
    assert batch.codes.dtype == torch.int64


def test_labels_of_a_segment_are_those_of_the_song_and_its_place_in_it(codes):
    batch = draw(load(codes, level=Level.TOP, context=8), 300)
    labels = batch.labels
    songs = {
        (artist, genres, length)
        for artist, genres, length in zip(
            labels.artist.tolist(), map(tuple, labels.genres.tolist()), labels.total_length.tolist(), strict=True
        )
    }
    assert songs == {(2, (2, 1), 24 * 256), (1, (2, -1), 9 * 256), (0, (0, -1), 13 * 256)}
    assert torch.equal(labels.offset, batch.codes[:, 0] * 256)
    assert torch.all(labels.sample_length == 8 * 256)
    assert torch.all(labels.offset + labels.sample_length <= labels.total_length)


def test_every_place_of_every_song_is_drawn(codes):
    batch = draw(load(codes, level=Level.TOP, context=8), 600)
    places = set(zip(batch.labels.total_length.tolist(), batch.labels.offset.tolist(), strict=True))
    expected = {(tops * 256, start * 256) for tops in (24, 9, 13) for start in range(tops - 8 + 1)}
    assert places == expected


def test_genres_beyond_the_models_slots_are_dropped(codes):
    labels = draw(load(codes, level=Level.TOP, context=8, slots=1), 100).labels
    assert set(map(tuple, labels.genres.tolist())) == {(2,), (0,)}


def test_label_dropout_removes_artist_and_genre_and_keeps_timing(codes):
    segments = load(codes, level=Level.TOP, context=8)
    labels = draw(segments, 50, dropout=1.0).labels
    assert not labels.artist.any()
    assert set(map(tuple, labels.genres.tolist())) == {(0, -1)}
    assert torch.equal(labels.offset, draw(segments, 50).labels.offset)

    half = draw(load(codes, level=Level.TOP, context=20), 1_000, dropout=0.5).labels  # one song is long enough
    assert float((half.artist == 0).double().mean()) == pytest.approx(0.5, abs=0.06)


def test_a_draw_depends_on_its_generator_only(codes):
    segments = load(codes)
    first, again, other = draw(segments, 9, 0.5), draw(segments, 9, 0.5), draw(segments, 9, 0.5, seed=1)
    assert torch.equal(first.codes, again.codes)
    assert torch.equal(first.labels.artist, again.labels.artist)
    assert not torch.equal(first.codes, other.codes)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_rows_of_all_ranks_make_up_the_whole_batch(codes, ranks):
    segments = load(codes)
    whole = draw(segments, 8, 0.5)
    for rank in range(ranks):
        rows = slice(rank * 8 // ranks, (rank + 1) * 8 // ranks)
        some = segments.draw(8, Dropout(labels=0.5), np.random.default_rng(0), rows)
        assert torch.equal(some.codes, whole.codes[rows])
        assert torch.equal(some.upper, whole.upper[rows])
        told = {field.name: getattr(whole.labels, field.name) for field in dataclasses.fields(whole.labels)}
        assert {name for name, values in told.items() if values is None} >= {"lyrics", "notes"}
        for name, values in told.items():
            own = getattr(some.labels, name)
            assert own is None if values is None else torch.equal(own, values[rows])


@pytest.mark.parametrize("count", [1, 3, 12, 30])
def test_validation_segments_are_spread_evenly_over_songs_and_their_length(codes, count):
    batches = load(codes, level=Level.TOP, context=8).spread(count)
    assert len(batches) == count
    lengths = [int(batch.labels.total_length) for batch in batches]
    for tops in (24, 9, 13):
        assert abs(lengths.count(tops * 256) - count / 3) <= 1
    if count == 30:
        starts = [int(batch.labels.offset) // 256 for batch in batches if batch.labels.total_length == 24 * 256]
        assert set(np.histogram(starts, bins=4, range=(0, 17))[0].tolist()) <= {2, 3}
        assert {tuple(batch.labels.genres[0].tolist()) for batch in batches} == {(2, 1), (2, -1), (0, -1)}


def test_validation_segments_reach_the_last_place_of_a_song():
    song = Song(np.arange(10, dtype=np.uint16), None, Conditioning(song_samples=10))
    batches = SegmentSet([song], context=8, ratio=1, hop=1, slots=1).spread(20)
    assert {int(batch.codes[0, 0]) for batch in batches} == {0, 1, 2}


def test_songs_shorter_than_the_context_are_left_out_and_refused_if_all_are(codes):
    assert len(load(codes, level=Level.TOP, context=10).songs) == 2
    with pytest.raises(BadManifest, match="none of 3 songs is as long as a context of 25 codes, the longest has 24"):
        load(codes, level=Level.TOP, context=25)


def test_a_song_ends_where_its_upper_codes_end(codes):
    first = tracks_of(codes)[0]
    path = own_archive(codes, first, Level.TOP)
    Codes.load(path).cut(20).save(path)
    segments = load(codes, tracks=[first])
    assert len(segments.songs[0].codes) == 80
    draw(segments, 50)


def of_another_codec(codes, track, level):
    path = own_archive(codes, track, level)
    dataclasses.replace(Codes.load(path), vqvae="0ther").save(path)


@pytest.mark.parametrize("level", [Level.MIDDLE, Level.TOP])
def test_songs_of_different_codecs_are_refused(codes, level):
    of_another_codec(codes, tracks_of(codes)[1], level)
    with pytest.raises(
        BadManifest, match=r"a/short.flac .* of another VQ-VAE than those of a/long.flac. Encode them again"
    ):
        load(codes)


def test_levels_may_be_encoded_by_different_codecs(codes):
    for track in tracks_of(codes):
        of_another_codec(codes, track, Level.TOP)
    assert len(load(codes).songs) == 3


def test_missing_or_damaged_codes_are_reported_with_the_command_that_makes_them(codes):
    path = own_archive(codes, tracks_of(codes)[2], Level.MIDDLE)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        BadManifest, match=r"no usable middle codes of b/plain.wav. Encode them with: jukectl data encode"
    ):
        load(codes)
    path.unlink()
    with pytest.raises(BadManifest, match=r"no usable middle codes of b/plain.wav"):
        load(codes)


def pack(codes, *tracks):
    for level in Level:
        CodeFolder(codes).pack([track.name for track in tracks], level)


@pytest.mark.parametrize(("level", "packed"), [(Level.TOP, 1), (Level.MIDDLE, 2), (Level.BOTTOM, 3)])
def test_songs_in_shards_are_drawn_like_those_in_archives(codes, level, packed):
    before = draw(load(codes, level=level, context=8), 50, 0.3)
    pack(codes, *tracks_of(codes)[:packed])
    after = draw(load(codes, level=level, context=8), 50, 0.3)
    assert torch.equal(after.codes, before.codes)
    assert after.upper is None or torch.equal(after.upper, before.upper)
    assert torch.equal(after.labels.artist, before.labels.artist)


def test_songs_may_be_in_several_folders(codes, tmp_path):
    tracks = tracks_of(codes)
    other = tmp_path / "other"
    (other / tracks[2].name).parent.mkdir(parents=True)
    (codes / tracks[2].name).rename(other / tracks[2].name)
    Manifest(codes, tracks[:2]).save(codes / "manifest.jsonl")
    Manifest(other, tracks[1:]).save(other / "manifest.jsonl")  # the second song is taken from the first folder
    together = EncodedSongs(codes, other)
    assert together.manifest.tracks == tracks
    assert together.find(tracks[1], Level.TOP).archive.path.is_relative_to(codes)
    assert together.find(tracks[2], Level.TOP).archive.path.is_relative_to(other)
    assert len(load(codes, other).songs) == 3
