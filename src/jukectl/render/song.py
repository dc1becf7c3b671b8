"""Songs: the levels that a job lacks are sampled and decoded, resumed where they stopped."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jukectl.codes.level import Level
from jukectl.codes.song import Song, audio_paths
from jukectl.plan.device import single_thread
from jukectl.plan.eta import Eta
from jukectl.plan.forecast import forecast
from jukectl.plan.job import Job, Preparation
from jukectl.plan.memory import plan_song
from jukectl.plots.style import Theme
from jukectl.progress import ignore
from jukectl.render.choose import check_music, keep_best
from jukectl.render.decode import Mastering, write_audio
from jukectl.render.encode import encode_prompt
from jukectl.render.karaoke import follow_lyrics
from jukectl.render.level import LevelFilling, fill_level, level_job


@dataclass(frozen=True)
class Rendered:
    """A finished song."""

    song: Path
    audio: tuple[Path, ...]  # final audio, or previews if the bottom level was not asked for
    new: bool  # False if everything existed already
    plots: tuple[Path, ...] = ()  # pictures and karaoke files, if they were asked for


def run(preparation: Preparation) -> Rendered:
    """Make what a song lacks: codes, then audio, then pictures of the lyrics if they are asked for."""
    if preparation.song.is_read_only and (rendered := finished(preparation.prepare())):
        return rendered
    Song.create(preparation.song.path)
    with preparation.song.lock():
        job = preparation.prepare()
        job.start.write(job.song)
        return render(job)


def finished(job: Job) -> Rendered | None:
    """Return the song of a job that has nothing left to write, None otherwise. No lock is needed for that."""
    lowest = job.recipe.levels[-1]
    paths = [] if job.codes_only else [*audio_paths(job.song, lowest, range(job.samples), job.request.suffix).values()]
    whole = all(job.done(level) >= job.wanted[level] for level in job.recipe.levels)
    left = not job.start.is_empty or job.to_encode or job.request.preview or job.request.plots
    if left or not whole or not all(path.exists() for path in paths):
        return None
    return Rendered(job.song.path, tuple(paths), new=False)


def render(job: Job) -> Rendered:
    """Make what a started job lacks. Hold the song's lock."""
    if job.codes_only:
        encoded = encode_prompt(job)
        return Rendered(job.song.path, (), encoded is not job)
    return finish(sample_codes(job), job)


def finish(sampled: Job, job: Job) -> Rendered:
    """Write the audio and the pictures of a song whose codes are `sampled`; it was `job` before."""
    lowest = sampled.recipe.levels[-1]
    previews = [
        write_audio(sampled, level, begun=level not in sampled.request.preview)[1]
        for level in sampled.recipe.levels
        if level is not Level.BOTTOM
    ]
    mastering = Mastering.of(sampled.request, sampled.recipe, lowest)
    audio, decoded = write_audio(sampled, lowest, mastering, suffix=sampled.request.suffix)
    plots = karaoke_of(sampled) if sampled.request.plots else ()
    return Rendered(sampled.song.path, tuple(audio), sampled.codes != job.codes or decoded or any(previews), plots)


class SongSampling:
    """The missing codes of a song, level by level from the top: sampled alone, or with other songs in one batch."""

    def __init__(self, job: Job) -> None:
        """Plan the levels and encode the prompt."""
        self.plan = plan_song(job)
        self.job = encode_prompt(replace(job, machine=self.plan.machine))
        self.eta: Eta | None = None

    def estimate(self) -> None:
        """Remark on the time that the song will take, and report its ETA from here on, if a listener wants that."""
        self.eta = forecast(self.job, self.plan)

    def filling(self, level: Level) -> LevelFilling | None:
        """Return the filling of a level, None if it lacks nothing."""
        recipe = self.job.recipe
        if level not in recipe.levels or level not in recipe.sampling:
            return None
        return LevelFilling.of(self.job, self.plan, self.eta, level)

    def end(self, level: Level, filled: Job) -> bool:
        """Take the job with the codes of a level, and keep the best samples of the top; return True if some go."""
        before, self.job = self.job.codes.get(level), filled
        if level is not Level.TOP or (filled.codes.get(level) is before and not filled.must_choose):
            return False
        chosen = keep_best(filled, check_music(filled))
        if chosen is filled:
            return False
        self.job, self.plan = chosen, plan_song(chosen)  # fewer samples take less memory and time
        return True


def sample_codes(job: Job) -> Job:
    """Encode the prompt and sample every missing level; return the job with their codes and records."""
    song = SongSampling(job)
    song.estimate()
    for level in job.recipe.levels:
        if level in job.recipe.sampling and song.end(level, fill_level(song.job, song.plan, song.eta, level)):
            song.estimate()
    return song.job


def karaoke_of(job: Job, *, samples: Sequence[int] | None = None, theme: Theme | None = None) -> tuple[Path, ...]:
    """Write when the words of a song are sung, see `follow_lyrics`; the top prior is loaded only if that is missing."""
    quiet = replace(job, listener=ignore)  # what the prior cannot take was said when the song was sampled
    with single_thread(job.machine):
        return follow_lyrics(job, lambda: level_job(quiet, Level.TOP), samples=samples, theme=theme)
