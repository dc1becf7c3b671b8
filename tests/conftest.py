"""What tests of several parts share: a tiny model on disk, and a short recording."""

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from reading import browser

from jukectl.settings import NAMES, variable_of

if TYPE_CHECKING:
    from hub_server import Hub

__all__ = ["browser"]  # one for all that use it: playwright begins once in a process

# Shells start background jobs with Ctrl-C ignored, which every process of a test would inherit
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "explorer/test_page.py",
    "training/test_distributed.py",
    "cli/test_streams.py",
    "reliability/test_kills.py",
    "training/test_runs.py",
    "cli/test_controls.py",
    "variations/test_tree.py",
    "render/test_interruptions.py",
    "cli/test_bench.py",
    "render/test_song.py",
    "plots/test_sound.py",
    "vqvae/test_chunks.py",
    "sampling/test_footprint.py",
    "checkpoints/test_huggingface.py",
    "reliability/test_mutants.py",
    "cli/test_memory.py",
    "parity/test_golden_commands.py",
    "cli/test_commands.py",
    "test_readme.py",
    "examples/test_scripts.py",
    "examples/ablations/test_hierarchical_task.py",
    "test_mini.py",
    "test_librosa.py",
    "test_site.py",
)
"""Files whose tests take longest, or long for their number; begun first, none of them is left to one process alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files of tests first, then those with the most tests."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    assert all(path.exists() for path in ranks), "LONGEST names files that do not exist"
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (ranks.get(item.path, len(ranks)), -tests[item.path]))


SAMPLE_RATE = 8_000  # Hz, the slowest that every audio format holds
RIFF_SECONDS = 2.0


def sines(seconds: float, *frequencies: float) -> np.ndarray:
    """Sines (n,) that swell and fade, none of them loud."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    voices = [
        np.sin(2 * np.pi * frequency * time) * np.cos(np.pi * time * (number + 1)) ** 2
        for number, frequency in enumerate(frequencies)
    ]
    return (0.6 * np.mean(voices, axis=0)).astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread: tensors here are too small to share out, and other processes want the cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No network and none of the user's downloads: the hub is at a port where nobody listens, its cache empty."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path_factory.getbasetemp() / "no-hub"))


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """None of the user's settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-settings"))
    for name in NAMES:
        monkeypatch.delenv(variable_of(name), raising=False)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fsync in this process, which waits for the disk: no test lets the machine crash."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture(scope="session", autouse=True)
def one_program() -> Iterator[None]:
    """Make the tree of commands once: typer makes it at each call, in 30 ms."""
    import typer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def warm_python() -> Iterator[list[str]]:
    """The words of a command that runs Python with torch and jukectl loaded, and so starts in milliseconds."""
    if sys.platform != "linux":
        yield [sys.executable]
        return
    from warm import warm_command

    with warm_command() as command:
        yield command


@pytest.fixture(scope="session")
def warm_jukectl(warm_python: list[str]) -> list[str]:
    """The words of a command that runs `jukectl` as a process, which starts in milliseconds."""
    return [*warm_python, "-m", "jukectl"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Iterator[Hub]":
    """A hub on this machine, and a cache of its own: those that jukectl uses while the test runs."""
    from hub_server import running
    from huggingface_hub import close_session

    from jukectl.checkpoints import hub_remote

    monkeypatch.setattr(hub_remote, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub
        close_session()


@pytest.fixture(scope="session")
def riff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a few sines: a stereo wav file at 8 kHz, 16 bits."""
    from jukectl.audio import io

    path = tmp_path_factory.mktemp("riff") / "riff.wav"
    io.save(path, np.stack([sines(RIFF_SECONDS, 220, 660), sines(RIFF_SECONDS, 220, 330, 1_250)]), SAMPLE_RATE)
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model folder, called tiny: random weights from a fixed seed, through real files. Copy it to change it.

    8 kHz, hops 16, 64 and 256, 32 codes a codebook, contexts of 64 codes (0.128, 0.512 and 2.048 seconds), three
    artists and three genres ("unlabelled" is the first of each), up to two genres a song.
    """
    import tomlkit
    import torch

    from jukectl.checkpoints.assemble import Run, assemble
    from jukectl.codes.level import Level
    from jukectl.prior.config import ConditionerConfig, PriorConfig, TimingConfig
    from jukectl.prior.model import Prior
    from jukectl.training.checkpointing import save_weights
    from jukectl.vqvae.codebook import CodebookLearner
    from jukectl.vqvae.config import VQVAEConfig
    from jukectl.vqvae.model import VQVAE

    place = tmp_path_factory.mktemp("models")

    def run(name: str, model: torch.nn.Module, about: dict) -> Run:
        """A model as a training run leaves it."""
        folder = place / "runs" / name
        folder.mkdir(parents=True)
        save_weights(model, folder / "best.safetensors")
        (folder / "model.toml").write_text(tomlkit.dumps(about), encoding="utf-8")
        return Run.load(folder)

    def fill_zeros(model: torch.nn.Module) -> None:
        """Random numbers where a layer starts as nothing, so that every part of the model has a say."""
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        shape = {
            "sample_rate": SAMPLE_RATE,
            "downs": [1, 1, 1],
            "strides": [16, 4, 4],
            "codebook_size": 32,
            "latent_width": 8,
            "widths": [8, 8, 8],
            "depths": [2, 2, 2],
        }
        lists: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in shape.items()}
        config = VQVAEConfig(**lists)
        vqvae = VQVAE(config)
        fill_zeros(vqvae)
        music = torch.from_numpy(sines(4 * RIFF_SECONDS, 220, 330, 550, 1_250))[None]
        for level in Level:  # the codes of music are then all in use
            autoencoder = vqvae.autoencoder(level)
            latents = autoencoder.encoder(music[:, : music.shape[1] // config.hop(level) * config.hop(level)])
            learner = CodebookLearner(autoencoder.codebook)
            learner.start(autoencoder.codebook, latents, torch.Generator().manual_seed(level))
        runs = [run("vqvae", vqvae, {"vqvae": shape, "levels": [level.label for level in Level]})]

        names = {"artists": ["unlabelled", "Ada", "Björk B."], "genres": ["unlabelled", "Jazz", "Ambient"]}
        for level in Level:
            upper = ConditionerConfig(width=8, depth=2, downs=2, codebook_size=config.codebook_size)
            prior_config = PriorConfig(
                level=level,
                context=64,
                width=32,
                depth=3,
                heads=2,
                blocks=8,
                hop=config.hop(level),
                sample_rate=SAMPLE_RATE,
                codebook_size=config.codebook_size,
                artists=len(names["artists"]),
                genres=len(names["genres"]),
                genre_slots=2,
                timing=TimingConfig(bins=16, min_seconds=0.5, max_seconds=60.0) if level is Level.TOP else None,
                conditioner=None if level is Level.TOP else upper,
                init_scale=5.0,
            )
            prior = Prior(prior_config)
            fill_zeros(prior)
            runs.append(run(level.label, prior, {"prior": prior_config.to_dict(), "vocabulary": names}))

    card = {
        "name": "tiny",
        "version": "0.1",
        "licence": "CC0-1.0",
        "summary": "Random weights, for tests.",
        "sources": [{"artist": "Ada", "title": "Sines", "licence": "CC0-1.0"}],
        "sampling": {"top": {"temperature": 0.98}},
    }
    return assemble(place / "tiny", runs, card).path


def without_top(fingerprints: Mapping[str, str]) -> dict[str, str]:
    """The fingerprints of a card whose top prior is replaced."""
    return {part: stated for part, stated in fingerprints.items() if part != "top"}


@pytest.fixture(scope="session")
def singing_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a top prior that reads 16 characters of lyrics, called singer. Not to be changed.

    As the published 1b-lyrics it has lyrics and codes in one sequence and two sets of names: v3 at the top, v2 below.
    It knows songs of 0.5 to 60 seconds.
    """
    import shutil
    from dataclasses import replace

    import torch
    from safetensors.torch import save_file

    from jukectl.checkpoints.store import ModelFolder
    from jukectl.codes.level import Level
    from jukectl.prior.config import AttentionKind, LyricsConfig
    from jukectl.prior.model import Prior
    from jukectl.prior.vocabulary import Style, Vocabulary

    path = tmp_path_factory.mktemp("singing") / "singer"
    shutil.copytree(tiny_model, path)
    card = ModelFolder(path).card
    top = replace(
        card.priors[Level.TOP],
        lyrics=LyricsConfig(characters=16, alphabet=79),
        pattern=(AttentionKind.ROW, AttentionKind.LYRICS, AttentionKind.DENSE),
        tied_head=False,
    )
    first = Vocabulary(artists=("unknown", "ada", "zoë"), genres=("unknown", "jazz", "cool jazz"), style=Style.V3)
    second = Vocabulary(artists=("ada",), artist_numbers=(2,), genres=("unknown", "jazz", "cool"), style=Style.V2)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        prior = Prior(top)
        for parameter in prior.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.5)
        prior.codes.weight[top.codebook_size :] *= 20  # so that what is sung is heard
    save_file(prior.state_dict(), path / "top.safetensors")
    changed = replace(
        card,
        name="singer",
        priors={**card.priors, Level.TOP: top},
        vocabulary=Vocabulary(),
        vocabularies={Level.TOP: first, Level.MIDDLE: second, Level.BOTTOM: second},
        fingerprints=without_top(card.fingerprints),
    )
    (path / "model.toml").write_text(changed.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def beating_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a top prior that is conditioned on beats, called drummer. Not to be changed."""
    import shutil
    from dataclasses import replace

    import torch
    from safetensors.torch import save_file

    from jukectl.checkpoints.store import ModelFolder
    from jukectl.codes.level import Level
    from jukectl.prior.config import BeatConfig
    from jukectl.prior.surgery import add_beats

    path = tmp_path_factory.mktemp("beating") / "drummer"
    shutil.copytree(tiny_model, path)
    folder = ModelFolder(path)
    prior = folder.prior(Level.TOP, torch.device("cpu"))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        add_beats(prior, BeatConfig(width=8))
        prior.beats.project.weight.normal_(std=0.7)
    save_file(prior.state_dict(), path / "top.safetensors")
    priors, stated = {**folder.card.priors, Level.TOP: prior.config}, without_top(folder.card.fingerprints)
    changed = replace(folder.card, name="drummer", priors=priors, fingerprints=stated)
    (path / "model.toml").write_text(changed.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def playing_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a top prior that follows notes, called player. Not to be changed."""
    import shutil
    from dataclasses import replace

    import torch
    from safetensors.torch import save_file

    from jukectl.checkpoints.store import ModelFolder
    from jukectl.codes.level import Level
    from jukectl.prior.config import MidiConfig
    from jukectl.prior.surgery import add_midi

    path = tmp_path_factory.mktemp("playing") / "player"
    shutil.copytree(tiny_model, path)
    folder = ModelFolder(path)
    prior = folder.prior(Level.TOP, torch.device("cpu"))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        add_midi(prior, MidiConfig(width=8, depth=2))
        prior.midi.project.weight.normal_(std=0.7)
    save_file(prior.state_dict(), path / "top.safetensors")
    priors, stated = {**folder.card.priors, Level.TOP: prior.config}, without_top(folder.card.fingerprints)
    changed = replace(folder.card, name="player", priors=priors, fingerprints=stated)
    (path / "model.toml").write_text(changed.to_toml(), encoding="utf-8")
    return path
