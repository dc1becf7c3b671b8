"""Separation of the singing voice from a mix, by demucs (Rouard et al. 2022, arXiv 2211.08553)."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jukectl.audio.mix import Samples, resample, to_mono, to_stereo
from jukectl.errors import BadModel, CannotFetch, MissingTool
from jukectl.files import check_regular, read_bytes
from jukectl.tables import read_text

HUB_NAME = "htdemucs"
"""Weights on the hub that are used by default."""

LARGEST = 2**32  # bytes of a file of weights


@dataclass(frozen=True)
class Purpose:
    """The command that separates, for its messages."""

    extra: str  # of jukectl that installs demucs
    otherwise: str = ""  # what to do without it, after a comma

    @property
    def missing(self) -> str:
        """Message without demucs."""
        return f"to separate the voice takes demucs: pip install 'jukectl[{self.extra}]'{self.otherwise}"


ALIGN = Purpose("align", ", or leave the separation out with --no-separate, as for a recording of the voice alone")
STEMS = Purpose("stems")


class Separator(Protocol):
    """Interface of vocal separation."""

    sample_rate: int
    """Hz, of the vocals returned."""

    def vocals(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the vocals (M,) of samples (C, N)."""


class StereoSeparator(Protocol):
    """Interface of vocal separation that keeps the channels."""

    sample_rate: int
    """Hz, of the vocals returned."""

    def voices(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the vocals (K, M) of samples (C, N), in the channels that the model has."""


class DemucsSeparator:
    """A demucs model on a device, or several that are averaged."""

    def __init__(self, model: Any, apply_model: Callable[..., Any], device: str = "cpu") -> None:
        """Wrap a model of demucs and its function `apply_model`. Raises BadModel for a model without vocals."""
        if "vocals" not in model.sources:
            raise BadModel(f"the separator separates {', '.join(model.sources)}, but not vocals: choose another one")
        self._model, self._apply, self._device = model, apply_model, device
        self.sample_rate = int(model.samplerate)

    @classmethod
    def load(cls, where: str | None, device: str = "cpu", purpose: Purpose = ALIGN) -> "DemucsSeparator":
        """Load weights from a file or folder, or by a name that demucs has on the hub; None: HUB_NAME.

        Raises MissingTool without demucs, BadModel for a file that does not hold its weights, CannotFetch if the hub
        fails.
        """
        try:
            from demucs.apply import apply_model
        except ImportError as error:
            raise MissingTool(purpose.missing) from error
        path = Path(where) if where is not None else None
        if path is not None and path.exists():
            model = _from_folder(path) if path.is_dir() else _from_file(path)
        elif path is not None and (path.is_absolute() or path.suffix or len(path.parts) > 2):
            raise BadModel(f"--separator: {path} is not there")
        else:
            model = _from_hub(where or HUB_NAME, purpose)
        model.eval()
        return cls(model, apply_model, device)

    def vocals(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the vocals (M,) of samples (C, N)."""
        return to_mono(self.voices(samples, sample_rate))

    def voices(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the vocals (K, M) of samples (C, N). Deterministic: demucs's random shifts are off."""
        import torch

        channels = int(self._model.audio_channels)
        mix = to_stereo(samples) if channels == 2 else np.stack([to_mono(samples)] * channels)
        wave = torch.from_numpy(np.ascontiguousarray(resample(mix, sample_rate, self.sample_rate)))
        mean, deviation = wave.mean(), wave.std() + 1e-8  # as demucs was trained
        with torch.inference_mode():
            parts = self._apply(
                self._model, ((wave - mean) / deviation)[None], shifts=0, split=True, device=self._device
            )
        voice = parts[0, self._model.sources.index("vocals")].float().cpu() * deviation + mean
        result: Samples = voice.numpy()
        return result


def _from_hub(name: str, purpose: Purpose) -> Any:
    """Load a model of demucs from the hub."""
    from demucs.hf import get_hf_model
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return get_hf_model(name)
    except (OSError, HfHubHTTPError, ValueError, RuntimeError) as error:
        said = re.split(r"[.\n]\s", str(error).strip())
        raise CannotFetch(
            f"cannot fetch the weights of {name} from the hub ({said[0] or type(error).__name__}). Give them "
            f"with --separator FOLDER{purpose.otherwise}"
        ) from error


def _from_folder(folder: Path) -> Any:
    """Load the bag of models named by a folder's only .yaml, or its only file of weights."""
    bags = sorted(folder.glob("*.yaml"))
    files = sorted(path for path in folder.iterdir() if path.suffix in (".th", ".safetensors"))
    if len(bags) == 1:
        return _bag(bags[0], files)
    if not bags and len(files) == 1:
        return _from_file(files[0])
    raise BadModel(
        f"{folder} has {len(bags)} .yaml files and {len(files)} files of demucs weights, .th or .safetensors: "
        "--separator takes a folder with one .yaml and its weights, or the file itself"
    )


def _bag(bag: Path, files: list[Path]) -> Any:
    import yaml
    from demucs.apply import BagOfModels

    try:
        table = yaml.safe_load(read_text(bag, BadModel))
        names = [str(name) for name in table["models"]]
    except (yaml.YAMLError, RecursionError, ValueError, KeyError, TypeError) as error:
        raise BadModel(f"{bag} does not list models of demucs") from error
    models = []
    for name in names:
        found = [file for file in files if file.stem == name or file.stem.startswith(f"{name}-")]
        if not found:
            raise BadModel(f"{bag} names {name}, and there is no {name}.th or {name}.safetensors beside it")
        models.append(_from_file(found[-1]))
    return BagOfModels(models, table.get("weights"), table.get("segment"))


def _from_file(path: Path) -> Any:
    """Load a model from safetensors, or from an older .th file without executing code."""
    check_regular(path, BadModel, "weights")
    try:
        package = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
        from demucs.states import load_model

        return load_model(package)
    except BadModel:
        raise
    except Exception as error:  # whatever demucs, torch and safetensors have to say of what is in the file
        raise BadModel(f"{path} is no demucs model that can be read: .th or .safetensors") from error


def _safetensors(path: Path) -> dict[str, Any]:
    from demucs.hf import _decode_json
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        about = file.metadata() or {}
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
    if "klass" not in about or "structure" in about:
        raise BadModel(f"{path} does not say which demucs model it is, or is a packed one")
    kind = about["klass"].rpartition(".")[2]
    return {
        "klass": _kinds(path, kind),
        "args": _decode_json(json.loads(about.get("args", "[]"))),
        "kwargs": _decode_json(json.loads(about.get("kwargs", "{}"))),
        "state": tensors,
    }


def _pickled(path: Path) -> dict[str, Any]:
    """Load a .th file without executing anything in it."""
    from fractions import Fraction

    import torch

    name, _, checksum = path.stem.rpartition("-")
    content = read_bytes(path, BadModel, "weights", largest=LARGEST)
    if name and checksum and not hashlib.sha256(content).hexdigest().startswith(checksum):
        raise BadModel(f"{path} is damaged: it is not what the end of its name says. Fetch it again")
    kinds = [_kinds(path, kind) for kind in ("HTDemucs", "HDemucs", "Demucs")]
    with torch.serialization.safe_globals([Fraction, *kinds]):
        package: dict[str, Any] = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    if package.get("klass") not in kinds:
        raise BadModel(f"{path} does not say which demucs model it is")
    return package


def _kinds(path: Path, kind: str) -> Any:
    """Return the class of demucs that a file names. Raises BadModel for any other name."""
    from demucs.demucs import Demucs
    from demucs.hdemucs import HDemucs
    from demucs.htdemucs import HTDemucs

    found = {one.__name__: one for one in (Demucs, HDemucs, HTDemucs)}
    if kind not in found:
        raise BadModel(f"{path} is of a kind that is not read: {kind[:40]}")
    return found[kind]
