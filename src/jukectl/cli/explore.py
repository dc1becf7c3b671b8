"""`jukectl explore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress, say

if TYPE_CHECKING:
    from jukectl.explorer.site import Site


def explore(
    context: typer.Context,
    folders: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Songs, trees, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", help="The site's folder; one that is there is brought up to date.")],
    title: Annotated[str, typer.Option("--title", help="What the site is called.")] = "Songs",
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option("--format", help="Transcode audio to wav, flac, ogg or mp3. [default: as it is]")
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Link to files where they lie, in place of copies.")] = False,
    decode: Annotated[
        bool, typer.Option("--decode/--no-decode", help="Decode levels of which there are codes but no audio.")
    ] = True,
    serve: Annotated[bool, typer.Option("--serve", help="Show it at a local address until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Of --serve; 0 takes a free one.")] = 0,
    device: o.Device = "auto",
) -> None:
    """Make a site of songs: hear them level by level, see them, read along, and compare.

    It opens from disk and from any static host, and needs no network. Run again it takes up what has changed.

    Example: jukectl explore songs --out site --format ogg
    """
    from jukectl.explorer.update import Maker, Taking, keep_up

    with progress(context) as listener:

        def begin(site: "Site", taking: Taking) -> Maker:
            from jukectl.explorer.build import maker  # torch loads here, and only if a song changed

            return maker(site, taking, device=device, listener=listener)

        taking = Taking(link=link, format=format, decode=decode)
        made = keep_up(folders, out, begin, title=title, taking=taking, listener=listener)
    page = made.site / "index.html"
    facts = {"site": str(made.site), "songs": made.songs, "made": made.made, "troubled": made.troubled}
    emit(context, [page], facts)
    if serve:
        from jukectl.explorer.serving import serving

        with serving(made.site, port) as address:
            say(context, f"{address} until Ctrl-C")
            _until_interrupted()


def _until_interrupted() -> None:
    """Wait for Ctrl-C, which is how a look ends."""
    from threading import Event

    try:
        Event().wait()
    except KeyboardInterrupt:
        return
