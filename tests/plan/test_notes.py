"""Songs that follow notes: kept in the folder, resumed from it, told from where they begin to where they end."""

import shutil
import tomllib

import numpy as np
import pytest

from jukectl.api import Request, branch, continue_, cut, estimate_sample, pick, resume, sample
from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.codes import recipe_toml
from jukectl.codes.level import Level
from jukectl.codes.recipe import Score
from jukectl.codes.song import Song
from jukectl.data.manifest import Manifest, Track
from jukectl.data.transcribe import transcribe_songs
from jukectl.errors import BadInput, NotASong, RecipeDiffers
from jukectl.midi.notes import Notes, read_midi, write_midi
from jukectl.plan import notes as plan_notes
from jukectl.plan.notes import notes_of

CODE = 0.032  # seconds of a top code
TUNE = Notes.of([(0.1, 0.4, 60, 90, False), (0.3, 0.7, 64, 90, False), (0.2, 0.25, 38, 90, True)])


@pytest.fixture
def tune(tmp_path):
    write_midi(tmp_path / "tune.mid", TUNE)
    return tmp_path / "tune.mid"


@pytest.fixture
def ask(playing_model, tune):
    def make(**changes):
        values = {"model": str(playing_model), "seconds": 20 * CODE, "seed": 3, "levels": (Level.TOP,), "midi": tune}
        return Request(**{**values, **changes})

    return make


def codes(path):
    return Song(path).codes(Level.TOP).array


def made(path, request):
    sample(path, request)
    return codes(path)


def test_notes_make_another_song_and_are_kept_with_it(ask, tune, tmp_path):
    with_notes, without = made(tmp_path / "a", ask()), made(tmp_path / "b", ask(midi=None))
    assert not np.array_equal(with_notes, without)
    assert (tmp_path / "a" / "notes.mid").read_bytes() == tune.read_bytes()
    assert not (tmp_path / "b" / "notes.mid").exists()


def test_a_recipe_without_notes_says_nothing_of_them(ask, tmp_path):
    sample(tmp_path / "a", ask(midi=None))
    assert "midi" not in tomllib.loads((tmp_path / "a" / "song.toml").read_text())


def test_a_song_is_rendered_again_from_its_folder_alone(ask, tune, tmp_path):
    song = tmp_path / "song"
    first = made(song, ask())
    tune.unlink()
    Song(song).codes_path(Level.TOP).unlink()
    resume(song)
    assert np.array_equal(codes(song), first)


def test_notes_that_are_lost_are_taken_from_their_source_and_changed_ones_refused(ask, tune, tmp_path):
    song = Song(tmp_path / "song")
    first = made(song.path, ask())
    song.codes_path(Level.TOP).unlink()
    song.notes_path.unlink()
    resume(song.path)
    assert np.array_equal(codes(song.path), first)
    song.codes_path(Level.TOP).unlink()
    write_midi(song.notes_path, TUNE.moved(0.1))
    with pytest.raises(RecipeDiffers, match=r"notes\.mid was changed"):
        resume(song.path)
    song.notes_path.unlink()
    tune.unlink()
    with pytest.raises(NotASong, match=r"has lost notes\.mid"):
        resume(song.path)


def test_other_notes_or_another_place_for_them_are_another_song(ask, tmp_path):
    sample(tmp_path / "song", ask())
    write_midi(tmp_path / "other.mid", TUNE.moved(0.1))
    with pytest.raises(RecipeDiffers, match=r"midi\.sha256"):
        sample(tmp_path / "song", ask(midi=tmp_path / "other.mid"))
    with pytest.raises(RecipeDiffers, match=r"midi\.start: 0\.0 here, 0\.1 asked"):
        sample(tmp_path / "song", ask(midi_at=0.1))
    with pytest.raises(RecipeDiffers, match="midi"):
        sample(tmp_path / "song", ask(midi=None))


def test_the_same_notes_from_elsewhere_are_the_same_song(ask, tune, tmp_path):
    sample(tmp_path / "song", ask())
    moved = tune.rename(tmp_path / "moved.mid")
    assert not sample(tmp_path / "song", ask(midi=moved)).new


def test_a_song_is_as_long_as_its_notes_where_that_is_asked_for(ask, tmp_path):
    sample(tmp_path / "song", ask(seconds=None, midi_at=0.1))
    assert codes(tmp_path / "song").shape == (1, int(0.8 / CODE))
    with pytest.raises(BadInput, match="leaves nothing"):
        sample(tmp_path / "none", ask(seconds=None, midi_at=-1.0))


def test_notes_begin_where_the_new_music_does(ask, riff, tmp_path):
    song = Song(tmp_path / "song")
    continue_(riff, song.path, ask(midi_at=0.5), prompt_seconds=1.0)
    recipe = song.recipe()
    told = notes_of(song, recipe)
    heard = recipe.prompt.samples / 8_000
    assert heard == pytest.approx(31 * CODE)
    assert recipe.midi.start == pytest.approx(heard + 0.5)
    assert told.begin == pytest.approx(heard + 0.5)
    assert told.notes.starts == pytest.approx(TUNE.starts + heard + 0.5, abs=1e-3)
    assert told.end == pytest.approx(0.7 + heard + 0.5, abs=1e-3)


def test_songs_made_from_a_song_keep_its_notes(ask, tmp_path):
    """A sample picked, a branch at its first code, and a cut, with no MIDI file but those in the folders."""
    song = tmp_path / "song"
    sample(song, ask(samples=2))
    pick(song, 1, tmp_path / "picked")
    cut(song, 5 * CODE, tmp_path / "cut")
    branch(song, 5 * CODE, tmp_path / "branch", Request(samples=1, seed=9))
    for name in ("picked", "cut", "branch"):
        other = Song(tmp_path / name)
        assert other.recipe().midi == Song(song).recipe().midi
        assert other.notes_path.read_bytes() == Song(song).notes_path.read_bytes()


def test_a_model_without_a_conditioner_says_so_and_begins_nothing(ask, tiny_model, tmp_path):
    for make in (sample, estimate_sample):
        with pytest.raises(BadInput, match="tiny has no MIDI conditioner: leave --midi out"):
            make(tmp_path / "song", ask(model=str(tiny_model)))
    assert not (tmp_path / "song").exists()


def test_an_estimate_reads_the_notes_and_writes_nothing(ask, tmp_path):
    estimate = estimate_sample(tmp_path / "song", ask(seconds=None))
    assert estimate.levels[Level.TOP].codes == int(0.7 / CODE)
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize("text", [b"", b"MThd, more or less"])
def test_an_invalid_midi_file_is_refused_before_anything_is_written(ask, tmp_path, text):
    (tmp_path / "bad.mid").write_bytes(text)
    with pytest.raises(BadInput, match="not a MIDI file"):
        sample(tmp_path / "song", ask(midi=tmp_path / "bad.mid"))
    assert not (tmp_path / "song").exists()


def test_a_recipe_with_notes_comes_back_from_its_text(ask, tmp_path):
    sample(tmp_path / "song", ask())
    recipe = Song(tmp_path / "song").recipe()
    assert recipe_toml.loads(recipe_toml.dumps(recipe), "x") == recipe
    with pytest.raises(BadInput, match=r"midi\.start"):
        Score(source="x", sha256="y", start=float("nan"))


def test_a_model_of_an_older_card_follows_no_notes(tiny_model):
    assert catalogue.find(str(tiny_model)).card.priors[Level.TOP].midi is None


# Recordings in place of MIDI files


@pytest.fixture
def hears(monkeypatch):
    """Every recording is heard as the same tune; those of the calls are kept."""
    calls = []

    def transcribe(samples):
        calls.append(samples)
        return TUNE if np.abs(samples).max() > 0.01 else Notes.of([])

    monkeypatch.setattr(plan_notes, "transcribe", transcribe)
    for place in ("plan.notes", "data.transcribe"):
        monkeypatch.setattr(f"jukectl.{place}.check_installed", lambda: None)
    return calls


def test_a_recording_is_transcribed_and_its_notes_are_followed(ask, hears, riff, tmp_path):
    sample(tmp_path / "hummed", ask(midi=riff))
    assert len(hears) == 1 and hears[0].shape == (2 * 22_050,)
    assert np.array_equal(codes(tmp_path / "hummed"), made(tmp_path / "played", ask()))
    kept = read_midi(tmp_path / "hummed" / "notes.mid")
    assert kept.pitches.tolist() == TUNE.pitches.tolist()


def test_a_recording_without_notes_is_reported(ask, hears, tmp_path):
    io.save(tmp_path / "still.wav", np.zeros(8_000, np.float32), 8_000)
    with pytest.raises(BadInput, match=r"no notes are found in .*still\.wav"):
        sample(tmp_path / "song", ask(midi=tmp_path / "still.wav"))


def test_songs_without_notes_are_transcribed(hears, riff, tune, tmp_path):
    music = tmp_path / "music"
    (music / "a").mkdir(parents=True)
    for name in ("a/one.wav", "two.wav"):
        shutil.copy(riff, music / name)
    io.save(music / "still.wav", np.zeros(8_000, np.float32), 8_000)
    shutil.copy(tune, music / "two.mid")
    tracks = [Track(path=name, seconds=2.0, sample_rate=8_000, channels=2) for name in ("a/one.wav", "two.wav")]
    Manifest(music, tuple(tracks)).save(music / "manifest.jsonl")
    result = transcribe_songs(music)
    assert result.written == (music / "a/one.mid",)
    assert (result.there, len(result.skipped)) == (1, 1)
    again = transcribe_songs(music / "manifest.jsonl")
    assert (again.written, again.there) == ((), 2)
    assert [track.midi for track in Manifest.load(music / "manifest.jsonl").tracks] == ["a/one.mid", "two.mid"]
