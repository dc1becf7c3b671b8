"""Songs as audio: the samples of song folders, decoded from their finest level, and audio files."""

from dataclasses import dataclass
from pathlib import Path

from jukectl.audio import io, mix
from jukectl.audio.mix import Samples
from jukectl.checkpoints import catalogue
from jukectl.codes.level import Level
from jukectl.codes.song import Song
from jukectl.data.scan import read_overrides, read_tags
from jukectl.evaluation.inputs import sample_name
from jukectl.plan.device import choose
from jukectl.plan.recipes import check_codec, model_for
from jukectl.render.decode import finest, waveform


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleAudio:
    """The audio of one sample of a song, or of an audio file, which has no prompt."""

    name: str
    path: Path
    sample: int
    samples: Samples  # (N,) mono
    sample_rate: int  # Hz
    prompt: int  # audio samples of the prompt
    code_rate: float  # Hz, of the model's bottom codes
    genres: tuple[str, ...]  # that were asked for, or tagged

    @property
    def first(self) -> Samples:
        """The prompt."""
        return self.samples[: self.prompt]

    @property
    def new(self) -> Samples:
        """The music after the prompt."""
        return self.samples[self.prompt :]


def decode_samples(path: Path) -> list[SampleAudio]:
    """Decode the samples of a song folder from its finest level."""
    song = Song.open(path)
    level = finest(song)
    codes = song.codes(level)
    assert codes is not None  # `finest` returns a level that has codes
    folder, machine = model_for(song, None), choose("auto")
    check_codec(song, codes, folder, force=False)
    vqvae = folder.vqvae(machine.device, (level,))
    recipe = song.recipe()
    return [
        SampleAudio(
            name=sample_name(path, sample, codes.samples),
            path=path,
            sample=sample,
            samples=waveform(vqvae, codes.array[sample], level, machine),
            sample_rate=codes.sample_rate,
            prompt=codes.prompt * codes.hop,
            code_rate=folder.card.vqvae.codes_per_second(Level.BOTTOM),
            genres=recipe.labels.genres if recipe else (),
        )
        for sample in range(codes.samples)
    ]


def load_song(path: Path) -> list[SampleAudio]:
    """Load a song folder or an audio file, whose genres are those of its tags. Raises BadInput if it is neither."""
    if path.is_dir() or not path.exists():
        return decode_samples(path)
    audio, embedded = io.load(path), catalogue.find(catalogue.EMBEDDED)
    corrected = read_overrides(path)[0].genres
    return [
        SampleAudio(
            name=path.name,
            path=path,
            sample=0,
            samples=mix.to_mono(audio.samples),
            sample_rate=audio.sample_rate,
            prompt=0,
            code_rate=embedded.card.vqvae.codes_per_second(Level.BOTTOM),
            genres=read_tags(path).get("genre", ()) if corrected is None else corrected,
        )
    ]
