"""The description of the API, as OpenAPI 3.1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jukectl import __version__
from jukectl.studio.forms import CommandForm
from jukectl.studio.job import State

TEXT, NUMBER, OBJECT = {"type": "string"}, {"type": "number"}, {"type": "object"}
NULLABLE_TEXT, NULLABLE_OBJECT = {"type": ["string", "null"]}, {"type": ["object", "null"]}
JOB = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "command": TEXT,
        "options": OBJECT,
        "song": {**TEXT, "description": "name of the song's folder"},
        "state": {"enum": [str(state) for state in State]},
        "created": TEXT,
        "started": NULLABLE_TEXT,
        "ended": NULLABLE_TEXT,
        "progress": {**NULLABLE_OBJECT, "description": "the last object of --progress json"},
        "warnings": {"type": "array", "items": TEXT},
        "result": {**NULLABLE_OBJECT, "description": "the object of --json"},
        "error": NULLABLE_TEXT,
        "command_line": {**TEXT, "description": "does the same in the studio's folder"},
    },
}
JOB_CHANGE = {
    "type": "object",
    "properties": {
        "state": {"enum": ["paused", "queued"], "description": "pause, or resume"},
        "position": {"type": "integer", "minimum": 0, "description": "in the queue"},
    },
    "additionalProperties": False,
}
ABOUT = {"type": "object", "properties": {"title": TEXT, "star": {"type": "boolean"}, "notes": TEXT}}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A method of a path."""

    summary: str
    answer: dict[str, Any] = field(default_factory=lambda: OBJECT)
    body: dict[str, Any] | None = None
    body_type: str = "application/json"
    answer_type: str = "application/json"
    status: int = 200
    query: tuple[str, ...] = ()

    def described(self, path: str) -> dict[str, Any]:
        """Return the operation as OpenAPI has it."""
        inside = [part.strip("{}").partition(":")[0] for part in path.split("/") if part.startswith("{")]
        places = [*((name, "path") for name in inside), *((name, "query") for name in self.query)]
        found: dict[str, Any] = {
            "summary": self.summary,
            "parameters": [{"name": name, "in": place, "required": True, "schema": TEXT} for name, place in places],
            "responses": {
                str(self.status): {
                    "description": "done",
                    **({} if self.status == 204 else {"content": {self.answer_type: {"schema": self.answer}}}),
                },
                "default": {
                    "description": "refused, or failed",
                    "content": {
                        "application/json": {"schema": {"type": "object", "properties": {"error": TEXT}}},
                    },
                },
            },
        }
        if self.body is not None:
            found["requestBody"] = {"required": True, "content": {self.body_type: {"schema": self.body}}}
        return found


def operations(commands: Mapping[str, CommandForm]) -> dict[str, dict[str, Operation]]:
    """Return the operations of the API, by path and method."""
    order = {"oneOf": [form.schema for form in commands.values()]}
    jobs = {"type": "object", "properties": {"paused": {"type": "boolean"}, "jobs": {"type": "array", "items": JOB}}}
    songs = {"type": "object", "properties": {"songs": {"type": "array", "items": OBJECT}}}
    binary = {"type": "string", "format": "binary"}
    return {
        "/openapi.json": {"get": Operation(summary="This description")},
        "/commands": {"get": Operation(summary="Commands with their options, help texts and defaults")},
        "/models": {"get": Operation(summary="Models, as jukectl --json models list")},
        "/models/{name:path}": {"get": Operation(summary="A model, as jukectl --json models show NAME")},
        "/songs": {"get": Operation(summary="Songs and trees, the latest first, as jukectl --json info", answer=songs)},
        "/songs/{name}": {
            "get": Operation(summary="A song"),
            "patch": Operation(summary="Change title, star and notes", body=ABOUT),
        },
        "/songs/{name}/files/{file:path}": {
            "get": Operation(summary="A file of a song, or a range of it", answer=binary, answer_type="*/*"),
        },
        "/songs/{name}/zip": {
            "get": Operation(summary="All files of a song", answer=binary, answer_type="application/zip"),
        },
        "/jobs": {
            "get": Operation(summary="The queue", answer=jobs),
            "post": Operation(summary="Queue a command", body=order, answer=JOB, status=201),
        },
        "/jobs/{id}": {
            "get": Operation(summary="A job", answer=JOB),
            "patch": Operation(summary="Pause, resume or move a job", body=JOB_CHANGE, answer=JOB),
            "delete": Operation(summary="Cancel a job; remove one that is over from the list", answer=JOB),
        },
        "/queue": {
            "patch": Operation(
                summary="Begin no further job, or begin again",
                body={"type": "object", "properties": {"paused": {"type": "boolean"}}, "required": ["paused"]},
            ),
        },
        "/estimates": {"post": Operation(summary="Time and memory of a command, as --dry-run", body=order)},
        "/uploads": {
            "post": Operation(
                summary="Send a recording or a MIDI file; its name says which",
                body=binary,
                body_type="application/octet-stream",
                status=201,
                query=("name",),
            ),
        },
        "/events": {
            "get": Operation(
                summary='Changes of the queue: "queue" with the order of ids, and "job"; all of it after a reconnect',
                answer=TEXT,
                answer_type="text/event-stream",
            ),
        },
    }


def description(commands: Mapping[str, CommandForm], prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "jukectl studio", "version": __version__},
        "paths": {
            f"{prefix}{path.replace(':path', '')}": {
                method: operation.described(path) for method, operation in methods.items()
            }
            for path, methods in operations(commands).items()
        },
    }
