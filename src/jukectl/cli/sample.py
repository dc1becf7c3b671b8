"""`jukectl sample`."""

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import NewSong, ResumeLast, SamplingOptions, sampling_command
from jukectl.cli.outputs import Destination, new_songs
from jukectl.cli.results import show_estimate, show_song


@sampling_command()
def sample(
    context: typer.Context, options: SamplingOptions, out: NewSong = None, resume_last: ResumeLast = False
) -> None:
    """Make a new song from nothing, down to audio. With --out, run it again to resume.

    Example: jukectl sample --artist Freedoom --genre Game --seconds 20
    """
    from jukectl import api

    request = options.request()
    place = Destination(out, new_songs(context), resume_last)
    if options.dry_run:
        planned = place.planned()
        return show_estimate(context, api.estimate_sample(planned, request, listener=warnings_only(options.show)))
    with place.folder(context, request) as folder:
        with progress(context, options.show) as listener:
            result = api.sample(folder, request, listener=listener)
        return show_song(context, result, options, place)
