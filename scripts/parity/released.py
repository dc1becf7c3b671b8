"""Write down names and shapes of every tensor of the released models, as the port builds them on the meta device.

Run it where transformers 4.57.6 is installed: `python scripts/parity/released.py tests/golden/released.json.gz`.
"""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import torch
from transformers.models.deprecated.jukebox.configuration_jukebox import JukeboxConfig
from transformers.models.deprecated.jukebox.modeling_jukebox import JukeboxModel
from variants import FACTORED, PATTERNS, Style

V2 = [120, 4_111]  # genres, artists
V3 = [604, 7_898]


def released(style: Style) -> JukeboxConfig:
    """Return the configuration of a released model."""

    def upsampler(level: int) -> dict[str, Any]:
        return {
            "level": level,
            "mask": True,
            "attention_pattern": FACTORED,
            "is_encoder_decoder": False,
            "merged_decoder": False,
            "nb_relevant_lyric_tokens": 0,
            "metadata_dims": V2,
            "n_ctx": 8_192,
            "hidden_size": 1_920,
            "num_layers": 72,
            "n_heads": 1,
            "blocks": 128,
            "res_conv_width": 1_024,
            "res_conv_depth": 16,
            "res_dilation_growth_rate": 3,
            "res_dilation_cycle": 8,
            "conv_res_scale": level == 1,
        }

    merged = style == "1b-lyrics"
    top: dict[str, Any] = {
        "level": 0,
        "mask": True,
        "attention_pattern": PATTERNS[style],
        "is_encoder_decoder": merged,
        "merged_decoder": style == "5b-lyrics",
    }
    large = {"n_ctx": 8_192, "hidden_size": 4_800, "n_heads": 8, "blocks": 128, "metadata_dims": V2}
    if style == "1b-lyrics":
        top |= {"n_ctx": 6_144, "hidden_size": 2_048, "num_layers": 72, "n_heads": 2, "blocks": 64}
        top |= {"nb_relevant_lyric_tokens": 384, "lyric_vocab_size": 79, "metadata_dims": V3}
    elif style == "5b-lyrics":
        top |= large | {"num_layers": 79, "nb_relevant_lyric_tokens": 512, "lyric_vocab_size": 80}
        top["encoder_config"] = {
            "mask": True,
            "attention_pattern": FACTORED,
            "hidden_size": 1_280,
            "num_layers": 18,
            "n_heads": 4,
            "blocks": 32,
            "nb_relevant_lyric_tokens": 512,
            "lyric_vocab_size": 80,
        }
    else:
        top |= large | {"num_layers": 72, "nb_relevant_lyric_tokens": 0}
    return JukeboxConfig(
        vqvae_config={},  # its defaults are the released codec's
        prior_config_list=[top, upsampler(1), upsampler(2)],
        timing_dims=64 if merged else 128,
        max_nb_genres=1 if merged else 5,
    )


def shapes(style: Style) -> dict[str, list[int]]:
    """Return shapes by name, with both a tied embedding and its head."""
    with torch.device("meta"):
        model = JukeboxModel(released(style))
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


def main() -> None:
    """Write all three models to one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("tests/golden/released.json.gz"))
    out: Path = parser.parse_args().out
    styles: tuple[Style, ...] = ("1b-lyrics", "5b-lyrics", "5b")
    text = json.dumps({style: shapes(style) for style in styles})
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
