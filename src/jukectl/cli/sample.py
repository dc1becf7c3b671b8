"""`jukectl sample`."""

import typer

from jukectl.cli.console import progress, warnings_only
from jukectl.cli.options import Out, SamplingOptions, sampling_command
from jukectl.cli.results import show_estimate, show_rendered


@sampling_command()
def sample(context: typer.Context, out: Out, options: SamplingOptions) -> None:
    """Make a new song from nothing, down to audio. Run it again to resume.

    Example: jukectl sample --out my-song --artist Freedoom --genre Game --seconds 20
    """
    from jukectl import api

    request = options.request()
    if options.dry_run:
        return show_estimate(context, api.estimate_sample(out, request, listener=warnings_only(options.show)))
    with progress(context, options.show) as listener:
        result = api.sample(out, request, listener=listener)
    return show_rendered(context, result, options.show)
