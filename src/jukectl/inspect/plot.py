"""Pictures of a song folder or of an audio file, with what it takes to decode the one and read the other."""

from math import log2
from pathlib import Path

import numpy as np

from jukectl.audio import io, mix
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN
from jukectl.codes.recipe import Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadInput, NotASong
from jukectl.files import make_folder
from jukectl.plan.device import choose
from jukectl.plan.recipes import check_codec, model_for
from jukectl.plan.request import Request
from jukectl.plots import sound
from jukectl.progress import Listener, Progress, ignore
from jukectl.render.decode import waveform


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
    """Draw a song folder's levels, or an audio file; returns the picture's path.

    Without `out` it is `plots/spectrogram.png` in the song folder, or lies beside the audio file.
    """
    theme = sound.DARK if dark else sound.LIGHT
    if out is not None:
        sound.check_format(out)
    if path.is_file():
        out = out or path.with_name(f"{path.stem}-spectrogram.png")
        figure = sound.draw_recording(_recording(path), theme=theme)
    else:
        song = Song.open(path)
        out = out or song.plots / ("spectrogram.png" if sample == 0 else f"spectrogram-{sample}.png")
        found = {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None and codes.done}
        if not found:
            raise NotASong(f"{path} has no codes yet. Make them with: jukectl resume {path}")
        recipe = song.recipe()
        folder, machine = model_for(song, model), choose(device)
        panels = []
        for number, (level, codes) in enumerate(found.items()):
            listener(Progress("decoding levels", number, len(found), level.label))
            check_codec(song, codes, folder, force=force)
            if not 0 <= sample < codes.samples:
                raise BadInput(f"{path} has the samples 0 to {codes.samples - 1}; got --sample {sample}")
            samples = waveform(folder.vqvae(machine.device, (level,)), codes.array[sample], level, machine)
            panels.append(
                sound.Panel(
                    name=level.label.capitalize(),
                    about=_rate(codes),
                    samples=samples,
                    sample_rate=codes.sample_rate,
                    uses=np.bincount(codes.array[sample], minlength=codes.codebook_size),
                )
            )
        listener(Progress("decoding levels", len(found), len(found)))
        first = next(iter(found.values()))
        figure = sound.draw_levels(
            panels,
            title=path.resolve().name,
            about=_about(recipe, sample, first.samples),
            prompt_seconds=first.prompt * first.hop / first.sample_rate,
            theme=theme,
        )
    make_folder(out.parent)
    sound.save(figure, out)
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
    """Tell when the words of a sample are sung, see `karaoke.py`; nothing for what is no song with lyrics."""
    recipe = Song.open(path).recipe() if path.is_dir() else None
    if recipe is None or recipe.labels.lyrics is None:
        return ()
    from jukectl.plan.recipes import recipe_to_resume
    from jukectl.render.song import karaoke_of

    song, machine, theme = Song.open(path), choose(device), sound.DARK if dark else sound.LIGHT
    folder, recipe = recipe_to_resume(song, Request(model=model))
    return karaoke_of(song, recipe, folder, machine, samples=[sample], theme=theme, listener=listener)


def _recording(path: Path) -> sound.Panel:
    audio = io.load(path)
    channels = {1: "mono", 2: "the mean of two channels"}.get(audio.channels, f"{audio.channels} channels, down-mixed")
    return sound.Panel(
        name=path.name,
        about=f"{audio.seconds:.1f} s · {audio.sample_rate} Hz · {channels}",
        samples=mix.to_mono(audio.samples),
        sample_rate=audio.sample_rate,
    )


def _rate(codes: Codes) -> str:
    """The rest of a level's caption."""
    rate = codes.sample_rate / codes.hop
    kbit = rate * log2(codes.codebook_size) / 1_000
    return f"{codes.hop} audio samples a code · {rate:.0f} codes a second · {kbit:.2f} kbit/s · {codes.seconds:.1f} s"


def _about(recipe: Recipe | None, sample: int, samples: int) -> str:
    """The line under a song's title."""
    parts = [f"sample {sample} of {samples}"] if samples > 1 else []
    if recipe is not None:
        style = ", ".join(filter(None, [recipe.labels.artist, *recipe.labels.genres]))
        parts += [style] if style else []
        parts += [f"model {recipe.model.name}"]
        parts += [f"seed {recipe.seed}"] if recipe.kind != "encode" else []
        parts += [f"prompt: {Path(recipe.prompt.source).name}"] if recipe.prompt else []
    return " · ".join(parts)
