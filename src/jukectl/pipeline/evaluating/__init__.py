"""Models judged on held-out music, and songs on the music they stand beside: one function a command."""

from jukectl.pipeline.evaluating.checking import check_model
from jukectl.pipeline.evaluating.continuation import evaluate_continuation
from jukectl.pipeline.evaluating.lyrics import evaluate_lyrics
from jukectl.pipeline.evaluating.midi import evaluate_midi
from jukectl.pipeline.evaluating.originality import evaluate_originality
from jukectl.pipeline.evaluating.prior import evaluate_prior
from jukectl.pipeline.evaluating.reconstruction import evaluate_reconstruction

__all__ = [
    "check_model",
    "evaluate_continuation",
    "evaluate_lyrics",
    "evaluate_midi",
    "evaluate_originality",
    "evaluate_prior",
    "evaluate_reconstruction",
]
