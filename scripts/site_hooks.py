"""Hooks of mkdocs: add the pages of the site that are not in docs/, and mend links that lead out of it.

The front page is README.md; the reference of the commands comes from the help texts. Files of the repository that pages
link to, such as CHANGELOG.md or an example, are copied to the site; links to folders become plain text.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from os.path import relpath
from pathlib import Path
from typing import Any

from jukectl.cli.help_pages import EXAMPLE, HelpPage, help_pages

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FRONT = ROOT / "README.md"
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the reference, the front page and every file outside docs/ that a page leads to."""
    from mkdocs.structure.files import File  # here, so that tests without mkdocs can import this module

    files.append(File.generated(config, "commands.md", content=reference(help_pages())))
    for source in outside():
        files.append(File.generated(config, place(source), abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    source = FRONT if page.file.src_uri == place(FRONT) else ROOT / page.file.src_uri
    return mend(markdown, source if source.exists() else DOCS / page.file.src_uri)


def place(source: Path) -> str:
    """Return the path in the site of a file of the repository."""
    if source == FRONT:
        return "index.md"
    return source.relative_to(DOCS if source.is_relative_to(DOCS) else ROOT).as_posix()


def mend(markdown: str, source: Path) -> str:
    """Return the text of a source with the links that the site needs. Links that lead nowhere stay, to be reported."""

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], target_of(source, found[2]), found[3] or ""
        if target is None:
            return found[0]
        if target.is_dir():
            return text
        return f"[{text}]({relpath(place(target), Path(place(source)).parent)}{anchor})"

    return LINK.sub(link, markdown)


def outside() -> set[Path]:
    """Return the files outside docs/ that belong to the site: README.md and what pages lead to from there on."""
    found, pending = {FRONT}, [FRONT, *DOCS.rglob("*.md")]
    while pending:
        source = pending.pop()
        for _, link, _ in LINK.findall(source.read_text(encoding="utf-8")):
            target = target_of(source, link)
            if target is not None and target.is_file() and not target.is_relative_to(DOCS) and target not in found:
                found.add(target)
                pending += [target] if target.suffix == ".md" else []
    return found


def target_of(source: Path, link: str) -> Path | None:
    """Return the file or folder of the repository that a link of a page leads to, None if it leads elsewhere."""
    target = (source.parent / link).resolve()
    return target if target.exists() and target.is_relative_to(ROOT) else None


def reference(pages: list[HelpPage]) -> str:
    """Return the reference of the commands as Markdown: a section a command."""
    intro = "# Commands\n\nThe help of every command, as `jukectl COMMAND --help` prints it.\n"
    return "\n".join([intro, *(line for page in pages for line in _section(page))])


def _section(page: HelpPage) -> Iterator[str]:
    yield f"{'###' if page.depth > 1 else '##'} {page.name}\n"
    yield f"```text\n{page.name} {page.usage}\n```\n"
    for paragraph in page.paragraphs:
        if paragraph.startswith(EXAMPLE):
            yield f"```sh\n{paragraph.removeprefix(EXAMPLE)}\n```\n"
        else:
            yield from _lines(paragraph)
    for panel, records in page.panels.items():
        yield f"**{panel}**\n"
        for names, text in records:
            yield f"`{names}`\n:   {_plain(text)}\n"


def _lines(paragraph: str) -> Iterator[str]:
    """Yield a paragraph; indented lines of it are commands."""
    for is_command, lines in groupby(paragraph.split("\n"), lambda line: line.startswith(" ")):
        texts = [line.strip() for line in lines]
        yield "```sh\n" + "\n".join(texts) + "\n```\n" if is_command else "  \n".join(map(_plain, texts)) + "\n"


def _plain(text: str) -> str:
    """Return text such that Markdown shows it as it is."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)
