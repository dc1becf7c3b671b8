"""Recipe of a codec whose training steps take milliseconds, on recordings at 8 kHz."""

from pathlib import Path

CODEC = """
out = "{out}"
[model]
sample_rate = 8000
downs = [1, 1, 1]
strides = [8, 2, 2]
widths = [8, 8, 8]
depths = [2, 2, 2]
codebook_size = 16
latent_width = 8
[data]
manifest = "{manifest}"
held_out = ["2.wav"]
clip_samples = 512
validation_seconds = 0.25
[codebook]
start_step = {start_step}
threshold = 0.5
[train]
steps = {steps}
batch = 4
learning_rate = 0.003
warmup = 2
average = 0.9
threads = 1
log_every = 2
evaluate_every = 3
checkpoint_every = {checkpoint_every}
"""


def write_codec_recipe(
    path: Path, *, out: str, manifest: str, start_step: int = 3, steps: int = 14, checkpoint_every: int = 4
) -> Path:
    """Write the recipe of a run to the folder `out`, on a manifest whose song 2.wav is held out; return its path."""
    values = {"out": out, "manifest": manifest, "start_step": start_step, "steps": steps}
    path.write_text(CODEC.format(**values, checkpoint_every=checkpoint_every))
    return path
