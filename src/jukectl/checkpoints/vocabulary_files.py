"""A model's names as the word lists that lie beside a model in Hugging Face layout."""

from contextlib import suppress

from jukectl.checkpoints.card import ModelCard
from jukectl.checkpoints.vocabularies import SEPARATE, SUFFIX, TOKENIZER
from jukectl.codes.level import TOP_DOWN
from jukectl.errors import BadModel
from jukectl.prior.vocabulary import Style, Vocabulary

Numbers = dict[str, int]


def vocabulary_files(card: ModelCard) -> dict[str, object]:
    """artists.json, genres.json, lyrics.json and the tokenizer's settings; none where the model has no names.

    BadModel where two levels know one name of one set by two ids: such lists have no room for that.
    """
    sets = {level: card.vocabulary_at(level) for level in TOP_DOWN if level in card.priors}
    if not any(names.artists or names.genres or names.characters for names in sets.values()):
        return {}
    lists: dict[str, Numbers] = {kind: {} for kind in SEPARATE}
    for level, names in sets.items():
        lyrics = card.priors[level].lyrics
        for kind, found in (("artists", _ids(names, "artist")), ("genres", _ids(names, "genre"))):
            _join(lists[kind], found, kind)
        if lyrics is not None:
            with suppress(BadModel):  # characters that are not known have no list
                _join(lists["lyrics"], names.alphabet(lyrics.alphabet), "lyrics")
    files: dict[str, object] = {SEPARATE[kind]: numbers for kind, numbers in lists.items()}
    styles = [names.style for names in sets.values()]
    if Style.PLAIN not in styles and len(styles) == len(TOP_DOWN):
        files[TOKENIZER] = {"version": [str(style) for style in styles]}
    return files


def _ids(names: Vocabulary, kind: str) -> Numbers:
    """Names of a set as the lists have them, and their ids."""
    listed, numbers = getattr(names, f"{kind}s"), getattr(names, f"{kind}_numbers")
    suffix = SUFFIX if names.style is Style.V2 else ""
    written = [name.lower() if names.style is Style.PLAIN else name + suffix for name in listed]  # as the port asks
    return dict(zip(written, numbers or range(len(written)), strict=True))


def _join(numbers: Numbers, more: Numbers, kind: str) -> None:
    for name, number in more.items():
        if numbers.setdefault(name, number) != number:
            raise BadModel(f"two levels have {name!r} of the {kind} by two ids, which one list cannot tell")
