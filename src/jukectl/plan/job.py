"""`Job`: one song and all that making it takes, prepared before anything is written. Running and --dry-run share it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from jukectl.checkpoints.planned import PlannedModel
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.prefix import Codeset, codes_of_song, for_samples, load_prefix
from jukectl.codes.recipe import Made, Recipe
from jukectl.codes.song import SONG, Song
from jukectl.errors import NotASong, RecipeDiffers
from jukectl.files import remove_file
from jukectl.plan.beats import with_beat
from jukectl.plan.conditioning import begun_samples
from jukectl.plan.device import Machine, choose
from jukectl.plan.models import adapter_refs, check_codecs, model_of, planned_model, requested_model, same_adapters
from jukectl.plan.notes import save_notes, with_notes
from jukectl.plan.parallel import with_parallel
from jukectl.plan.prompt import PromptAudio, Recording, load_prompt
from jukectl.plan.recipes import (
    agreed,
    begun_levels,
    extended,
    frames_wanted,
    given_frames,
    recipe_for_codes,
    recipe_of,
)
from jukectl.plan.request import Request
from jukectl.progress import Listener, Remark, ignore, warn


@dataclass(frozen=True, eq=False, kw_only=True)
class Start:
    """Changes to a song folder before its first code is sampled."""

    clear: bool = False  # remove everything that stages made there
    redo: tuple[Level, ...] = ()  # levels whose codes are removed
    prefix: Codeset = field(default_factory=dict)  # codes of another song, to be kept
    prompt: PromptAudio | None = None
    notes: bytes | None = None
    recipe: Recipe | None = None  # None: the folder's own stays
    codes: Codeset = field(default_factory=dict)  # of levels that have none yet
    new: bool = False  # the folder has no recipe yet

    @property
    def is_empty(self) -> bool:
        """True if nothing changes."""
        changes = (self.clear, self.redo, self.prefix, self.prompt, self.recipe, self.codes)
        return not any(changes) and self.notes is None

    def write(self, song: Song) -> None:
        """Write the changes, the recipe after all that it names. Hold the song's lock. Raises CannotWrite."""
        if self.clear:
            song.clear()
        for level in reversed(self.redo):
            song.forget_spans(level)
            remove_file(song.codes_path(level))
        for level, codes in self.prefix.items():
            codes.save(song.prefix_path(level))
        if self.prompt is not None:
            self.prompt.save(song)
        if self.notes is not None:
            save_notes(song, self.notes)
        if self.recipe is not None:
            song.write_recipe(self.recipe)
        for codes in self.codes.values():
            song.save(codes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Given:
    """Inputs that a new song begins with: prompt, notes, prefix codes."""

    prompt: PromptAudio | None = None
    notes: bytes | None = None
    prefix: Codeset = field(default_factory=dict)  # codes of another song, of one sample or of all
    codes: Codeset | None = None  # of its levels; None: the prefix, for every sample


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """A song, its recipe and model, the device, and the codes it has. Steps return a new job with what they made."""

    song: Song
    recipe: Recipe
    model: ModelFolder  # with its adapters
    machine: Machine
    codes: Codeset  # loaded once, when the job was prepared
    request: Request = field(default_factory=Request)
    listener: Listener = ignore
    start: Start = field(default_factory=Start)
    codes_only: bool = False  # a recording is encoded, and no audio is made of its codes
    parts: Mapping[Level, tuple[Path, ...]] = field(default_factory=dict)
    """Previews of what follows the prefix, one file a sample; without any, a level's previews are of the whole song."""

    later: tuple["Job", ...] = ()
    """Jobs that follow this one, as the steps of a tree do; its ETA counts them."""
    to_decode: float | None = None  # seconds of audio that are decoded after all of them; None: the song's

    @property
    def samples(self) -> int:
        """Number of samples, of the codes that exist or else of the recipe."""
        return self.codes[Level.TOP].samples if Level.TOP in self.codes else self.recipe.samples

    @property
    def must_choose(self) -> bool:
        """True if the best of the samples are still to be kept."""
        return self.recipe.keep is not None and self.samples == self.recipe.keep.of

    def samples_at(self, level: Level) -> int:
        """Return the number of samples that a level is made for."""
        if self.must_choose and level is not Level.TOP:
            assert self.recipe.keep is not None
            return self.recipe.keep.best
        return self.samples

    @cached_property
    def wanted(self) -> dict[Level, int]:
        """Codes that each level of the recipe will have."""
        done = {level: codes.done for level, codes in self.codes.items()}
        return frames_wanted(self.recipe, self.model.card.vqvae, done)

    @property
    def to_encode(self) -> list[Level]:
        """Levels that begin with the prompt and have no codes yet."""
        recipe = self.recipe
        if recipe.prompt is None:
            return []
        levels = (
            recipe.levels if recipe.kind != "encode" else (one for one in recipe.levels if one not in recipe.sampling)
        )
        return [level for level in levels if level not in self.codes]

    def given(self, level: Level) -> int:
        """Return the codes of a level that were not sampled: its prompt's or its prefix's."""
        if level in self.codes:
            return self.codes[level].prompt
        return given_frames(self.recipe, self.model.card.vqvae, level)

    def done(self, level: Level) -> int:
        """Return the codes that a level has; a prompt that is not encoded yet counts."""
        return self.codes[level].done if level in self.codes else self.given(level)

    def with_codes(self, codes: Codes) -> "Job":
        """Return the job with new codes of their level."""
        return replace(self, codes={**self.codes, codes.level: codes})

    def with_made(self, level: Level, made: Made) -> "Job":
        """Return the job with a record in its recipe of what a level was made on and from."""
        return replace(self, recipe=self.recipe.with_made(level, made))


@dataclass(frozen=True)
class Preparation:
    """A song that is to be made, checked as far as that goes without its folder's content.

    Whoever makes it locks the folder before `prepare`; an estimate needs no lock.
    """

    song: Song
    prepare: Callable[[], Job]


def prepare_new(
    out: Path,
    request: Request,
    recording: Recording | None = None,
    *,
    to_estimate: bool = False,
    listener: Listener = ignore,
) -> Preparation:
    """Prepare a song from nothing or from a recording, resumed if it was begun before.

    Errors in the request are found here, before anything is written. A song that is only estimated may be of a
    published model that is not on this machine: its names of artists and genres are unknown, and not checked.
    """
    model = planned_model(request) if to_estimate else requested_model(request)
    if isinstance(model, PlannedModel):
        warn(listener, f"{model.card.name} is not here: planned from its shapes, without a check of artist and genre")
        request = replace(request, artist=None, genres=())
    prompt = load_prompt(recording, model, listener=listener) if recording is not None else None
    machine = choose(request.device, request.precision, request.threads)
    request = with_parallel(request, model, machine, Song(out), listener)
    request, notes = with_notes(request, model)
    request, beat = with_beat(request, model.card, prompt.samples if prompt else None, listener)
    asked = recipe_of(model, request, prompt.entry if prompt else None, notes=notes, beat=beat)
    _remark_on_rounding(request, model, listener)
    SONG.check(out)
    if request.overwrite:
        Song(out).check_kept([recording.path if recording else None, request.midi])
    given = Given(prompt=prompt, notes=notes.data if notes else None)
    draft = Job(
        song=Song(out), recipe=asked, model=model, machine=machine, codes={}, request=request, listener=listener
    )
    return Preparation(draft.song, lambda: begun(with_folder_seed(draft), given))


def _remark_on_rounding(request: Request, model: ModelFolder, listener: Listener) -> None:
    """Say where in the song the music begins if --start-at is no whole number of top codes."""
    if request.start_at and Level.TOP in model.card.priors:
        config = model.card.priors[Level.TOP]
        begins = begun_samples(request.start_at, config) / config.sample_rate
        if round(begins, 3) != round(request.start_at, 3):
            text = f"--start-at {request.start_at:g} is rounded to {begins:.3f} s, a whole number of top codes"
            listener(Remark("place", text))


def with_folder_seed(draft: Job) -> Job:
    """Return a job with the seed of its folder, unless the request names one: the same command resumes a song."""
    existing = None if draft.request.overwrite else draft.song.recipe()
    if existing is None or draft.request.seed is not None:
        return draft
    return replace(draft, recipe=replace(draft.recipe, seed=existing.seed))


def begun(draft: Job, given: Given) -> Job:
    """Return the job of a song that begins with given files, merged with what its folder holds of it already.

    RecipeDiffers if the folder holds another song, WrongCodec if its codes are not the model's.
    """
    codes = {} if draft.request.overwrite else codes_of_song(draft.song)
    recipe, start = begin(draft.song, draft.recipe, given, codes, overwrite=draft.request.overwrite)
    check_codecs(draft.song, codes, draft.model, draft.request)
    return replace(draft, recipe=recipe, codes={**codes, **start.codes}, start=start)


def begin(song: Song, asked: Recipe, given: Given, codes: Codeset, *, overwrite: bool) -> tuple[Recipe, Start]:
    """Return the recipe of a new song, merged with its folder's, and what its folder lacks to begin with it.

    `codes` are those in the folder. RecipeDiffers if that holds another song.
    """
    existing = None if overwrite else song.recipe()
    recipe = asked if overwrite else agreed(song, asked, existing)
    first = for_samples(given.prefix, recipe) if given.codes is None else given.codes
    new = existing is None
    prompt = given.prompt if new else None
    notes = given.notes if overwrite or not song.notes_path.exists() else None
    if prompt is not None:
        song.check_own(song.prompt_path)
    if notes is not None:
        song.check_own(song.notes_path)
    return recipe, Start(
        clear=overwrite,
        prefix=given.prefix if new else {},
        prompt=prompt,
        notes=notes,
        recipe=recipe if recipe != existing else None,
        codes={level: one for level, one in first.items() if level not in codes},
        new=new,
    )


def prepare_resume(path: Path, request: Request, *, listener: Listener = ignore) -> Preparation:
    """Prepare the rest of what a song's recipe asks for."""
    machine = choose(request.device, request.precision, request.threads)
    song = Song.open(path)
    return Preparation(song, lambda: resumed(song, request, machine, listener))


def resumed(song: Song, request: Request, machine: Machine, listener: Listener = ignore) -> Job:
    """Return the job of a song that is resumed by its own recipe."""
    recipe = song.recipe()
    if recipe is None:
        raise NotASong(f"{song.path} has codes but no song.toml. Fill in its levels with: jukectl upsample {song.path}")
    model = model_of(song, recipe, request)
    if not request.force and not same_adapters(adapter_refs(model), recipe.adapters):
        raise RecipeDiffers(
            f"{song.path} was begun without one of the adapters given, or with another strength. Leave it out; "
            f"for levels that are not begun yet there is: jukectl upsample {song.path} --adapter FILE"
        )
    job = Job(
        song=song,
        recipe=recipe,
        model=model,
        machine=machine,
        codes=codes_of_song(song),
        request=request,
        listener=listener,
        codes_only=recipe.kind == "encode" and not recipe.sampling,
    )
    return _completed(job)


def prepare_upsample(path: Path, request: Request, *, listener: Listener = ignore) -> Preparation:
    """Prepare the levels of a song that are missing or unfinished.

    Codes without a recipe get one. With `request.overwrite` the levels below the top are made again.
    """
    machine = choose(request.device, request.precision, request.threads)
    song = Song.open(path)
    return Preparation(song, lambda: upsampled(song, request, machine, listener))


def upsampled(song: Song, request: Request, machine: Machine, listener: Listener = ignore) -> Job:
    """Return the job of a song that gets all of its levels."""
    existing, codes = song.recipe(), codes_of_song(song)
    if existing is None:
        model: ModelFolder = requested_model(request)
        request = with_parallel(request, model, machine, song, listener)
        recipe = recipe_for_codes(song, codes, model, request)
    else:
        begun_parts = [level.label for level in begun_levels(existing, codes, request)]
        model = model_of(song, existing, request, [VQVAE_PART, *begun_parts])
        request = with_parallel(request, model, machine, song, listener)
        recipe = extended(song, existing, codes, model, request)
    start = Start(redo=TOP_DOWN[1:] if request.overwrite else (), recipe=recipe if recipe != existing else None)
    kept = {level: one for level, one in codes.items() if level not in start.redo}
    job = Job(
        song=song,
        recipe=recipe,
        model=model,
        machine=machine,
        codes=kept,
        request=request,
        listener=listener,
        start=start,
    )
    return _completed(job)


def _completed(job: Job) -> Job:
    """Return a job with prefix codes at the levels that have none. WrongCodec if its codes are not the model's."""
    check_codecs(job.song, job.codes, job.model, job.request)
    if job.recipe.prefix is None or all(level in job.codes for level in job.recipe.prefix.frames):
        return job
    prefix = for_samples(load_prefix(job.song, job.recipe), job.recipe)
    missing = {level: one for level, one in prefix.items() if level not in job.codes}
    return replace(job, codes={**job.codes, **missing}, start=replace(job.start, codes=missing))


def source_model(song: Song, codes: Codeset, request: Request) -> tuple[ModelFolder, Recipe]:
    """Return the model and the recipe of a song that another one is made from.

    Codes without a recipe get the one that `upsample` would give them.
    """
    recipe = song.recipe()
    if recipe is None:
        model = requested_model(replace(request, adapters=()))
        return model, recipe_for_codes(song, codes, model, request)
    return model_of(song, recipe, request, [VQVAE_PART]), recipe
