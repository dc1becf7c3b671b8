"""Models as OpenAI published them: one .pth.tar file for each part, with tensors but without a usable configuration.

The configuration is the published one whose tensors have these shapes, or that of a config.json beside the files.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.configurations import ADVANCE, BOTTOM, CODEC, MIDDLE, TOPS
from jukectl.checkpoints.hub_cache import CONFIG
from jukectl.checkpoints.huggingface import card_of
from jukectl.checkpoints.huggingface_config import PortConfig, read_config
from jukectl.checkpoints.layout import PARTS, VQVAE_PART, Layout, config_of, first_rows_of, shapes_of
from jukectl.checkpoints.names import originals_of_prior, originals_of_vqvae
from jukectl.checkpoints.torchfile import TorchFile
from jukectl.checkpoints.weights import Place, Shape, Weights, matched
from jukectl.codes.level import TOP_DOWN, Level
from jukectl.errors import BadModel
from jukectl.prior.config import PriorConfig
from jukectl.vqvae.config import VQVAEConfig

SHARED = "5b"  # folder of the codec and the upsamplers, which all models share
FOLDERS = {"1b_lyrics": "1b-lyrics", "5b_lyrics": "5b-lyrics", SHARED: "5b"}  # in the base folder, and their models


def file_name(part: str) -> str:
    """Return the file name of a part; level 0 is the bottom."""
    return "vqvae.pth.tar" if part == VQVAE_PART else f"prior_level_{int(Level.parse(part))}.pth.tar"


def is_original(folder: Path) -> bool:
    """Return True for a folder of original files, or of folders with them."""
    # directly in the folder, or one level below in a base folder as published
    places = (folder, *(folder / name for name in FOLDERS))
    return any((place / file_name(part)).is_file() for place in places for part in PARTS)


@dataclass(frozen=True)
class OriginalLayout(Layout):
    """A folder of original files, or a base folder with those of one model.

    `config` is a config.json that describes an unpublished model.
    """

    path: Path
    config: Path | None = None

    @cached_property
    def card(self) -> ModelCard:
        """Card from the shapes of the tensors, or from config.json, with the word lists beside the files."""
        name, config = self._config
        return card_of(name, config, self.path)

    @property
    def described(self) -> tuple[str, ...]:
        """Codec and priors in config.json, or all parts that the published models have."""
        if not self._described:
            return PARTS
        return (VQVAE_PART, *(level.label for level in read_config(self._described).priors))

    def has(self, part: str) -> bool:
        """Return True if the part is described, and its file exists."""
        return part in self.described and part in self._parts

    def absence(self, part: str) -> str:
        """Name the part's file."""
        return f"{file_name(part)} is missing"

    def files(self, part: str) -> tuple[Path, ...]:
        """Return the part's file and the config.json that describes it, if any."""
        return (*([self._described] if self._described else []), self._part(part))

    def weights(self, part: str, wanted: Mapping[str, Shape], others: Collection[str] = ()) -> Weights:
        """Return tensors found by their original names."""
        # the message differs: a user's config.json may be wrong, and a published configuration cannot
        misfit = f"does not fit {self._described}" if self._described else f"is not that of {self._config[0]}"
        return _weights(self._part(part), config_of(self.card, part), misfit, wanted, others)

    @cached_property
    def _parts(self) -> Mapping[str, Path]:
        """File of each part. Raises BadModel if there are several top priors to choose from."""
        top = file_name(Level.TOP.label)
        # a model's own folder has its top prior alone: the shared parts are in the folder beside it, as published
        places = [self.path, self.path.resolve().parent / SHARED]
        if not any((self.path / file_name(part)).is_file() for part in PARTS):  # a base folder
            models = [self.path / name for name in FOLDERS if (self.path / name / top).is_file()]
            if len(models) > 1:  # any choice of ours would be a guess
                names = ", ".join(map(str, models))
                raise BadModel(f"{self.path} holds several models: give the folder of one of them: {names}")
            places = [*models, self.path / SHARED]
        found = {}
        for part in PARTS:
            there = [place / file_name(part) for place in places if (place / file_name(part)).is_file()]
            if there:
                found[part] = there[0]  # the folder itself before the shared one
        return found

    def _part(self, part: str) -> Path:
        if part not in self._parts:
            raise BadModel(f"{self.path} is incomplete: {file_name(part)} is missing")
        return self._parts[part]

    @property
    def _described(self) -> Path | None:
        """The config.json that describes the files, if there is one."""
        beside = self.path / CONFIG
        return self.config or (beside if beside.is_file() else None)

    @cached_property
    def _config(self) -> tuple[str, PortConfig]:
        """Name and configuration of the model."""
        if self._described:
            config = read_config(self._described)
            # a config.json describes three priors, and the folder may hold fewer
            priors = {level: one for level, one in config.priors.items() if self.has(level.label)}
            return self.path.resolve().name, replace(config, priors=priors)
        name, priors = self.path.resolve().name, {}
        # checked although there is one candidate: another codec's codes would be meaningless to these priors
        if self.has(VQVAE_PART):
            _recognised(self._part(VQVAE_PART), {"the published codec": CODEC})
        for level in TOP_DOWN:
            if not self.has(level.label):
                continue
            if level is Level.TOP:
                name, priors[level] = _recognised(self._part(level.label), TOPS)
            else:
                shared = {f"the published {level.label} prior": MIDDLE if level is Level.MIDDLE else BOTTOM}
                _, priors[level] = _recognised(self._part(level.label), shared)
        return name, PortConfig(CODEC, priors, {level: ADVANCE[level] for level in priors})


_Config = TypeVar("_Config", VQVAEConfig, PriorConfig)


def _recognised(path: Path, candidates: Mapping[str, _Config]) -> tuple[str, _Config]:
    """Return the name and configuration of the candidate whose tensors are in a file.

    A prior's head counts as tied to its embedding if both are equal in the file. Raise BadModel, with the difference to
    the nearest candidate, if none fits.
    """
    # shapes alone: no number is read to tell models of 1 and 5 billion parameters apart
    found = {name: described.shape for name, described in TorchFile(path).describe().items()}

    def fitting(name: str) -> int:
        names, shapes = original_names(candidates[name]), shapes_of(candidates[name])
        there = sum(shape in map(found.get, names(ours)) for ours, shape in shapes.items())
        return 2 * there - len(shapes)  # what is missing counts against it

    name = max(candidates, key=fitting)
    config = candidates[name]
    # as tied first, which accepts either tensor or both, and then by comparing the two
    tied = replace(config, tied_head=True) if isinstance(config, PriorConfig) else config
    try:
        weights = _weights(path, tied, f"is not that of {name}", shapes_of(tied))
    except BadModel as error:
        raise BadModel(f"{error}. Where it is of another model, --config FILE, a config.json, describes it") from error
    # both tensors in the file and different: an untied head
    if isinstance(config, PriorConfig) and not all(one.same(other) for one, other in weights.twins):
        return name, replace(config, tied_head=False)
    return name, tied


def _weights(
    path: Path,
    config: VQVAEConfig | PriorConfig,
    misfit: str,
    wanted: Mapping[str, Shape],
    others: Collection[str] = (),
) -> Weights:
    """Return the wanted tensors of a file, strictly matched."""
    file, names = TorchFile(path), original_names(config)
    # tensors of levels that are not loaded, by all the names that they may have
    left_out = {name for ours in others for name in names(ours)}
    found = {name: Place(file, name, one) for name, one in file.describe().items() if name not in left_out}
    return matched(wanted, found, names, f"{path} {misfit}", first_rows_of(config))


def original_names(config: VQVAEConfig | PriorConfig) -> Callable[[str], Sequence[str]]:
    """Return the names that a part's tensors may have in an original file; of tied ones it may hold either."""
    if isinstance(config, VQVAEConfig):
        return originals_of_vqvae(config)
    if not config.tied_head:
        return originals_of_prior
    tied = (*originals_of_prior("codes.weight"), *originals_of_prior("head"))
    return lambda ours: tied if ours == "codes.weight" else originals_of_prior(ours)
