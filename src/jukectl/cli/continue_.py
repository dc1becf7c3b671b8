"""`jukectl continue`."""

from pathlib import Path
from typing import Annotated

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import Out, SamplingOptions, option, sampling_command
from jukectl.cli.results import show_estimate, show_rendered


@sampling_command()
def continue_(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(help="Recording to continue: wav, flac, ogg, mp3 …")],
    out: Out,
    options: SamplingOptions,
    prompt_seconds: Annotated[
        float,
        option("--prompt-seconds", "SECONDS", "Length of the recording to begin with; all of it, if shorter."),
    ] = 12.0,
    start: Annotated[float, option("--start", "SECONDS", "Time in the recording at which that part begins.")] = 0.0,
) -> None:
    """Continue a recording in a style. The song begins with the recording. Run it again to resume.

    Example: jukectl continue riff.wav --out my-song --artist Freedoom --genre Game --seconds 20
    """
    from jukectl import api

    request = options.request()
    if options.dry_run:
        estimate = api.estimate_continue(
            audio, out, request, start=start, prompt_seconds=prompt_seconds, listener=warnings_only(options.show)
        )
        return show_estimate(context, estimate)
    with progress(context, options.show) as listener:
        result = api.continue_(audio, out, request, start=start, prompt_seconds=prompt_seconds, listener=listener)
    return show_rendered(context, result, options.show)
