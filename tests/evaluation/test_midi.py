"""`jukectl eval midi`: note F1 as mir_eval has it, and what is sampled, heard and compared."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.errors import BadInput
from jukectl.evaluation import notes_followed as evaluating
from jukectl.evaluation.notes_followed import evaluate_midi, note_f1
from jukectl.midi.notes import Notes, write_midi
from jukectl.plan.request import Request

UP = [(0.1 * step, 0.1 * step + 0.08, 60 + step, 90, False) for step in range(4)]
DOWN = [(0.1 * step, 0.1 * step + 0.08, 75 - step, 90, False) for step in range(4)]
DRUMS = [(0.05, 0.1, 36, 90, True)]
SECONDS = 0.64

some_notes = st.lists(
    st.tuples(st.integers(0, 60), st.integers(60, 62)).map(
        lambda one: (one[0] / 40, one[0] / 40 + 0.1, one[1], 80, False)
    ),
    max_size=20,
)


# The measure


@given(some_notes, some_notes)
def test_note_f1_is_the_share_of_the_most_pairs(written, heard):
    """Against mir_eval where it is installed, and against all ways to pair."""
    ours = note_f1(Notes.of(written), Notes.of(heard))
    near = [[j for j, b in enumerate(heard) if a[2] == b[2] and abs(a[0] - b[0]) < 0.0501] for a in written]
    taken: dict[int, int] = {}

    def pair(one: int, tried: set[int]) -> bool:
        for other in near[one]:
            if other not in tried:
                tried.add(other)
                if other not in taken or pair(taken[other], tried):
                    taken[other] = one
                    return True
        return False

    hits = sum(pair(one, set()) for one in range(len(written)))
    both = len(written) + len(heard)
    assert ours == pytest.approx(2 * hits / both if written and heard else 0.0)


def test_it_is_mir_evals_figure():
    transcription = pytest.importorskip("mir_eval").transcription
    generator = np.random.default_rng(5)

    def notes(count):
        starts = generator.integers(0, 2_000, count) / 500
        return Notes.of(
            [
                (float(at), float(at) + 0.2, int(p), 80, False)
                for at, p in zip(starts, generator.integers(60, 64, count), strict=True)
            ]
        )

    def pairs(one):
        return np.stack([one.starts, one.stops], axis=1), 440 * 2 ** ((one.pitches.astype(float) - 69) / 12)

    for _ in range(20):
        written, heard = notes(60), notes(80)
        theirs = transcription.precision_recall_f1_overlap(*pairs(written), *pairs(heard), offset_ratio=None)[2]
        assert note_f1(written, heard) == pytest.approx(theirs)


# The command


@pytest.fixture
def tunes(tmp_path):
    """Two tunes as MIDI files, with drums."""
    for name, rows in (("up", UP), ("down", DOWN)):
        write_midi(tmp_path / f"{name}.mid", Notes.of([*rows, *DRUMS, (5.0, 5.5, 60, 90, False)]))
    return [tmp_path / "up.mid", tmp_path / "down.mid"]


def hearing(*found):
    """A transcriber that hears these, one after another, and keeps what it is given."""
    rest, given = list(found), []

    def hear(samples):
        given.append(samples)
        return Notes.of(rest.pop(0))

    return hear, given


def asked(**changes):
    return Request(**{"seconds": SECONDS, "seed": 0, "levels": (Level.TOP,), **changes})


def test_each_tune_is_made_with_its_notes_and_without_and_heard_beside_all(playing_model, tunes, tmp_path):
    hear, given_sound = hearing(DOWN, UP, UP[:2], [*DOWN, (0.6, 0.7, 20, 80, False)])
    facts = evaluate_midi(str(playing_model), tunes, asked(), out=tmp_path / "out", hear=hear)
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
    hear, again = hearing([], [], [], [])
    evaluate_midi(str(playing_model), tunes, asked(), out=tmp_path / "out", hear=hear)
    assert all(np.array_equal(one, other) for one, other in zip(again, given_sound, strict=True))


def test_recordings_beside_them_are_the_ceiling_and_say_the_style(playing_model, riff, tunes, tmp_path):
    for tune in tunes:
        samples, rate = soundfile.read(riff)
        soundfile.write(tune.with_suffix(".flac"), samples, rate)
        tune.with_suffix(".toml").write_text('artist = "Ada"\ngenres = ["Jazz"]\n')
    hear, _ = hearing(*[UP, DOWN] * 5)
    settings = {"temperature": {Level.TOP: 0.5}}
    facts = evaluate_midi(
        str(playing_model), tunes, asked(settings=settings), guidance=[1.0, 2.0], out=tmp_path / "out", hear=hear
    )
    assert [(row["what"], row["guidance"]) for row in facts["rows"]] == [
        ("recording", None), ("codec", None), ("free", None), ("notes", 1.0), ("notes", 2.0),
    ]  # fmt: skip
    assert [row["own"] for row in facts["rows"]] == [1.0] * 5
    recipe = Song(tmp_path / "out/notes-2/up").recipe()
    assert (recipe.labels.artist, recipe.labels.genres) == ("Ada", ("Jazz",))
    assert (recipe.sampling[Level.TOP].guidance, recipe.sampling[Level.TOP].temperature) == (2.0, 0.5)
    assert Song(tmp_path / "out/codec/up").codes(Level.TOP).done == 20  # 0.64 s of it


def test_one_tune_or_one_in_two_renderings_has_no_others(playing_model, tunes):
    hear, _ = hearing(UP, UP)
    (free, notes) = evaluate_midi(str(playing_model), tunes[:1], asked(), hear=hear)["rows"]
    assert (notes["own"], notes["others"], free["others"]) == (1.0, None, None)
    shutil.copy(tunes[0], tunes[0].with_name("up again.mid"))
    hear, _ = hearing(*[UP] * 4)
    rows = evaluate_midi(str(playing_model), [tunes[0], tunes[0].with_name("up again.mid")], asked(), hear=hear)["rows"]
    assert rows[1]["others"] is None


def test_as_it_is_typed(playing_model, tunes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluating, "transcribe", lambda samples: Notes.of(UP))
    monkeypatch.setattr(evaluating, "check_installed", lambda: None)
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
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [word for word in lines[-1] if word != "|"] == [
        "made",
        "with",
        "notes,",
        "guidance",
        "3",
        "0.500",
        "0.500",
        "4",
    ]
    assert main(["--quiet", "--json", *command, "--out", str(tmp_path / "out")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["seconds"], len(facts["rows"])) == ("player", 0.64, 3)


def test_what_cannot_be_judged_is_told_before_anything_is_made(tiny_model, playing_model, tunes, riff, tmp_path):
    hear, _ = hearing()
    out = tmp_path / "out"
    with pytest.raises(BadInput, match="tiny has no MIDI conditioner"):
        evaluate_midi(str(tiny_model), tunes, asked(), out=out, hear=hear)
    with pytest.raises(BadInput, match="is no MIDI file by its name"):
        evaluate_midi(str(playing_model), [riff], asked(), out=out, hear=hear)
    with pytest.raises(BadInput, match="the same name"):
        evaluate_midi(str(playing_model), [tunes[0], tunes[0]], asked(), out=out, hear=hear)
    write_midi(tmp_path / "drums.mid", Notes.of(DRUMS))
    with pytest.raises(BadInput, match="but drums, which are not transcribed"):
        evaluate_midi(str(playing_model), [tmp_path / "drums.mid"], asked(), out=out, hear=hear)
    assert not out.exists()
