"""Processes that run commands: forks of one that has loaded jukectl, or each loaded by itself."""

import signal
import sys
from pathlib import Path

import pytest

from jukectl.studio.template import IS_SUPPORTED, NoWorker, Template
from jukectl.studio.worker import Workers

LAUNCH = [sys.executable, "-m", "jukectl.cli.worker"]


@pytest.mark.parametrize("forks", [True, False] if IS_SUPPORTED else [False])
def test_a_worker_runs_one_command_and_can_be_interrupted_or_killed(forks, tmp_path):
    workers = Workers(LAUNCH, tmp_path, forks=forks)
    try:
        outcome = workers.take().run(["--json", "info", "no-song"], lambda event: None)
        assert (outcome.status, outcome.result) == (2, None)
        assert outcome.error
        assert outcome.error.startswith("there is no song folder no-song")
        waits, killed = workers.take(), workers.take()
        killed.kill()
        assert killed._process.wait(60) == -signal.SIGKILL
        assert waits.is_alive
        assert waits.process
        if forks:  # else it may still load, and have no handler yet
            waits.stop()
            assert waits._process.wait(60) == 130
        waits.kill()
    finally:
        workers.close()


@pytest.mark.skipif(not IS_SUPPORTED, reason="forks are for Linux")
def test_a_template_that_ends_is_said_and_the_next_one_begins_anew(tmp_path):
    template = Template([sys.executable, "-c", "raise SystemExit"], tmp_path)
    with pytest.raises(NoWorker, match="could not be started"):
        template.child()
    workers = Workers([sys.executable, "-c", "raise SystemExit"], Path(tmp_path), forks=True)
    for _ in range(2):
        with pytest.raises(NoWorker):
            workers.take()
    workers.close()
