"""Training task of a prior or an upsampler: next-code prediction on segments of encoded songs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jukectl.codes.level import Level
from jukectl.data.encoded import EncodedSongs
from jukectl.data.segments import (
    ALL_ROWS,
    Dropout,
    Segments,
    SegmentSet,
    notes_changed,
    vocabulary_of,
    with_other_lyrics,
    without_beats,
)
from jukectl.errors import BadManifest, BadRecipe
from jukectl.lyrics.tokens import V3
from jukectl.prior.adapters import Adapter, attach
from jukectl.prior.config import AttentionKind, PriorConfig
from jukectl.prior.model import Prior
from jukectl.prior.surgery import add_beats, add_lyrics, add_midi, grow_vocabulary
from jukectl.prior.vocabulary import Vocabulary
from jukectl.progress import Listener, Remark, ignore, warn
from jukectl.training.config import PriorRecipe
from jukectl.training.copying import Copied, CopyWatch
from jukectl.training.distributed import ALONE, Ranks, prepare_blocks
from jukectl.training.guide import AttentionGuide, guided_layer
from jukectl.training.monitor import EvaluationProgress
from jukectl.training.prefetch import moved
from jukectl.training.starting import PriorStart, agreed_model, start_from_codebooks

SOURCES = {
    "lyrics": "put NAME.lrc or NAME.txt beside NAME.flac",
    "notes": "put NAME.mid beside NAME.flac, or transcribe them with jukectl data transcribe",
    "beats": "put NAME.beats.json beside NAME.flac",
}
"""The way to give each kind of conditioning to a song."""


class PriorTask:
    """Trains the prior of a level; the vocabulary is all artists and genres of the code folder.

    With a `start`, that prior is fine-tuned, or an adapter of it if the recipe has one, and its vocabulary is extended.
    """

    objective = "bits"
    unit = "codes"

    def __init__(self, recipe: PriorRecipe, start: PriorStart | None = None, listener: Listener = ignore) -> None:
        self.recipe = recipe
        self._listener = listener
        songs = EncodedSongs(*recipe.data.folders)
        self.codec = songs.find(songs.manifest.tracks[0], Level.parse(recipe.level)).archive.vqvae
        torch.manual_seed(recipe.train.seed)
        self.adapter: Adapter | None = None
        if start is None:
            self._build(vocabulary_of(songs.manifest.tracks), songs)
        else:
            self._start_from(start, vocabulary_of(songs.manifest.tracks), songs)
        self.model: nn.Module = self.prior if self.adapter is None else self.adapter
        self.parts: Sequence[nn.Module] = [self.prior]
        self.state: nn.Module = nn.Module()
        self.units = recipe.train.batch * self.config.context
        self.ranks = ALONE
        kept, held = songs.manifest.split(recipe.data.held_out)
        level = self.config.level
        midi, beats = self.config.midi is not None, self.config.beats is not None
        shape: dict[str, Any] = {
            "context": self.config.context,
            "ratio": self.config.ratio,
            "slots": self.config.genre_slots,
            "lyrics": self.config.lyrics,
            "midi": midi,
            "beats": beats,
        }
        self.training = SegmentSet.load(songs, kept, level, self.vocabulary, **shape)
        self._check_kinds(from_nothing=start is None)
        held_out = SegmentSet.load(songs, held or kept, level, self.vocabulary, **shape)
        self.validation = held_out.spread(recipe.data.validation_segments)
        listener(
            Remark("songs", f"{self.training.summary} to train on, {held_out.summary if held else 'none'} held out")
        )
        listener(Remark("progress", f"bits, per code of {'held-out' if held else 'training'} songs, should fall"))
        self.other_lyrics = with_other_lyrics(self.validation)
        # The same segments with less or other conditioning show how many bits per code each kind saves
        self.changed = notes_changed(self.validation) if "notes" in held_out.kinds else {}
        if "beats" in held_out.kinds:
            self.changed["bits_no_beats"] = without_beats(self.validation)
        self.guide = self._guide() if recipe.lyrics_guide else None
        self.copies: CopyWatch | None = None
        self._warned = False
        if start is not None and held and recipe.copying.samples:
            places = held_out.spread(recipe.copying.samples)
            self.copies = CopyWatch(self.training, places, recipe.copying.codes, recipe.train.seed)

    def _check_kinds(self, *, from_nothing: bool) -> None:
        """Raise BadManifest if the recipe adds a kind of conditioning that no training song has.

        A prior that merely has such a kind is trained without it. Warn if it never had a chance to learn it.
        """
        added = {"lyrics": self.recipe.add_lyrics, "notes": self.recipe.add_midi, "beats": self.recipe.add_beats}
        config = self.config
        has = {"lyrics": config.lyrics is not None, "notes": config.midi is not None, "beats": config.beats is not None}
        for kind, way_out in SOURCES.items():
            if not has[kind] or kind in self.training.kinds:
                continue
            lacking = f"none of the songs has {kind} to train on"
            if added[kind]:
                raise BadManifest(f"{lacking}: {way_out}; then scan and encode again")
            if from_nothing:
                warn(self._listener, f"{lacking}, so the model will not learn to follow them: {way_out}")

    def _build(self, vocabulary: Vocabulary, songs: EncodedSongs) -> None:
        """Create a prior with random weights, or with code embeddings from the codebooks of a codec."""
        self.recipe, self.vocabulary = with_characters(self.recipe, vocabulary)
        self.config = prior_config(self.recipe, self.vocabulary, songs)
        self.prior = Prior(self.config)
        if self.recipe.codec is not None:
            start_from_codebooks(self.prior, self.recipe.codec)

    def _start_from(self, start: PriorStart, found: Vocabulary, songs: EncodedSongs) -> None:
        """Use a trained prior, extended by embeddings of new names and by the conditioning that the recipe adds."""
        recipe = self.recipe
        if recipe.add_lyrics:
            recipe, start = self._with_lyrics(start)
        if recipe.add_midi:
            recipe = self._with_notes(recipe, start)
        if recipe.add_beats:
            recipe = self._with_beats(recipe, start)
        initial = start.config  # after the additions, before the vocabulary grows
        if warning := start.check_codec(self.codec, recipe.data.folders[0], anyway=recipe.other_codec):
            warn(self._listener, warning)
        self.vocabulary = start.vocabulary.grown(found.artists, found.genres)
        artists, genres = len(self.vocabulary.artists), len(self.vocabulary.genres)
        model = {**agreed_model(recipe.model, initial.to_dict(), start.name), "artists": artists, "genres": genres}
        self.config = prior_config(replace(recipe, model=model), self.vocabulary, songs)
        self.prior = start.prior.requires_grad_(True).train()
        grow_vocabulary(self.prior, artists=artists, genres=genres)
        if recipe.adapter is not None:
            new = {"new_artists": artists - initial.artists, "new_genres": genres - initial.genres}
            self.adapter = attach(self.prior, recipe.adapter, **new)

    def _with_lyrics(self, start: PriorStart) -> tuple[PriorRecipe, PriorStart]:
        """Add lyrics blocks and characters to the start; return it, and the recipe without its settings of lyrics."""
        recipe, vocabulary = with_characters(self.recipe, start.vocabulary)
        table = recipe.model["lyrics"]
        try:
            # Parsed inside the config of a prior with lyrics, since PriorConfig reads and checks the nested table
            with_lyrics = {**start.config.to_dict(), "pattern": [AttentionKind.ENCODER], "lyrics": table}
            wanted = PriorConfig.from_dict(with_lyrics).lyrics
            assert wanted is not None
            add_lyrics(start.prior, wanted, blocks=recipe.lyrics_blocks)
        except ValueError as error:
            raise BadRecipe(f"add_lyrics: {error}") from error
        rest = {name: value for name, value in recipe.model.items() if name not in ("lyrics", "depth", "pattern")}
        return replace(recipe, model=rest, add_lyrics=False), replace(start, vocabulary=vocabulary)

    @staticmethod
    def _with_notes(recipe: PriorRecipe, start: PriorStart) -> PriorRecipe:
        """Add conditioning on notes to the start; return the recipe without its settings of notes."""
        try:
            wanted = PriorConfig.from_dict({**start.config.to_dict(), "midi": recipe.model.get("midi", {})}).midi
            assert wanted is not None
            add_midi(start.prior, wanted)
        except ValueError as error:
            raise BadRecipe(f"add_midi: {error}") from error
        return replace(recipe, model={name: value for name, value in recipe.model.items() if name != "midi"})

    @staticmethod
    def _with_beats(recipe: PriorRecipe, start: PriorStart) -> PriorRecipe:
        """Add conditioning on beats to the start; return the recipe without its settings of beats."""
        try:
            wanted = PriorConfig.from_dict({**start.config.to_dict(), "beats": recipe.model.get("beats", {})}).beats
            assert wanted is not None
            add_beats(start.prior, wanted)
        except ValueError as error:
            raise BadRecipe(f"add_beats: {error}") from error
        return replace(recipe, model={name: value for name, value in recipe.model.items() if name != "beats"})

    def _guide(self) -> AttentionGuide:
        """Return the guide of an attention head, and record its layer in the config."""
        layer = guided_layer(self.config)
        assert self.config.lyrics is not None
        lyrics = replace(self.config.lyrics, alignment_layer=layer)
        self.config = replace(self.config, lyrics=lyrics)
        return AttentionGuide(self.prior, layer, lyrics.alignment_head, letters=self.recipe.lyrics_letters > 0)

    def distribute(self, ranks: Ranks) -> None:
        """Shard the prior over the ranks, block by block."""
        self.ranks = ranks
        train, blocks = self.recipe.train, list(self.prior.transformer.blocks)
        prepare_blocks(blocks, train)
        ranks.shard(self.prior, blocks, half=train.precision == "bf16", passes=("costs",))

    def batch(self, step: int, rows: slice = ALL_ROWS) -> Segments:
        """Return these rows of the segments of a step."""
        # Seeded by the step, so that a resumed run trains on the same segments
        generator = np.random.default_rng((self.recipe.train.seed, step))
        recipe = self.recipe
        dropout = Dropout(
            labels=recipe.label_dropout,
            lyrics=recipe.lyrics_dropout,
            notes=recipe.midi_dropout,
            beats=recipe.beat_dropout,
            bars=recipe.bar_dropout,
        )
        segments = self.training.draw(recipe.train.batch, dropout, generator, rows)
        if recipe.code_noise.most:
            others = self.training.draw(recipe.train.batch, dropout, generator, rows)
            chosen = recipe.code_noise.chosen(recipe.train.batch, self.config.context, step)[rows]
            inputs = recipe.code_noise.replace(segments.codes, others.codes, chosen, self.config.codebook_size)
            segments = replace(segments, inputs=inputs)
        return segments

    def before_step(self, step: int) -> None:
        """Do nothing: a prior needs no preparation."""

    def loss(self, batch: Segments) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the mean bits per code, plus weighted bits per character of lyrics, and metrics for the log."""
        costs = self.prior.costs(batch.codes, batch.labels, batch.upper, batch.inputs)
        figures = {} if costs.lyrics is None else {"bits": costs.codes.mean(), "lyric_bits": costs.lyrics.mean()}
        if batch.inputs is not None:
            known = self.recipe.code_noise.learned(batch.codes, batch.inputs, self.config.codebook_size)
            costs = costs._replace(codes=costs.codes[known])
        loss = self.prior.loss_of(costs)
        if self.guide is not None and batch.sung is not None:
            figures["guide"] = self.guide.loss(batch.sung)
            loss = loss + self.recipe.lyrics_guide * figures["guide"]
            if self.recipe.lyrics_letters and batch.labels.lyrics is not None:
                figures["letters"] = self.guide.letter_loss(batch.sung, batch.labels.lyrics)
                loss = loss + self.recipe.lyrics_letters * figures["letters"]
        return loss, {name: figure.detach() for name, figure in figures.items()}

    def after_step(self) -> Mapping[str, float]:
        """Return no metrics: a step updates only the weights."""
        return {}

    def evaluate(self) -> Mapping[str, float]:
        """Return the mean bits per code of held-out segments, also with changed conditioning, and the copying check."""
        batches = {self.objective: self.validation}
        if self.other_lyrics is not None:
            batches["bits_other_lyrics"] = self.other_lyrics
        batches |= self.changed
        copies = self.copies if self.ranks.world == 1 else None  # a sharded prior cannot be sampled from
        parts = sum(-(-len(some) // self.ranks.world) for some in batches.values())
        progress = EvaluationProgress(self._listener, parts + (0 if copies is None else len(copies.places)))

        def scored(batch: Segments) -> Tensor:
            bits = self._bits(batch)
            progress.tick()
            return bits

        bits = {name: float(self.ranks.map(scored, some).mean()) for name, some in batches.items()}
        if copies is None:
            return bits
        copied = copies.measure(self.prior, progress.tick)
        self._warn_of(copied)
        return {**bits, "longest_shared_run": copied.length, "held_out_shared_run": copied.held_out}

    def _warn_of(self, copied: Copied) -> None:
        """Warn once if the prior begins to memorize its songs."""
        if copied.is_copying and not self._warned:
            self._warned = True
            seconds = copied.length * self.config.hop / self.config.sample_rate
            warn(
                self._listener,
                f"the model copies: a continuation repeats {copied.length} codes ({seconds:.1f} s) of one training "
                f"song; held-out music shares {copied.held_out}. Stop early, or use more songs, a lower "
                "train.learning_rate or a smaller adapter.rank",
            )

    def _bits(self, batch: Segments) -> Tensor:
        batch = moved(batch, self.ranks.device)
        return self.prior.costs(batch.codes, batch.labels, batch.upper).codes.mean()


def prior_config(recipe: PriorRecipe, vocabulary: Vocabulary, songs: EncodedSongs) -> PriorConfig:
    """Return the config from the recipe's [model] table and the codes and labels; raise BadRecipe if they disagree."""
    level = Level.parse(recipe.level)
    first = songs.manifest.tracks[0]
    codes = songs.find(first, level).archive
    facts: dict[str, Any] = {
        "level": level.label,
        "sample_rate": codes.sample_rate,
        "codebook_size": codes.codebook_size,
        "hop": codes.hop,
    }
    for name, fact in facts.items():
        if recipe.model.get(name, fact) != fact:
            raise BadRecipe(f"model.{name} is {recipe.model[name]}, but {fact} in the codes of {codes.path}")
    labels = {"artists": len(vocabulary.artists), "genres": len(vocabulary.genres)}
    try:
        config = PriorConfig.from_dict({**labels, **recipe.model, **facts})
    except (ValueError, TypeError) as error:
        raise BadRecipe(f"model: {error}") from error
    if config.artists < labels["artists"] or config.genres < labels["genres"]:
        raise BadRecipe(f"model.artists and model.genres must be at least {labels['artists']} and {labels['genres']}")
    if config.conditioner is None:
        return config
    upper = songs.find(first, level.above).archive
    if upper.hop != codes.hop * config.conditioner.ratio:
        raise BadRecipe(
            f"model.conditioner upsamples {config.conditioner.ratio} codes for one, "
            f"but the hops are {codes.hop} and {upper.hop}"
        )
    return replace(config, conditioner=replace(config.conditioner, codebook_size=upper.codebook_size))


def with_characters(recipe: PriorRecipe, vocabulary: Vocabulary) -> tuple[PriorRecipe, Vocabulary]:
    """Return the recipe with the number of characters in model.lyrics, and the vocabulary with the characters.

    In a recipe `model.lyrics.alphabet` is a text of all characters; the default is those of the published 1b-lyrics.
    Raise BadRecipe if it is anything else.
    """
    table = recipe.model.get("lyrics")
    if not isinstance(table, Mapping):
        return recipe, vocabulary
    characters = table.get("alphabet", V3)
    if not isinstance(characters, str) or not characters or len(set(characters)) < len(characters):
        raise BadRecipe(
            "model.lyrics.alphabet must be a text of the characters of the model, each once, such as "
            f'"abcdefghijklmnopqrstuvwxyz \n", or left out; got {characters!r}'
        )
    model = {**recipe.model, "lyrics": {**table, "alphabet": len(characters) + 1}}
    return replace(recipe, model=model), replace(vocabulary, characters=characters, character_numbers=())
