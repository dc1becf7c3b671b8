"""Starting points of training other than random weights: a trained prior or codec, or the codebooks of a codec."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from jukectl.checkpoints import catalogue
from jukectl.checkpoints.adapters import AdapterCard
from jukectl.checkpoints.assemble import Run
from jukectl.checkpoints.card import plain_names, vqvae_config
from jukectl.checkpoints.fingerprints import fingerprint
from jukectl.checkpoints.layout import shapes_of
from jukectl.checkpoints.places import CARD
from jukectl.checkpoints.store import VQVAE_PART
from jukectl.checkpoints.tensorfile import SafetensorsFile
from jukectl.codes.level import Level
from jukectl.errors import BadModel, BadRecipe, WrongCodec
from jukectl.prior.conditioning import UpperCodes
from jukectl.prior.config import AdapterConfig, PriorConfig
from jukectl.prior.model import Prior
from jukectl.prior.vocabulary import Vocabulary
from jukectl.training.distributed import CPU
from jukectl.vqvae.codebook import CodebookLearner
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE


@dataclass(frozen=True, eq=False)
class PriorStart:
    """Trained prior to start from."""

    name: str  # as given in the recipe
    model: str | None  # name in the card of the model; None for a training run
    prior: Prior  # float32, on the CPU
    vocabulary: Vocabulary  # a name for every id
    fingerprint: str  # of its weights
    codec: str | None  # fingerprint of the VQ-VAE of its codes; None for older runs

    @property
    def config(self) -> PriorConfig:
        """Config of the prior."""
        return self.prior.config

    def check_codec(self, codes: str, folder: Path, *, anyway: bool) -> str | None:
        """Raise WrongCodec for codes of another VQ-VAE than the prior's; with `anyway`, return a warning instead."""
        if self.codec is None or codes == self.codec:
            return None
        what = (
            f"the codes in {folder} are of the VQ-VAE {codes[:12]}, but {self.name} uses the VQ-VAE {self.codec[:12]}"
        )
        if not anyway:
            raise WrongCodec(
                f"{what}, so the codes mean nothing to it. Encode the songs again: jukectl data encode MANIFEST "
                f"--out CODES --model {self.name}; or start anyway with --force"
            )
        return f"{what}: the prior has to learn the codes from scratch"


def find_prior(name: str, level: Level) -> PriorStart:
    """Load the prior of a level from a model, by name or folder, or from a run's folder. Raise BadModel if none."""
    if not _is_run(Path(name)):
        folder = catalogue.find(name)
        prior = folder.prior(level, CPU)
        names = folder.card.vocabulary_at(level).named(prior.config.artists, prior.config.genres)
        base, codec = folder.fingerprint(level.label), folder.fingerprint(VQVAE_PART)
        return PriorStart(name, folder.card.name, prior, names, base, codec)
    run = Run.load(Path(name))
    about = run.about.get("prior", {})
    if about.get("level") != level.label:
        raise BadModel(f"{name} is a training run, but not of a {level.label} prior")
    prior = Prior(PriorConfig.from_dict(about))
    _fill(prior, run.tensors, name)
    names = plain_names(run.about["vocabulary"]).named(prior.config.artists, prior.config.genres)
    return PriorStart(name, None, prior, names, _fingerprint(run.tensors), run.about.get("codec"))


def adapter_card(start: PriorStart, config: AdapterConfig, vocabulary: Vocabulary) -> AdapterCard:
    """Return the card of an adapter of this prior; raise BadRecipe if the prior is a training run, not a model."""
    if start.model is None:
        raise BadRecipe(
            f"an adapter belongs to a model, and {start.name} is a training run. "
            f"Assemble a model from it first: jukectl models assemble MODEL --base mini {start.name}"
        )
    return AdapterCard(
        model=start.model,
        level=start.config.level,
        base=start.fingerprint,
        rank=config.rank,
        alpha=config.alpha,
        artists=vocabulary.artists[len(start.vocabulary.artists) :],
        genres=vocabulary.genres[len(start.vocabulary.genres) :],
    )


def agreed_model(given: Mapping[str, Any], start: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the [model] table of the start model; raise BadRecipe if the recipe's table disagrees with it."""
    for key, value in given.items():
        theirs = start.get(key)
        if isinstance(value, Mapping) and isinstance(theirs, Mapping):
            agreed_model({f"{key}.{one}": inner for one, inner in value.items()}, _dotted(key, theirs), name)
        elif value != theirs:
            raise BadRecipe(f"model.{key} is {value}, but {theirs} in {name}, which it starts from: leave it out")
    return dict(start)


@dataclass(frozen=True, eq=False)
class CodecStart:
    """Trained codec to start from."""

    name: str
    config: VQVAEConfig
    tensors: Mapping[str, Tensor]

    def agreed(self, given: Mapping[str, Any], levels: Iterable[Level]) -> dict[str, Any]:
        """Return the [model] table for training these levels; raise BadRecipe if the recipe's table disagrees.

        A recipe may change the shape of the other levels, and select a variant with the same tensors.
        """
        own = self.config.to_dict()
        with suppress(TypeError, ValueError):  # agreed_model below raises the message for these
            wanted = vqvae_config({**own, **given})
            if all(_alike(wanted, self.config, level) for level in levels):
                return {**own, **given}
        return agreed_model(given, own, self.name)

    def fill(self, vqvae: VQVAE, learners: nn.ModuleDict) -> None:
        """Load the weights of the levels, and resume codebook training from them. Raise BadModel on a mismatch."""
        names = vqvae.state_dict().keys()
        _fill(vqvae, {name: one for name, one in self.tensors.items() if name in names}, self.name)
        for name, learner in learners.items():
            assert isinstance(learner, CodebookLearner)
            learner.take_up(vqvae.codebook(Level.parse(name)))


def _alike(one: VQVAEConfig, other: VQVAEConfig, level: Level) -> bool:
    """Return whether a level of two codecs has the same tensors and works at the same rates."""
    if one.sample_rate != other.sample_rate or one.is_log_mel(level) != other.is_log_mel(level):
        return False
    if any(one.hop(below) != other.hop(below) for below in Level if below <= level):
        return False
    shapes = [
        {name: shape for name, shape in shapes_of(config).items() if name.startswith(f"levels.{level.label}.")}
        for config in (one, other)
    ]
    return shapes[0] == shapes[1]


def find_codec(name: str) -> CodecStart:
    """Load the codec of a model, by name or folder, or of the folder of a run. Raise BadModel if it has none."""
    if _is_run(Path(name)):
        run = Run.load(Path(name))
        if "vqvae" not in run.about:
            raise BadModel(f"{name} is a training run, but not of a codec")
        return CodecStart(name, vqvae_config(run.about["vqvae"]), run.tensors)
    folder = catalogue.find(name)
    return CodecStart(name, folder.card.vqvae, folder.vqvae(CPU).state_dict())


@torch.no_grad()
def start_from_codebooks(prior: Prior, codec: Path) -> None:
    """Initialize the code embeddings, of this level and the one above, as projections of a model folder's codebooks.

    Codes that sound alike then start with similar embeddings, so that a small model needs less music to learn them.
    Each embedding keeps its random-initialization scale. Raise BadRecipe if the folder has no such codebook.
    """
    level = prior.config.level
    _start_embedding(prior.codes, codec, level)
    if isinstance(prior.place, UpperCodes):
        _start_embedding(prior.place.codes, codec, level.above)


def _start_embedding(embedding: nn.Embedding, codec: Path, level: Level) -> None:
    try:
        with SafetensorsFile(codec / "vqvae.safetensors").opened() as read:
            vectors = read(f"levels.{level.label}.codebook.vectors").float()
    except (BadModel, SafetensorError) as error:
        raise BadRecipe(f"codec: {codec} holds no codebook of the {level.label} level: {error}") from error
    if len(vectors) != len(embedding.weight):
        raise BadRecipe(f"codec: {len(vectors)} vectors at the {level.label} level, {len(embedding.weight)} codes")
    centred = vectors - vectors.mean(0)
    image = centred @ torch.randn(
        vectors.shape[1], embedding.embedding_dim
    )  # a random projection approximately keeps distances
    embedding.weight.copy_(image * (embedding.weight.std() / image.std()))


def _is_run(path: Path) -> bool:
    return (path / "best.safetensors").exists() and (path / CARD).exists()


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise BadModel(f"{name} does not fit its {CARD}: {str(error).splitlines()[-1].strip()}") from error


def _fingerprint(tensors: Mapping[str, Tensor]) -> str:
    return fingerprint((name, tensor.float().numpy()) for name, tensor in tensors.items())


def _dotted(key: str, table: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{key}.{name}": value for name, value in table.items()}
