"""The team of threads of the compiled step: forks, calls at the same time, and the end of the interpreter."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tiny_priors import tiny_prior

from jukectl.codes.recipe import LevelSampling
from jukectl.native.library import library
from jukectl.native.packing import Precision
from jukectl.prior.model import Prior
from jukectl.sampling.decoders.native import NativeDecoder
from jukectl.sampling.decoders.threads import KEPT, TRIED, ThreadChoice
from jukectl.sampling.timing import conditioning

pytestmark = pytest.mark.skipif(library() is None, reason="there was no compiler when jukectl was installed")
ROOT = Path(__file__).parents[2]

SETUP = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests/native")!r}, {str(ROOT / "tests/support")!r}]
import torch
torch.set_num_threads(1)
from test_threads import made
"""


def made(threads: int, rows: int = 3, prior: Prior | None = None) -> list[list[int]]:
    """Codes of a tiny prior, sampled in several calls."""
    prior = prior or tiny_prior()
    decoder = NativeDecoder(prior, rows, LevelSampling(temperature=1.0), Precision.FP32, threads=threads)
    uniform = torch.rand(rows, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    decoder.begin(torch.zeros(rows, 3, dtype=torch.int64), conditioning(prior, rows))
    return torch.cat([decoder.decode(piece) for piece in uniform.split([1, 4, 5], dim=1)], dim=1).tolist()


def run(python: list[str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*python, "-c", SETUP + code], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("threads", [2, 3, 64, 1000])
def test_codes_do_not_depend_on_the_number_of_threads(threads):
    assert made(threads) == made(1)


def test_teams_grow_and_shrink_between_calls():
    expected = made(1)
    for threads in (2, 5, 3, 1, 6, 2):
        assert made(threads) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_has_a_team_of_its_own(warm_python):
    code = """
import os
expected = made(3)
for _ in range(2):
    child = os.fork()
    if not child:
        os._exit(0 if made(3) == expected == made(1) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert made(3) == expected
"""
    done = run(warm_python, code)
    assert done.returncode == 0, done.stderr


def test_calls_from_several_threads_of_python_have_their_own_results():
    expected, prior = made(1), tiny_prior()  # made once: its weights come from one random stream of the process
    with ThreadPoolExecutor(4) as pool:
        assert all(one == expected for one in pool.map(lambda _: made(2, prior=prior), range(12)))


def test_the_interpreter_ends_while_threads_are_parked():
    done = run([sys.executable], "made(4)\nprint('done')")
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_signals_are_handled_by_the_threads_of_python(warm_python):
    code = f"""
import os, signal
made(4)
caught = []
signal.signal(signal.{signal.SIGUSR1.name}, lambda number, frame: caught.append(number))
for _ in range(20):
    os.kill(os.getpid(), signal.{signal.SIGUSR1.name})
    made(4)
assert len(caught) == 20, caught
"""
    done = run(warm_python, code)
    assert done.returncode == 0, done.stderr


def test_the_fastest_number_of_threads_is_chosen_and_tried_again_later():
    choice, seconds = ThreadChoice([1, 2]), {1: 0.3, 2: 0.2}
    tried = []
    for _ in range(2 * TRIED):
        tried.append(choice.next())
        choice.took(seconds[choice.next()], 1)
    assert tried == [1, 2] * TRIED
    assert choice.next() == 2
    for _ in range(KEPT - 2 * TRIED):
        choice.took(1.0, 1)
    assert choice.next() == 1  # from here on both are measured again
    assert ThreadChoice([1, 1]).candidates == [1]
    choice.took(9.0, 0)  # the first code of a window takes no step, so it says nothing
    assert choice.next() == 1
