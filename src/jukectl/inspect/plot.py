"""Plot a song folder or an audio file: decode the one or read the other, and draw it."""

from collections.abc import Mapping
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jukectl.audio import io, mix
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong
from jukectl.files import make_folder
from jukectl.plan.device import choose
from jukectl.plan.models import check_codec, model_for
from jukectl.plan.request import Request
from jukectl.plots import style
from jukectl.plots.sound import Panel, draw_levels, draw_recording
from jukectl.progress import Listener, Progress, ignore
from jukectl.render.decode import waveform

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(
    path: Path,
    *,
    out: Path | None = None,
    dark: bool = False,
    sample: int = 0,
    model: str | None = None,
    device: str = "auto",
    force: bool = False,
    listener: Listener = ignore,
) -> Path:
    """Draw a song folder's levels, or an audio file. Returns the path of the picture.

    Without `out` it is `plots/spectrogram.png` in the song folder, or lies beside the audio file.
    """
    theme = style.DARK if dark else style.LIGHT
    if out is not None:
        style.check_format(out)
    if path.is_file():
        out = out or path.with_name(f"{path.stem}-spectrogram.png")
        figure = draw_recording(_recording(path), theme=theme)
    else:
        song = Song.open(path)
        if out is None:
            song.check_links()
        out = out or song.plots / ("spectrogram.png" if sample == 0 else f"spectrogram-{sample}.png")
        figure = _draw_song(song, sample, theme, model=model, device=device, force=force, listener=listener)
    make_folder(out.parent)
    style.save(figure, out)
    return out


def plot_lyrics(
    path: Path,
    *,
    dark: bool = False,
    sample: int = 0,
    model: str | None = None,
    device: str = "auto",
    listener: Listener = ignore,
) -> tuple[Path, ...]:
    """Draw the alignment of a sample's lyrics, see `render/karaoke.py`. Returns no paths if it has no lyrics."""
    recipe = Song.open(path).recipe() if path.is_dir() else None
    if recipe is None or recipe.labels.lyrics is None:
        return ()
    from jukectl.plan.job import resumed
    from jukectl.render.song import karaoke_of

    song, machine, theme = Song.open(path), choose(device), style.DARK if dark else style.LIGHT
    job = resumed(song, Request(model=model), machine, listener)
    return karaoke_of(job, samples=[sample], theme=theme)


def _draw_song(
    song: Song,
    sample: int,
    theme: style.Theme,
    *,
    model: str | None,
    device: str,
    force: bool,
    listener: Listener,
) -> "Figure":
    """Draw the levels of a song that have codes. Raises NotASong if none has."""
    found = {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None and codes.done}
    if not found:
        raise NotASong(f"{song.path} has no codes yet. Sample them with: jukectl resume {song.path}")
    panels = _panels(song, found, sample, model=model, device=device, force=force, listener=listener)
    first = next(iter(found.values()))
    return draw_levels(
        panels,
        title=song.path.resolve().name,
        about=_about(song.recipe(), sample, first.samples),
        prompt_seconds=first.prompt * first.hop / first.sample_rate,
        theme=theme,
    )


def _panels(
    song: Song,
    found: Mapping[Level, Codes],
    sample: int,
    *,
    model: str | None,
    device: str,
    force: bool,
    listener: Listener,
) -> list[Panel]:
    """Decode the levels of a sample."""
    folder, machine = model_for(song, model), choose(device)
    panels = []
    for number, (level, codes) in enumerate(found.items()):
        listener(Progress("decoding levels", number, len(found), level.label))
        check_codec(song, codes, folder, force=force)
        if not 0 <= sample < codes.samples:
            raise BadInput(f"{song.path} has the samples 0 to {codes.samples - 1}; got --sample {sample}")
        samples = waveform(folder.vqvae(machine.device, (level,)), codes.array[sample], level, machine)
        panels.append(
            Panel(
                name=level.label.capitalize(),
                about=_rate(codes),
                samples=samples,
                sample_rate=codes.sample_rate,
                uses=np.bincount(codes.array[sample], minlength=codes.codebook_size),
            )
        )
    listener(Progress("decoding levels", len(found), len(found)))
    return panels


def _recording(path: Path) -> Panel:
    """Load an audio file."""
    audio = io.load(path)
    channels = {1: "mono", 2: "the mean of two channels"}.get(audio.channels, f"{audio.channels} channels, down-mixed")
    return Panel(
        name=path.name,
        about=f"{audio.seconds:.1f} s · {audio.sample_rate} Hz · {channels}",
        samples=mix.to_mono(audio.samples),
        sample_rate=audio.sample_rate,
    )


def _rate(codes: Codes) -> str:
    """Return the remark of a level's caption."""
    rate = codes.sample_rate / codes.hop
    kbit = rate * log2(codes.codebook_size) / 1_000
    return f"{codes.hop} audio samples per code · {rate:.0f} codes a second · {kbit:.2f} kbit/s · {codes.seconds:.1f} s"


def _about(recipe: Recipe | None, sample: int, samples: int) -> str:
    """Return the line under a song's title."""
    parts = [f"sample {sample} of {samples}"] if samples > 1 else []
    if recipe is not None:
        style_of_song = ", ".join(filter(None, [recipe.labels.artist, *recipe.labels.genres]))
        parts += [style_of_song] if style_of_song else []
        parts += [f"model {recipe.model.name}"]
        parts += [f"seed {recipe.seed}"] if recipe.kind != "encode" else []
        parts += [f"prompt: {Path(recipe.prompt.source).name}"] if recipe.prompt else []
    return " · ".join(parts)
