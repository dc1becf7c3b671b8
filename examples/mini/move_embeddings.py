"""Adapt priors to a codec that was trained further, whose codes stand for other sounds.

The embedding of a new code becomes the mean of those of the old codes at the same places of the same songs, as far from
the centre as embeddings were on average. The transformers stay as they are. Songs encoded with both codecs are needed:

    python examples/mini/move_embeddings.py MODEL OLD_CODES NEW_CODES OUT --changed top,middle

writes OUT/top.safetensors, OUT/middle.safetensors and OUT/bottom.safetensors, with MODEL's model.toml less its
fingerprints: what `jukectl train prior --from OUT` needs.
"""

from pathlib import Path
from typing import Annotated

import tomlkit
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor

from jukectl.cli.values import parse_levels
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.data.encoded import EncodedSongs

OWN, UPPER = "codes.weight", "place.codes.weight"


def together(old: EncodedSongs, new: EncodedSongs, level: Level, size: int) -> Tensor:
    """Count how often each new code is at the place of each old one, (size, size): new, old."""
    counts = torch.zeros(size * size, dtype=torch.int64)
    for track in old.manifest.tracks:
        before, after = (torch.from_numpy(songs.find(track, level)[:].astype("int64")) for songs in (old, new))
        counts += torch.bincount(after * size + before, minlength=size * size)
    table: Tensor = counts.view(size, size).float()
    return table


def moved(embedding: Tensor, counts: Tensor) -> Tensor:
    """Return the embedding (K, width) of new codes from that of old ones; random for codes that never occur."""
    centre = embedding.mean(0)
    spread = (embedding - centre).norm(dim=1).mean()
    seen = counts.sum(1) > 0
    rows = torch.randn_like(embedding) * spread / embedding.shape[1] ** 0.5
    means = counts[seen] / counts[seen].sum(1, keepdim=True) @ (embedding - centre)
    rows[seen] = means * (spread / means.norm(dim=1).mean())
    whole: Tensor = (rows + centre).contiguous()
    return whole


def main(
    model: Annotated[Path, typer.Argument(help="The model folder with the old priors.")],
    old_codes: Annotated[Path, typer.Argument(help="Songs encoded by its codec.")],
    new_codes: Annotated[Path, typer.Argument(help="The same songs, encoded by the new one.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    changed: Annotated[str, typer.Option(help="The levels whose codes are others now.")] = "top,middle,bottom",
) -> None:
    """Adapt MODEL's priors to the codec that made NEW_CODES."""
    old, new, other = EncodedSongs(old_codes), EncodedSongs(new_codes), parse_levels(changed)
    out.mkdir(parents=True, exist_ok=True)
    card = tomlkit.parse((model / "model.toml").read_text(encoding="utf-8"))
    card.pop("fingerprints", None)  # of the old weights
    (out / "model.toml").write_text(tomlkit.dumps(card), encoding="utf-8")
    for level in TOP_DOWN:
        tensors = {name: tensor.float() for name, tensor in load_file(model / f"{level.label}.safetensors").items()}
        sources = {OWN: level} if level is Level.TOP else {OWN: level, UPPER: level.above}
        for name in (name for name, source in sources.items() if source in other):
            tensors[name] = moved(tensors[name], together(old, new, sources[name], len(tensors[name])))
        save_file(tensors, out / f"{level.label}.safetensors")
        typer.echo(out / f"{level.label}.safetensors")


if __name__ == "__main__":
    typer.run(main)
