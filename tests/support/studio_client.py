"""A studio in a process, and a client of its API that is written with the standard library alone."""

import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

PATIENCE = 900.0  # seconds; nothing takes as long on a machine at rest


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of an answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Client:
    """A client of a studio."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send a request, with a JSON body or a raw one, and return the answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        content = json.dumps(body).encode() if body is not None else raw
        kind = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, content, {**kind, **self.headers, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON of a path under /api/v1."""
        answer = self.ask("GET", f"/api/v1{path}")
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path: str, body: Any, *, status: int = 201) -> Any:
        """Send JSON to a path under /api/v1, and return the JSON of the answer."""
        answer = self.ask("POST", f"/api/v1{path}", body)
        assert answer.status == status, answer.body
        return answer.json

    def upload(self, name: str, content: bytes) -> Answer:
        """Send a file."""
        kind = {"Content-Type": "application/octet-stream"}
        return self.ask("POST", f"/api/v1/uploads?name={name}", headers=kind, raw=content)

    def wait_for(self, job: str, holds: Callable[[dict[str, Any]], bool], patience: float = PATIENCE) -> dict[str, Any]:
        """Return a job as soon as something holds for it."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            found: dict[str, Any] = self.get(f"/jobs/{job}")
            if holds(found):
                return found
            time.sleep(0.02)
        raise AssertionError(f"in vain: {found}")

    def ended(self, job: str) -> dict[str, Any]:
        """Return a job that is over."""
        return self.wait_for(job, lambda one: one["state"] in ("done", "failed", "cancelled"))

    @contextmanager
    def events(self) -> Iterator["Events"]:
        """Follow the events of the studio."""
        with socket.create_connection((self.host, self.port), timeout=PATIENCE) as connection:
            extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            request = f"GET /api/v1/events HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{extra}\r\n"
            connection.sendall(request.encode())
            with connection.makefile("rb") as file:
                yield Events(file)


class Events:
    """State of a queue, as a client of the events knows it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.status = int(file.readline().split()[1])
        self.jobs: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        self.paused = False

    def follow(self, holds: Callable[["Events"], bool]) -> "Events":
        """Read events until something holds."""
        name = ""
        while not holds(self):
            line = self._file.readline()
            assert line, "the stream ended"
            text = line.decode().strip()  # lines with the length of a chunk mean nothing here
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: "):
                value = json.loads(text.removeprefix("data: "))
                if name == "job":
                    self.jobs[value["id"]] = value
                else:
                    self.order, self.paused = value["order"] or self.order, value["paused"]
        return self


@dataclass
class RunningStudio:
    """The process of a studio."""

    process: "Popen[bytes]"
    client: Client
    facts: dict[str, Any]


@contextmanager
def running(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningStudio]:
    """Run a studio in a process, and end it by Ctrl-C, unless it was killed."""
    command = [sys.executable, "-m", "jukectl", "--json", "studio", str(folder), "--port", "0", "--no-open", *options]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    with Popen(command, stdout=PIPE, env=env) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, "the studio did not start"
            facts = json.loads(line)
            port = int(facts["address"].split(":")[2].partition("/")[0])
            yield RunningStudio(process, Client("127.0.0.1", port), facts)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
