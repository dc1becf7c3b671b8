"""Running a batch: songs are dealt to processes, each of which samples its songs together; results in a file."""

import json
import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from jukectl.batch.entries import Entry
from jukectl.batch.together import Outcome, Together
from jukectl.errors import BadInput
from jukectl.files import atomic_write, make_folder
from jukectl.plan.device import choose
from jukectl.plan.free_memory import available_memory
from jukectl.plan.models import planned_model
from jukectl.progress import BatchProgress, Event, Listener, ignore
from jukectl.sampling.decoders.threads import allowed_cpus
from jukectl.sampling.footprint import parameters
from jukectl.tables import parse_json

RESULTS = "results.jsonl"
"""Name of the file in the folder of a batch that has a JSON object for each song."""

PROCESS_BYTES = 6 * 10**8  # of a process with its libraries, beside its model
NUMBER_BYTES = 2 * 4  # of a parameter in torch and, packed, in the compiled step


@dataclass(frozen=True)
class BatchResult:
    """The results of the songs of a batch, in the order of the manifest."""

    folder: Path
    outcomes: tuple[Outcome, ...]

    @property
    def results(self) -> Path:
        """Path of the file with a JSON object for each song."""
        return self.folder / RESULTS

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Songs that are not finished."""
        return tuple(one for one in self.outcomes if one.error)

    @property
    def audio(self) -> tuple[Path, ...]:
        """Audio files of the finished songs."""
        return tuple(path for one in self.outcomes if one.rendered for path in one.rendered.audio)


def run_batch(
    entries: Sequence[Entry], folder: Path, *, workers: int | None = None, listener: Listener = ignore
) -> BatchResult:
    """Render checked entries with some processes (default: one for each CPU, or one for a GPU).

    Finished songs are left as they are and others resumed. The results of all songs are written to `folder`.
    """
    check_results(folder)
    make_folder(folder)
    with atomic_write(folder / RESULTS):
        pass  # of an earlier run; songs that are finished are reported again at once
    found: dict[Path, Outcome] = {}
    for outcome in _rendered(entries, workers or default_workers(entries), listener):
        found[outcome.entry.out] = outcome
        with (folder / RESULTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record_of(outcome), ensure_ascii=False) + "\n")
    return BatchResult(folder, tuple(found[entry.out] for entry in entries))


def record_of(outcome: Outcome) -> dict[str, Any]:
    """Return the JSON object of a song."""
    entry, rendered = outcome.entry, outcome.rendered
    record = {"line": entry.line, "song": str(entry.out)}
    if rendered is None:
        return record | {"status": "failed", "error": outcome.error}
    return record | {
        "status": "finished",
        "new": rendered.new,
        "seed": outcome.seed,
        "samples": outcome.samples,
        "seconds": round(outcome.seconds, 3),
        "audio": [str(path) for path in rendered.audio],
    }


def check_results(folder: Path) -> None:
    """Raise BadInput if the folder of a batch has a file of results that jukectl did not write."""
    path = folder / RESULTS
    if not path.exists():
        return
    try:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        ours = not first or {"line", "song", "status"} <= parse_json(first).keys()
    except (ValueError, AttributeError):
        ours = False
    if not ours:
        raise BadInput(f"{path} is another program's: give another folder with --out")


def default_workers(entries: Sequence[Entry]) -> int:
    """Return how many processes share the songs: one for a GPU, else as many as CPUs, songs and memory allow."""
    request = entries[0].request
    machine = choose(request.device, request.precision)
    if machine.device.type != "cpu":
        return 1
    priors = planned_model(request).card.priors.values()
    size = PROCESS_BYTES + NUMBER_BYTES * max(parameters(config) for config in priors)
    fitting = available_memory(machine.device, request.max_memory) // size
    return max(1, min(len(entries), allowed_cpus(), fitting))


def shares(entries: Sequence[Entry], workers: int) -> list[list[Entry]]:
    """Deal songs to processes such that those of a kind are spread evenly, and lie side by side in each share."""

    def kind(entry: Entry) -> tuple[str, ...]:
        request, recording = entry.request, entry.recording
        length = f"{request.seconds or 0:012.3f}"
        prompt = f"{recording.seconds or 0:012.3f}" if recording is not None else ""
        settings = {name: dict(levels) for name, levels in request.settings.items()}
        return request.model or "", str(request.adapters), request.precision, length, prompt, str(settings)

    ordered = sorted(entries, key=kind)
    return [ordered[first::workers] for first in range(min(workers, len(entries)))]


def _rendered(entries: Sequence[Entry], workers: int, listener: Listener) -> Iterator[Outcome]:
    dealt = shares(entries, workers)
    if len(dealt) == 1:
        yield from Together(listener).render(dealt[0])
        return
    machine = choose(entries[0].request.device)
    yield from _Workers(listener, len(entries)).render(dealt, available_memory(machine.device) // len(dealt))


@dataclass(eq=False)
class _Worker:
    """A process and the songs that it has not finished yet."""

    process: BaseProcess
    left: dict[Path, Entry]  # by folder
    progress: BatchProgress | None = None


@dataclass(eq=False)
class _Workers:
    """Processes that render shares of a batch. They end with this process, and every saved window stays."""

    listener: Listener
    songs: int  # of the batch
    at_work: dict[Connection, _Worker] = field(default_factory=dict)
    ended: list[BatchProgress] = field(default_factory=list)

    def render(self, dealt: Sequence[Sequence[Entry]], memory: int) -> Iterator[Outcome]:
        """Yield what became of each song."""
        # spawned, not forked: torch's threads and CUDA do not survive a fork
        spawn = multiprocessing.get_context("spawn")
        try:
            for share in dealt:
                receiver, sender = spawn.Pipe(duplex=False)
                process = spawn.Process(target=_work, args=(share, sender, memory), daemon=True)
                process.start()
                sender.close()  # the pipe then ends with the process
                self.at_work[receiver] = _Worker(process, {entry.out: entry for entry in share})
            while self.at_work:
                ready = wait(list(self.at_work))
                for receiver in [one for one in self.at_work if one in ready]:
                    yield from self._receive(receiver)
        finally:
            for worker in self.at_work.values():
                worker.process.terminate()
            for worker in self.at_work.values():
                worker.process.join()

    def _receive(self, receiver: Connection) -> Iterator[Outcome]:
        worker = self.at_work[receiver]
        try:
            event: Event | Outcome = receiver.recv()
        except EOFError:
            worker.process.join()
            del self.at_work[receiver]
            if worker.progress is not None:
                self.ended.append(worker.progress)
            status = worker.process.exitcode
            for entry in worker.left.values():
                yield Outcome(entry, error=f"its process ended with status {status}: run the command again to resume")
            return
        if isinstance(event, Outcome):
            del worker.left[event.entry.out]
            yield event
        elif isinstance(event, BatchProgress):
            worker.progress = event
            self._report(event)
        else:
            self.listener(event)

    def _report(self, latest: BatchProgress) -> None:
        """Report the progress of all processes together."""
        parts = [*self.ended, *(one.progress for one in self.at_work.values() if one.progress is not None)]
        self.listener(
            replace(
                latest,
                songs=self.songs,
                finished=sum(one.finished for one in parts),
                done=sum(one.done for one in parts),
                total=sum(one.total for one in parts),
            )
        )


def _work(entries: Sequence[Entry], events: Connection, memory: int) -> None:
    """Render songs in a process of a batch, and send what happens to the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the one that started this ends it
    torch.set_num_threads(1)

    def send(event: Event | Outcome) -> None:
        try:
            events.send(event)
        except BrokenPipeError:  # the process that started this one is gone; that is no song's failure
            sys.exit(1)

    for outcome in Together(send, memory=memory, threads=1).render(entries):
        send(outcome)
