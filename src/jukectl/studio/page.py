"""The page: the explorer's, with a mark by which it offers to make songs, and the data that it lists and plays."""

from importlib.resources import files

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from jukectl.explorer.site import PAGE, TITLE
from jukectl.studio.library import Library

MARK = b'    <title>Songs</title>\n    <meta name="jukectl-studio" content="1">'
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


class Page:
    """Handlers of the requests for the page, its data and its media."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._files = {
            entry.name: entry.read_bytes()
            for entry in files("jukectl.explorer").joinpath("page").iterdir()
            if entry.is_file() and not entry.name.startswith(".")
        }
        self._files[PAGE] = self._files[PAGE].replace(TITLE, MARK)
        assert MARK in self._files[PAGE]

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self._file),
            *(Route(f"/{name}", self._file) for name in self._files),
            Route("/data/index.js", self._index),
            Route("/data/songs/{name}.js", self._song),
            Route("/media/{name}/{file}", self._media),
        ]

    async def _file(self, request: Request) -> Response:
        name = request.url.path.rpartition("/")[2] or PAGE
        return Response(self._files[name], media_type=TYPES["." + name.rpartition(".")[2]])

    async def _index(self, request: Request) -> Response:
        return Response(await run_in_threadpool(self._library.index), media_type=TYPES[".js"])

    async def _song(self, request: Request) -> Response:
        text = await run_in_threadpool(self._library.song, request.path_params["name"])
        return Response(text, media_type=TYPES[".js"])

    async def _media(self, request: Request) -> Response:
        names = request.path_params["name"], request.path_params["file"]
        return FileResponse(await run_in_threadpool(self._library.media, *names))
