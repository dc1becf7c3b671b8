"""The API of the studio, as an ASGI application."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jukectl.errors import BadInput, JukectlError
from jukectl.explorer.about import Change
from jukectl.explorer.update import MEDIA_TYPES
from jukectl.studio.estimates import Estimates
from jukectl.studio.events import Events, EventStream
from jukectl.studio.forms import Forms
from jukectl.studio.job import Job
from jukectl.studio.openapi import description, operations
from jukectl.studio.page import Page
from jukectl.studio.queue import Queue
from jukectl.studio.requests import Refused, body, json_body, status_of
from jukectl.studio.runner import Runner
from jukectl.studio.songs import Songs
from jukectl.studio.uploads import LARGEST, Uploads

PREFIX = "/api/v1"
PIECE = 2**18  # bytes of a download that are sent at a time
TYPES = {**MEDIA_TYPES, "png": "image/png", "mid": "audio/midi"}
"""Media types of files that the page shows; all others are downloads."""

Handler = Callable[[Request], Awaitable[Response]]


class Studio:
    """Handlers of all requests. Work on files runs in threads, so that nobody waits for another."""

    def __init__(
        self,
        forms: Forms,
        songs: Songs,
        uploads: Uploads,
        queue: Queue,
        runner: Runner,
        estimates: Estimates,
        page: Page,
    ) -> None:
        self._forms, self._songs, self._uploads = forms, songs, uploads
        self._queue, self._runner, self._estimates, self._page = queue, runner, estimates, page
        self.events = Events(queue)
        self._receiving = asyncio.Semaphore(4)  # uploads at a time

    def app(self) -> Starlette:
        """Return the application."""
        handlers: dict[tuple[str, str], Handler] = {
            ("/openapi.json", "get"): self._openapi,
            ("/commands", "get"): self._commands,
            ("/models", "get"): self._models,
            ("/models/{name:path}", "get"): self._model,
            ("/songs", "get"): self._all_songs,
            ("/songs/{name}", "get"): self._song,
            ("/songs/{name}", "patch"): self._edit_song,
            ("/songs/{name}/files/{file:path}", "get"): self._file,
            ("/songs/{name}/zip", "get"): self._zip,
            ("/jobs", "get"): self._jobs,
            ("/jobs", "post"): self._add_job,
            ("/jobs/{id}", "get"): self._job,
            ("/jobs/{id}", "patch"): self._change_job,
            ("/jobs/{id}", "delete"): self._end_job,
            ("/queue", "patch"): self._change_queue,
            ("/estimates", "post"): self._estimate,
            ("/uploads", "post"): self._upload,
            ("/events", "get"): self._events,
        }
        described = {(path, method) for path, methods in operations({}).items() for method in methods}
        assert described == handlers.keys(), described ^ handlers.keys()
        routes = [Route(PREFIX + path, handlers[path, method], methods=[method]) for path, method in handlers]
        errors = dict.fromkeys((Refused, JukectlError, HTTPException, Exception), _answer_error)
        return Starlette(routes=[*self._page.routes(), *routes], exception_handlers=errors)

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(description(self._forms.commands, PREFIX))

    async def _commands(self, request: Request) -> Response:
        return JSONResponse({"commands": [asdict(form) for form in self._forms.commands.values()]})

    async def _models(self, request: Request) -> Response:
        def listed() -> list[dict[str, Any]]:
            from jukectl.inspect.info import list_models  # torch loads here

            return list_models()

        return JSONResponse({"models": await run_in_threadpool(listed)})

    async def _model(self, request: Request) -> Response:
        name = str(request.path_params["name"])

        def described() -> dict[str, Any]:
            from jukectl.inspect.info import describe_model

            self._forms.check_model(name)
            return describe_model(name)

        return JSONResponse(await run_in_threadpool(described))

    async def _all_songs(self, request: Request) -> Response:
        return JSONResponse({"songs": await run_in_threadpool(self._songs.describe_all)})

    async def _song(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._songs.describe, request.path_params["name"]))

    async def _edit_song(self, request: Request) -> Response:
        change = Change.of(await json_body(request))
        name = request.path_params["name"]
        await run_in_threadpool(lambda: change.write(self._songs.path(name)))
        return JSONResponse(await run_in_threadpool(self._songs.describe, name))

    async def _file(self, request: Request) -> Response:
        path = await run_in_threadpool(self._songs.file, request.path_params["name"], request.path_params["file"])
        kind = TYPES.get(path.suffix[1:])
        return FileResponse(
            path,
            media_type=kind or "application/octet-stream",
            filename=path.name,
            content_disposition_type="inline" if kind else "attachment",
        )

    async def _zip(self, request: Request) -> Response:
        name = request.path_params["name"]
        file = await run_in_threadpool(self._songs.zipped, name)
        pieces = iter(lambda: file.read(PIECE), b"")
        named = f"attachment; filename*=UTF-8''{quote(name, safe='')}.zip"
        headers = {"Content-Disposition": named}
        after = BackgroundTask(file.close)
        return StreamingResponse(pieces, media_type="application/zip", headers=headers, background=after)

    async def _jobs(self, request: Request) -> Response:
        jobs = [job.to_dict() for job in self._queue.jobs()]
        return JSONResponse({"paused": self._queue.paused, "jobs": jobs})

    async def _job(self, request: Request) -> Response:
        return JSONResponse(self._queue.get(request.path_params["id"]).to_dict())

    async def _add_job(self, request: Request) -> Response:
        values = await json_body(request)
        job = await run_in_threadpool(self._ordered, values)
        location = {"Location": f"{PREFIX}/jobs/{job.id}"}
        return JSONResponse(job.to_dict(), HTTPStatus.CREATED, headers=location)

    def _ordered(self, values: Any) -> Job:
        """Queue a job. Raises BadInput, CannotWrite."""
        order = self._forms.order(values)
        self._forms.words(order, None)  # all that may be refused, before a folder is made
        new = None
        if order.makes_new:
            digits = 0 if order.source else 4
            new = self._songs.new(order.options.get("out"), order.default_name, digits=digits)
        elif "out" in order.options:
            raise BadInput("this changes the song in its own folder, and makes no new one: leave out away")
        words = self._forms.words(order, new)
        return self._queue.add(
            Job(
                command=order.form.name,
                options=order.options,
                words=tuple(words),
                song=new or order.source,
                has_progress=order.form.has_progress,
            )
        )

    async def _change_job(self, request: Request) -> Response:
        values, name = await json_body(request), request.path_params["id"]
        if not isinstance(values, dict) or not values or not values.keys() <= {"state", "position"}:
            raise BadInput("a change is an object with a state, a position, or both")
        state, position = values.get("state"), values.get("position")
        if state not in (None, "paused", "queued"):
            raise BadInput('state is "paused" or "queued"')
        if position is not None and (isinstance(position, bool) or not isinstance(position, int)):
            raise BadInput("position is a whole number from 0")
        if position is not None:
            await run_in_threadpool(self._queue.move, name, position)
        if state is not None:
            await run_in_threadpool(self._runner.pause if state == "paused" else self._runner.resume, name)
        return JSONResponse(self._queue.get(name).to_dict())

    async def _end_job(self, request: Request) -> Response:
        job = self._queue.get(request.path_params["id"])
        if job.state.is_over:
            await run_in_threadpool(self._queue.remove, job.id)
        else:
            job = await run_in_threadpool(self._runner.cancel, job.id)
        return JSONResponse(job.to_dict())

    async def _change_queue(self, request: Request) -> Response:
        values = await json_body(request)
        if not isinstance(values, dict) or not isinstance(values.get("paused"), bool) or len(values) != 1:
            raise BadInput('a change is {"paused": true} or {"paused": false}')
        await run_in_threadpool(self._queue.pause, values["paused"])
        return await self._jobs(request)

    async def _estimate(self, request: Request) -> Response:
        values = await json_body(request)

        def estimate() -> dict[str, Any]:
            order = self._forms.order(values)
            if not order.form.has_estimate:
                raise BadInput(f"{order.form.name} takes a moment: there is no estimate")
            out = order.options.get("out", f".{order.default_name}-estimate")  # a name that no song has
            new = out if order.makes_new else None
            return self._estimates.of(self._forms.words(order, new))

        return JSONResponse(await run_in_threadpool(estimate))

    async def _upload(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/octet-stream" and not kind.startswith("audio/"):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an upload is application/octet-stream or audio/…")
        if self._receiving.locked():
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "other files are being received: send it again later")
        async with self._receiving:
            upload = self._uploads.begin(request.query_params.get("name", ""))
            with upload:
                async for piece in body(request, LARGEST):
                    await run_in_threadpool(upload.write, piece)
                facts = await run_in_threadpool(upload.finish)
        return JSONResponse(facts, HTTPStatus.CREATED)

    async def _events(self, request: Request) -> Response:
        return EventStream(self.events)


async def _answer_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)
    if not isinstance(error, (Refused, JukectlError)):
        return JSONResponse({"error": "the studio made a mistake: see its terminal"}, HTTPStatus.INTERNAL_SERVER_ERROR)
    return JSONResponse({"error": " ".join(str(error).split())}, status_of(error))
