"""Controls on models of the published layouts: each works, or is refused with one line before anything is written."""

from pathlib import Path

import pytest

from jukectl.midi.notes import Notes, write_midi

GOLDEN = Path(__file__).parents[1] / "golden"
KINDS = ("no-lyrics", "one-sequence", "encoder")
"""Layouts of 5b, 1b-lyrics and 5b-lyrics, without word lists or a word on how they were trained."""

SCHEDULE = """
[[change]]
at = 0.05
artist = "#2"
genre = ["#1:0.5+#2:0.5"]
temperature = { top = 0.5 }
"""
DOUBT = "was also trained without labels"


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def command(kind, tmp_path) -> list[object]:
    """A draft of a small random model of a published kind, a twelfth of a second long."""
    options = ["--seconds", 0.08, "--song-seconds", 0.2, "--seed", 1]
    return ["sample", "--out", tmp_path / "song", "--model", GOLDEN / kind / "model", *options]


@pytest.fixture
def given(tmp_path) -> Path:
    """A folder of files that options name."""
    folder = tmp_path / "given"
    folder.mkdir()
    write_midi(folder / "tune.mid", Notes.of([(0.0, 0.3, 60, 90, False)]))
    (folder / "words.txt").write_text("la la la\nand more of it\n")
    (folder / "words.lrc").write_text("[00:00.00]la la\n[00:00.10]and more\n")
    (folder / "duet.toml").write_text(SCHEDULE)
    (folder / "jump.toml").write_text("[[change]]\nat = 0.05\nlyrics_line = 2\n")
    return folder


@pytest.mark.parametrize(
    "options",
    [
        ["--artist", "#1:0.6+#2:0.4", "--genre", "#1:0.7+#2:0.3", "--start-at", 0.1],
        ["--artist", "#1:0.5", "--genre", "#1", "--genre", "#2:2", "--ending", "--fade", 0.02],
        ["--artist", "#1:0", "--parallel", 2, "--preview", "top"],
        ["--schedule", "duet.toml"],
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_controls_work_without_warnings_on_published_layouts(jukectl, command, given, tmp_path, options):
    answer = jukectl("--quiet", *command, *(given / one if str(one).endswith(".toml") else one for one in options))
    assert answer.err == ""
    assert answer.out.splitlines() == [str(tmp_path / "song/audio/0.wav")]


GUIDED = [(kind, "2", "top and middle and bottom") for kind in KINDS]
GUIDED += [("one-sequence", "top=2", "top"), ("encoder", "bottom=1.5", "bottom")]


@pytest.mark.parametrize(("kind", "guidance", "priors"), GUIDED, indirect=["kind"])
def test_guidance_on_a_published_layout_warns_in_one_line(jukectl, command, guidance, priors):
    (line,) = jukectl("--quiet", *command, "--guidance", guidance).err.splitlines()
    assert line.startswith(f"jukectl: warning: model does not say that its {priors} prior {DOUBT}")


LABELS = {
    ("--artist", "Abba:0.5"): "this model has no word list. Give an id",
    ("--artist", "#1:0.5+#999:0.5"): "no artist has the id #999",
    ("--genre", "#1:0.5+#999:0.5"): "no genre has the id #999",
    ("--artist", "#1:101"): "weights are from -100 to 100",
    ("--guidance", "-1"): "guidance must be 0 or more",
}
OTHERS = {
    ("--midi", "tune.mid"): "model has no MIDI conditioner: leave --midi out, or train one",
    ("--midi-at", "2"): "--midi-at says when notes begin, and there are none: give them with --midi",
    ("--schedule", "jump.toml"): "the song has none: give them with --lyrics",
}


REFUSED = [(*options, reason) for options, reason in {**LABELS, **OTHERS}.items()]
"""All pairs of a control and a layout, of a control and --dry-run, and of a layout and --dry-run."""


@pytest.mark.parametrize(
    ("kind", "option", "value", "reason", "dry"),
    [
        (kind, *refused, ["--dry-run"] * ((number + place) % 2))
        for number, refused in enumerate(REFUSED)
        for place, kind in enumerate(KINDS)
    ],
    indirect=["kind"],
)
def test_invalid_controls_are_refused_before_anything_is_written(
    fails, command, given, tmp_path, option, value, reason, dry
):
    assert reason in fails(*command, option, given / value if (given / value).is_file() else value, *dry)
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize(
    ("kind", "option", "value", "reason"),
    [(KINDS[number % 3], *options, reason) for number, (options, reason) in enumerate(LABELS.items())],
    indirect=["kind"],
)
def test_a_tree_refuses_the_same_invalid_controls_as_a_song(fails, command, riff, tmp_path, option, value, reason):
    assert reason in fails("tree", riff, *command[1:5], "--every", 0.1, option, value)
    assert not (tmp_path / "song").exists()


@pytest.mark.parametrize("options", [["words.txt"], ["words.lrc"], ["words.lrc", "--schedule", "jump.toml"]], ids=str)
def test_lyrics_are_used_or_refused_on_published_layouts(jukectl, fails, command, kind, given, tmp_path, options):
    options = ["--lyrics", *(given / one if (given / one).is_file() else one for one in options)]
    if kind == "no-lyrics":
        assert "model takes no lyrics, only artist and genre: leave --lyrics out" in fails(*command, *options)
        assert not (tmp_path / "song").exists()
    else:
        assert jukectl("--quiet", *command, *options).err == ""


def test_an_impossible_tree_is_refused_before_its_root_is_created(fails, style, riff, song, tmp_path):
    (tmp_path / "words.txt").write_text("la")
    for source in (riff, song):
        begun = ["tree", source, "--out", tmp_path / "tree", *style[:2], "--every", 0.1]
        assert "takes no lyrics" in fails(*begun, "--lyrics", tmp_path / "words.txt")
        assert "'Addda'" in fails(*begun, "--artist", "Addda")
        assert "--song-seconds 0.05 is too short" in fails(*begun, "--every", 4, "--song-seconds", 0.05)
        assert not (tmp_path / "tree").exists()
