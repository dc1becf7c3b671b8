"""Take a screenshot of a site that `jukectl explore` has built."""

import argparse
import io
import json
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

COLOURS = 128  # enough for a page, and a small file


def main() -> None:
    """Open the site in Chromium and save a screenshot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("out", type=Path, help="a .png file")
    parser.add_argument("--song", help="title of the song to open")
    parser.add_argument("--at", type=float, default=0.0, help="position in the song, in seconds")
    parser.add_argument("--size", default="1280x860", help="of the window, in pixels")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if given.dark else "light"
        )
        page.goto((given.site.resolve() / "index.html").as_uri() + address(given.site, given.song, given.at))
        page.wait_for_timeout(2_000)
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(given.out, optimize=True)


def address(site: Path, title: str | None, seconds: float) -> str:
    """Return the fragment of the address that opens a song."""
    if title is None:
        return ""
    index = json.loads((site / "data" / "index.json").read_text(encoding="utf-8"))
    songs = [dict(zip(index["columns"], row, strict=True)) for row in index["songs"]]
    return next(f"#song={song['id']}&t={seconds:g}" for song in songs if song["title"] == title)


if __name__ == "__main__":
    main()
