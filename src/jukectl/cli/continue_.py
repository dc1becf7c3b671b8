"""`jukectl continue`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import Continued, PromptSeconds, ResumeLast, SamplingOptions, Start, sampling_command
from jukectl.cli.outputs import Destination, named_after, recording
from jukectl.cli.results import show_estimate, show_song


@sampling_command()
def continue_(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="Recording to continue: wav, flac, ogg, mp3 …; - reads stdin.")],
    options: SamplingOptions,
    out: Continued = None,
    resume_last: ResumeLast = False,
    prompt_seconds: PromptSeconds = 12.0,
    start: Start = 0.0,
) -> None:
    """Continue a recording in a style. The song begins with the recording. With --out, run it again to resume.

    Example: jukectl continue riff.wav --artist Freedoom --genre Game
    """
    from jukectl import api

    request = options.request()
    place = Destination(out, named_after(context, audio, "continued"), resume_last)
    with recording(audio) as path:
        if options.dry_run:
            estimate = api.estimate_continue(
                path,
                place.planned(),
                request,
                start=start,
                prompt_seconds=prompt_seconds,
                listener=warnings_only(options.show),
            )
            return show_estimate(context, estimate)
        with place.folder(context, request) as folder:
            with progress(context, options.show) as listener:
                result = api.continue_(
                    path, folder, request, start=start, prompt_seconds=prompt_seconds, listener=listener
                )
            return show_song(context, result, options, place)
