"""A model to another format or precision."""

from pathlib import Path
from typing import Any

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.convert import Format, convert, source_of
from jukectl.checkpoints.store import ModelFolder
from jukectl.errors import BadInput
from jukectl.progress import Report, silent


def convert_model(
    source: str,
    out: Path,
    *,
    precision: str | None = None,
    to: str = Format.NATIVE,
    config: Path | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> dict[str, Any]:
    """Write a model, by name or folder, into the folder `out`; facts of the result.

    `precision` is fp32, fp16 or bf16, None leaves all as it is; `to` is native or huggingface; `config` is the
    config.json that describes original files of no published model. A conversion that broke off goes on.
    """
    if to not in list(Format):
        raise BadInput(f"--to is one of {', '.join(Format)}, got {to!r}")
    folder = Path(source)
    layout = source_of(folder, config) if folder.is_dir() else catalogue.find(source).layout
    convert(layout, out, precision=precision, to=Format(to), overwrite=overwrite, report=report)
    written = ModelFolder(out)
    return {
        "model": str(out),
        "format": str(Format(to)),
        "precision": precision,
        "parameters": written.parameters(),
        "fingerprints": dict(written.card.fingerprints),
    }
