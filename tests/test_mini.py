"""The embedded model: what is in the package, whether it can be used by all it promises, and that it makes music."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from jukectl.audio import io, mix
from jukectl.audio.mel import log_mel_distance
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import ModelFolder
from jukectl.cli.main import main
from jukectl.codes.level import Level

ROOT = Path(__file__).parent.parent
RIFF = ROOT / "examples" / "riff.wav"
PROMPT_SECONDS = 6.0
NEW_SECONDS = 3.0
FREE = {
    *("CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "MIT", "BSD-2-Clause", "BSD-3-Clause"),
    *("public domain", "public domain, drums CC-BY-4.0"),
}


@pytest.fixture(scope="module")
def mini() -> ModelFolder:
    return catalogue.find("mini")


@pytest.fixture(scope="module")
def continued(tmp_path_factory) -> tuple[np.ndarray, int, float]:
    """The riff and some seconds more: samples (n,), their rate, and where the new music begins in seconds."""
    song = tmp_path_factory.mktemp("mini") / "song"
    style = ["--artist", "Freedoom", "--genre", "Game", "--seed", "1"]
    lengths = ["--prompt-seconds", str(PROMPT_SECONDS), "--seconds", str(NEW_SECONDS)]
    assert main(["--quiet", "continue", str(RIFF), "--out", str(song), *style, *lengths]) == 0
    audio = io.load(song / "audio" / "0.wav")
    return mix.to_mono(audio.samples), audio.sample_rate, PROMPT_SECONDS


def test_the_embedded_model_takes_at_most_48_megabytes(mini):
    assert sum(file.stat().st_size for file in mini.path.iterdir()) <= 48e6


def test_its_weights_are_the_ones_its_card_names(mini):
    for part, fingerprint in mini.card.fingerprints.items():
        assert mini.fingerprint(part) == fingerprint


def test_its_shape_is_what_the_documentation_says(capsys):
    assert main(["--json", "models", "show", "mini"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sample_rate"] == 22_050
    assert facts["hops"] == {"bottom": 32, "middle": 128, "top": 512}
    assert facts["contexts"] == {"bottom": 2048, "middle": 2048, "top": 1024}
    assert facts["licence"] == "MIT"


def test_all_that_it_learned_from_is_credited_under_a_licence_that_allows_it(mini):
    assert len(mini.card.sources) >= 15
    for source in mini.card.sources:
        assert source["title"]
        assert source["artist"]
        assert source["licence"] in FREE


@pytest.mark.parametrize(("level", "worst"), [(Level.BOTTOM, 0.8), (Level.MIDDLE, 1.0), (Level.TOP, 1.0)])
def test_a_riff_outside_the_training_data_is_reconstructed_from_its_codes(mini, level, worst):
    samples = mix.to_mono(io.load(RIFF, sample_rate=22_050, start=2.0, seconds=4.0).samples)
    riff = torch.from_numpy(samples[: len(samples) // 512 * 512])[None]
    vqvae = mini.vqvae(torch.device("cpu"), (level,))
    with torch.inference_mode():
        decoded = vqvae.decode(vqvae.encode(riff, level), level)
    assert distance(decoded, riff) < worst


@pytest.mark.parametrize("level", [Level.MIDDLE, Level.BOTTOM])
def test_a_prior_comes_with_the_vectors_of_its_quantizer_whose_expected_codes_it_takes(mini, level):
    cpu = torch.device("cpu")
    vectors = mini.prior(level, cpu).stage_vectors
    assert vectors.shape[0] == mini.card.vqvae.stages(level) > 1
    assert torch.equal(vectors.flatten(0, 1), mini.vqvae(cpu, (level,)).codebook(level).vectors)
    assert mini.card.sampling[level.label]["expected"] == 1


def test_a_continuation_starts_with_the_riff_and_adds_music(continued):
    audio, rate, begin = continued
    assert len(audio) / rate == pytest.approx(PROMPT_SECONDS + NEW_SECONDS, abs=0.03)
    riff = mix.to_mono(io.load(RIFF, sample_rate=rate, seconds=begin - 0.5).samples)
    assert distance(torch.from_numpy(audio[: len(riff)])[None], torch.from_numpy(riff)[None]) < 0.8


def test_the_new_music_is_neither_silence_nor_clipped(continued):
    audio, rate, begin = continued
    prompt, new = audio[: round(begin * rate)], audio[round(begin * rate) :]
    loudness = 20 * np.log10(np.sqrt(np.mean(new**2)) / np.sqrt(np.mean(prompt**2)))
    assert -20 < loudness < 12
    assert np.abs(audio).max() < 1


def test_the_new_music_is_not_noise(continued):
    """Its energy lies in few frequencies at a time, as in music: white noise has a spectral flatness of 0.56."""
    audio, rate, begin = continued
    assert spectral_flatness(audio[round(begin * rate) :]) < 0.1


def test_the_new_music_is_not_a_copy_of_the_riff(continued):
    audio, rate, begin = continued
    new = audio[round(begin * rate) :]
    riff = mix.to_mono(io.load(RIFF, sample_rate=rate).samples)
    for start in range(0, len(new) - rate // 2, rate // 2):
        assert best_match(new[start : start + rate // 2], riff) < 0.9


@pytest.mark.slow
def test_a_render_killed_ten_times_ends_in_the_same_bytes(tmp_path):
    """The embedded model, the real program, SIGKILL at random moments from its start on."""
    options = ["--artist", "Sectoid", "--genre", "Metal", "--seconds", "30", "--song-seconds", "60", "--seed", "3"]
    command = [sys.executable, "-m", "jukectl", "--quiet", "sample", *options, "--out"]
    began = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    took = time.monotonic() - began
    chance, kills = random.Random(0), 0
    while kills < 10:
        run = subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.DEVNULL)
        try:
            run.wait(timeout=chance.uniform(0.15, 0.4) * took)
        except subprocess.TimeoutExpired:
            kills += 1
            run.kill()
            run.wait()
        else:
            break
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    assert kills >= 3
    for file in ("top.npz", "middle.npz", "bottom.npz", "audio/0.wav"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def distance(audio: torch.Tensor, other: torch.Tensor) -> float:
    """The distance of log-mel bands of audio (1, N): of the riff from noise as loud 3.6, from silence 2.2."""
    return float(log_mel_distance(audio, other, 22_050))


def spectral_flatness(audio: np.ndarray, size: int = 1024) -> float:
    """The geometric over the arithmetic mean of a frame's power spectrum, mean of all frames: 0 a tone, 0.56 noise."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[:: size // 2] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames)) ** 2 + 1e-12
    return float(np.mean(np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)))


def best_match(piece: np.ndarray, whole: np.ndarray) -> float:
    """The largest normalised correlation of a piece with any place of the whole: 1 where it is a copy."""
    size = 1 << (len(whole) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(piece, size)))[: len(whole) - len(piece)]
    energy = np.cumsum(np.concatenate([[0.0], whole.astype(np.float64) ** 2]))
    local = np.sqrt(energy[len(piece) : len(whole)] - energy[: len(whole) - len(piece)])
    return float(np.max(np.abs(products) / (local * np.linalg.norm(piece) + 1e-9)))
