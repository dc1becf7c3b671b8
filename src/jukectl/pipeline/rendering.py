"""Songs: begun from nothing, from a recording or from codes, filled level by level, resumed where they stopped."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jukectl.audio import io
from jukectl.checkpoints import catalogue
from jukectl.checkpoints.store import VQVAE_PART, ModelFolder
from jukectl.codes.archive import Codes
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.codes.recipe import Made, Prompt, Recipe
from jukectl.codes.song import Song
from jukectl.errors import BadAudio, NotASong, OutOfMemory, RecipeDiffers, is_out_of_memory
from jukectl.evaluation.plots import Theme
from jukectl.pipeline.adapting import differ, dressed, redressed, references
from jukectl.pipeline.decoding import check_codec, forget_audio, write_audio
from jukectl.pipeline.encoding import codes_of, digest, encode_prompt, hear, keep_prompt, new_codes
from jukectl.pipeline.filling import fill_and_save
from jukectl.pipeline.forecasting import foresee, get_to_know
from jukectl.pipeline.karaoke import follow_lyrics
from jukectl.pipeline.machine import Machine, choose, single_thread
from jukectl.pipeline.pace import Pace
from jukectl.pipeline.partial import goals
from jukectl.pipeline.planning import SongPlan, plan_song
from jukectl.pipeline.previewing import Preview
from jukectl.pipeline.recipes import (
    agreed,
    begun_levels,
    extended,
    frames_wanted,
    model_of,
    recipe_for_codes,
    recipe_of,
)
from jukectl.pipeline.request import Request
from jukectl.pipeline.scores import keep_notes, notes_of, with_notes
from jukectl.pipeline.telling import told
from jukectl.pipeline.trunks import begins_of, lay_trunk
from jukectl.progress import Progress, Report, Warn, silent, unheard
from jukectl.sampling.level import LevelJob
from jukectl.sampling.plan import Portion

SAME_PROMPT = 0.5  # share of its codes that two encodings of one prompt have in common, at the least


@dataclass(frozen=True)
class Rendered:
    """A song whose recipe is fulfilled."""

    song: Path
    audio: tuple[Path, ...]  # final audio, or previews where the bottom level was not asked for
    new: bool  # False where everything was there already
    plots: tuple[Path, ...] = ()  # pictures and karaoke files, where they were asked for


def sample(out: Path, request: Request, *, report: Report = silent, warn: Warn = unheard) -> Rendered:
    """A new song from nothing, in the folder `out`; resumed where it was begun before."""
    folder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
    return _render(out, folder, request, None, report, warn)


def continue_(
    audio: Path,
    out: Path,
    request: Request,
    *,
    start: float = 0.0,
    prompt_seconds: float | None = None,
    report: Report = silent,
    warn: Warn = unheard,
) -> Rendered:
    """A recording and what a model makes of it: `prompt_seconds` of `audio`, from `start` on, begin the song."""
    folder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
    heard = hear(audio, folder, start=start, seconds=prompt_seconds)
    return _render(out, folder, request, heard, report, warn)


def _render(
    out: Path,
    folder: ModelFolder,
    request: Request,
    heard: tuple[np.ndarray, Prompt] | None,
    report: Report,
    warn: Warn,
) -> Rendered:
    machine = choose(request.device, request.precision)
    prompt = heard[1] if heard else None
    request, notes = with_notes(request, folder)
    # what is wrong with the request is found before anything is touched
    recipe = recipe_of(folder, request, prompt, notes=notes)
    song = Song.create(out)
    with song.lock():
        if request.overwrite:
            song.clear()
        existing = song.recipe()
        if existing is not None:
            recipe = recipe_of(folder, request, prompt, existing.seed, notes)
        recipe = agreed(song, recipe, existing)
        check_codecs(song, TOP_DOWN, folder, request)
        if existing is None and heard is not None:
            keep_prompt(song, heard[0], folder)
        if existing is None:
            keep_notes(song, notes)
        if recipe != existing:
            song.write_recipe(recipe)
        return _fulfil(song, recipe, folder, machine, request, report, warn)


def resume(path: Path, request: Request | None = None, *, report: Report = silent, warn: Warn = unheard) -> Rendered:
    """Finish whatever a song's recipe says is unfinished."""
    request = request or Request()
    machine = choose(request.device, request.precision)
    song = Song.open(path)
    with song.lock():
        folder, recipe = recipe_to_resume(song, request)
        if recipe.kind == "encode" and not recipe.sampling:  # it asks for codes alone
            return Rendered(path, (), _encode_prompt(song, recipe, folder, machine, report))
        return _fulfil(song, recipe, folder, machine, request, report, warn)


def make_codes(
    path: Path,
    request: Request,
    hearing: Callable[..., Preview] = Preview,
    *,
    report: Report = silent,
    warn: Warn = unheard,
) -> Recipe:
    """As `resume`, but no audio is made of the codes; the recipe with a record of what they were made on.

    Where the request wants to hear a level while it is made, `hearing` makes its files.
    """
    machine = choose(request.device, request.precision)
    song = Song.open(path)
    with song.lock():
        folder, recipe = recipe_to_resume(song, request)
        _fill(song, recipe, folder, machine, request, report, warn, hearing)
        return song.recipe() or recipe


def recipe_to_resume(song: Song, request: Request) -> tuple[ModelFolder, Recipe]:
    """The model and the recipe that a song is gone on with."""
    recipe = song.recipe()
    if recipe is None:
        raise NotASong(f"{song.path} has codes but no song.toml. Fill in its levels with: jukectl upsample {song.path}")
    folder = redressed(model_of(song, recipe, request), song, recipe, request)
    if not request.force and differ(references(folder), recipe.adapters):
        raise RecipeDiffers(
            f"{song.path} was begun without one of the adapters given, or with another strength. Leave it out; "
            f"for levels that are not begun yet there is: jukectl upsample {song.path} --adapter FILE"
        )
    check_codecs(song, TOP_DOWN, folder, request)
    return folder, recipe


def upsample(path: Path, request: Request, *, report: Report = silent, warn: Warn = unheard) -> Rendered:
    """Fill in the levels of a song that are missing or unfinished, then decode.

    A folder with codes alone gets a recipe of its own. With `request.overwrite` the levels below the top are made anew.
    """
    machine = choose(request.device, request.precision)
    song = Song.open(path)
    with song.lock():
        folder, recipe = recipe_to_upsample(song, request)
        if request.overwrite:
            for level in reversed(TOP_DOWN[1:]):
                song.forget_spans(level)
                song.codes_path(level).unlink(missing_ok=True)
        if recipe != song.recipe():
            song.write_recipe(recipe)
        return _fulfil(song, recipe, folder, machine, request, report, warn)


def recipe_to_upsample(song: Song, request: Request) -> tuple[ModelFolder, Recipe]:
    """The model and the recipe that a song's missing levels are made with."""
    existing = song.recipe()
    if existing is None:
        folder: ModelFolder = dressed(catalogue.find(request.model or catalogue.EMBEDDED), request.adapters)
        recipe = recipe_for_codes(song, folder, request)
    else:
        begun = [level.label for level in begun_levels(song, existing, request)]
        folder = redressed(model_of(song, existing, request, [VQVAE_PART, *begun]), song, existing, request)
        recipe = extended(song, existing, folder, request)
    check_codecs(song, TOP_DOWN[:1] if request.overwrite else TOP_DOWN, folder, request)
    return folder, recipe


def _fulfil(
    song: Song, recipe: Recipe, folder: ModelFolder, machine: Machine, request: Request, report: Report, warn: Warn
) -> Rendered:
    """Do what a recipe asks and the folder lacks."""
    machine, new = _fill(song, recipe, folder, machine, request, report, warn)
    for level in request.preview:
        write_audio(song, folder, machine, level, report=report)
    audio, decoded = write_audio(
        song, folder, machine, recipe.levels[-1], loudness=request.loudness, fade=request.fade, report=report
    )
    plots: tuple[Path, ...] = ()
    if request.plots:
        plots = karaoke_of(song, recipe, folder, machine, report=report, warn=warn)
    return Rendered(song.path, tuple(audio), new or decoded, plots)


def karaoke_of(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    *,
    samples: Sequence[int] | None = None,
    theme: Theme | None = None,
    report: Report,
    warn: Warn,
) -> tuple[Path, ...]:
    """What tells when the words of a song are sung, see `follow_lyrics`; its top prior is loaded where that is due."""

    def job(total: int) -> LevelJob:
        return _job(song, recipe, folder, machine, Level.TOP, total, None, unheard)

    with single_thread(machine):
        return follow_lyrics(song, recipe, folder.card, job, samples=samples, theme=theme, report=report, warn=warn)


def _fill(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    request: Request,
    report: Report,
    warn: Warn,
    hearing: Callable[..., Preview] = Preview,
) -> tuple[Machine, bool]:
    """The codes that a recipe asks for and the folder lacks: whether there were any, and the machine as planned."""
    lay_trunk(song, recipe)
    found = {level: codes for level in TOP_DOWN if (codes := song.codes(level)) is not None}
    plan = plan_song(found, recipe, folder, machine, request, report, warn)
    machine = plan.machine
    new = _encode_prompt(song, recipe, folder, machine, report)
    pace = foresee(song, recipe, folder, plan, report, request.until)
    for level in recipe.levels:
        if level in recipe.sampling:
            recipe, filled = _fill_level(song, recipe, folder, plan, pace, level, request, report, warn, hearing)
            new = new or filled
    return machine, new


def check_codecs(song: Song, levels: Sequence[Level], folder: ModelFolder, request: Request) -> None:
    """Refuse codes of the song to which another codec than the model's gave their meaning, unless forced."""
    for level in levels:
        if (codes := song.codes(level)) is not None:
            check_codec(song, codes, folder, force=request.force)


def _encode_prompt(song: Song, recipe: Recipe, folder: ModelFolder, machine: Machine, report: Report) -> bool:
    """Encode the prompt at the levels that begin with it and have no codes; True where there were any."""
    prompt = recipe.prompt
    encoded = recipe.levels if recipe.kind != "encode" else [one for one in recipe.levels if one not in recipe.sampling]
    missing = [level for level in encoded if song.codes(level) is None]
    if prompt is None or not missing:
        return False
    samples, top = _prompt_samples(song, prompt, folder), song.codes(Level.TOP)
    own = recipe.kind != "encode" and recipe.trunk is None
    if own and top is not None and not _begins_with(top, samples, folder, machine):
        return False  # the top level is another song's: what belongs below it has not this prompt
    count = recipe.samples if top is None else top.samples
    return encode_prompt(song, folder, machine, missing, samples, count=count, report=report)


def _begins_with(top: Codes, samples: np.ndarray, folder: ModelFolder, machine: Machine) -> bool:
    """Whether a top level begins with a prompt, as this machine or another encoded it: a few codes may then differ."""
    heard = codes_of(folder.vqvae(machine.device, (Level.TOP,)), samples, Level.TOP, machine, silent)
    return top.prompt == heard.shape[1] and float(np.mean(top.array[:, : top.prompt] == heard)) > SAME_PROMPT


def _prompt_samples(song: Song, prompt: Prompt, folder: ModelFolder) -> np.ndarray:
    """The prompt from prompt.wav, or where that is gone from its source; its hash must be the recipe's."""
    kept = song.prompt_path.exists()
    if kept:
        samples: np.ndarray = io.load(song.prompt_path).samples[0]
    else:
        try:
            samples, _ = hear(Path(prompt.source), folder, start=prompt.start, seconds=prompt.seconds)
        except BadAudio as error:
            raise BadAudio(
                f"{song.path} has no {song.prompt_path.name}, and its source cannot take its place: {error}"
            ) from error
    if digest(samples) != prompt.sha256:
        where = song.prompt_path if kept else Path(prompt.source)
        raise RecipeDiffers(
            f"{where} is not the prompt that the recipe of {song.path} names: it was changed. Put the right one back"
            + (f", or remove it to take {prompt.source} again" if kept else "")
        )
    if not kept:
        keep_prompt(song, samples, folder)
    return samples


def _fill_level(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    plan: SongPlan,
    pace: Pace | None,
    level: Level,
    request: Request,
    report: Report,
    warn: Warn,
    hearing: Callable[..., Preview],
) -> tuple[Recipe, bool]:
    """Sample what a level lacks, saving after every window; the recipe with its record, and if anything was done."""
    found = {one: codes for one in TOP_DOWN if (codes := song.codes(one)) is not None}
    upper = None if level is Level.TOP else found.get(level.above)
    if upper is None and level is not Level.TOP:
        above = level.above.label
        raise NotASong(
            f"{song.path} has no {above} codes to make the {level.label} ones from: put its {above}.npz back"
        )
    codes = found.get(level)
    if codes is None:
        empty = np.zeros((upper.samples if upper is not None else recipe.samples, 0), dtype=np.uint16)
        codes = new_codes(folder, level, empty, prompt=0, fingerprint=folder.fingerprint(VQVAE_PART))
    elif upper is not None:
        _check_upper(song, recipe, codes, upper)
    total = frames_wanted(recipe, folder.card.vqvae, {one: codes.done for one, codes in found.items()})[level]
    goal = goals(recipe, folder, found, request.until).get(level, total)
    if codes.done < total and codes.done >= goal:
        return recipe, False
    if codes.done >= total:
        song.forget_spans(level)  # where a run was killed just before it would have
        return recipe, False

    forget_audio(song, codes)
    portion = plan.levels[level].portion
    machine = plan.machine_at(level)
    partly = 0 if upper is None or upper.done * (upper.hop // codes.hop) >= total else upper.done
    recipe = _record(song, recipe, machine, level, upper, partly, portion, warn)

    def less(smaller: Portion) -> None:
        nonlocal recipe
        read = f", known codes read {smaller.chunk} at a time" if smaller.chunk else ""
        of = f"of {codes.samples} samples" if recipe.sampling[level].parallel == 1 else "spans of samples"
        warn(
            f"out of memory at the {level.label} level: its window is begun again, and from here on {smaller.samples} "
            f"{of} are made at a time{read}"
        )
        recipe = _with_portion(song, recipe, level, smaller)

    stage = f"{level.label} codes"
    with single_thread(machine), _no_memory_left(song, level):
        job = _job(song, recipe, folder, machine, level, total, upper, warn)
        if pace is not None:
            get_to_know(pace, job.prior, recipe.sampling[level], plan)

        def stands(done: int, saved: float | None = None) -> None:
            standing = pace.standing(level, done, saved=saved) if pace is not None else None
            report(Progress(stage, done, goal, "" if saved is None else f"saved {saved:.1f} s", standing))

        stands(codes.done)
        preview = hearing(song, folder, machine, level)
        for grown, done in fill_and_save(song, recipe, job, codes, stands, portion, less, warn):
            stands(done, grown.seconds)
            if level in request.preview:
                preview.write()
            if goal <= grown.done < total:  # at the end it has to tidy up
                break
        if level is Level.TOP and request.plots and any(job.lyrics):  # while its prior is there
            follow_lyrics(song, recipe, folder.card, lambda total: job, report=report, warn=warn)
    return recipe, True


@contextmanager
def _no_memory_left(song: Song, level: Level) -> Iterator[None]:
    """Say how to go on where memory runs out in the block."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"out of memory at the {level.label} level, though as little as possible was made at a time. Every "
            f"finished window is saved. Free some memory, and go on with: jukectl resume {shlex.quote(str(song.path))}"
        ) from error


def _record(
    song: Song,
    recipe: Recipe,
    machine: Machine,
    level: Level,
    upper: Codes | None,
    partly: int,
    portion: Portion,
    warn: Warn,
) -> Recipe:
    """Write down what a level is made on, from and with, before its first code is; the recipe with that record."""
    made = Made(
        device=machine.device.type,
        precision=machine.precision,
        upper=upper.digest() if upper is not None else "",
        upper_frames=partly,
        samples=portion.samples,
        chunk=portion.chunk or 0,
    )
    before = recipe.made.get(level)
    if before is not None and (before.device, before.precision) != (made.device, made.precision):
        warn(
            f"the {level.label} level was made on {before.device} in {before.precision} so far: on {made.device} in "
            f"{made.precision} its codes may differ from here on"
        )
    elif before is not None and before.samples and _other_bits(before, made):
        warn(
            f"the {level.label} level was made {before.samples} samples at a time so far, {before.chunk or 'all'} "
            "known codes read at once, and memory is too short for that now: its codes may differ from here on"
        )
    if made != before:
        recipe = recipe.with_made(level, made)
        song.write_recipe(recipe)
    return recipe


def _other_bits(before: Made, now: Made) -> bool:
    """Whether sums are added up in another order: on a CPU they are the same whatever samples are made beside one."""
    return before.chunk != now.chunk or (before.samples != now.samples and now.device != "cpu")


def _with_portion(song: Song, recipe: Recipe, level: Level, portion: Portion) -> Recipe:
    """Write down that a level is made in smaller portions from here on."""
    made = replace(recipe.made[level], samples=portion.samples, chunk=portion.chunk or 0)
    recipe = recipe.with_made(level, made)
    song.write_recipe(recipe)
    return recipe


def _job(
    song: Song,
    recipe: Recipe,
    folder: ModelFolder,
    machine: Machine,
    level: Level,
    total: int,
    upper: Codes | None,
    warn: Warn,
) -> LevelJob:
    """A level's prior, loaded, with all it is told."""
    about = told(recipe, folder.card, level, total, warn)
    return LevelJob(
        prior=folder.prior(level, machine.device, machine.dtype),
        total=total,
        seed=recipe.seed,
        sampling=recipe.sampling[level],
        sections=about.sections,
        song_samples=about.song_samples,
        begins=about.begins,
        numbers=recipe.sample_numbers,
        skipped=begins_of(recipe) * folder.card.vqvae.hop(Level.TOP) // folder.card.vqvae.hop(level),
        lyrics=(about.lyrics,),
        lyric_onsets=(about.onsets,),
        upper=None if upper is None else upper.array,
        notes=notes_of(song, recipe) if level is Level.TOP else None,
        device=machine.device,
        int8=machine.precision == "int8",
    )


def digest_of(upper: Codes, frames: int) -> str:
    """The digest of the codes above, or of the first `frames` of them; none where there are not that many."""
    return upper.cut(frames or upper.done).digest() if frames <= upper.done else "too few"


def _check_upper(song: Song, recipe: Recipe, codes: Codes, upper: Codes) -> None:
    """Refuse to go on from codes that were made from other upper codes than those in the folder."""
    before = recipe.made.get(codes.level)
    if codes.done > codes.prompt:
        stale = before is not None and before.upper not in ("", digest_of(upper, before.upper_frames))
    elif recipe.trunk is not None:  # which says for each level how much of it is given
        stale = codes.prompt > upper.done * (upper.hop // codes.hop)
    else:  # only the prompt is there, and it must be the one above
        stale = codes.prompt != upper.prompt * (upper.hop // codes.hop)
    if stale or codes.samples != upper.samples:
        raise RecipeDiffers(
            f"{song.codes_path(codes.level)} was made from other {upper.level.label} codes than those in {song.path}. "
            f"Make it again with: jukectl upsample {song.path} --overwrite"
        )
