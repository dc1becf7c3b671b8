"""Songs as audio: the samples of song folders, decoded from their finest level, and audio files."""

from dataclasses import dataclass
from pathlib import Path

from jukectl.audio import io, mix
from jukectl.audio.mix import Samples
from jukectl.checkpoints import catalogue
from jukectl.codes.level import Level
from jukectl.codes.prefix import codes_of_song
from jukectl.codes.recipe import Prompt
from jukectl.codes.song import Song
from jukectl.data.scan import read_overrides, read_tags
from jukectl.errors import JukectlError
from jukectl.evaluation.inputs import sample_name
from jukectl.plan.device import choose
from jukectl.plan.models import check_codec, model_for
from jukectl.plan.prompt import Recording, digest, load_mono
from jukectl.render.decode import finest, waveform


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleAudio:
    """The audio of one sample of a song, or of an audio file, which has no prompt."""

    name: str
    path: Path
    sample: int = 0
    level: Level = Level.BOTTOM  # that it was decoded from
    samples: Samples  # (N,) mono
    sample_rate: int  # Hz
    prompt: int = 0  # audio samples of the prompt
    code_rate: float  # Hz, of the model's bottom codes
    genres: tuple[str, ...] = ()  # that were asked for, or tagged
    source: Prompt | None = None  # recording of the prompt

    @property
    def first(self) -> Samples:
        """The prompt."""
        return self.samples[: self.prompt]

    @property
    def new(self) -> Samples:
        """The music after the prompt."""
        return self.samples[self.prompt :]

    def original(self) -> Samples | None:
        """Load the recording's own continuation after the prompt, at most as long as the new music.

        Returns None without a prompt, and if the recording is not there any more, is another one, or ends.
        """
        source = self.source
        if source is None or abs(source.samples - self.prompt) > self.sample_rate:  # a branch goes on later
            return None
        try:
            recording = Recording(Path(source.source), source.start, source.seconds)
            mono, _ = load_mono(recording, self.sample_rate)
            if digest(mono[: source.samples]) != source.sha256:
                return None
            after = source.start + self.prompt / self.sample_rate
            rest = Recording(recording.path, after, len(self.new) / self.sample_rate)
            return load_mono(rest, self.sample_rate)[0]
        except JukectlError:
            return None


def decode_song(path: Path) -> list[SampleAudio]:
    """Decode the samples of a song folder from its finest level."""
    song = Song.open(path)
    found = codes_of_song(song)
    level = finest(song, found)
    codes = found[level]
    folder, machine = model_for(song, None), choose("auto")
    check_codec(song, codes, folder, force=False)
    vqvae = folder.vqvae(machine.device, (level,))
    recipe = song.recipe()
    return [
        SampleAudio(
            name=sample_name(path, sample, codes.samples),
            path=path,
            sample=sample,
            level=level,
            samples=waveform(vqvae, codes.array[sample], level, machine),
            sample_rate=codes.sample_rate,
            prompt=codes.prompt * codes.hop,
            code_rate=folder.card.vqvae.codes_per_second(Level.BOTTOM),
            genres=recipe.labels.genres if recipe else (),
            source=recipe.prompt if recipe else None,
        )
        for sample in range(codes.samples)
    ]


def load_song(path: Path) -> list[SampleAudio]:
    """Load the samples of a song folder, or an audio file, whose genres are those of its tags.

    The code rate of a file is that of the embedded model.
    """
    if not path.is_file():
        return decode_song(path)
    audio = io.load(path)
    corrected = read_overrides(path)[0].genres
    return [
        SampleAudio(
            name=path.name,
            path=path,
            samples=mix.to_mono(audio.samples),
            sample_rate=audio.sample_rate,
            code_rate=catalogue.find(catalogue.EMBEDDED).card.vqvae.codes_per_second(Level.BOTTOM),
            genres=read_tags(path).get("genre", ()) if corrected is None else corrected,
        )
    ]
