"""Files that jukectl did not make: no command replaces or removes one."""

import os
import shutil
from pathlib import Path

import pytest
from tiny_recipes import write_codec_recipe

from jukectl.checkpoints.assemble import write_model
from jukectl.checkpoints.store import ModelFolder
from jukectl.errors import BadInput

FOREIGN = {
    "prompt.wav": b"my recording",
    "notes.mid": b"my notes",
    "audio/0.wav": b"my song",
    "previews/top-0.wav": b"my preview",
    "song.toml": b'title = "facts of song.flac, for data scan"\n',
    "top.npz": b"my own numbers",
    "nodes/0.top.npz": b"mine",
    "media/cover.png": b"mine",
    "model.safetensors": b"my weights",
    "best.safetensors": b"my weights",
    "config.json": b"{}",
    "manifest.jsonl": b'{"mine": 1}\n',
}

NEW_FOLDERS = {
    "sample": "sample --out {out} {style}",
    "continue": "continue {riff} --out {out} {style}",
    "encode": "encode {riff} --out {out} --model {tiny}",
    "pick": "pick {song} --sample 1 --out {out}",
    "cut": "cut {song} --at 0.1 --out {out}",
    "branch": "branch {song} --out {out} --seconds 0.1",
    "tree": "tree {song} --out {out} --every 0.1 --branch 1 --depth 1 --levels top",
    "upsample --from": "upsample {song} --from 0.05 --to 0.1 --out {out}",
    "explore": "explore {song} --out {out}",
    "data encode": "data encode {manifest} --out {out} --model {tiny}",
    "models convert": "models convert {tiny} {out}",
    "train vqvae": "train vqvae {recipe} --set out={out}",
}
OVERWRITING = ("sample", "continue", "pick", "branch", "tree", "upsample --from", "models convert")


@pytest.fixture
def words(tmp_path, riff, tiny_model, song, style):
    """Return the words of a command in which inputs are named."""
    music = tmp_path / "music"
    music.mkdir()
    shutil.copy(riff, music / "one.wav")
    recipe = write_codec_recipe(tmp_path / "recipe.toml", out="run", manifest="music/manifest.jsonl")
    inputs = {"riff": riff, "tiny": tiny_model, "song": song, "manifest": music / "manifest.jsonl", "recipe": recipe}

    def make(command: str, out: Path) -> list[str]:
        given = {**inputs, "style": " ".join(style), "out": out}
        return command.format(**given).split()

    return make


def laid(folder: Path, names=FOREIGN) -> dict[str, bytes]:
    """Put foreign files into a folder; return the content of all."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(FOREIGN[name])
    return content(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "--overwrite"])
@pytest.mark.parametrize("name", NEW_FOLDERS)
def test_a_folder_with_other_files_is_refused_and_left_as_it_is(name, overwrite, words, jukectl, fails, tmp_path):
    if overwrite and name not in OVERWRITING:
        pytest.skip("it has no such option")
    if name == "data encode":
        jukectl("data", "scan", tmp_path / "music")
    for number, foreign in enumerate(FOREIGN):
        out = tmp_path / f"w{number}"
        before = laid(out, [foreign])
        error = fails(*words(NEW_FOLDERS[name], out), *(["--overwrite"] if overwrite else []))
        assert f"{out} holds other files" in error
        assert content(out) == before, foreign


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_model_is_not_assembled_among_other_files(foreign, tiny_model, tmp_path):
    before = laid(tmp_path / "w", [foreign])
    with pytest.raises(BadInput, match="holds other files"):
        write_model(tmp_path / "w", ModelFolder(tiny_model).card, {}, ModelFolder(tiny_model))
    assert content(tmp_path / "w") == before


@pytest.mark.parametrize("name", ["sample", "tree", "explore", "models convert"])
def test_an_empty_folder_is_taken_even_with_what_systems_leave_in_it(name, words, jukectl, tmp_path):
    out = tmp_path / "w"
    (out / "empty" / "deeper").mkdir(parents=True)
    for litter in (".DS_Store", "desktop.ini", ".directory"):
        (out / litter).write_bytes(b"system")
    jukectl(*words(NEW_FOLDERS[name], out))
    assert (out / ".DS_Store").read_bytes() == b"system"


@pytest.mark.parametrize("name", ["sample", "continue"])
def test_files_of_the_user_in_a_song_stay_when_it_is_started_over(name, words, jukectl, fails, song, riff):
    mine = {"prompt.wav": riff.read_bytes(), "notes.mid": b"mine", "audio/0-master.wav": b"mine", "cover.png": b"mine"}
    for path, data in mine.items():
        (song / path).write_bytes(data)
    command = [*words(NEW_FOLDERS[name], song), "--overwrite"]
    if name == "continue":  # it would write prompt.wav
        assert "prompt.wav is not of this song" in fails(*command)
    else:
        jukectl(*command)
    now = content(song)
    assert {path: now[path] for path in mine} == mine


@pytest.mark.parametrize("folder", ["audio", "previews", "plots"])
@pytest.mark.parametrize("name", ["resume", "decode", "plot", "sample --overwrite"])
def test_nothing_is_written_or_removed_behind_a_link(folder, name, words, fails, style, song, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in ("0.wav", "top-0.wav", "spectrogram.png"):
        (elsewhere / file).write_bytes(b"mine")
    before = content(elsewhere)
    shutil.rmtree(song / folder, ignore_errors=True)
    (song / folder).symlink_to(elsewhere)
    commands = {
        "resume": ["resume", song],
        "decode": ["decode", song],
        "plot": ["plot", song],
        "sample --overwrite": ["sample", "--out", song, *style, "--overwrite"],
    }
    assert f"{song / folder} is a link to another place" in fails(*commands[name])
    assert content(elsewhere) == before


def test_an_input_is_no_output(jukectl, fails, words, riff, song, style, tmp_path):
    out = tmp_path / "mine"
    jukectl("continue", riff, "--out", out, *style)
    before = content(out)
    for prompt in ("prompt.wav", "audio/0.wav"):
        assert "--overwrite would remove it" in fails(
            "--quiet", "continue", out / prompt, "--out", out, *style, "--overwrite"
        )
        assert content(out) == before
    manifest = jukectl("data", "scan", tmp_path / "music").out.strip()
    kept = content(tmp_path / "music")
    assert "is read, so it is not written" in fails("data", "encode", manifest, "--out", tmp_path / "music")
    assert content(tmp_path / "music") == kept


@pytest.mark.parametrize("name", ["song.flac", "list.json", "notes.jsonl"])
def test_a_scan_replaces_manifests_alone(name, words, fails, jukectl, tmp_path):
    out = tmp_path / name
    out.write_bytes(b'{"mine": 1}\n')
    error = fails("data", "scan", tmp_path / "music", "--out", out)
    assert "a manifest ends in .jsonl" in error or "is no manifest, and is not replaced" in error
    assert out.read_bytes() == b'{"mine": 1}\n'
    again = tmp_path / "all.jsonl"
    jukectl("data", "scan", tmp_path / "music", "--out", again)
    jukectl("data", "scan", tmp_path / "music", "--out", again)


@pytest.mark.parametrize("name", ["song.flac", "words.txt", "song.wav"])
def test_times_of_lyrics_replace_no_file_of_another_kind(name, fails, riff, tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("la la\n")
    out = tmp_path / name
    shutil.copy(riff if name != "words.txt" else text, tmp_path / "kept")
    shutil.copy(tmp_path / "kept", out)
    error = fails("lyrics", "align", riff, text, "--out", out, "--format", "lrc", "--no-separate")
    assert "ends in .lrc or .vtt or .json" in error
    assert out.read_bytes() == (tmp_path / "kept").read_bytes()


def test_times_of_lyrics_do_not_replace_the_lyrics_that_are_read(fails, riff, tmp_path):
    text = tmp_path / "song.lrc"
    text.write_text("[00:00.00]la la\n")
    assert "is read, so it is not written" in fails("lyrics", "align", riff, text, "--out", text, "--no-separate")


@pytest.mark.parametrize("name", ["song.flac", "riff.wav"])
def test_a_picture_replaces_no_file_of_another_kind(name, fails, song, tmp_path):
    (tmp_path / name).write_bytes(b"mine")
    assert "a picture ends in .png or .svg" in fails("plot", song, "--out", tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_song_begun_by_an_earlier_version_goes_on_and_is_started_over(jukectl, song, style):
    """Those have no mark: they are known by their recipe or their codes."""
    (song / ".jukectl").unlink()
    shutil.rmtree(song / "audio")
    jukectl("resume", song)
    (song / "song.toml").unlink()
    jukectl("sample", "--out", song, *style, "--samples", 1, "--overwrite")
    assert [path.name for path in sorted((song / "audio").iterdir())] == ["0.wav"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_permissions_of_a_file_are_kept_and_new_ones_are_those_of_the_umask(jukectl, song):
    private = song / "audio" / "0.wav"
    private.chmod(0o600)
    (song / "audio" / "1.wav").unlink()
    before = os.umask(0o027)
    try:
        jukectl("decode", song)
    finally:
        os.umask(before)
    assert [(song / "audio" / name).stat().st_mode & 0o777 for name in ("0.wav", "1.wav")] == [0o600, 0o640]
