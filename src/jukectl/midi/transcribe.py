"""Transcription of recordings to notes by the model and method of basic-pitch (Bittner et al. 2022, arXiv 2203.09893).

Only the ONNX file in basic-pitch's wheel is used: the package itself requires an old TensorFlow. The model detects
pitches of instruments and voices, no drums.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jukectl.errors import MissingTool
from jukectl.midi.notes import Notes

SAMPLE_RATE = 22_050  # Hz
HOP = 256  # audio samples a frame
WINDOW = 2 * SAMPLE_RATE - HOP  # audio samples of one input of the model
MARGIN = 15  # frames at either end of a window that are taken from its neighbour
STEP = 141  # frames of a window that are kept
LOWEST = 21  # MIDI number of the first of 88 pitches
MODEL = Path("saved_models", "icassp_2022", "nmp.onnx")
INPUT, OUTPUTS = "serving_default_input_2:0", ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]

Activations = npt.NDArray[np.float32]  # (frames, 88), 0..1


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Thresholds that turn activations into notes. The defaults are the authors'."""

    onset: float = 0.5  # activation of an onset
    frame: float = 0.3  # activation of a pitch that sounds
    shortest: int = 11  # frames; a note is longer
    gap: int = 11  # frames under `frame` that end a note


def transcribe(samples: npt.NDArray[np.float32], listening: Listening | None = None) -> Notes:
    """Transcribe samples (n,), mono at SAMPLE_RATE, to notes. Raise MissingTool without the model."""
    sounding, beginning = activations(samples)
    return notes_of(sounding, beginning, listening or Listening())


def activations(samples: npt.NDArray[np.float32]) -> tuple[Activations, Activations]:
    """Return the model's activations for samples (n,): sounding pitches and onsets; frame t is at t * HOP samples."""
    session = _session()
    frames = len(samples) // HOP + 1
    windows = -(-frames // STEP)
    padded = np.zeros(MARGIN * HOP + (windows - 1) * STEP * HOP + WINDOW, dtype=np.float32)
    padded[MARGIN * HOP :][: len(samples)] = samples
    outputs = []
    for window in range(windows):
        start = window * STEP * HOP
        one = session.run(OUTPUTS, {INPUT: padded[None, start : start + WINDOW, None]})
        outputs.append([output[0, MARGIN : MARGIN + STEP] for output in one])
    sounding, beginning = (np.concatenate(parts)[:frames] for parts in zip(*outputs, strict=True))
    return sounding, beginning


def notes_of(sounding: Activations, beginning: Activations, listening: Listening) -> Notes:
    """Return notes from activations (frames, 88) of onsets and frames: follow each onset while the pitch sounds.

    Sounding pitches that remain have no onset; they are followed in both directions from their strongest frames.
    """
    left = np.array(sounding, dtype=np.float32)
    found: list[tuple[int, int, int]] = []
    peaks = _beginnings(sounding, beginning, listening.onset)
    for start, pitch in peaks[::-1]:  # the last one first, so that each ends where the next begins
        stop = _end(left[:, pitch], start + 1, listening)
        if stop - start > listening.shortest:
            _silence(left, start, stop, pitch)
            found.append((start, stop, pitch))
    while left.size and left.max() > listening.frame:
        middle, pitch = divmod(int(left.argmax()), left.shape[1])
        stop = _end(left[:, pitch], middle + 1, listening)
        start = middle + 1 - _end(left[middle::-1, pitch], 1, listening)
        _silence(left, start, stop, pitch)
        if stop - start > listening.shortest:
            found.append((start, stop, pitch))
    second = SAMPLE_RATE / HOP
    return Notes.of(
        [
            (start / second, stop / second, pitch + LOWEST, _velocity(sounding[start:stop, pitch]), False)
            for start, stop, pitch in found
        ]
    )


def _beginnings(sounding: Activations, beginning: Activations, threshold: float) -> list[tuple[int, int]]:
    """Return frame and pitch of each onset, in order of time: peaks over time of either kind of evidence.

    A pitch that is suddenly louder than in both frames before counts as an onset too, on the scale of the model's own.
    """
    if len(sounding) < 3:
        return []
    rise = np.zeros_like(sounding)
    rise[2:] = np.minimum(sounding[2:] - sounding[1:-1], sounding[2:] - sounding[:-2]).clip(min=0)
    if rise.max() > 0:
        rise *= beginning.max() / rise.max()
    evidence = np.maximum(beginning, rise)
    middle = evidence[1:-1]
    peaks = (middle > evidence[:-2]) & (middle > evidence[2:]) & (middle >= threshold)
    return [(int(frame) + 1, int(pitch)) for frame, pitch in np.argwhere(peaks)]


def _end(left: npt.NDArray[np.float32], start: int, listening: Listening) -> int:
    """Return the frame at which a pitch (frames,) sounding before `start` has faded, bridging gaps."""
    loud = np.flatnonzero(left[start:] >= listening.frame)
    steps = np.diff(loud, prepend=-1)
    gaps = np.flatnonzero(steps > listening.gap)
    kept = loud[: gaps[0]] if len(gaps) else loud
    return start + (int(kept[-1]) + 1 if len(kept) else 0)


def _silence(left: npt.NDArray[np.float32], start: int, stop: int, pitch: int) -> None:
    """Remove a note, and its traces a semitone above and below."""
    left[start:stop, max(pitch - 1, 0) : pitch + 2] = 0


def _velocity(sounding: npt.NDArray[np.float32]) -> int:
    return int(np.clip(round(float(sounding.mean()) * 127), 1, 127))


def check_installed() -> Path:
    """Return the path of the model. Raise MissingTool if it or its runtime is not installed."""
    package = find_spec("basic_pitch")  # which does not import it
    folders = list(package.submodule_search_locations or ()) if package else []
    path = next((model for folder in folders if (model := Path(folder) / MODEL).is_file()), None)
    if path is None or find_spec("onnxruntime") is None:
        raise MissingTool(
            "transcribing notes needs basic-pitch's model. Install it with: pip install 'jukectl[transcribe]' "
            "&& pip install --no-deps basic-pitch"
        )
    return path


def _session() -> Any:
    path = check_installed()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
