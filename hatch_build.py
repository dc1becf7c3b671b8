"""Build hooks: the decoding step in C and the examples in wheels, and absolute links in the package's description.

JUKECTL_NATIVE=0 builds without the step: a wheel for every platform, in which torch does the decoding. The same happens
without a compiler. JUKECTL_NATIVE=1 is for releases: the build fails unless every variant of the step compiles.
"""

import os
import re
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).parent
COMPILING = ROOT / "src/jukectl/native/compiling.py"
VERSION = ROOT / "src/jukectl/__init__.py"
EXAMPLES = "jukectl/assets/examples"  # where jukectl.examples looks for them

_RELATIVE_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!\w+:|#)(?P<path>[^)]+)\)")


class WheelContent(BuildHookInterface):
    """Adds the compiled step and the examples to a wheel, and the tag of the platform if it contains the step."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the step before a wheel is built, editable ones included, which find the examples in the source."""
        compiling, wanted = runpy.run_path(str(COMPILING)), os.environ.get("JUKECTL_NATIVE")
        built = [] if wanted == "0" else compiling["build"]()
        if wanted == "1" and len(built) < len(names := compiling["variants"]()):
            raise RuntimeError(f"JUKECTL_NATIVE=1, but not every variant of the step compiled: {', '.join(names)}")
        if built:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{re.sub(r'[-.]', '_', sysconfig.get_platform())}"  # for any Python there
            build_data["artifacts"] += [f"src/jukectl/native/{path.name}" for path in built]
        if version != "editable":
            build_data["force_include"][str(ROOT / "examples")] = EXAMPLES


class Description(MetadataHookInterface):
    """Makes README.md the description, with absolute links: an index shows it without the files beside it."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description. Links lead to the tag of this version."""
        found = re.search(r'^__version__ = "(.+)"$', VERSION.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        description = with_absolute_links(text, metadata["urls"]["Source"], f"v{found[1]}")
        metadata["readme"] = {"content-type": "text/markdown", "text": description}


def with_absolute_links(text: str, repository: str, tag: str) -> str:
    """Return Markdown whose links to files of the repository lead to an address, those of images to the bare file."""

    def absolute(link: re.Match[str]) -> str:
        view = "raw" if link["image"] else "blob"
        return f"{link['image']}[{link['text']}]({repository}/{view}/{tag}/{link['path']})"

    return _RELATIVE_LINK.sub(absolute, text)
