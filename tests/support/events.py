"""Progress events, as tests look for them."""

from jukectl.progress import Event, LevelProgress


def is_saved_window(event: Event, *levels: str) -> bool:
    """Return True for the event after a window of one of these levels was saved."""
    return isinstance(event, LevelProgress) and event.level in levels and event.seconds_saved is not None
