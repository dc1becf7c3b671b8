"""Scores of reconstructions, and `jukectl eval reconstruction` from the command line to the figures."""

import json
from dataclasses import replace
from math import inf, isnan, nan
from pathlib import Path

import numpy as np
import pytest
import torch
from music_fixtures import RATE, SONGS, is_picture, music, save_music

from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.level import Level
from jukectl.evaluation.reconstruction import SHIFT_SECONDS, ReconstructionScore, kbit_per_second, score, together
from jukectl.vqvae.config import VQVAEConfig


def a_score(convergence: float, si_sdr: float, counts: list[int]) -> ReconstructionScore:
    return ReconstructionScore(
        spectral_convergence_db=convergence,
        multi_resolution_stft=0.5,
        si_sdr_db=si_sdr,
        visqol_mos=None,
        counts=np.array(counts),
    )


def spectra(samples: np.ndarray) -> np.ndarray:
    """Magnitudes by FFTs of frames: 2048 points, a Hann window of 1536, one frame every 256 samples."""
    window = np.zeros(2_048)
    window[256:-256] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1_536) / 1_536)
    padded = np.pad(samples.astype(np.float64), 1_024)
    starts = range(0, len(padded) - 2_048 + 1, 256)
    return np.array([np.abs(np.fft.rfft(padded[start : start + 2_048] * window)) for start in starts])


@pytest.mark.parametrize("level", Level)
def test_a_score_equals_that_of_the_whole_recording_decoded_at_once(codec, level):
    audio = music(9.0, seed=5)  # longer than a chunk
    hop = codec.config.hop(level)
    audio = audio[: len(audio) // hop * hop]
    result = score(codec, audio, level)

    codes = codec.encode(torch.from_numpy(audio)[None], level)
    predicted = codec.decode(codes, level)[0].numpy()
    target, decoded = spectra(audio), spectra(predicted)
    convergence = 20 * np.log10(np.linalg.norm(target - decoded) / np.linalg.norm(target))
    assert result.spectral_convergence_db == pytest.approx(convergence, abs=1e-3)
    used, times = np.unique(codes.numpy(), return_counts=True)
    assert result.counts[used].tolist() == times.tolist()
    assert result.counts.sum() == codes.numel()
    assert result.used_codes == len(used)
    centred = [signal - signal.mean(dtype=np.float64) for signal in (audio, predicted)]
    cosine = centred[0] @ centred[1] / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1])
    assert result.si_sdr_db == pytest.approx(10 * np.log10(cosine**2 / (1 - cosine**2)), abs=1e-2)


def test_several_recordings_have_the_mean_of_their_decibels_and_the_entropy_of_all_their_codes():
    both = together([a_score(-10, 4, [4, 0, 0, 0]), a_score(-20, 8, [0, 2, 2, 0])])
    assert (both.spectral_convergence_db, both.si_sdr_db) == (-15, 6)
    assert both.used_codes == 3
    assert both.entropy_bits == pytest.approx(1.5)


def test_silent_recordings_do_not_count_towards_the_mean():
    both = together([a_score(-10, 4, [1, 0]), a_score(inf, nan, [0, 1])])
    assert (both.spectral_convergence_db, both.si_sdr_db, both.used_codes) == (-10, 4, 2)
    assert isnan(together([a_score(inf, nan, [0, 1])]).spectral_convergence_db)


@pytest.mark.parametrize(
    ("config", "level", "kbit"),
    [
        (VQVAEConfig(), Level.BOTTOM, 60.6375),
        (VQVAEConfig(sample_rate=22_050, downs=(1, 1, 1), strides=(16, 4, 4)), Level.BOTTOM, 15.159),
        (VQVAEConfig(sample_rate=22_050, downs=(1, 1, 1), strides=(16, 4, 4)), Level.TOP, 0.947),
    ],
)
def test_the_bit_rate_of_a_level_follows_from_its_hop_and_codebook(config, level, kbit):
    assert kbit_per_second(config, level) == pytest.approx(kbit, abs=1e-3)


def test_stable_is_the_share_of_codes_unchanged_by_a_shift(codec):
    level, shift = Level.MIDDLE, round(SHIFT_SECONDS * codec.config.sample_rate)
    audio = music(4.0, seed=2)
    audio = audio[: len(audio) // codec.config.hop(level) * codec.config.hop(level)]
    codes = codec.encode(torch.from_numpy(audio)[None], level)[0].numpy()
    rest = audio[shift:]
    again = codec.encode(
        torch.from_numpy(rest[: len(rest) // codec.config.hop(level) * codec.config.hop(level)])[None], level
    )
    equal = (again[0].numpy() == codes[: again.shape[1]]).mean()
    assert score(codec, audio, level).stable == pytest.approx(equal)


def test_beat_and_note_f1_are_given_as_shares_of_the_recordings():
    one = replace(a_score(-10, 4, [1, 0]), beat=0.3, beat_recorded=0.6, note_f1=0.2, note_f1_recorded=0.8)
    other = replace(one, beat=0.1, note_f1=None, note_f1_recorded=None)  # no MIDI file beside it
    both = together([one, other])
    assert (one.beat_share, one.note_f1_share) == (pytest.approx(0.5), pytest.approx(0.25))
    assert (both.beat_share, both.note_f1_share) == (pytest.approx(0.2 / 0.6), pytest.approx(0.25))
    assert together([other]).note_f1_share is None


def test_eval_reconstruction_measures_the_decoded_codes(run, tmp_path, tiny_model, codec):
    samples = music(2.048, 1)  # eight codes of the top level a quarter of a second
    facts = json.loads(
        run("--json", "eval", "reconstruction", save_music(tmp_path / "a.wav", samples), "--model", tiny_model)
    )
    assert facts["model"] == "tiny"
    assert list(facts["levels"]) == ["top", "middle", "bottom"]
    for level in Level:
        codes = codec.encode(torch.from_numpy(samples)[None], level)
        predicted = codec.decode(codes, level)[0]
        found = facts["levels"][level.label]
        assert found["spectral_convergence_db"] == pytest.approx(spectral_convergence_db(samples, predicted), abs=1e-3)
        assert found["used_codes"] == len(codes.unique())
        assert found["kbit_per_second"] == pytest.approx(RATE / found["hop"] * 5 / 1_000, abs=1e-3)
        assert facts["files"][0]["levels"][level.label]["si_sdr_db"] == found["si_sdr_db"]


def test_eval_reconstruction_takes_the_held_out_songs_of_a_manifest(run, manifest, held_out, tiny_model):
    arguments = ("eval", "reconstruction", manifest, "--held-out", held_out, "--model", tiny_model)
    facts = json.loads(run("--json", *arguments))
    assert [Path(file["path"]).name for file in facts["files"]] == ["held-one.wav", "held-two.wav"]
    for level in facts["levels"]:
        figures = [file["levels"][level]["spectral_convergence_db"] for file in facts["files"]]
        assert facts["levels"][level]["spectral_convergence_db"] == pytest.approx(np.mean(figures), abs=1e-3)
    table = run("--quiet", *arguments)
    assert "| held-one.wav" in table and "| bottom" in table
    assert len({line.count("|") for line in table.split("\n\n")[0].splitlines()}) == 1  # Markdown


def test_eval_reconstruction_without_held_out_takes_all_songs_of_a_manifest(run, manifest, tiny_model):
    facts = json.loads(run("--json", "eval", "reconstruction", manifest, "--seconds", "0.5", "--model", tiny_model))
    assert [Path(file["path"]).stem for file in facts["files"]] == list(SONGS)


def test_eval_reconstruction_takes_seconds_from_the_middle(run, tmp_path, tiny_model):
    middle = music(1.024, 3)
    long = save_music(tmp_path / "long.wav", np.concatenate([music(2, 4), middle, music(2, 5)]))
    short = save_music(tmp_path / "short.wav", middle)
    facts = json.loads(
        run("--json", "eval", "reconstruction", long, short, "--seconds", "1.024", "--model", tiny_model)
    )
    assert facts["files"][0]["levels"] == facts["files"][1]["levels"]
    assert facts["files"][0]["seconds"] == 1.024


def test_a_silent_recording_has_no_decibels_and_a_broken_one_is_skipped(run, tmp_path, tiny_model, capsys):
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
def test_eval_reconstruction_refuses_bad_input_in_one_line_with_status_2(
    run, tmp_path, monkeypatch, tiny_model, held_out, arguments, words
):
    monkeypatch.chdir(tmp_path)
    save_music(tmp_path / "a.wav", music(1, 1))
    chosen = [] if "--model" in arguments else ["--model", tiny_model]
    message = run("--quiet", "eval", "reconstruction", *arguments, *chosen, status=2)
    assert words in message.splitlines()[-1]


def test_visqol_without_its_package_says_how_to_install_it(run, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "visqol", None)
    recording = save_music(tmp_path / "a.wav", music(1, 0))
    message = run("eval", "reconstruction", recording, "--visqol", "--model", tiny_model, status=1)
    assert "pip install 'visqol-python" in message


def test_eval_reconstruction_draws_its_pictures(run, manifest, held_out, tiny_model, tmp_path):
    options = ("--held-out", held_out, "--model", tiny_model, "--seconds", "1", "--plots", tmp_path / "plots")
    facts = json.loads(run("--json", "eval", "reconstruction", manifest, *options))
    names = ("reconstruction", "reconstruction-spectrograms")
    assert facts["plots"] == [str(tmp_path / "plots" / f"{name}.png") for name in names]
    assert all(map(is_picture, facts["plots"]))
