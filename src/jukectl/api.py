"""The Python API, one function a stage: for notebooks, the command line and other programs.

Functions that make a song, and those that estimate it, share its preparation. Progress and warnings go to a `listener`.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, get_args, get_type_hints

from jukectl.batch.entries import Entry, check_entries
from jukectl.batch.estimate import BatchEstimate, estimate_batch
from jukectl.batch.run import BatchResult, run_batch
from jukectl.checkpoints.convert import convert_model
from jukectl.checkpoints.hub import pull as pull_model
from jukectl.data.encode import EncodedManifest, Part, encode_manifest
from jukectl.inspect.bench import bench
from jukectl.inspect.doctor import Checkup, examine
from jukectl.inspect.embed import Embedding, embed, write_embeddings
from jukectl.inspect.info import describe_model, describe_path, list_models
from jukectl.plan.device import Machine, choose
from jukectl.plan.dry_run import Estimate, TreeEstimate, estimate
from jukectl.plan.job import prepare_new, prepare_resume, prepare_upsample
from jukectl.plan.prompt import Recording
from jukectl.plan.request import Request
from jukectl.progress import Listener, ignore
from jukectl.render.decode import decode
from jukectl.render.encode import Encoded, encode
from jukectl.render.song import Rendered, run
from jukectl.variations.branch import prepare_branch
from jukectl.variations.passage import upsample_passage
from jukectl.variations.pick import Taken, cut, pick
from jukectl.variations.tree import (
    Beginning,
    Grown,
    Growth,
    estimate_regrow,
    estimate_tree,
    pick_place,
    regrow,
    tree,
)

__all__ = [
    "BatchEstimate",
    "BatchResult",
    "Beginning",
    "Checkup",
    "Embedding",
    "Encoded",
    "EncodedManifest",
    "Entry",
    "Estimate",
    "Grown",
    "Growth",
    "Machine",
    "Part",
    "Rendered",
    "Request",
    "Taken",
    "TreeEstimate",
    "bench",
    "branch",
    "check_entries",
    "choose",
    "continue_",
    "convert_model",
    "cut",
    "decode",
    "describe_model",
    "describe_path",
    "embed",
    "encode",
    "encode_manifest",
    "estimate_batch",
    "estimate_branch",
    "estimate_continue",
    "estimate_regrow",
    "estimate_resume",
    "estimate_sample",
    "estimate_tree",
    "estimate_upsample",
    "examine",
    "list_models",
    "pick",
    "pick_place",
    "pull_model",
    "regrow",
    "resume",
    "run_batch",
    "sample",
    "tree",
    "upsample",
    "upsample_passage",
    "write_embeddings",
]


def sample(out: Path, request: Request, *, listener: Listener = ignore) -> Rendered:
    """Make a new song from nothing in the folder `out`; resume it if it was begun before."""
    return run(prepare_new(out, request, listener=listener))


def estimate_sample(out: Path, request: Request, *, listener: Listener = ignore) -> Estimate:
    """Estimate `sample`. Raises whatever it would raise before its first code, except for a locked folder."""
    return estimate(prepare_new(out, request, to_estimate=True, listener=listener))


def continue_(
    audio: Path,
    out: Path,
    request: Request,
    *,
    start: float = 0.0,
    prompt_seconds: float | None = None,
    listener: Listener = ignore,
) -> Rendered:
    """Make a song that begins with `prompt_seconds` of a recording, from `start` on, and continues them."""
    return run(prepare_new(out, request, Recording(audio, start, prompt_seconds), listener=listener))


def estimate_continue(
    audio: Path,
    out: Path,
    request: Request,
    *,
    start: float = 0.0,
    prompt_seconds: float | None = None,
    listener: Listener = ignore,
) -> Estimate:
    """Estimate `continue_`."""
    recording = Recording(audio, start, prompt_seconds)
    return estimate(prepare_new(out, request, recording, to_estimate=True, listener=listener))


def resume(path: Path, request: Request | None = None, *, listener: Listener = ignore) -> Rendered:
    """Finish everything that a song's recipe asks for."""
    return run(prepare_resume(path, request or Request(), listener=listener))


def estimate_resume(path: Path, request: Request | None = None, *, listener: Listener = ignore) -> Estimate:
    """Estimate `resume`."""
    return estimate(prepare_resume(path, request or Request(), listener=listener))


def upsample(path: Path, request: Request, *, listener: Listener = ignore) -> Rendered:
    """Sample the levels of a song that are missing or unfinished, then decode it.

    Codes without a recipe get one. With `request.overwrite` the levels below the top are made again.
    """
    return run(prepare_upsample(path, request, listener=listener))


def estimate_upsample(path: Path, request: Request, *, listener: Listener = ignore) -> Estimate:
    """Estimate `upsample`."""
    return estimate(prepare_upsample(path, request, listener=listener))


def branch(
    path: Path, at: float | None, out: Path | None, request: Request, *, sample: int = 0, listener: Listener = ignore
) -> Rendered:
    """Make `request.samples` songs that begin as one sample of a song does, up to `at` seconds or its end.

    The request's defaults are the song's: labels, settings, levels, and as much music as comes after the cut, or 20 s.
    """
    return run(prepare_branch(path, at, out, request, sample=sample, listener=listener))


def estimate_branch(
    path: Path, at: float | None, out: Path | None, request: Request, *, sample: int = 0, listener: Listener = ignore
) -> Estimate:
    """Estimate `branch`."""
    return estimate(prepare_branch(path, at, out, request, sample=sample, listener=listener))


def _with_text_paths(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function such that parameters annotated as paths take text as well."""
    paths = [name for name, hint in get_type_hints(function).items() if hint is Path or Path in get_args(hint)]
    if not paths:
        return function
    signature = inspect.signature(function)

    @wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        bound = signature.bind(*given, **named)
        for name in paths:
            if isinstance(bound.arguments.get(name), str):
                bound.arguments[name] = Path(bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    return called


globals().update({name: _with_text_paths(globals()[name]) for name in __all__ if inspect.isfunction(globals()[name])})
