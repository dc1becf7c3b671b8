"""jukectl: raw-audio music generation with three levels of codes.

`import jukectl` offers every function of `jukectl.api`, and every subpackage. They are loaded on first use, so that
`jukectl --help` does not wait for torch.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jukectl.api import *  # noqa: F403

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return a subpackage or a name of the API, imported on first use (PEP 562)."""
    if not name.startswith("_"):
        # Submodules first: `from jukectl import files` asks here before it imports, and must not load torch
        if find_spec(f"{__name__}.{name}"):
            return import_module(f"{__name__}.{name}")
        api = import_module(f"{__name__}.api")
        if name in api.__all__:
            return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the names of the API beside the module's own."""
    return sorted({*globals(), *import_module(f"{__name__}.api").__all__})
