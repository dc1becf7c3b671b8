"""librosa, imported by one process at a time."""

import sys
from contextlib import ExitStack
from types import ModuleType

import platformdirs
from filelock import FileLock, Timeout

PATIENCE = 120.0  # seconds to wait for another process, after which the import goes ahead


def load_librosa() -> ModuleType:
    """Import librosa; wait while another process imports it for the first time.

    On its first import librosa compiles, and numba keeps what it compiled in a cache that several processes may not
    fill at once: two of them started together on a fresh installation ended in a segmentation fault in one of 18 runs.
    """
    if "librosa" not in sys.modules:
        with ExitStack() as stack:
            try:
                folder = platformdirs.user_cache_path("jukectl", ensure_exists=True)
                stack.enter_context(FileLock(folder / "librosa.lock", timeout=PATIENCE))
            except (OSError, Timeout):  # a read-only home: rather unlocked than not at all
                pass
            import librosa
            import librosa.core.audio
            import librosa.core.pitch
            import librosa.feature
            import librosa.onset
            import librosa.util.utils  # noqa: F401 # submodules are imported, and compiled, when they are first used
    return sys.modules["librosa"]
