"""Changes to the cards of models whose weights a test has changed."""

import re
from pathlib import Path


def forget_fingerprints(model: Path) -> Path:
    """Remove the fingerprints from a model's card, so that other weights are taken for its own."""
    card = model / "model.toml"
    text = re.sub(r"(?m)^\[fingerprints\]\n(?:\w+ = .*\n?)*", "", card.read_text(encoding="utf-8"))
    card.write_text(text, encoding="utf-8")
    return model
