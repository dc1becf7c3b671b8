"""`jukectl eval midi`: the samples, their transcriptions and the comparisons."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput
from jukectl.evaluation import notes_followed
from jukectl.evaluation.notes_followed import evaluate_midi
from jukectl.midi.notes import Notes, write_midi
from jukectl.plan.request import Request

UP = [(0.1 * step, 0.1 * step + 0.08, 60 + step, 90, False) for step in range(4)]
DOWN = [(0.1 * step, 0.1 * step + 0.08, 75 - step, 90, False) for step in range(4)]
DRUMS = [(0.05, 0.1, 36, 90, True)]
SECONDS = 0.64


@pytest.fixture
def tunes(tmp_path):
    """Two MIDI files with drums."""
    for name, rows in (("up", UP), ("down", DOWN)):
        write_midi(tmp_path / f"{name}.mid", Notes.of([*rows, *DRUMS, (5.0, 5.5, 60, 90, False)]))
    return [tmp_path / "up.mid", tmp_path / "down.mid"]


def fake_transcriber(*found):
    """Return a transcriber that finds these notes, one after another, and the list of samples it is called with."""
    rest, given = list(found), []

    def transcriber(samples):
        given.append(samples)
        return Notes.of(rest.pop(0))

    return transcriber, given


def request(**changes):
    return Request(**{"seconds": SECONDS, "seed": 0, "levels": (Level.TOP,), **changes})


def test_each_tune_is_sampled_with_and_without_its_notes_and_compared_with_all(playing_model, tunes, tmp_path):
    transcriber, given_sound = fake_transcriber(DOWN, UP, UP[:2], [*DOWN, (0.6, 0.7, 20, 80, False)])
    facts = evaluate_midi(str(playing_model), tunes, request(), out=tmp_path / "out", transcriber=transcriber)
    free, notes = facts["rows"]
    assert (free["what"], free["own"], free["others"], free["notes"]) == ("free", 0.0, 1.0, 4.0)
    assert (notes["what"], notes["guidance"], notes["others"]) == ("notes", 1.0, 0.0)
    assert notes["songs"][0] == {"name": "up", "own": pytest.approx(2 * 2 / 6, abs=1e-4), "others": 0.0, "notes": 2}
    assert notes["songs"][1]["own"] == pytest.approx(2 * 4 / 9, abs=1e-4)
    assert notes["own"] == pytest.approx((4 / 6 + 8 / 9) / 2, abs=1e-4)
    recipes = {
        path.parent.parent.name + "/" + path.parent.name: Song(path.parent).recipe()
        for path in (tmp_path / "out").rglob("song.toml")
    }
    assert sorted(recipes) == ["free/down", "free/up", "notes-1/down", "notes-1/up"]
    assert [recipes[name].midi is not None for name in sorted(recipes)] == [False, False, True, True]
    assert all(recipe.song_seconds == pytest.approx(5.5, abs=0.01) for recipe in recipes.values())
    assert all(abs(len(samples) - SECONDS * 22_050) < 22_050 * 0.033 for samples in given_sound)
    assert len({samples.tobytes() for samples in given_sound[1:3]}) == 2
    transcriber, again = fake_transcriber([], [], [], [])
    evaluate_midi(str(playing_model), tunes, request(), out=tmp_path / "out", transcriber=transcriber)
    assert all(np.array_equal(one, other) for one, other in zip(again, given_sound, strict=True))


def test_recordings_beside_the_files_are_the_ceiling_and_give_the_style(playing_model, riff, tunes, tmp_path):
    for tune in tunes:
        samples, rate = soundfile.read(riff)
        soundfile.write(tune.with_suffix(".flac"), samples, rate)
        tune.with_suffix(".toml").write_text('artist = "Ada"\ngenres = ["Jazz"]\n')
    transcriber, _ = fake_transcriber(*[UP, DOWN] * 5)
    settings = {"temperature": {Level.TOP: 0.5}}
    facts = evaluate_midi(
        str(playing_model),
        tunes,
        request(settings=settings),
        guidance=[1.0, 2.0],
        out=tmp_path / "out",
        transcriber=transcriber,
    )
    assert [(row["what"], row["guidance"]) for row in facts["rows"]] == [
        ("recording", None), ("codec", None), ("free", None), ("notes", 1.0), ("notes", 2.0),
    ]  # fmt: skip
    assert [row["own"] for row in facts["rows"]] == [1.0] * 5
    recipe = Song(tmp_path / "out/notes-2/up").recipe()
    assert (recipe.labels.artist, recipe.labels.genres) == ("Ada", ("Jazz",))
    assert (recipe.sampling[Level.TOP].guidance, recipe.sampling[Level.TOP].temperature) == (2.0, 0.5)
    assert Song(tmp_path / "out/codec/up").codes(Level.TOP).done == 20  # 0.64 s of it


def test_one_tune_in_one_or_two_files_is_compared_with_no_others(playing_model, tunes):
    transcriber, _ = fake_transcriber(UP, UP)
    (free, notes) = evaluate_midi(str(playing_model), tunes[:1], request(), transcriber=transcriber)["rows"]
    assert (notes["own"], notes["others"], free["others"]) == (1.0, None, None)
    shutil.copy(tunes[0], tunes[0].with_name("up again.mid"))
    transcriber, _ = fake_transcriber(*[UP] * 4)
    rows = evaluate_midi(
        str(playing_model), [tunes[0], tunes[0].with_name("up again.mid")], request(), transcriber=transcriber
    )["rows"]
    assert rows[1]["others"] is None


def test_eval_midi_prints_a_row_for_each_guidance(playing_model, tunes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notes_followed, "transcribe", lambda samples: Notes.of(UP))
    monkeypatch.setattr(notes_followed, "check_installed", lambda: None)
    command = [
        "eval",
        "midi",
        str(playing_model),
        *map(str, tunes),
        "--seconds",
        "0.64",
        "--guidance",
        "1",
        "--guidance",
        "3",
    ]
    assert main(["--quiet", *command, "--out", str(tmp_path / "out")]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in last.strip("|").split("|")] == [
        "made with notes, guidance 3", "0.500", "0.500", "4",
    ]  # fmt: skip
    assert main(["--quiet", "--json", *command, "--out", str(tmp_path / "out")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["seconds"], len(facts["rows"])) == ("player", 0.64, 3)


def test_bad_input_is_refused_before_anything_is_sampled(tiny_model, playing_model, tunes, riff, tmp_path):
    transcriber, _ = fake_transcriber()
    out = tmp_path / "out"
    with pytest.raises(BadInput, match="tiny has no MIDI conditioner"):
        evaluate_midi(str(tiny_model), tunes, request(), out=out, transcriber=transcriber)
    with pytest.raises(BadInput, match="is no MIDI file by its name"):
        evaluate_midi(str(playing_model), [riff], request(), out=out, transcriber=transcriber)
    with pytest.raises(BadInput, match="the same name"):
        evaluate_midi(str(playing_model), [tunes[0], tunes[0]], request(), out=out, transcriber=transcriber)
    write_midi(tmp_path / "drums.mid", Notes.of(DRUMS))
    with pytest.raises(BadInput, match="but drums, which are not transcribed"):
        evaluate_midi(str(playing_model), [tmp_path / "drums.mid"], request(), out=out, transcriber=transcriber)
    assert not out.exists()
