"""The compiled decoding step that suits this processor, where there is one; nothing else depends on it."""

import ctypes
import os
from functools import cache
from pathlib import Path

VARIANTS = ("plain", "avx2", "avx512")
"""What step.c is compiled for, by what jukectl_processor answers; each needs all that the ones before it need."""

OFF = "JUKECTL_NATIVE"
"""Set to 0 in the environment, it leaves all decoding to torch."""

INTERFACE = 3
"""What jukectl_interface answers where a library is of this version."""

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64


def path_of(variant: str) -> Path:
    """Return the path of a variant's library, built or not."""
    return Path(__file__).parent / f"_step_{variant}.so"


@cache
def _loaded() -> ctypes.CDLL | None:
    try:
        plain = ctypes.CDLL(str(path_of(VARIANTS[0])))
        best: int = plain.jukectl_processor()
        for variant in reversed(VARIANTS[: best + 1]):
            if path_of(variant).exists():
                found = ctypes.CDLL(str(path_of(variant)))
                return declared(found) if found.jukectl_interface() == INTERFACE else None
    except (OSError, AttributeError):  # not built, or long ago, or for another sort of machine
        pass
    return None


def library() -> ctypes.CDLL | None:
    """Return the library, or None if it was not built, does not load, or is switched off."""
    return None if os.environ.get(OFF) == "0" else _loaded()


def declared(found: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the argument and result types of a loaded library's functions."""
    found.jukectl_scratch.argtypes = (_POINTER, _INT)
    found.jukectl_scratch.restype = _LONG
    found.jukectl_read.argtypes = (_POINTER, _INT, _POINTER, _INT, _LONG, _POINTER, _POINTER)
    found.jukectl_read.restype = None
    found.jukectl_decode.argtypes = (
        *(_POINTER, _INT, _LONG, _INT, _POINTER, _POINTER, _LONG),
        *(_POINTER, _POINTER, _POINTER, _POINTER, _INT),
    )
    found.jukectl_decode.restype = _INT
    return found
