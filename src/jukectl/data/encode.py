"""Encode the songs of a manifest into a code folder for training priors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from jukectl.audio import io, mix
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.data.encoded import CODES, MANIFEST, CodeFolder
from jukectl.data.manifest import Manifest, Track
from jukectl.errors import BadAudio, BadInput, MissingTool, NotCodes, WrongCodec
from jukectl.folders import check_not_input
from jukectl.plan.device import Machine, choose, single_thread
from jukectl.plan.prompt import too_short
from jukectl.progress import Listener, Progress, ignore, warn
from jukectl.render.encode import new_codes
from jukectl.vqvae.chunks import StreamEncoder
from jukectl.vqvae.model import VQVAE

SHARD_SECONDS = 4_000.0  # of music in a shard
STAGE = "encoding seconds of music"


@dataclass(frozen=True)
class Part:
    """Share of a manifest that one of several processes encodes: songs k, k + n, k + 2n ..."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise BadInput(f"a part is K/N with 1 <= K <= N, such as 2/4, got {self.number}/{self.of}")

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Parse "2/4"; raise BadInput if it has another form."""
        number, slash, of = text.partition("/")
        if not (slash and number.strip().isdecimal() and of.strip().isdecimal()):
            raise BadInput(f"a part is written as 2/4, the second of four, got {text!r}")
        return cls(int(number), int(of))

    def tracks(self, manifest: Manifest) -> Sequence[Track]:
        """Return the songs of this part."""
        return manifest.tracks[self.number - 1 :: self.of]


@dataclass(frozen=True)
class EncodedManifest:
    """Result of `encode_manifest`."""

    encoded: int  # songs of this part that now have codes
    skipped: tuple[str, ...]  # a message for each song that could not be read


def encode_manifest(
    manifest_path: Path,
    out: Path,
    *,
    levels: Sequence[Level] = TOP_DOWN,
    model: str = catalogue.EMBEDDED,
    device: str = "auto",
    part: Part | None = None,
    listener: Listener = ignore,
) -> EncodedManifest:
    """Encode the songs of a manifest, or of a part of it, into one code folder; existing codes are kept.

    A killed run resumes at the song that it was encoding. Audio is streamed: only the codes of a song are held in
    memory. Lyrics, notes and beats are copied beside the codes. Raise WrongCodec if the folder has shards of another
    codec, and BadManifest if a lyrics file of the manifest is missing.
    """
    manifest, folder, machine = Manifest.load(manifest_path), catalogue.find(model), choose(device)
    check_not_input(out / MANIFEST, [manifest_path])
    CODES.claim(out)
    codes, fingerprint = CodeFolder(out), folder.fingerprint(VQVAE_PART)
    _check_codec(codes, levels, fingerprint, folder)
    tracks = (part or Part()).tracks(manifest)
    for track in tracks:  # first, so that a missing file is reported before hours of encoding
        codes.keep_lyrics(track, manifest.folder / track.lyrics)
        codes.keep_midi(track, manifest.folder / track.midi)
        codes.keep_beats(track, manifest.folder / track.beats)
    missing = {
        track: [level for level in levels if not _is_encoded(codes, track, level, fingerprint)] for track in tracks
    }
    total = sum(track.seconds for track in tracks)
    done = sum(track.seconds for track in tracks if not missing[track])
    vqvae = folder.vqvae(machine.device, tuple(levels))
    packer, skipped = _Packer(codes, levels), []
    for track in tracks:
        if missing[track]:
            progress = _Within(listener, done, total, track)
            done += track.seconds
            try:
                arrays = codes_of_file(vqvae, manifest.folder / track.path, missing[track], machine, progress)
            except (BadAudio, MissingTool) as error:
                skipped.append(str(error))
                continue
            for level, array in arrays.items():
                found = new_codes(folder, level, array[None], prompt=len(array), fingerprint=fingerprint)
                codes.write(track.name, found)
        packer.add(track)
    packer.finish()
    if skipped and len(skipped) == len(tracks):
        raise BadAudio(f"none of the songs of {manifest_path} could be encoded: {skipped[0]}")
    codes.keep(manifest, levels)
    listener(Progress(STAGE, round(total), round(total)))
    return EncodedManifest(len(tracks) - len(skipped), tuple(skipped))


def codes_of_file(
    vqvae: VQVAE, path: Path, levels: Sequence[Level], machine: Machine, progress: "_Within"
) -> dict[Level, np.ndarray]:
    """Encode a recording in one pass through the file: codes (frames,) uint16, equal to those of `render.encode`.

    A constant offset is kept, since it is known at the end only.
    """
    config = vqvae.config
    multiple = config.hop(Level.TOP)
    encoders = {level: StreamEncoder(vqvae, level, multiple=multiple) for level in levels}
    stream = io.stream(path)
    samples = 0
    mono = (mix.to_mono(block)[None] for block in stream.blocks)
    with single_thread(machine):
        for block in mix.resample_blocks(mono, stream.sample_rate, config.sample_rate):
            samples += block.shape[1]
            for encoder in encoders.values():
                encoder.push(torch.from_numpy(block[0]))
            progress.seconds(samples / config.sample_rate)
        for remark in stream.remarks:
            warn(progress.listener, remark)
        if samples < multiple:
            raise too_short(path, samples / config.sample_rate, config)
        return {level: encoder.finish() for level, encoder in encoders.items()}


class _Packer:
    """Collects encoded songs and packs them into a shard once they are long enough."""

    def __init__(self, codes: CodeFolder, levels: Sequence[Level]) -> None:
        self.codes = codes
        self.levels = levels
        self.waiting: list[str] = []
        self.seconds = 0.0

    def add(self, track: Track) -> None:
        """Add a song that has codes at all levels, in its own archives or in shards."""
        if all(self.codes.is_packed(track.name, level) for level in self.levels):
            return
        self.waiting.append(track.name)
        self.seconds += track.seconds
        if self.seconds >= SHARD_SECONDS:
            self.finish()

    def finish(self) -> None:
        """Pack the collected songs."""
        if self.waiting:
            for level in self.levels:
                self.codes.pack(self.waiting, level)
        self.waiting, self.seconds = [], 0.0


class _Within:
    """Progress in seconds of music, also within a song."""

    def __init__(self, listener: Listener, done: float, total: float, track: Track) -> None:
        self.listener, self.done, self.total, self.track = listener, done, total, track
        self.seconds(0.0)

    def seconds(self, encoded: float) -> None:
        """Report that this many seconds of the song are encoded."""
        done = self.done + min(encoded, self.track.seconds)
        self.listener(Progress(STAGE, round(done), round(self.total), self.track.path))


def _check_codec(codes: CodeFolder, levels: Sequence[Level], fingerprint: str, folder: ModelFolder) -> None:
    for level in levels:
        for song in codes.packed(level).values():
            if song.archive.vqvae != fingerprint:
                raise WrongCodec(
                    f"{song.archive.path} holds codes of the VQ-VAE {song.archive.vqvae[:12]}, but "
                    f"{folder.card.name} has the VQ-VAE {fingerprint[:12]}. Give another --out, or delete the "
                    f"{level.label} shards of that folder to encode all songs again"
                )


def _is_encoded(codes: CodeFolder, track: Track, level: Level, fingerprint: str) -> bool:
    """Return whether the codes of a song exist, are complete and come from this codec."""
    if codes.is_packed(track.name, level):
        return True
    try:
        return codes.find(track.name, level).archive.vqvae == fingerprint
    except NotCodes:
        return False
