"""The beat of a song: requested, tracked in a prompt, kept in the recipe, and as a prior is conditioned on it."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from jukectl.checkpoints.card import ModelCard
from jukectl.codes.beat import Beat
from jukectl.codes.level import Level
from jukectl.codes.recipe import Recipe
from jukectl.codes.schedule import Change, in_order
from jukectl.errors import BadInput
from jukectl.midi.beats import DEFAULT_METER
from jukectl.plan.request import Request
from jukectl.progress import Listener, warn

Samples = npt.NDArray[np.float32]

LEAST_BEATS = 8
"""Beats of a prompt from which its tempo is tracked, at least: two bars."""

CONTRAST = 1.5
"""Onset strength on beats over the mean in a prompt: of 12 s of rendered scores above it 4 in 5 had the right tempo."""

SAME_TEMPO = 0.04
"""Relative difference up to which a requested tempo counts as that of the prompt: hardly audible."""


def check_beats(card: ModelCard) -> None:
    """Raise BadInput if a model's top prior is not conditioned on beats."""
    if Level.TOP in card.priors and card.priors[Level.TOP].beats is None:
        raise BadInput(
            f"{card.name} was not trained with beats: leave --tempo and --meter out, or train it with: "
            "jukectl train prior RECIPE.toml --from MODEL --add-beats"
        )


def with_beat(
    request: Request, card: ModelCard, prompt: Samples | None, listener: Listener
) -> tuple[Request, Beat | None]:
    """Return the beat of a new song, and the request with a schedule that has its tempo after the prompt.

    `prompt` is mono at the model's rate. BadInput if a beat is requested and the model takes none.
    """
    _check_request(request, card)
    if request.no_beat or not takes_beats(card):
        return request, None
    if prompt is None:
        return _begun(request, None, 0.0)
    tracked = _tracked(prompt, card.vqvae.sample_rate, request.meter)
    if tracked is None and request.tempo is None:
        warn(listener, "the prompt has no clear beat, so the model chooses its own; --tempo sets one")
    return _begun(request, tracked, len(prompt) / card.vqvae.sample_rate)


def with_beat_of(request: Request, card: ModelCard, recipe: Recipe, seconds: float) -> tuple[Request, Beat | None]:
    """Return the beat of a song that continues another one from some second, and the request with its tempo there."""
    _check_request(request, card)
    if request.no_beat or not takes_beats(card):
        return request, None
    return _begun(request, recipe.beat, seconds)


def takes_beats(card: ModelCard) -> bool:
    """Return whether a model's top prior is conditioned on beats."""
    return Level.TOP in card.priors and card.priors[Level.TOP].beats is not None


def _check_request(request: Request, card: ModelCard) -> None:
    """Raise BadInput if a beat is requested and the model takes none."""
    if request.tempo is not None or request.meter is not None or _changes_beat(request):
        check_beats(card)


def _changes_beat(request: Request) -> bool:
    return any(one.tempo is not None or one.meter is not None for one in request.schedule)


def _begun(request: Request, known: Beat | None, seconds: float) -> tuple[Request, Beat | None]:
    """Return a request and its beat, given the `known` beat up to the second at which the new music starts."""
    tempo, meter = request.tempo, request.meter
    if known is None and tempo is None:
        if meter is not None or _changes_beat(request):
            raise BadInput("a meter and changes of tempo need a tempo that they begin with: give one with --tempo")
        return request, None
    if known is None:  # the new music begins with a bar
        assert tempo is not None
        return request, Beat(tempo=tempo, meter=meter or DEFAULT_METER, first=seconds, start=seconds)
    same_meter = meter is None or meter == known.meter
    if same_meter and (tempo is None or abs(tempo / known.tempo - 1) <= SAME_TEMPO):
        return request, known
    change = Change(at=seconds, tempo=tempo, meter=None if same_meter else meter)
    if any(one.at == seconds for one in request.schedule):
        raise BadInput(f"the schedule has a change at {seconds:g} s, where the new music begins: set the tempo there")
    return replace(request, schedule=in_order([*request.schedule, change])), known


def _tracked(prompt: Samples, sample_rate: int, meter: str | None) -> Beat | None:
    """Return the beat of a prompt, None if it is unclear. Its bars are used only if a meter is requested.

    In rendered scores half of the tracked downbeats were right, too few to rely on.
    """
    from jukectl.midi.tracking import track_beats

    grid = track_beats(prompt, sample_rate, meter=meter or DEFAULT_METER, least=LEAST_BEATS, contrast=CONTRAST)
    if grid is None:
        return None
    first = float(grid.beats[grid.first_downbeat])
    # short decimals in song.toml: a microsecond is no phase
    return Beat(tempo=round(grid.tempo, 4), meter=grid.meter, first=round(first, 6), bars=meter is not None)
