"""How well notes that are heard agree with those that are written."""

from jukectl.midi.notes import Notes

NEAR = 0.05
"""Seconds by which a beginning may be off, the custom of note transcription."""

DIGITS = 4  # of seconds, beyond which beginnings are the same; as mir_eval has it


def note_f1(reference: Notes, found: Notes) -> float:
    """F1 of notes that begin within 50 ms of one of the same pitch, whatever their length; each counts once at most.

    0 where either has none. The figure of mir_eval's precision_recall_f1_overlap without offsets.
    """
    if not len(reference) or not len(found):
        return 0.0
    hits = sum(
        _matches(*(sorted(one.starts[one.pitches == pitch].tolist()) for one in (reference, found)))
        for pitch in set(reference.pitches.tolist())
    )
    return 2 * hits / (len(reference) + len(found))


def _matches(written: list[float], heard: list[float]) -> int:
    """The most pairs of beginnings, in order, that are near each other: the earliest of both is paired, or in vain."""
    count = first = second = 0
    while first < len(written) and second < len(heard):
        apart = round(written[first] - heard[second], DIGITS)
        if abs(apart) <= NEAR:
            count, first, second = count + 1, first + 1, second + 1
        elif apart < 0:
            first += 1
        else:
            second += 1
    return count
