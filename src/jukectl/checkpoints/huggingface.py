"""Models in Hugging Face layout: config.json, and the tensors of all parts in one file or in shards with an index.

"The port" is the Jukebox model of transformers 4, which defines the names and configurations of this layout.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.configurations import published_as
from jukectl.checkpoints.hub_cache import CONFIG, WEIGHTS, is_index
from jukectl.checkpoints.huggingface_config import PortConfig, read_config
from jukectl.checkpoints.jsonfile import read_json
from jukectl.checkpoints.layout import VQVAE_PART, Layout, config_of, first_rows_of
from jukectl.checkpoints.names import port_of_prior, port_of_vqvae
from jukectl.checkpoints.published import LICENCE, PUBLISHED
from jukectl.checkpoints.tensorfile import Described, SafetensorsFile, TensorFile
from jukectl.checkpoints.torchfile import TorchFile
from jukectl.checkpoints.vocabularies import read_vocabularies
from jukectl.checkpoints.weights import Place, Shape, Weights, matched
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.prior.config import PriorConfig
from jukectl.vqvae.config import VQVAEConfig


def is_huggingface(folder: Path) -> bool:
    """Return True for a folder that looks like a model in this layout."""
    return (folder / CONFIG).is_file() and any((folder / name).exists() for name in WEIGHTS)


@dataclass(frozen=True)
class HuggingFaceLayout(Layout):
    """A folder as the port saves a model, or a snapshot in the hub's cache."""

    path: Path

    @cached_property
    def config(self) -> PortConfig:
        """Configuration in config.json."""
        return read_config(self.path / CONFIG)

    @cached_property
    def card(self) -> ModelCard:
        """Card from config.json, with the word lists beside it."""
        config = self.config
        return card_of(_name(self.path), config, self.path)

    @property
    def described(self) -> tuple[str, ...]:
        """Codec and priors in config.json."""
        return (VQVAE_PART, *(level.label for level in self.config.priors))

    def has(self, part: str) -> bool:
        """Return True if config.json has the part, and the files with its tensors are there."""
        shards = self._shards(part)
        return part in self.described and bool(shards) and all(path.exists() for path in shards)

    def absence(self, part: str) -> str:
        """Name the missing file, or the prefix of the part's tensors."""
        gone = [path.name for path in self._shards(part) if not path.exists()]
        if gone:
            return f"{gone[0]}, which {self._listed.name} names, is missing"
        return f"{port_prefix(part)}* is missing from {self._listed.name}"

    def files(self, part: str) -> tuple[Path, ...]:
        """Return config, index, and the shards that hold tensors of the part."""
        # the fingerprint of one prior must not change with the shards of another
        return (self.path / CONFIG, self._listed, *self._shards(part))

    def _shards(self, part: str) -> list[Path]:
        """Return the files that should hold the tensors of a part, by the index or the only file."""
        prefix = port_prefix(part)
        return sorted({file.path for name, file in self._files.items() if name.startswith(prefix)})

    def weights(self, part: str, wanted: Mapping[str, Shape], others: Collection[str] = ()) -> Weights:
        """Return tensors found by the port's names, without the part's prefix."""
        prefix, config = port_prefix(part), config_of(self.card, part)
        self._check_prefixes()  # for the whole file, since a tensor of no part would otherwise never be noticed
        names = port_names(config)
        left_out = {prefix + name for ours in others for name in names(ours)}
        found = {
            name.removeprefix(prefix): Place(file, name, file_content[name])
            for file, file_content in self._content(prefix).items()
            for name in file_content
            if name.startswith(prefix) and name not in left_out  # other parts share the files
        }
        misfit = f"{self._listed} does not fit its {CONFIG}, in {prefix.rstrip('.')}"
        return matched(wanted, found, names, misfit, first_rows_of(config))

    @cached_property
    def _listed(self) -> Path:
        """Index, or the only weight file."""
        for name in WEIGHTS:
            if (self.path / name).exists():
                return self.path / name
        raise BadModel(f"{self.path} has a {CONFIG}, but no weights: none of {', '.join(WEIGHTS)}")

    @cached_property
    def _files(self) -> Mapping[str, TensorFile]:
        """File of each tensor according to the index."""
        if not is_index(self._listed.name):  # a single file is its own index
            file = _file(self._listed)
            return dict.fromkeys(file.describe(), file)
        # a large file of thousands of names: read once, as a cached property
        listed = read_json(self._listed).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise BadModel(f"{self._listed} is not an index of weights: it has no weight_map")
        # dict.fromkeys: an index of thousands of tensors names a few shards, each of which is checked once
        files = {shard: _file(self._shard(shard)) for shard in dict.fromkeys(map(str, listed.values()))}
        return {name: files[str(shard)] for name, shard in listed.items()}

    def _shard(self, name: str) -> Path:
        """Return a shard's path. Raise BadModel for a name that is not that of a weight file beside it."""
        # names of files beside the index only: an index must not make jukectl read any other file of the user's
        if not name.endswith((".bin", ".safetensors")) or any(one in name for one in '/\\:\0"'):
            raise BadModel(f"{self._listed} is refused: it names {name[:80]!r}, which is not a weight file beside it")
        return self.path / name

    def _content(self, prefix: str) -> Mapping[TensorFile, Mapping[str, Described]]:
        """Return the content of each file with tensors of a part. Raise BadModel if the index disagrees."""
        content = {}
        for file in dict.fromkeys(file for name, file in self._files.items() if name.startswith(prefix)):
            # before any tensor is looked for, so that an incomplete download is called by its name
            if not file.path.exists():
                raise BadModel(f"{self._listed} names {file.path.name}, which is missing: the model is incomplete")
            described = file.describe()
            indexed = {name for name, one in self._files.items() if one == file}
            # both directions: an incomplete shard, and one of another model, would otherwise surface as odd tensors
            if missing := sorted(indexed - described.keys()):
                raise BadModel(f"{file.path} is without {missing[0]}, which {self._listed.name} says is in it")
            if spare := sorted(described.keys() - indexed):
                raise BadModel(f"{file.path} holds {spare[0]}, which {self._listed.name} does not have in it")
            content[file] = described
        return content

    def _check_prefixes(self) -> None:
        """Raise BadModel for a tensor that belongs to no part."""
        known = (port_prefix(VQVAE_PART), *(port_prefix(level.label) for level in self.config.priors))
        for name in self._files:
            if not name.startswith(known):
                raise BadModel(f"{self._listed} does not fit its {CONFIG}: {name} is not known")


def card_of(name: str, config: PortConfig, folder: Path) -> ModelCard:
    """Make a model's card from a config.json and the word lists in `folder`."""
    # config.json has neither licence nor summary: a model of a published size is taken for that model
    published = PUBLISHED.get(published_as(config.priors) or "")
    return ModelCard(
        name=name,
        licence=LICENCE if published else "",
        summary=published.summary if published else "",
        vqvae=config.vqvae,
        priors=config.priors,
        # a set for each level: the top of 1b-lyrics has other names than its upsamplers
        vocabularies=read_vocabularies(folder, config.priors),
        sampling={level.label: {"advance": advance} for level, advance in config.advance.items()},
    )


def port_prefix(part: str) -> str:
    """Return the prefix of a part's tensors; the port counts its priors from the top, our levels from the bottom."""
    return "vqvae." if part == VQVAE_PART else f"priors.{TOP_DOWN.index(Level.parse(part))}."


def port_names(config: VQVAEConfig | PriorConfig) -> Callable[[str], Sequence[str]]:
    """Return the port's names for a part's tensors, after its prefix; of tied ones a file may hold either or both."""
    if isinstance(config, VQVAEConfig):
        of_vqvae = port_of_vqvae(config)
        return lambda ours: (of_vqvae(ours),)
    if not config.tied_head:
        return lambda ours: (port_of_prior(ours),)
    # without merged vocabularies the port ties embedding and head, and saves one of the two or both
    tied = (port_of_prior("codes.weight"), port_of_prior("head"))
    return lambda ours: tied if ours == "codes.weight" else (port_of_prior(ours),)


def _file(path: Path) -> TensorFile:
    # by suffix, as the index names them: the content is then checked by the reader of that format
    return SafetensorsFile(path) if path.suffix == ".safetensors" else TorchFile(path)


def _name(folder: Path) -> str:
    """Return a model's name: that of its folder, or of its repository in the hub's cache."""
    # .../models--owner--name/snapshots/COMMIT: the folder's own name is a hash
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.resolve().name
