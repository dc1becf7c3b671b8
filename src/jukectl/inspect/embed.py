"""Representations of recordings: activations of a layer of the top prior (Castellon, Donahue and Liang 2021).

The recording is encoded, and its top codes are read in windows of a whole context, without artist and genre. Position t
of a window has the activations from which the prior predicts code t: they depend on the codes before it. Only the codec
and the layers up to the one asked for are loaded.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from jukectl.checkpoints.store import VQVAE_PART
from jukectl.codes.level import Level
from jukectl.errors import BadInput
from jukectl.files import atomic_write, make_folder
from jukectl.plan.device import Machine, choose, single_thread
from jukectl.plan.models import requested_model
from jukectl.plan.prompt import Recording, load_samples
from jukectl.plan.request import Request
from jukectl.prior.labels import Conditioning, LabelBatch, Place, WindowShape
from jukectl.prior.model import Prior
from jukectl.progress import Listener, Progress, ignore
from jukectl.render.encode import codes_of
from jukectl.sampling.windows import song_offset


@dataclass(frozen=True, eq=False)
class Embedding:
    """Activations of a recording: (width,) float32, or one row for each top code, (frames, width)."""

    audio: Path
    array: np.ndarray
    layer: int
    model: str
    fingerprint: str  # of the top prior
    frames_per_second: float

    def save(self, path: Path) -> None:
        """Write an .npz file that `numpy.load` opens. Raises CannotWrite."""
        with atomic_write(path) as file:
            np.savez(
                file,
                embedding=self.array,
                layer=np.int64(self.layer),
                model=np.str_(self.model),
                fingerprint=np.str_(self.fingerprint),
                frames_per_second=np.float64(self.frames_per_second),
            )


def default_layer(depth: int) -> int:
    """Return the layer whose activations are taken by default: the middle one, as published (36 of 72)."""
    return max(1, depth // 2)


def embed(
    audio: Sequence[Path],
    request: Request | None = None,
    *,
    layer: int | None = None,
    frames: bool = False,
    listener: Listener = ignore,
) -> Iterator[Embedding]:
    """Yield the embeddings of recordings: the mean over all top codes, or with `frames` one for each code.

    `layer` counts from 1; the default is the middle one. Of the request, model, device and precision count.
    BadInput for a layer that the prior does not have, BadAudio for a recording that cannot be read.
    """
    request = request or Request()
    model, machine = requested_model(request), choose(request.device, request.precision)
    model.need(VQVAE_PART, Level.TOP.label)
    config = model.card.priors[Level.TOP]
    layer = default_layer(config.depth) if layer is None else layer
    if not 1 <= layer <= config.depth:
        raise BadInput(f"{model.card.name} has the layers 1 to {config.depth}; got --layer {layer}")
    prior = model.prior_layers(Level.TOP, layer, machine.device, machine.dtype)
    vqvae = model.vqvae(machine.device, (Level.TOP,))
    for number, path in enumerate(map(Path, audio)):
        listener(Progress("recordings", number, len(audio), path.name))
        samples, _ = load_samples(Recording(path), model, listener=listener)
        codes = codes_of(vqvae, samples, Level.TOP, machine, ignore)[0]
        activations = activations_of(prior, codes, machine)
        yield Embedding(
            audio=path,
            array=activations if frames else activations.mean(axis=0, dtype=np.float64).astype(np.float32),
            layer=layer,
            model=model.card.name,
            fingerprint=model.fingerprint(Level.TOP.label),
            frames_per_second=model.card.vqvae.codes_per_second(Level.TOP),
        )
    listener(Progress("recordings", len(audio), len(audio)))


def write_embeddings(
    audio: Sequence[Path],
    folder: Path,
    request: Request | None = None,
    *,
    layer: int | None = None,
    frames: bool = False,
    listener: Listener = ignore,
) -> list[Path]:
    """Write the embedding of each recording, see `embed`, to a file of its name in a folder; return the files.

    BadInput, before anything is loaded, for two recordings of one name. Raises CannotWrite.
    """
    first: dict[str, Path] = {}
    for path in audio:
        if first.setdefault(path.stem, path) != path:
            raise BadInput(f"{first[path.stem]} and {path} would both be {path.stem}.npz: embed them to two folders")
    written = []
    for one in embed(audio, request, layer=layer, frames=frames, listener=listener):
        make_folder(folder)
        written.append(folder / f"{one.audio.stem}.npz")
        one.save(written[-1])
    return written


@torch.inference_mode()
def activations_of(prior: Prior, codes: np.ndarray, machine: Machine) -> np.ndarray:
    """Return the activations (frames, width), float32, of top codes (frames,) of a whole recording.

    Windows are a context long and do not overlap, but for the last one, which is moved left to end with the codes.
    """
    config, total = prior.config, len(codes)
    song = Conditioning(song_samples=song_length(prior, total * config.hop))
    found = np.empty((total, config.width), dtype=np.float32)
    done = 0
    for begin in range(0, total, config.context):
        start = max(0, min(begin, total - config.context))
        stop = min(start + config.context, total)
        place = Place(song=song, segment=song.segments[0], start=start, offset=song_offset(start, config))
        labels = LabelBatch.of([place], WindowShape.of(config), machine.device)
        with single_thread(machine):
            window = torch.from_numpy(codes[None, start:stop].astype(np.int64)).to(machine.device)
            hidden = prior.hidden(window, labels)[0].float().cpu().numpy()
        found[done:stop] = hidden[done - start :]
        done = stop
    return found


def song_length(prior: Prior, samples: int) -> int:
    """Return the length in audio samples that a recording is said to have: one that the prior was trained on."""
    timing = prior.config.timing
    if timing is None:
        return samples
    shortest = max(math.ceil(timing.min_seconds * prior.config.sample_rate), prior.config.window_samples)
    return min(max(samples, shortest), int(timing.max_seconds * prior.config.sample_rate))
