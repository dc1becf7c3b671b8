"""`jukectl eval` and `jukectl plot`, from the command line to the figures and files."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jukectl.audio.spectral import spectral_convergence_db
from jukectl.checkpoints.store import ModelFolder
from jukectl.cli.main import main
from jukectl.codes.level import Level
from jukectl.codes.shard import read_shard, write_shard
from jukectl.codes.song import Song
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.segments import SegmentSet
from jukectl.evaluation.baselines import Bigram
from jukectl.evaluation.inputs import read_globs
from jukectl.prior.labels import LabelBatch
from jukectl.prior.vocabulary import Vocabulary

from .conftest import RATE, SONGS, music, save_music


def test_reconstruction_tells_what_a_decode_of_the_codes_gives(run, tmp_path, tiny_model, codec):
    samples = music(2.048, 1)  # eight codes of the top level a quarter of a second
    facts = json.loads(
        run("--json", "eval", "reconstruction", save_music(tmp_path / "a.wav", samples), "--model", tiny_model)
    )
    assert facts["model"] == "tiny"
    assert list(facts["levels"]) == ["top", "middle", "bottom"]
    for level in Level:
        codes = codec.encode(torch.from_numpy(samples)[None], level)
        predicted = codec.decode(codes, level)[0]
        told = facts["levels"][level.label]
        assert told["spectral_convergence_db"] == pytest.approx(spectral_convergence_db(samples, predicted), abs=1e-3)
        assert told["used_codes"] == len(codes.unique())
        assert told["kbit_per_second"] == pytest.approx(RATE / told["hop"] * 5 / 1_000, abs=1e-3)
        assert facts["files"][0]["levels"][level.label]["si_sdr_db"] == told["si_sdr_db"]


def test_reconstruction_of_the_held_out_songs_of_a_manifest(run, manifest, held_out, tiny_model):
    arguments = ("eval", "reconstruction", manifest, "--held-out", held_out, "--model", tiny_model)
    facts = json.loads(run("--json", *arguments))
    assert [Path(file["path"]).name for file in facts["files"]] == ["held-one.wav", "held-two.wav"]
    for level in facts["levels"]:
        figures = [file["levels"][level]["spectral_convergence_db"] for file in facts["files"]]
        assert facts["levels"][level]["spectral_convergence_db"] == pytest.approx(np.mean(figures), abs=1e-3)
    table = run("--quiet", *arguments)
    assert "| held-one.wav" in table and "| bottom" in table
    assert len({line.count("|") for line in table.split("\n\n")[0].splitlines()}) == 1  # Markdown


def test_without_held_out_all_songs_of_a_manifest_are_judged(run, manifest, tiny_model):
    facts = json.loads(run("--json", "eval", "reconstruction", manifest, "--seconds", "0.5", "--model", tiny_model))
    assert [Path(file["path"]).stem for file in facts["files"]] == list(SONGS)


def test_seconds_are_taken_from_the_middle(run, tmp_path, tiny_model):
    middle = music(1.024, 3)
    long = save_music(tmp_path / "long.wav", np.concatenate([music(2, 4), middle, music(2, 5)]))
    short = save_music(tmp_path / "short.wav", middle)
    facts = json.loads(
        run("--json", "eval", "reconstruction", long, short, "--seconds", "1.024", "--model", tiny_model)
    )
    assert facts["files"][0]["levels"] == facts["files"][1]["levels"]
    assert facts["files"][0]["seconds"] == 1.024


def test_a_silent_recording_has_no_decibels_and_a_broken_one_is_left_out(run, tmp_path, tiny_model, capsys):
    good = save_music(tmp_path / "good.wav", music(1, 1))
    silent = save_music(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    text = tmp_path / "text.wav"
    text.write_text("no music")
    facts = json.loads(
        run("--json", "eval", "reconstruction", good, silent, text, tmp_path / "gone.wav", "--model", tiny_model)
    )
    assert [Path(file["path"]).name for file in facts["files"]] == ["good.wav", "silent.wav"]
    assert facts["files"][1]["levels"]["top"]["si_sdr_db"] is None
    assert facts["levels"]["top"]["si_sdr_db"] == facts["files"][0]["levels"]["top"]["si_sdr_db"]
    assert len(facts["skipped"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.wav"], "gone.wav"),
        (["a.wav", "--held-out", "held_out.txt"], "manifest"),
        (["a.wav", "--seconds", "0"], "--seconds"),
        (["gone.jsonl"], "gone.jsonl"),
        (["a.wav", "--model", "nobody"], "nobody"),
    ],
)
def test_what_reconstruction_cannot_use_is_one_line_and_status_2(
    run, tmp_path, monkeypatch, tiny_model, held_out, arguments, words
):
    monkeypatch.chdir(tmp_path)
    save_music(tmp_path / "a.wav", music(1, 1))
    chosen = [] if "--model" in arguments else ["--model", tiny_model]
    message = run("--quiet", "eval", "reconstruction", *arguments, *chosen, status=2)
    assert words in message.splitlines()[-1]


def test_prior_tells_bits_of_the_prior_the_baselines_and_wrong_labels_on_the_same_codes(
    run, codes, held_out, tiny_model
):
    facts = json.loads(
        run("--json", "eval", "prior", codes, "--held-out", held_out, "--segments", "6", "--model", tiny_model)
    )
    assert facts["songs"] == 2
    assert list(facts["levels"]) == ["top", "middle", "bottom"]
    for level in facts["levels"].values():
        assert (level["segments"], level["codes"]) == (6, 6 * 64)
        assert level["shuffled_bits"] != level["bits"]

    # the top level again, by hand
    def of(song: str) -> np.ndarray:
        return CodeFolder(codes).find(f"{song}.wav", Level.TOP)[:]

    bigram = Bigram.fit([of(song) for song in SONGS[:4]], 32)
    prior = ModelFolder(tiny_model).prior(Level.TOP, torch.device("cpu"))
    songs = EncodedSongs(codes)
    segments = SegmentSet.load(
        songs, songs.manifest.tracks[4:], Level.TOP, Vocabulary(), context=64, ratio=1, slots=2
    ).spread(6)
    names = ((1, (1,)), (2, (2, 1)))  # Ada plays Jazz, Björk B. Ambient and Jazz
    own, wrong, unigram_bits, bigram_bits = [], [], [], []
    for index, batch in enumerate(segments):
        song = index // 3  # three of each
        segment = batch.codes[0].numpy()
        start = int(batch.labels.offset) // 256
        assert segment.tolist() == of(SONGS[4 + song])[start : start + 64].tolist()
        unigram_bits.append(bigram.unigram.bits(segment))
        bigram_bits.append(bigram.bits(segment))
        for costs, (artist, genres) in ((own, names[song]), (wrong, names[1 - song])):
            labels = LabelBatch.repeat(
                1,
                artist=artist,
                genres=genres,
                slots=2,
                total_length=len(of(SONGS[4 + song])) * 256,
                offset=start * 256,
                sample_length=64 * 256,
            )
            costs.append(float(prior.loss(batch.codes, labels)))
    told = facts["levels"]["top"]
    assert told["bits"] == pytest.approx(np.mean(own), abs=1e-3)
    assert told["shuffled_bits"] == pytest.approx(np.mean(wrong), abs=1e-3)
    assert told["unigram_bits"] == pytest.approx(np.mean(unigram_bits), abs=1e-3)
    assert told["bigram_bits"] == pytest.approx(np.mean(bigram_bits), abs=1e-3)


def test_without_held_out_prior_warns_that_the_baselines_have_heard_the_songs(codes, tiny_model, capsys):
    assert main(["eval", "prior", str(codes), "--segments", "2", "--model", str(tiny_model)]) == 0
    output = capsys.readouterr()
    assert "warning: without --held-out" in output.err
    assert "wrong labels" in output.out and "| top" in output.out


def test_a_label_that_the_model_does_not_know_is_told(codes, held_out, tiny_model, capsys):
    manifest = codes / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("Jazz", "Polka"))
    arguments = ["eval", "prior", str(codes), "--held-out", str(held_out), "--segments", "2"]
    assert main([*arguments, "--model", str(tiny_model)]) == 0
    assert "does not know Polka" in capsys.readouterr().err


def test_codes_of_another_codec_are_refused(run, codes, held_out, tiny_model):
    (path,) = codes.glob("shards/top-*.npz")
    songs = read_shard(path).items()
    write_shard(
        path, [(name, replace(one, archive=replace(one.archive, vqvae="0123456789abcdef"))) for name, one in songs]
    )
    message = run("eval", "prior", codes, "--held-out", held_out, "--model", tiny_model, status=2)
    assert str(path) in message and "0123456789ab" in message


def test_a_glob_that_matches_no_song_is_named(run, codes, tmp_path, tiny_model):
    (tmp_path / "globs").write_text("nobody/*.flac\n")
    message = run("eval", "prior", codes, "--held-out", tmp_path / "globs", "--model", tiny_model, status=2)
    assert "nobody/*.flac" in message


def test_globs_are_read_one_a_line_without_comments(tmp_path):
    (tmp_path / "globs").write_text("# a comment\n\n  band/COUNT2 (*).flac \nnumber #9.flac\n")
    assert read_globs(tmp_path / "globs") == ("band/COUNT2 (*).flac", "number #9.flac")


def test_the_held_out_songs_of_mini_can_be_read():
    assert "naev/Intro.flac" in read_globs(Path(__file__).parents[2] / "examples" / "mini" / "held_out.txt")


def test_plot_draws_a_song_into_its_plots_folder(run, song):
    assert run("--quiet", "plot", song) == f"{song / 'plots' / 'spectrogram.png'}\n"
    with Image.open(song / "plots" / "spectrogram.png") as picture:
        assert picture.size[0] == 1_200 and picture.size[1] > 600  # three levels
        light = np.asarray(picture.convert("L")).mean()
    run("--quiet", "plot", song, "--dark")
    with Image.open(song / "plots" / "spectrogram.png") as picture:
        assert np.asarray(picture.convert("L")).mean() < light / 2


def test_plot_draws_the_levels_that_exist(run, song):
    run("--quiet", "plot", song)
    with Image.open(song / "plots" / "spectrogram.png") as picture:
        three = picture.height
    (song / "bottom.npz").unlink()
    run("--quiet", "plot", song)
    with Image.open(song / "plots" / "spectrogram.png") as picture:
        assert three - 250 < picture.height < three - 190


def test_plot_draws_any_sample_of_a_song(run, song):
    assert run("--quiet", "plot", song, "--sample", "1") == f"{song / 'plots' / 'spectrogram-1.png'}\n"
    run("--quiet", "plot", song)
    one, other = (song / "plots" / name for name in ("spectrogram.png", "spectrogram-1.png"))
    assert one.read_bytes() != other.read_bytes()
    assert "--sample 2" in run("plot", song, "--sample", "2", status=2)


def test_plot_draws_a_recording_beside_it_or_where_it_is_told(run, tmp_path):
    recording = save_music(tmp_path / "riff.wav", music(1, 1))
    assert run("--quiet", "plot", recording) == f"{tmp_path / 'riff-spectrogram.png'}\n"
    told = tmp_path / "new" / "a.svg"
    assert json.loads(run("--json", "plot", recording, "--out", told)) == {"plot": str(told)}
    assert told.read_text().startswith("<?xml")


@pytest.mark.parametrize("what", ["nothing there", "empty folder", "text", "gif", "another codec"])
def test_what_plot_cannot_draw_is_one_line_and_status_2(run, tmp_path, song, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.wav").write_text("no music")
    other = tmp_path / "other"
    shutil.copytree(song, other)
    for level in Level:
        found = Song(other).codes(level)
        assert found is not None
        Song(other).save(replace(found, vqvae="0123"))
    arguments = {
        "nothing there": [tmp_path / "gone"],
        "empty folder": [tmp_path / "empty"],
        "text": [tmp_path / "text.wav"],
        "gif": [song, "--out", tmp_path / "a.gif"],
        "another codec": [other],
    }[what]
    message = run("--quiet", "plot", *arguments, status=2)
    assert len(message.splitlines()) == 1
