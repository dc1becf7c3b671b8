"""Each command on a tiny model: results alone on stdout, and JSON with --json."""

import shlex
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

LEVELS = ("top", "middle", "bottom")
FRAMES = {"top": 7, "middle": 28, "bottom": 112}  # of 0.224 seconds


def frames_of(path):
    return {level: int(np.load(path / f"{level}.npz")["done"]) for level in LEVELS if (path / f"{level}.npz").exists()}


def test_sample_makes_a_song_and_prints_its_audio(jukectl, style, tmp_path):
    answer = jukectl("sample", "--out", tmp_path / "song", "--samples", 2, *style)
    assert answer.out.splitlines() == [str(tmp_path / f"song/audio/{number}.wav") for number in range(2)]
    assert frames_of(tmp_path / "song") == FRAMES
    assert sorted(path.name for path in (tmp_path / "song").glob("[!.]*")) == sorted(
        ["song.toml", "top.npz", "middle.npz", "bottom.npz", "audio"]
    )


def test_continue_puts_the_recording_first(jukectl, style, riff, tmp_path):
    answer = jukectl("continue", riff, "--out", tmp_path / "song", "--prompt-seconds", 0.5, "--start", 1, *style)
    assert answer.out.splitlines() == [str(tmp_path / "song/audio/0.wav")]
    assert frames_of(tmp_path / "song") == {level: FRAMES[level] + 15 * FRAMES[level] // 7 for level in LEVELS}
    assert soundfile.info(tmp_path / "song/prompt.wav").frames == 15 * 256
    assert np.load(tmp_path / "song/middle.npz")["prompt"] == 60


def test_encode_prints_the_codes_it_made(jukectl, tiny_model, riff, tmp_path):
    answer = jukectl("encode", riff, "--out", tmp_path / "song", "--model", tiny_model)
    assert answer.out.splitlines() == [str(tmp_path / f"song/{level}.npz") for level in LEVELS]
    answer = jukectl(
        "encode", riff, "--out", tmp_path / "part", "--levels", "middle", "--start", 0.5, "--seconds", 1,
        "--model", tiny_model,
    )  # fmt: skip
    assert answer.out.splitlines() == [str(tmp_path / "part/middle.npz")]
    assert frames_of(tmp_path / "part") == {"middle": 124}


@pytest.mark.parametrize("level", LEVELS)
def test_encode_then_decode_of_each_level(jukectl, tiny_model, riff, tmp_path, level):
    jukectl("encode", riff, "--out", tmp_path / "song", "--levels", level, "--model", tiny_model)
    answer = jukectl("decode", tmp_path / "song", "--level", level)
    place = "audio/0.wav" if level == "bottom" else f"previews/{level}-0.wav"
    assert answer.out.splitlines() == [str(tmp_path / "song" / place)]
    assert soundfile.info(tmp_path / "song" / place).frames == 62 * 256


def test_upsample_fills_in_a_draft(jukectl, style, song, tmp_path):
    jukectl("sample", "--out", tmp_path / "draft", "--levels", "top", "--samples", 2, *style)
    assert frames_of(tmp_path / "draft") == {"top": FRAMES["top"]}
    answer = jukectl("upsample", tmp_path / "draft")
    assert answer.out.splitlines() == [str(tmp_path / f"draft/audio/{number}.wav") for number in range(2)]
    for level in LEVELS:
        assert (tmp_path / f"draft/{level}.npz").read_bytes() == (song / f"{level}.npz").read_bytes()


def test_a_top_level_copied_elsewhere_is_upsampled_there(jukectl, style, song, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(song / "top.npz", tmp_path / "other")
    options = [option for option in style if option not in ("--seconds", "0.224")]
    jukectl("upsample", tmp_path / "other", *options)
    assert (tmp_path / "other/bottom.npz").read_bytes() == (song / "bottom.npz").read_bytes()


def test_resume_finishes_what_is_missing(jukectl, song):
    whole = (song / "bottom.npz").read_bytes()
    (song / "bottom.npz").unlink()
    answer = jukectl("resume", song)
    assert answer.out.splitlines() == [str(song / "audio/0.wav"), str(song / "audio/1.wav")]
    assert (song / "bottom.npz").read_bytes() == whole


def test_decode_writes_the_requested_format_and_sample(jukectl, song):
    answer = jukectl("decode", song, "--format", "flac", "--sample", 1, "--loudness", -20)
    assert answer.out.splitlines() == [str(song / "audio/1.flac")]
    assert soundfile.info(song / "audio/1.flac").format == "FLAC"


@pytest.mark.parametrize("command", ["sample", "resume", "upsample"])
def test_a_finished_song_is_left_unchanged_with_a_remark(jukectl, style, song, command):
    before = {path: path.stat().st_mtime_ns for path in song.rglob("*.*")}
    arguments = ["--out", song, "--samples", 2, *style] if command == "sample" else [song]
    answer = jukectl(command, *arguments)
    assert answer.err.splitlines() == [f"{song} is finished already: nothing to do."]
    assert answer.out.splitlines() == [str(song / "audio/0.wav"), str(song / "audio/1.wav")]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_encoding_a_finished_song_again_prints_a_remark(jukectl, tiny_model, riff, tmp_path):
    first, again = (jukectl("encode", riff, "--out", tmp_path / "song", "--model", tiny_model) for _ in range(2))
    assert again.out == first.out
    assert again.err.splitlines() == [f"{tmp_path / 'song'} is finished already: nothing to do."]


def test_a_different_recipe_is_refused_with_the_difference_unless_overwrite_is_given(jukectl, fails, style, song):
    command = ["sample", "--out", song, "--samples", 2, *style, "--seed", 4]
    line = fails(*command)
    assert "seed: 3 here, 4 asked" in line
    assert "--overwrite" in line
    jukectl(*command, "--overwrite")
    assert "seed = 4" in (song / "song.toml").read_text()


def test_sampling_settings_can_differ_by_level(jukectl, style, tmp_path):
    jukectl(
        "sample", "--out", tmp_path / "song", *style, "--temperature", "top=0.9,bottom=1.1", "--top-k", 20,
        "--top-p", "middle=0.8", "--advance", "0.25", "--advance", "top=0.2", "--advance", "bottom=0.125",
    )  # fmt: skip
    import tomllib

    recipe = tomllib.loads((tmp_path / "song/song.toml").read_text())
    assert recipe["sampling"] == {
        "top": {"temperature": 0.9, "top_k": 20, "top_p": 1.0, "advance": 0.2},
        "middle": {"temperature": 0.98, "top_k": 20, "top_p": 0.8, "advance": 0.25},
        "bottom": {"temperature": 1.1, "top_k": 20, "top_p": 1.0, "advance": 0.125},
    }


# JSON


def test_json_of_a_song_names_its_audio_and_whether_it_is_new(jukectl, style, song):
    audio = [str(song / "audio/0.wav"), str(song / "audio/1.wav")]
    assert jukectl("--json", "resume", song).json == {"song": str(song), "audio": audio, "new": False}
    assert jukectl("--json", "decode", song).json == {"song": str(song), "audio": audio}


def test_json_of_encode_names_the_codes(jukectl, tiny_model, riff, tmp_path):
    answer = jukectl("--json", "encode", riff, "--out", tmp_path / "song", "--levels", "top", "--model", tiny_model)
    assert answer.json == {"song": str(tmp_path / "song"), "codes": [str(tmp_path / "song/top.npz")], "new": True}


def test_info_describes_a_song(jukectl, song):
    facts = jukectl("--json", "info", song).json
    assert {name: facts[name] for name in ("model", "samples", "seed", "unfinished")} == {
        "model": "tiny",
        "samples": 2,
        "seed": 3,
        "unfinished": [],
    }
    assert facts["levels"] == {
        level: {"frames": FRAMES[level], "done": FRAMES[level], "seconds": 0.224} for level in LEVELS
    }
    lines = jukectl("info", song).out.splitlines()
    assert lines[0] == f"{song}: sample, model tiny, ada, jazz, 2 samples, seed 3"
    assert lines[-1].strip() == "nothing is left to do"


def test_info_of_an_unfinished_song_names_the_missing_level_and_the_command_to_resume(jukectl, song):
    (song / "bottom.npz").unlink()
    facts = jukectl("--json", "info", song).json
    assert facts["unfinished"] == ["bottom"]
    assert facts["levels"]["bottom"] == {"frames": FRAMES["bottom"], "done": 0, "seconds": 0.0}
    lines = jukectl("info", song).out.splitlines()
    assert "  bottom: 0 of 112 codes, 0.0 s" in lines
    assert lines[-1] == f"  left to do: bottom (jukectl resume {song})"


def test_info_of_codes_without_a_recipe_suggests_upsample(jukectl, song):
    (song / "song.toml").unlink()
    (song / "bottom.npz").unlink()
    lines = jukectl("info", song).out.splitlines()
    assert "codes without a recipe" in lines[0]
    assert lines[-1] == f"  no recipe says what is left to do; fill in lower levels with: jukectl upsample {song}"


def test_info_describes_code_files_and_models(jukectl, song, tiny_model):
    assert jukectl("--json", "info", song / "middle.npz").json["done"] == FRAMES["middle"]
    assert "level: middle" in jukectl("info", song / "middle.npz").out.splitlines()
    assert jukectl("--json", "info", tiny_model).json["name"] == "tiny"
    assert "name: tiny" in jukectl("info", tiny_model).out.splitlines()


def test_models_show_prints_labels_and_sources(jukectl, tiny_model):
    facts = jukectl("--json", "models", "show", tiny_model).json
    needed = ["name", "sample_rate", "hops", "codebook_size", "contexts", "artists", "genres", "parameters", "licence"]
    assert set(needed) <= set(facts)
    assert facts["hops"] == {"bottom": 16, "middle": 64, "top": 256}
    assert facts["genres"] == ["unlabelled", "Jazz", "Ambient"]
    text = jukectl("models", "show", tiny_model).out
    lines = text.splitlines()
    assert lines.index("artists: Ada, Björk B.") < lines.index("licence: CC0-1.0")
    assert {"genres a song: 2", "longest song: 60 s", "takes: artist, genre"} <= set(lines)
    assert "Sines" not in text
    assert "None" not in text
    assert "  Ada · Sines · CC0-1.0" in jukectl("models", "show", tiny_model, "--sources").out.splitlines()


def test_models_list_includes_the_models_of_the_user(jukectl, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("jukectl.checkpoints.catalogue.user_models", lambda: tmp_path)
    shutil.copytree(tiny_model, tmp_path / "mine")
    found = jukectl("--json", "models", "list").json["models"]
    assert [model["sample_rate"] for model in found if model["name"] == "mine"] == [8_000]
    assert any(line.startswith("mine  ") for line in jukectl("models", "list").out.splitlines())


def test_doctor_estimates_a_minute_of_music(jukectl, tiny_model):
    facts = jukectl("--json", "doctor", "--model", tiny_model).json
    assert facts["models"][0]["name"] == "tiny"
    assert facts["models"][0]["seconds_a_minute"]["all"] > 0
    lines = jukectl("doctor", "--model", tiny_model).out.splitlines()
    assert lines[-1].startswith("tiny: fits; a minute of music takes about ")


def test_data_scan_and_data_encode_print_their_outputs(jukectl, tiny_model, riff, tmp_path):
    (tmp_path / "music").mkdir()
    shutil.copy(riff, tmp_path / "music")
    manifest = tmp_path / "music/manifest.jsonl"
    assert jukectl("data", "scan", tmp_path / "music").out.splitlines() == [str(manifest)]
    command = ["data", "encode", manifest, "--out", tmp_path / "codes", "--model", tiny_model]
    assert jukectl(*command).out.splitlines() == [str(tmp_path / "codes")]
    assert jukectl("--json", *command).json["songs"] == 1


def test_data_scan_reports_skipped_files_duplicates_and_unknown_keys(jukectl, tmp_path):
    noise = np.random.default_rng(0).normal(scale=0.1, size=(8 * 8_000, 1))
    soundfile.write(tmp_path / "one.flac", noise, 8_000)
    soundfile.write(tmp_path / "again.wav", 0.5 * noise, 8_000)
    soundfile.write(tmp_path / "silent.wav", 0 * noise, 8_000)
    (tmp_path / "one.toml").write_text('licence = "CC0-1.0"\nmood = "calm"\n')
    answer = jukectl("--json", "data", "scan", tmp_path, "--held-out-share", "0")
    assert {name: answer.json[name] for name in ("songs", "seconds", "validation")} == {
        "songs": 1,
        "seconds": 8.0,
        "validation": 0,
    }
    assert "skipped: " in answer.err and "silent.wav is silent" in answer.err
    assert "left out: one.flac is a copy of again.wav" in answer.err
    assert "warning: " in answer.err and "one.toml: mood is not known" in answer.err
    kept = jukectl("data", "scan", tmp_path, "--keep-duplicates")
    assert "duplicate: one.flac is a copy of again.wav" in kept.err
    assert (tmp_path / "manifest.jsonl").read_text().count("CC0-1.0") == 1


def test_data_encode_encodes_one_part_of_the_songs(jukectl, fails, tiny_model, riff, tmp_path):
    for name in ("a.wav", "b.wav", "c.wav"):
        shutil.copy(riff, tmp_path / name)
    jukectl("data", "scan", tmp_path)
    command = ["data", "encode", tmp_path / "manifest.jsonl", "--out", tmp_path / "codes", "--model", tiny_model]
    assert jukectl("--json", *command, "--part", "1/2").json["songs"] == 2
    assert jukectl("--json", *command, "--part", "2/2").json["songs"] == 1
    assert "a part is written as 2/4" in fails(*command, "--part", "half")


# As a program


@pytest.fixture
def run(warm_jukectl):
    """Run a command line in a process."""

    def done(*arguments, **options):
        command = [*warm_jukectl, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return done


def test_stdout_has_only_the_results(run, style, tmp_path):
    done = run("sample", "--out", "my song", *style, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "my song/audio/0.wav\n")
    assert "bottom codes: 112/112" in done.stderr


def test_a_missing_song_exits_with_status_two_and_one_line(run, tmp_path):
    done = run("--quiet", "info", tmp_path / "missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("jukectl: there is no song folder")


def test_a_closed_pipe_does_not_crash_the_program(song, warm_jukectl):
    script = f"{shlex.join(warm_jukectl)} --json info {song} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
