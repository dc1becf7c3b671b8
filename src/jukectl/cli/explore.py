"""`jukectl explore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jukectl.cli import options as o
from jukectl.cli.console import emit, progress, say
from jukectl.cli.next_steps import open_result
from jukectl.errors import BadInput

if TYPE_CHECKING:
    from jukectl.explorer.site import Site


def explore(
    context: typer.Context,
    folders: Annotated[list[Path], o.song_argument("Songs, trees, or folders that contain them.", "DIR…")],
    out: Annotated[Path, o.option("--out", "FOLDER", "Folder of the site. An existing site is updated.")] = Path(
        "site"
    ),
    title: Annotated[str, o.option("--title", "TEXT", "Title of the site.")] = "Songs",
    description: Annotated[
        str,
        o.option(
            "--description",
            "TEXT",
            "Description in previews of links to the site.",
            default="number of songs and length",
        ),
    ] = "",
    url: Annotated[
        str,
        o.option("--url", "URL", "Address at which you publish the site: previews of links need it.", default="none"),
    ] = "",
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        o.option("--format", o.FORMATS, "Convert the audio to this format.", default="as it is"),
    ] = None,
    link: Annotated[bool, o.flag("--link", "Link to the audio files instead of copying them.")] = False,
    decode: Annotated[
        bool, o.flag("--decode/--no-decode", "Decode the levels that have codes but no audio yet.")
    ] = True,
    serve: Annotated[bool, o.flag("--serve", "Serve the site at a local address until Ctrl-C.")] = False,
    edit: Annotated[
        bool, o.flag("--edit", "With --serve: rename, star and annotate songs, kept in their about.toml.")
    ] = False,
    port: Annotated[int, o.option("--port", "N", "Port for --serve; 0 picks a free one.", min=0, max=65_535)] = 0,
    device: o.Device = "auto",
    open: o.Open = False,  # noqa: A002
) -> None:
    """Make a web page of songs: listen level by level, see spectrograms, follow lyrics, and compare.

    The site opens from disk or from any static host, and loads nothing from elsewhere. Run it again to update the site.

    Example: jukectl explore songs --format ogg
    """
    from jukectl.explorer.preview import Preview
    from jukectl.explorer.update import AddSong, MediaOptions, update_site

    if edit and not serve:
        raise BadInput("--edit needs --serve: a site on disk keeps changes in the browser")
    preview = Preview(title=title, description=description, url=url)
    with progress(context) as listener:

        def begin(site: "Site", options: MediaOptions) -> AddSong:
            from jukectl.explorer.build import song_adder  # torch loads here, and only if a song changed

            return song_adder(site, options, device=device, listener=listener)

        options = MediaOptions(link=link, format=format, decode=decode)
        update = update_site(folders, out, begin, preview=preview, options=options, listener=listener)
    page = update.site / "index.html"
    facts = {
        "site": str(update.site),
        "songs": update.songs,
        "made": update.written,
        "troubled": update.unreadable,
    }
    emit(context, [page], facts)
    if open and not serve:
        open_result(page)
    if serve:
        from jukectl.explorer.editing import Editor
        from jukectl.explorer.serving import serving
        from jukectl.explorer.site import Site

        editor = Editor(Site(update.site), update.folders, options) if edit else None
        with serving(update.site, port, editor) as address:
            say(context, f"serving at {address} until Ctrl-C")
            if open:
                open_result(address)
            _until_interrupted()


def _until_interrupted() -> None:
    """Wait for Ctrl-C, the usual end of --serve and no error."""
    from threading import Event

    try:
        Event().wait()
    except KeyboardInterrupt:
        return
