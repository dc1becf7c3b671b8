"""Scans of music folders to manifests."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from jukectl.audio import io
from jukectl.data import scan as scanning
from jukectl.data.duplicates import fingerprint_of
from jukectl.data.manifest import Manifest, Track, side_of, song_key
from jukectl.data.scan import scan
from jukectl.errors import BadInput, BadManifest, MissingTool
from jukectl.progress import ignore

RATE = 8_000


def tone(seconds=0.5, gain=0.3):
    return (gain * np.sin(np.arange(round(seconds * RATE)) / 5)).astype(np.float32)


def melody(tune, seconds=9.0, instrument=0, rate=16_000):
    """Notes of three voices with overtones (n,): `tune` says which, `instrument` how they sound."""
    notes, sound = np.random.default_rng(tune), np.random.default_rng((99, instrument))
    overtones = sound.uniform(0.2, 1, 10) / np.arange(1, 11) ** sound.uniform(0, 1.5)
    decay = sound.uniform(1, 8)
    samples = np.zeros(round(seconds * rate))
    for voice in range(3):
        start = 0
        while start < len(samples):
            time = np.arange(round(notes.choice([0.2, 0.3, 0.5]) * rate)) / rate
            pitch = 110 * 2 ** ((notes.choice([0, 2, 3, 5, 7, 8, 10]) + 12 * voice) / 12)
            note = sum(one * np.sin(2 * np.pi * pitch * (n + 1) * time) for n, one in enumerate(overtones))
            room = len(samples) - start
            samples[start : start + len(time)] += (note * np.exp(-decay * time))[:room]
            start += len(time)
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def write(path, tags=None, samples=None):
    """A music file with tags."""
    import mutagen

    path.parent.mkdir(parents=True, exist_ok=True)
    io.save(path, tone() if samples is None else samples, RATE)
    if tags:
        file = mutagen.File(path, easy=True)
        if file.tags is None:
            file.add_tags()
        file.update(tags)
        file.save()
    return path


def track(path, **facts):
    return Track(**({"path": path, "seconds": 1.0, "sample_rate": RATE, "channels": 1} | facts))


@pytest.fixture
def music(tmp_path):
    """A folder as people have them."""
    folder = tmp_path / "music"
    tags = {"artist": ["Björk B."], "title": ["Já"], "genre": ["Jazz", "Ambient"], "license": ["CC0-1.0"]}
    write(folder / "a" / "one.flac", tags)
    write(folder / "a" / "two.mp3", {"artist": ["Ada"], "genre": ["Jazz"], "copyright": ["(c) Ada"]})
    write(folder / "b" / "three.ogg", {"title": ["  Three "]}, samples=np.stack([tone(1.0), tone(1.0)]))
    write(folder / "b" / "untagged.WAV".lower())
    write(folder / "silent.wav", samples=0 * tone())
    broken = tone()
    broken[2_000:] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, subtype="FLOAT")
    (folder / "corrupt.flac").write_bytes(b"fLaC" + bytes(100))
    (folder / "empty.mp3").touch()
    (folder / "notes.txt").write_text("not music")
    (folder / "._one.flac").write_bytes(b"litter of another system")
    (folder / "folder.flac").mkdir()
    return folder


def test_a_scan_lists_every_song_with_its_tags_in_the_order_of_paths(music):
    manifest = scan(music, music / "manifest.jsonl", ignore).manifest
    assert [one.path for one in manifest.tracks] == [
        "a/one.flac",
        "a/two.mp3",
        "b/three.ogg",
        "b/untagged.wav",
    ]
    one, two, three, untagged = manifest.tracks
    assert replace(one, split="") == track(
        "a/one.flac", seconds=0.5, artist="Björk B.", title="Já", genres=("Jazz", "Ambient"), licence="CC0-1.0"
    )
    assert (two.artist, two.title, two.genres, two.licence) == ("Ada", "two", ("Jazz",), "(c) Ada")
    assert (three.title, three.channels, three.seconds, three.artist) == ("Three", 2, 1.0, "")
    assert (untagged.title, untagged.genres) == ("untagged", ())


def test_a_scan_reports_skipped_files_with_the_reason(music):
    skipped = scan(music, music / "manifest.jsonl", ignore).skipped
    assert [line for line in skipped if "corrupt.flac" in line]
    assert [line for line in skipped if "empty.mp3" in line and "empty" in line]
    assert [line for line in skipped if "silent.wav is silent" in line]
    assert [line for line in skipped if "nan.wav is damaged" in line and "0.250 seconds" in line]
    assert len(skipped) == 4


def test_a_scan_warns_of_a_file_that_is_cut_short(tmp_path):
    write(tmp_path / "song.wav")
    (tmp_path / "song.wav").write_bytes((tmp_path / "song.wav").read_bytes()[: 44 + RATE // 2])
    found = scan(tmp_path, tmp_path / "manifest.jsonl", ignore)
    assert [line for line in found.warnings if "song.wav is cut short after 0.2 seconds" in line]
    assert found.manifest.tracks[0].seconds == 0.25


def test_a_file_that_lacks_a_tool_is_skipped_too(music, monkeypatch):
    def info(path):
        if path.name == "two.mp3":
            raise MissingTool("two.mp3 needs ffmpeg")
        return genuine(path)

    genuine = io.info
    monkeypatch.setattr(io, "info", info)
    found = scan(music, music / "manifest.jsonl", ignore)
    assert len(found.manifest.tracks) == 3
    assert "two.mp3 needs ffmpeg" in found.skipped


def test_the_progress_of_a_scan_is_in_megabytes(tmp_path):
    for number in range(3):
        noise = np.random.default_rng(number).normal(scale=0.1, size=1_120_000)
        soundfile.write(tmp_path / f"{number}.wav", noise, 44_100)  # 2.24 MB each
    events = []
    scan(tmp_path, tmp_path / "manifest.jsonl", events.append)
    assert [(one.done, one.total, one.note) for one in events] == [
        (0, 6, "0.wav"),
        (2, 6, "1.wav"),
        (4, 6, "2.wav"),
        (6, 6, ""),
    ]


def test_paths_are_relative_to_the_manifest(music, tmp_path):
    place = tmp_path / "lists" / "deep"
    place.mkdir(parents=True)
    manifest = scan(music, place / "manifest.jsonl", ignore).manifest
    assert manifest.tracks[0].path == "../../music/a/one.flac"
    assert all((manifest.folder / one.path).is_file() for one in manifest.tracks)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_a_song_keeps_its_name_and_a_link_to_a_folder_is_followed(music, tmp_path):
    (music / "linked.flac").symlink_to(music / "a" / "one.flac")
    (tmp_path / "elsewhere").symlink_to(music)
    manifest = scan(tmp_path / "elsewhere", music / "manifest.jsonl", ignore).manifest
    assert "linked.flac" in [one.path for one in manifest.tracks]
    assert all((music / one.path).is_file() for one in manifest.tracks)


def test_a_folder_without_music_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadManifest, match="no music under"):
        scan(tmp_path, tmp_path / "manifest.jsonl", ignore)
    with pytest.raises(BadManifest, match="is not a folder"):
        scan(tmp_path / "notes.txt", tmp_path / "manifest.jsonl", ignore)
    (tmp_path / "bad.flac").write_bytes(b"no")
    with pytest.raises(BadManifest, match="none of the 1 files"):
        scan(tmp_path, tmp_path / "manifest.jsonl", ignore)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_name_need_not_be_utf8(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    (write(tmp_path / "x.wav")).rename(music / os.fsdecode(b"caf\xe9.wav"))
    manifest = scan(music, music / "m.jsonl", ignore).manifest
    manifest.save(music / "m.jsonl")
    (again,) = Manifest.load(music / "m.jsonl").tracks
    assert io.load(music / again.path).seconds == 0.5


def test_the_held_out_share_must_be_between_0_and_1(music):
    with pytest.raises(BadInput, match=r"must be in \[0, 1\), got 1"):
        scan(music, music / "manifest.jsonl", ignore, held_out_share=1)


# Sidecars


def test_timed_lyrics_beside_a_song_take_precedence(music):
    (music / "a" / "one.txt").write_text("la la")
    (music / "a" / "two.txt").write_text("la la")
    (music / "a" / "two.lrc").write_text("[00:01.00] la la")
    found = {track.path: track.lyrics for track in scan(music, music / "manifest.jsonl", ignore).manifest.tracks}
    assert found == {"a/one.flac": "a/one.txt", "a/two.mp3": "a/two.lrc", "b/three.ogg": "", "b/untagged.wav": ""}


def test_a_toml_beside_a_song_overrides_its_tags_or_leaves_it_out(music):
    (music / "a" / "one.toml").write_text('artist = "Ada"\ngenres = ["Folk"]\n')
    (music / "a" / "two.toml").write_text("skip = true\n")
    found = scan(music, music / "manifest.jsonl", ignore)
    one = found.manifest.tracks[0]
    assert (one.artist, one.genres, one.title, one.licence) == ("Ada", ("Folk",), "Já", "CC0-1.0")
    assert "a/two.mp3" not in [track.path for track in found.manifest.tracks]
    assert [line for line in found.skipped if "two.mp3: skip is set in two.toml" in line]


def test_invalid_keys_of_a_sidecar_are_reported_and_others_applied(music):
    (music / "a" / "one.toml").write_text('artist = "Ada"\ngenres = "Folk"\nyear = 1999\n')
    (music / "a" / "two.toml").write_text("artist =\n")
    found = scan(music, music / "manifest.jsonl", ignore)
    assert found.manifest.tracks[0].artist == "Ada"
    assert found.manifest.tracks[0].genres == ("Jazz", "Ambient")
    assert len(found.warnings) == 3
    assert [one for one in found.warnings if "one.toml: genres must be a list" in one]
    assert [one for one in found.warnings if "one.toml: year is not known" in one]
    assert [one for one in found.warnings if "two.toml is not TOML" in one]


# Scanning again


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded."""
    names = []
    genuine = fingerprint_of
    monkeypatch.setattr(scanning, "fingerprint_of", lambda path: names.append(path.name) or genuine(path))
    return names


def test_unchanged_files_are_not_decoded_again(music, decoded):
    first = scan(music, music / "manifest.jsonl", ignore)
    assert {"one.flac", "two.mp3", "three.ogg", "untagged.wav"} < set(decoded)
    decoded.clear()
    write(music / "b" / "new.wav", samples=tone(0.7))
    write(music / "b" / "untagged.wav", samples=tone(0.9))
    again = scan(music, music / "manifest.jsonl", ignore).manifest.tracks
    assert {name for name in decoded if "." in name} - {"corrupt.flac", "empty.mp3", "silent.wav", "nan.wav"} == {
        "new.wav",
        "untagged.wav",
    }
    assert set(first.manifest.tracks[:3]) < set(again)
    assert again[-1].seconds == 0.9


def test_an_interrupted_scan_resumes(music, decoded, monkeypatch):
    def stop(progress):
        if progress.note == "three.ogg":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(music, music / "manifest.jsonl", stop)
    decoded.clear()
    scan(music, music / "manifest.jsonl", ignore)
    assert "three.ogg" in decoded
    assert "one.flac" not in decoded


def test_fingerprints_of_removed_files_are_dropped_and_damaged_ones_computed_again(music, decoded):
    scan(music, music / "manifest.jsonl", ignore)
    cache = music / ".manifest-heard"
    assert len(list(cache.iterdir())) == 4
    for kept in cache.iterdir():
        kept.write_bytes(kept.read_bytes()[:50])
    (music / "a" / "one.flac").unlink()
    decoded.clear()
    scan(music, music / "manifest.jsonl", ignore)
    assert "two.mp3" in decoded
    assert len(list(cache.iterdir())) == 3


# Copies

ENCODINGS = {
    "128k.mp3": ["-b:a", "128k"],
    "loud.flac": ["-af", "volume=5dB"],
    "soft.wav": ["-af", "volume=-20dB"],
    "mono.ogg": ["-ac", "1", "-q:a", "2"],
    "44k.flac": ["-ar", "44100"],
    "8k.wav": ["-ar", "8000"],
    "cut.flac": ["-ss", "2.3"],
    "late.mp3": ["-af", "adelay=1200|1200", "-b:a", "64k"],
}
TUNES = 3


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Tunes, each as it was recorded, in eight encodings, and played by three other instruments."""
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg")
    folder = tmp_path_factory.mktemp("library")
    for tune in range(TUNES):
        left = melody(tune, seconds=12)
        soundfile.write(folder / f"{tune} original.flac", np.stack([left, 0.7 * np.roll(left, 40)], axis=1), 16_000)
        outputs = [one for name, how in ENCODINGS.items() for one in (*how, folder / f"{tune} copy {name}")]
        subprocess.run(["ffmpeg", "-v", "error", "-i", folder / f"{tune} original.flac", *outputs], check=True)
        for instrument in (1, 2, 3):
            soundfile.write(folder / f"{tune} played {instrument}.flac", melody(tune, 12, instrument), 16_000)
    return folder


def test_all_copies_of_a_recording_are_found_and_other_renderings_are_not(library):
    found = scan(library, library / "manifest.jsonl", ignore)
    expected = {f"{tune} copy {name}" for tune in range(TUNES) for name in ENCODINGS} - {
        f"{tune} copy 44k.flac" for tune in range(TUNES)
    }
    originals = {f"{tune} original.flac" for tune in range(TUNES)}
    pairs = [line.split(" is a copy of ") for line in found.copies]
    assert all(copy[0] == best[0] for copy, best in pairs)  # precision: of the same tune
    assert {copy for copy, _ in pairs} == expected | originals  # recall: all but the best, the one of the highest rate
    assert {best for _, best in pairs} == {f"{tune} copy 44k.flac" for tune in range(TUNES)}
    kept = {track.path for track in found.manifest.tracks}
    assert kept == {best for _, best in pairs} | {f"{tune} played {n}.flac" for tune in range(TUNES) for n in (1, 2, 3)}


def test_duplicates_can_be_kept_and_are_on_one_side_of_the_split(library):
    for share in (0.3, 0.6):
        found = scan(library, library / "manifest.jsonl", ignore, keep_duplicates=True, held_out_share=share)
        assert len(found.manifest.tracks) == TUNES * (1 + len(ENCODINGS) + 3)
        sides = {}
        for track in found.manifest.tracks:
            if "played" not in track.path:
                sides.setdefault(track.path[0], set()).add(track.split)
        assert all(len(side) == 1 for side in sides.values())


def test_the_whole_song_is_kept_rather_than_a_better_excerpt(tmp_path):
    whole = melody(1, seconds=20)
    io.save(tmp_path / "whole.ogg", whole, 16_000)
    io.save(tmp_path / "piece.flac", whole[: 12 * 16_000], 16_000)
    found = scan(tmp_path, tmp_path / "manifest.jsonl", ignore)
    assert found.copies == ("piece.flac is a copy of whole.ogg",)


def test_short_sounds_are_not_compared(tmp_path):
    for name in ("a.wav", "b.wav"):
        io.save(tmp_path / name, melody(1, seconds=3), 16_000)
    assert scan(tmp_path, tmp_path / "manifest.jsonl", ignore).copies == ()


# The split

names = st.text("abcé ÀB(1)", min_size=1, max_size=6)
tracks = st.builds(
    lambda path, artist, title: Track(path=path, seconds=1.0, sample_rate=1, channels=1, artist=artist, title=title),
    path=st.text("ab/1", min_size=1, max_size=5),
    artist=st.just("") | names,
    title=names,
)


@given(some=st.lists(tracks, max_size=8), more=st.lists(tracks, max_size=8), share=st.floats(0, 0.99))
def test_new_songs_do_not_change_the_split_of_others(some, more, share):
    def sides(songs):
        return {track: side_of(song_key(track), share) for track in songs}

    assert sides(some).items() <= sides(some + more).items()


@given(song=tracks, share=st.floats(0, 0.99), larger=st.floats(0, 0.99))
def test_a_larger_held_out_share_includes_the_smaller(song, share, larger):
    key = song_key(song)
    if side_of(key, min(share, larger)) == "validation":
        assert side_of(key, max(share, larger)) == "validation"


def test_about_the_requested_share_is_held_out():
    sides = [side_of(f"song {number}", 0.1) for number in range(5_000)]
    assert sides.count("validation") / 5_000 == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("Ada", "Song"), ("ADA ", "song (live)"), True),
        (("Björk", "Já [2009 Remaster]"), ("Bjork", "Ja"), True),
        (("Ada feat. Bo", "Song"), ("Ada", "Song"), True),
        (("Ada", "Song"), ("Bo", "Song"), False),
        (("Ada", "Song 1"), ("Ada", "Song 2"), False),
        (("Ada", "(Intro)"), ("Ada", "(Outro)"), False),
        (("Ada", "歌"), ("Ada", "曲"), False),
        (("Ada", "!!!"), ("Ada", "???"), False),
    ],
)
def test_versions_of_a_song_have_one_key(one, other, same):
    first, second = (song_key(track("x.flac", artist=artist, title=title)) for artist, title in (one, other))
    assert (first == second) == same


def test_a_song_without_artist_is_grouped_by_folder_and_name():
    keys = [song_key(track(path, title=path[2:-5])) for path in ("a/E1.flac", "a/E1 (piano).flac", "b/E1.flac")]
    assert keys[0] == keys[1] != keys[2]


def test_a_sidecar_can_group_two_songs(tmp_path):
    for number in range(8):
        io.save(tmp_path / f"{number}.wav", melody(number, 6), 16_000)
        (tmp_path / f"{number}.toml").write_text('song = "the same"\n')
    found = scan(tmp_path, tmp_path / "manifest.jsonl", ignore, held_out_share=0.5).manifest.tracks
    assert len({track.split for track in found}) == 1


def test_adding_files_to_a_folder_does_not_change_the_split(tmp_path):
    def scanned():
        return {
            one.path: one.split
            for one in scan(tmp_path, tmp_path / "m.jsonl", ignore, held_out_share=0.5).manifest.tracks
        }

    for number in range(6):
        io.save(tmp_path / f"{number}.wav", tone(0.3, 0.05 + number / 20), RATE)
    before = scanned()
    for number in range(6, 12):
        io.save(tmp_path / f"{number}.wav", tone(0.3, 0.05 + number / 20), RATE)
    assert before.items() <= scanned().items()
    assert set(before.values()) == {"train", "validation"}
