"""jukectl: raw-audio music generation with three levels of codes.

`import jukectl` offers every function of `jukectl.api`, loaded on first use.
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load a name of the API on first use (PEP 562)."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jukectl import api

    if name not in api.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(api, name)


def __dir__() -> list[str]:
    """List the names of the API beside the module's own."""
    from jukectl import api

    return sorted({*globals(), *api.__all__})
