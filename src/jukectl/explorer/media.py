"""Bring audio, pictures and files of songs into a site."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from jukectl.audio import io, mix
from jukectl.audio.faults import is_nearly_silent
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.prefix import Codeset
from jukectl.codes.song import Song, audio_paths
from jukectl.errors import BadInput, CannotWrite, JukectlError
from jukectl.explorer.contract import AudioDetail, Download
from jukectl.explorer.site import Site, inside
from jukectl.explorer.update import MEDIA_TYPES, MediaOptions
from jukectl.files import atomic_write, make_folder, opened
from jukectl.plan.device import Machine
from jukectl.plan.models import check_codec, model_for
from jukectl.plots.spectrogram import LOWEST
from jukectl.plots.thumbnail import draw_thumbnail, peaks_of
from jukectl.progress import Listener, warn
from jukectl.render.decode import waveform
from jukectl.vqvae.model import VQVAE

BEST_FIRST = ("flac", "wav", "ogg", "mp3")
"""Order of preference among several audio files of a sample."""


class MediaWriter:
    """Writes the audio, pictures and files of songs into a site."""

    def __init__(self, site: Site, options: MediaOptions, machine: Machine, listener: Listener) -> None:
        self._site = site
        self._options = options
        self._machine = machine
        self.listener = listener
        self._codecs: dict[tuple[Path, Level], VQVAE] = {}

    def samples(self, song: Song, codes: Codeset, name: str) -> dict[Level, dict[int, AudioDetail]]:
        """Write the audio of a song's levels, by sample; decode samples that have codes but no audio file."""
        return {level: self._level(song, name, level, one) for level, one in codes.items() if one.done}

    def file(self, folder: Path, path: Path, name: str, kept: str, *, prompt: float = 0.0) -> AudioDetail | None:
        """Write an audio file of a song's folder as `kept`; None if it is missing or lies elsewhere.

        The first `prompt` seconds are a recording.
        """
        if not inside(folder, path):
            return None
        audio = io.load(path)
        samples = mix.to_mono(audio.samples)
        target = self._target(name, kept, f".{self._options.format}" if self._options.format else path.suffix)
        if self._options.format and path.suffix != target.suffix:
            io.save(target, audio.samples, audio.sample_rate)
        else:
            self._copy(path, target)
        return self._detail(samples, audio.sample_rate, target, prompt)

    def picture(self, folder: Path, path: Path, name: str) -> str | None:
        """Write a picture of a song's folder. Returns its URL, None if it is missing or lies elsewhere."""
        if not inside(folder, path):
            return None
        target = self._target(name, path.stem, path.suffix)
        self._copy(path, target)
        return self._site.url(target)

    def text(self, text: str, name: str, kept: str) -> Download:
        """Write a text to download, such as a recipe, under the name `kept`."""
        target = self._target(name, *_split_suffix(kept))
        with atomic_write(target) as file:
            file.write(text.encode())
        return self._download(kept, target)

    def files(self, folder: Path, paths: Iterable[tuple[Path, str]], name: str) -> Iterator[Download]:
        """Write files to download, given with their labels; skip missing ones and those that lie elsewhere."""
        for path, label in paths:
            if inside(folder, path):
                target = self._target(name, *_split_suffix("-".join(path.relative_to(folder).parts)))
                self._copy(path, target)
                yield self._download(label, target)

    def _level(self, song: Song, name: str, level: Level, codes: Codes) -> dict[int, AudioDetail]:
        """Write the audio of a level, by sample."""
        written, missing = {}, []
        for sample in range(codes.samples):
            files = (audio_paths(song, level, [sample], f".{suffix}")[sample] for suffix in BEST_FIRST)
            kept = f"{level.label}-{sample}"
            found = (self.file(song.path, path, name, kept, prompt=_prompt_seconds(codes)) for path in files)
            audio = next((one for one in found if one is not None), None)
            if audio is None:
                missing.append(sample)
            else:
                written[sample] = audio
        if missing and self._options.decode:
            try:
                written |= self._decoded(song, name, codes, missing)
            except CannotWrite:
                raise
            except JukectlError as error:
                warn(self.listener, f"{song.path}: its {level.label} level cannot be decoded: {error}")
        return dict(sorted(written.items()))

    def _decoded(self, song: Song, name: str, codes: Codes, samples: list[int]) -> Mapping[int, AudioDetail]:
        """Decode samples of a level and write their audio."""
        folder = model_for(song, None)
        check_codec(song, codes, folder, force=False)
        vqvae, written = self._codec(folder, codes.level), {}
        for sample in samples:
            audio = waveform(vqvae, codes.array[sample], codes.level, self._machine)
            target = self._target(name, f"{codes.level.label}-{sample}", f".{self._options.format or 'wav'}")
            io.save(target, audio, codes.sample_rate)
            written[sample] = self._detail(audio, codes.sample_rate, target, _prompt_seconds(codes))
        return written

    def _codec(self, folder: ModelFolder, level: Level) -> VQVAE:
        """Load a level of a codec, once."""
        key = folder.path, level
        if key not in self._codecs:
            self._codecs[key] = folder.vqvae(self._machine.device, (level,))
        return self._codecs[key]

    def _detail(self, samples: np.ndarray, sample_rate: int, audio: Path, prompt: float) -> AudioDetail:
        """Draw the spectrogram of an audio file of the site, and describe both. It begins with `prompt` seconds."""
        picture = audio.with_suffix(".png")
        draw_thumbnail(samples, sample_rate, picture)
        return AudioDetail(
            audio=self._site.url(audio),
            type=MEDIA_TYPES[audio.suffix[1:]],
            seconds=len(samples) / sample_rate,
            peaks=peaks_of(samples),
            spectrogram=self._site.url(picture),
            hertz=(LOWEST, sample_rate / 2),
            quiet=is_nearly_silent(samples[round(prompt * sample_rate) :], sample_rate),
            bytes=audio.stat().st_size,
        )

    def _download(self, label: str, path: Path) -> Download:
        """Describe a file of the site to download."""
        return Download(label=label, url=self._site.url(path), bytes=path.stat().st_size)

    def _target(self, name: str, kept: str, suffix: str) -> Path:
        """Return the path of a media file of a song."""
        make_folder(self._site.media(name))
        return self._site.media(name) / f"{kept}{suffix.lower()}"

    def _copy(self, path: Path, target: Path) -> None:
        """Copy a file into the site, or link to it."""
        try:
            if self._options.link:
                target.unlink(missing_ok=True)
                target.symlink_to(path.resolve())
                return
            with opened(path, BadInput) as source, atomic_write(target) as file:
                shutil.copyfileobj(source, file)
        except OSError as error:
            raise CannotWrite(f"cannot write {target}: {error.strerror or error}") from error


def _prompt_seconds(codes: Codes) -> float:
    """Return the length of the prompt that codes begin with."""
    return codes.prompt * codes.hop / codes.sample_rate


def _split_suffix(name: str) -> tuple[str, str]:
    """Split the last suffix off a file's name, which may contain other dots."""
    stem, dot, suffix = name.rpartition(".")
    return stem, dot + suffix
