"""Every error a user may meet. `cli/main.py` alone turns them into one line on stderr and an exit status."""


class JukectlError(Exception):
    """Something a user can cause or mend; the message says what is wrong, where, and the way out."""

    exit_status = 1


class BadInput(JukectlError):
    """User input that cannot be used: a wrong option, file, name or value."""

    exit_status = 2


class BadAudio(BadInput):
    """A file that holds no usable audio."""


class NotCodes(BadInput):
    """A file that is not a code archive, or a damaged one."""


class WrongCodec(BadInput):
    """Codes that another VQ-VAE gave their meaning."""


class NotASong(BadInput):
    """A folder without a readable song.toml where one is needed."""


class RecipeDiffers(BadInput):
    """A song folder that was begun with another recipe."""


class SongBusy(JukectlError):
    """Another process holds the song folder's lock."""


class RunBusy(JukectlError):
    """Another process trains in the same folder."""


class RankLost(JukectlError):
    """Another process of a training run is gone."""


class Stopped(JukectlError):
    """Work that a signal ended early, with everything saved: it can be resumed."""

    exit_status = 130


class BadModel(BadInput):
    """A model that is absent, incomplete or damaged."""


class CheckFailed(JukectlError):
    """A model whose figures are not those of one that works."""


class BadAdapter(BadInput):
    """An adapter that is absent, damaged, or made for another model."""


class UnknownName(BadInput):
    """An artist, genre, model or level that is not known; the message lists the nearest ones."""


class BadRecipe(BadInput):
    """A training recipe or an override of it that cannot be used."""


class BadManifest(BadInput):
    """A data manifest or a code folder that cannot be used."""


class CannotFetch(JukectlError):
    """The hub cannot be reached, or what it sends is not what it should be."""


class CannotWrite(JukectlError):
    """The disk is full, or the place is read-only."""


class OutOfMemory(JukectlError):
    """Work that does not fit into the memory there is."""


class SongsFailed(JukectlError):
    """Songs of a batch that are not finished, beside others that may be."""


class MissingTool(JukectlError):
    """A program or an optional package that this needs is not installed."""


def need(holds: bool, key: str, expected: str, value: object) -> None:
    """Raise BadInput that names a key and what it must be, unless its value `holds`."""
    if not holds:
        raise BadInput(f"{key} must be {expected}, got {value!r}")


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an error means that memory is exhausted, of a GPU or of the machine."""
    # torch raises a RuntimeError for both, with a message that depends on the library that ran out of memory
    words = ("out of memory", "allocate memory", "not enough memory", "ALLOC_FAILED", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
