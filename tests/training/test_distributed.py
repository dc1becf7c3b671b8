"""Runs of two processes, by torchrun or with its environment: they train like one process."""

import csv
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from jukectl.errors import RunBusy
from jukectl.progress import ignore
from jukectl.training.checkpointing import checkpoints
from jukectl.training.runs import train_prior, train_vqvae

if sys.platform != "win32":
    import resource

EVERY_STEP = ["train.log_every=1"]

JOBS = """
import hashlib, sys
from pathlib import Path
import torch
from jukectl.progress import ignore
from jukectl.training import runs
from jukectl.training.distributed import join
from jukectl.training.codec_task import VQVAETask

def main(folder, jobs):
    with join(torch.device("cpu")) as ranks:
        honest = VQVAETask.after_step
        def after_step(task):
            figures = honest(task)
            tensors = [*task.vqvae.state_dict().values(), *task.learners.state_dict().values()]
            digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()
            with (folder / f"tensors-{ranks.rank}.txt").open("a") as file:
                print(figures["bottom_restarted"], digest, file=file)
            return figures
        VQVAETask.after_step = after_step
        for job in jobs:
            name, recipe, *overrides = job.split("|")
            getattr(runs, name)(Path(recipe), overrides, ignore, ranks)

main(Path(sys.argv[1]), sys.argv[2:])
"""


def launcher(*arguments: object) -> list[str]:
    """The words of a command that starts two processes by torchrun."""
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *map(str, arguments)]


@pytest.fixture
def in_two(warm_python: list[str]) -> Callable[..., list[str]]:
    """Run Python in two processes, with the environment that torchrun gives them; returns what each printed."""

    def run(*arguments: object) -> list[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        ranks = []
        for rank in ("0", "1"):
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
            environment = {**os.environ, **place, "RANK": rank, "LOCAL_RANK": rank}
            command = [*warm_python, *map(str, arguments)]
            ranks.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            )
        printed = [one.communicate(timeout=240)[0] for one in ranks]
        assert [one.returncode for one in ranks] == [0, 0], printed
        return printed

    return run


def column(run: Path, name: str, log: str = "train.csv") -> list[float]:
    with (run / log).open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.mark.timeout(600)
def test_two_processes_train_like_one(codec_recipe, prior_recipe, in_two, tmp_path):
    codec = [*EVERY_STEP, "codebook.decay=0.5", "train.steps=10", "levels=['bottom', 'top']"]
    prior = [*EVERY_STEP, "train.accumulate=2"]
    train_vqvae(codec_recipe, [*codec, f"out={tmp_path / 'codec-1'}"], ignore)
    train_prior(prior_recipe, [*EVERY_STEP, f"out={tmp_path / 'prior-1'}"], ignore)
    jobs = [  # one after another, each a function of `runs`, its recipe and overrides
        ["train_vqvae", codec_recipe, *codec, f"out={tmp_path / 'codec-2'}"],
        ["train_prior", prior_recipe, *prior, f"out={tmp_path / 'prior-2'}"],
    ]
    in_two("-c", JOBS, tmp_path, *("|".join(map(str, job)) for job in jobs))
    for name in ("codec", "prior"):
        one, two = tmp_path / f"{name}-1", tmp_path / f"{name}-2"
        for log, figure in (("train.csv", "loss"), ("train.csv", "gradient_norm")):
            assert column(two, figure, log) == pytest.approx(column(one, figure, log), abs=1e-3), name
        alone, both = load_file(one / "best.safetensors"), load_file(two / "best.safetensors")
        assert {key: tensor.shape for key, tensor in both.items()} == {key: one.shape for key, one in alone.items()}
    for key, tensor in both.items():  # of the prior: a codec's restarts make much of the last bit
        torch.testing.assert_close(tensor, alone[key], atol=1e-3, rtol=1e-3)
    assert column(tmp_path / "codec-2", "bottom_restarted") == column(tmp_path / "codec-1", "bottom_restarted")

    first, second = ((tmp_path / f"tensors-{rank}.txt").read_text().splitlines() for rank in (0, 1))
    assert first == second
    assert len(first) == 10
    assert sum(float(line.split()[0]) for line in first) > 0


def jukectl(*arguments: object) -> list[object]:
    return ["-m", "jukectl", "train", *arguments, "--device", "cpu"]


def children(torchrun: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that torchrun started, by rank."""
    workers = [one for one in psutil.Process(torchrun.pid).children() if "jukectl" in one.cmdline()]
    return sorted(workers, key=lambda one: int(one.environ()["RANK"]))


def until(condition: Callable[[], object], what: str, seconds: float = 240) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL there")
@pytest.mark.parametrize("victim", [0, 1])
def test_a_run_with_a_killed_process_resumes_with_fewer_or_more_processes(prior_recipe, in_two, tmp_path, victim):
    """One recipe: killed with two processes, taken further by one, finished by two."""
    out = tmp_path / "prior"
    steady = [*EVERY_STEP, "train.schedule=constant", "train.evaluate_every=100000"]
    settings = [one for setting in steady for one in ("--set", setting)]
    command = launcher(*jukectl("upsampler", prior_recipe, "--set", "train.steps=100000", *settings))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as torchrun:
        until(lambda: len(checkpoints(out)) == 2, "two checkpoints")
        with pytest.raises(RunBusy):
            train_prior(prior_recipe, [], ignore)
        killed = time.monotonic()
        children(torchrun)[victim].kill()
        _, errors = torchrun.communicate()
    assert torchrun.returncode == 1
    assert time.monotonic() - killed < 30
    (message,) = [line for line in errors.splitlines() if "jukectl: " in line]
    assert "another process of this run has ended" in message
    assert "Run the same command again: it resumes from the last checkpoint" in message

    last = checkpoints(out)[-1]
    reached = int(last.name.removeprefix("checkpoint-"))
    assert reached % 4 == 0  # as the recipe asks, and every one of them whole
    train_prior(prior_recipe, [f"train.steps={reached + 2}", *steady], ignore)
    assert checkpoints(out)[-1].name == f"checkpoint-{reached + 2:08d}.pt"
    quiet = ["-m", "jukectl", "--quiet", *jukectl("upsampler", prior_recipe)[2:]]
    printed = in_two(*quiet, "--set", f"train.steps={reached + 4}", *settings)
    assert "".join(printed) == f"{out / 'best.safetensors'}\n"  # once

    train_prior(prior_recipe, [f"out={tmp_path / 'whole'}", f"train.steps={reached + 4}", *steady], ignore)
    assert column(out, "step") == list(range(1, reached + 5))
    assert column(out, "loss") == pytest.approx(column(tmp_path / "whole", "loss"), abs=1e-3)


@pytest.mark.slow  # test_runs.py stops and resumes runs of one process
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="limits and signals are of Unix")
def test_a_full_disk_and_a_signal_leave_complete_checkpoints_in_distributed_runs(codec_recipe, tmp_path):
    """One run: it stops for SIGTERM with a checkpoint; taken up where files cannot grow, it says so and keeps that."""
    out = tmp_path / "codec"
    long = [
        "--set",
        "train.steps=100000",
        "--set",
        "train.checkpoint_every=100000",
        "--set",
        "train.evaluate_every=100000",
        "--set",
        "levels=['middle']",
    ]
    command = launcher(*jukectl("vqvae", codec_recipe, *long))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as torchrun:
        until((out / "train.csv").exists, "the first row of the log")
        torchrun.terminate()
        _, errors = torchrun.communicate()
    (message,) = [line for line in errors.splitlines() if "jukectl: " in line]
    assert "jukectl: stopped after step" in message
    assert "Resume with: jukectl train vqvae" in message
    (kept,) = checkpoints(out)
    before = {path.name: path.read_bytes() for path in kept.iterdir()}

    step = int(kept.name.removeprefix("checkpoint-"))
    full = subprocess.run(
        launcher(*jukectl("vqvae", codec_recipe, *long, "--set", f"train.checkpoint_every={step + 2}")),
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000)),
    )
    assert full.returncode == 1
    (message,) = [line for line in full.stderr.splitlines() if "jukectl: " in line]
    assert f"jukectl: cannot write {out / f'checkpoint-{step + 2:08d}'}: " in message
    assert "What was there before is unchanged." in message
    assert checkpoints(out) == [kept]
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert list(out.glob(".*.part")) == []
