"""Distil a prior's note conditioner into a smaller one: a new network learns the old one's outputs on songs' notes.

All other weights of the prior stay the same. Train it a little afterwards, since the outputs differ slightly:

    python examples/mini/shrink_notes.py RUN CODES OUT --width 60 --depth 3 --growth 6

writes OUT, a folder like that of a training run: what `start` in a recipe and `jukectl train prior --from OUT` take.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tomlkit
import torch
import torch.nn.functional as F
import typer
from safetensors.torch import save_file

from jukectl.codes.level import Level
from jukectl.data.encoded import EncodedSongs
from jukectl.data.segments import Dropout, SegmentSet
from jukectl.prior.conditioning import NoteConditioner
from jukectl.prior.config import MidiConfig
from jukectl.training.starting import find_prior

LEARNING_RATE = 3e-3
WARM_UP = 50  # steps
EVERY = 100  # steps from line to line


def main(
    run: Annotated[Path, typer.Argument(help="A training run of a top prior that follows notes.")],
    codes: Annotated[Path, typer.Argument(help="Encoded songs with notes.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    width: Annotated[int, typer.Option(help="Channels of the new network.")] = 60,
    depth: Annotated[int, typer.Option(help="Its residual blocks.")] = 3,
    growth: Annotated[int, typer.Option(help="Of the dilation from block to block.")] = 6,
    steps: Annotated[int, typer.Option(help="Steps of training.")] = 1_500,
    batch: Annotated[int, typer.Option(help="Segments a step.")] = 2,
) -> None:
    """Train a smaller note conditioner on the outputs of RUN's, and put it in its place."""
    start = find_prior(str(run), Level.TOP)
    prior, config = start.prior, start.config
    if prior.midi is None:
        raise typer.BadParameter(f"{run} follows no notes")
    songs = EncodedSongs(codes)
    shape = {"context": config.context, "ratio": 1, "slots": config.genre_slots}
    segments = SegmentSet.load(songs, songs.manifest.tracks, Level.TOP, start.vocabulary, midi=True, **shape)
    teacher, midi = prior.midi.eval(), MidiConfig(width=width, depth=depth, growth=growth)
    torch.manual_seed(0)
    learner = NoteConditioner(midi, config.width)
    torch.nn.init.normal_(learner.project.weight, std=0.02)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=WARM_UP / steps)
    generator = np.random.default_rng(0)
    for step in range(1, steps + 1):
        labels = segments.draw(batch, Dropout(), generator).labels
        with torch.no_grad():
            wanted = teacher(labels)
        loss = F.mse_loss(learner(labels), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pace.step()
        if step % EVERY == 0:
            missed = float(loss.detach() / wanted.square().mean().clamp_min(1e-12))
            typer.echo(f"{step}: {missed:.3f} of its energy is missed")
    prior.midi = learner
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in prior.state_dict().items()}, out / "best.safetensors")
    card = tomlkit.parse((run / "model.toml").read_text(encoding="utf-8"))
    card["prior"]["midi"] = {name: number for name, number in vars(midi).items() if number is not None}
    (out / "model.toml").write_text(card.as_string(), encoding="utf-8")
    assert find_prior(str(out), Level.TOP).config == replace(config, midi=midi)
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)
