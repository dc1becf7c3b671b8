"""Loading of the compiled decoding step. Without it, decoding uses torch."""

import ctypes
import os
from functools import cache
from pathlib import Path

VARIANTS = ("plain", "avx2", "avx512")
"""Instruction sets of the libraries, indexed by the result of jukectl_processor; each includes those before it."""

OFF = "JUKECTL_NATIVE"
"""Environment variable; 0 disables the native step."""

INTERFACE = 5
"""Result of jukectl_interface in libraries that match the structures in packing.py."""

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64


def path_of(variant: str) -> Path:
    """Return the path of a variant's library, built or not."""
    return Path(__file__).parent / f"_step_{variant}.so"


@cache
def _loaded() -> ctypes.CDLL | None:
    try:
        # only the plain variant may be loaded before the processor is known
        plain = ctypes.CDLL(str(path_of(VARIANTS[0])))
        best: int = plain.jukectl_processor()
        for variant in reversed(VARIANTS[: best + 1]):
            if path_of(variant).exists():
                found = ctypes.CDLL(str(path_of(variant)))
                return declared(found) if found.jukectl_interface() == INTERFACE else None
    except (OSError, AttributeError):  # not built, built by an old version, or for another architecture
        pass
    return None


def library() -> ctypes.CDLL | None:
    """Return the library, or None if it was not built, does not load, or is switched off."""
    return None if os.environ.get(OFF) == "0" else _loaded()


def declared(found: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the argument and result types of a loaded library's functions."""
    # without declarations ctypes would pass pointers and 64-bit counts as 32-bit integers
    found.jukectl_scratch.argtypes = (_POINTER, _INT)
    found.jukectl_scratch.restype = _LONG
    found.jukectl_read.argtypes = (_POINTER, _INT, _POINTER, _INT, _LONG, _POINTER, _POINTER)
    found.jukectl_read.restype = None
    found.jukectl_decode.argtypes = (
        *(_POINTER, _INT, _LONG, _INT, _POINTER, _POINTER, _LONG),
        *(_POINTER, _POINTER, _POINTER, _POINTER, _INT),
    )
    found.jukectl_decode.restype = _INT
    found.jukectl_use_tiles.argtypes = (_INT,)
    found.jukectl_use_tiles.restype = None
    found.jukectl_checksum.argtypes = (_POINTER, _LONG)
    found.jukectl_checksum.restype = ctypes.c_uint64
    return found
