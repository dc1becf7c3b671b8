"""Audio, pictures and files of a song on their way into a site."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from jukectl.audio import io, mix
from jukectl.checkpoints.store import ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.codes.prefix import Codeset
from jukectl.codes.song import Song, audio_paths
from jukectl.errors import CannotWrite, JukectlError
from jukectl.explorer.contract import Download, Hearing
from jukectl.explorer.site import Site, inside
from jukectl.explorer.update import MEDIA_TYPES, Taking
from jukectl.files import atomic_write, make_folder
from jukectl.plan.device import Machine
from jukectl.plan.models import check_codec, model_for
from jukectl.plots.thumbnail import draw_thumbnail, peaks_of
from jukectl.progress import Listener, warn
from jukectl.render.decode import waveform
from jukectl.vqvae.model import VQVAE

BEST_FIRST = ("flac", "wav", "ogg", "mp3")
"""Which of several audio files of a sample is shown."""


class Exhibitor:
    """Brings what is heard and seen of songs into a site."""

    def __init__(self, site: Site, taking: Taking, machine: Machine, listener: Listener) -> None:
        self._site = site
        self._taking = taking
        self._machine = machine
        self._listener = listener
        self._codecs: dict[tuple[Path, Level], VQVAE] = {}

    def samples(self, song: Song, codes: Codeset, name: str) -> dict[Level, dict[int, Hearing]]:
        """All that can be heard of a song's levels, by sample; what has no audio file is decoded from its codes."""
        return {level: self._level(song, name, level, one) for level, one in codes.items() if one.done}

    def file(self, folder: Path, path: Path, name: str, kept: str) -> Hearing | None:
        """A recording in a song's folder, called `kept` on the site; None where it is not there, or lies elsewhere."""
        if not inside(folder, path):
            return None
        audio = io.load(path)
        samples = mix.to_mono(audio.samples)
        target = self._target(name, kept, f".{self._taking.format}" if self._taking.format else path.suffix)
        if self._taking.format and path.suffix != target.suffix:
            io.save(target, audio.samples, audio.sample_rate)
        else:
            self._bring(path, target)
        return self._shown(samples, audio.sample_rate, target)

    def picture(self, folder: Path, path: Path, name: str) -> str | None:
        """The URL of a picture of a song's; None where it is not there, or lies elsewhere."""
        if not inside(folder, path):
            return None
        target = self._target(name, path.stem, path.suffix)
        self._bring(path, target)
        return self._site.url(target)

    def text(self, text: str, name: str, kept: str) -> Download:
        """A text of a song's, such as its recipe, to be taken home under the name `kept`."""
        target = self._target(name, *_parted(kept))
        with atomic_write(target) as file:
            file.write(text.encode())
        return self._download(kept, target)

    def files(self, folder: Path, paths: Iterable[tuple[Path, str]], name: str) -> Iterator[Download]:
        """Files of a song's folder, to be taken home, with what each is called there; those are left out that are not
        there, or lie elsewhere.
        """
        for path, label in paths:
            if inside(folder, path):
                target = self._target(name, *_parted("-".join(path.relative_to(folder).parts)))
                self._bring(path, target)
                yield self._download(label, target)

    def _level(self, song: Song, name: str, level: Level, codes: Codes) -> dict[int, Hearing]:
        heard, missing = {}, []
        for sample in range(codes.samples):
            files = (audio_paths(song, level, [sample], f".{suffix}")[sample] for suffix in BEST_FIRST)
            found = (self.file(song.path, path, name, f"{level.label}-{sample}") for path in files)
            hearing = next((one for one in found if one is not None), None)
            if hearing is None:
                missing.append(sample)
            else:
                heard[sample] = hearing
        if missing and self._taking.decode:
            try:
                heard |= self._decoded(song, name, codes, missing)
            except JukectlError as error:
                warn(self._listener, f"{song.path}: its {level.label} level cannot be heard: {error}")
        return dict(sorted(heard.items()))

    def _decoded(self, song: Song, name: str, codes: Codes, samples: list[int]) -> Mapping[int, Hearing]:
        folder = model_for(song, None)
        check_codec(song, codes, folder, force=False)
        vqvae, heard = self._codec(folder, codes.level), {}
        for sample in samples:
            audio = waveform(vqvae, codes.array[sample], codes.level, self._machine)
            target = self._target(name, f"{codes.level.label}-{sample}", f".{self._taking.format or 'wav'}")
            io.save(target, audio, codes.sample_rate)
            heard[sample] = self._shown(audio, codes.sample_rate, target)
        return heard

    def _codec(self, folder: ModelFolder, level: Level) -> VQVAE:
        key = folder.path, level
        if key not in self._codecs:
            self._codecs[key] = folder.vqvae(self._machine.device, (level,))
        return self._codecs[key]

    def _shown(self, samples: np.ndarray, sample_rate: int, audio: Path) -> Hearing:
        picture = audio.with_suffix(".png")
        draw_thumbnail(samples, sample_rate, picture)
        return Hearing(
            audio=self._site.url(audio),
            type=MEDIA_TYPES[audio.suffix[1:]],
            seconds=len(samples) / sample_rate,
            peaks=peaks_of(samples),
            spectrogram=self._site.url(picture),
            bytes=audio.stat().st_size,
        )

    def _download(self, label: str, path: Path) -> Download:
        return Download(label=label, url=self._site.url(path), bytes=path.stat().st_size)

    def _target(self, name: str, kept: str, suffix: str) -> Path:
        make_folder(self._site.media(name))
        return self._site.media(name) / f"{kept}{suffix.lower()}"

    def _bring(self, path: Path, target: Path) -> None:
        """Copy a file into the site, or link to it."""
        try:
            target.unlink(missing_ok=True)
            if self._taking.link:
                target.symlink_to(path.resolve())
            else:
                shutil.copyfile(path, target)
        except OSError as error:
            raise CannotWrite(f"cannot write {target}: {error.strerror or error}") from error


def _parted(name: str) -> tuple[str, str]:
    """A file's name and its suffix: what stands before it may have dots of its own."""
    stem, dot, suffix = name.rpartition(".")
    return stem, dot + suffix
