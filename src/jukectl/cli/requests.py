"""From the options of a sampling command to a pipeline request, and from its result to stdout."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jukectl.cli.console import emit, say
from jukectl.cli.options import parse_adapter, parse_levels, parse_memory, parse_per_level, read_lyrics

if TYPE_CHECKING:
    from jukectl.pipeline import Rendered, Request


def build_request(
    *,
    temperature: str | None = None,
    top_p: str | None = None,
    top_k: str | None = None,
    advance: str | None = None,
    levels: str = "top,middle,bottom",
    preview: str = "",
    genre: list[str] | None = None,
    lyrics: Path | None = None,
    adapter: list[str] | None = None,
    max_memory: str | None = None,
    **options: object,
) -> "Request":
    """A Request from option texts; BadInput names the option that is wrong."""
    from jukectl.pipeline.request import AdapterChoice, Request

    settings = {
        name: parse_per_level(option, text)
        for name, option, text in (
            ("temperature", "--temperature", temperature),
            ("top_p", "--top-p", top_p),
            ("top_k", "--top-k", top_k),
            ("advance", "--advance", advance),
        )
    }
    return Request(
        settings=settings,
        levels=parse_levels(levels),
        preview=parse_levels(preview),
        genres=tuple(genre or ()),
        lyrics=None if lyrics is None else read_lyrics(lyrics),
        adapters=tuple(AdapterChoice(*parse_adapter(text)) for text in adapter or ()),
        max_memory=parse_memory(max_memory),
        **options,  # type: ignore[arg-type]
    )


def show_rendered(context: typer.Context, result: "Rendered") -> None:
    """The audio paths on stdout; a remark where there was nothing to do."""
    if not result.new:
        say(context, f"{result.song} is finished already: nothing to do.")
    emit(
        context,
        result.audio,
        {"song": str(result.song), "audio": [str(path) for path in result.audio], "new": result.new},
    )
