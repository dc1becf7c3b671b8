"""Join songs to medleys of two, which add windows that a prior cannot memorise from single songs.

Every song of the training list is followed by another one of its artist and genre: their codes are concatenated, and
their words are shifted accordingly:

    python examples/singing/medleys.py build/singing/codes build/singing/medleys --seed 1

Train on both: data.codes = ["build/singing/codes", "build/singing/medleys"].
"""

import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jukectl.codes.archive import Codes
from jukectl.codes.level import Level
from jukectl.data.encoded import CodeFolder, EncodedSongs
from jukectl.data.manifest import Manifest, Track
from jukectl.lyrics import lrc


def main(
    codes: Annotated[Path, typer.Argument(help="Encoded songs with lyrics that have times.")],
    out: Annotated[Path, typer.Argument(help="The folder of codes to write.")],
    seed: Annotated[int, typer.Option(help="Chooses who goes with whom.")] = 1,
    kept: Annotated[str, typer.Option(help="Songs whose paths begin so are joined, no others.")] = "train/",
) -> None:
    """Write the medleys' codes, lyrics and manifest."""
    songs, folder, draw = EncodedSongs(codes), CodeFolder(out), random.Random(seed)
    alike: dict[tuple[str, tuple[str, ...]], list[Track]] = defaultdict(list)
    for track in songs.manifest.tracks:
        if track.path.startswith(kept):
            alike[track.artist, tuple(track.genres)].append(track)
    made = []
    for tracks in alike.values():
        for number, first in enumerate(tracks):
            second = tracks[(number + draw.randrange(1, max(len(tracks), 2))) % len(tracks)]
            one, other = (songs.find(track, Level.TOP).load() for track in (first, second))
            name = f"medley-{len(made):04d}"
            medley = replace(
                first, path=f"{name}.flac", lyrics=f"{name}.lrc", title=name, seconds=first.seconds + second.seconds
            )
            folder.write(medley.name, joined(one, other))
            words = out / "words.lrc"
            words.write_text(sung(songs, first, second, one.seconds), encoding="utf-8")
            folder.keep_lyrics(medley, words)
            words.unlink()
            made.append(medley)
    folder.pack([medley.name for medley in made], Level.TOP)
    folder.keep(Manifest(out, tuple(made)), [Level.TOP])
    typer.echo(f"{len(made)} medleys in {out}")


def joined(one: Codes, other: Codes) -> Codes:
    """Return the codes of one song followed by those of another."""
    array = np.concatenate([one.array, other.array], axis=1)
    return replace(one, array=array, prompt=array.shape[1])


def sung(songs: EncodedSongs, first: Track, second: Track, seconds: float) -> str:
    """Return the words of both, those of the second later by the length of the first."""
    texts = []
    for track, later in ((first, 0.0), (second, seconds)):
        path = songs.lyrics(track)
        assert path is not None
        texts.append(lrc.write(lrc.parse(path.read_text(encoding="utf-8")).shifted(later), decimals=3))
    return "".join(texts)


if __name__ == "__main__":
    typer.run(main)
