"""Chunks of audio chosen by the available memory."""

import subprocess
import sys

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.vqvae import chunks
from jukectl.vqvae.chunks import CHUNK_SECONDS
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE
from jukectl.vqvae.plan import SMALLEST, codec_bytes, settle_chunk

PUBLISHED = VQVAEConfig()


@pytest.mark.parametrize("level", Level)
def test_the_largest_fitting_chunk_is_chosen(level):
    assert settle_chunk(PUBLISHED, level, 10**12) == CHUNK_SECONDS
    needed = [codec_bytes(PUBLISHED, level, seconds) for seconds in (1.0, 2.0, 4.0, 8.0)]
    assert needed == sorted(needed)
    assert settle_chunk(PUBLISHED, level, needed[2]) == 4.0
    assert settle_chunk(PUBLISHED, level, needed[2] - 1) == 2.0
    assert settle_chunk(PUBLISHED, level, 0) == SMALLEST


def test_the_published_codec_takes_about_a_gigabyte_at_most():
    assert codec_bytes(PUBLISHED, Level.BOTTOM, CHUNK_SECONDS) < 1.2e9


CHILD = """
import sys, torch
from jukectl.codes.level import Level
from jukectl.plan.free_memory import give_back_at_once
from jukectl.vqvae import chunks
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE
from jukectl.vqvae.plan import codec_bytes
give_back_at_once()  # as where memory is short
torch.set_num_threads(1)
level, seconds = Level.parse(sys.argv[1]), float(sys.argv[2])
config = VQVAEConfig(sample_rate=16_000)
reckoned = codec_bytes(config, level, seconds)

def memory(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # resets the peak
vqvae = VQVAE(config, (level,)).requires_grad_(False)
audio = torch.randn(1, round(2.5 * seconds * 16_000) // 128 * 128)
codes = chunks.encode(vqvae, audio, level, chunk_seconds=seconds)
for piece in chunks.decode(vqvae, codes, level, chunk_seconds=seconds):
    pass
print(memory("VmHWM") - before, reckoned)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read as Linux gives them")
@pytest.mark.parametrize(("level", "seconds"), [("top", 8), ("bottom", 2)])
def test_measured_memory_of_the_codec_is_below_the_estimate(level, seconds):
    command = [sys.executable, "-c", CHILD, level, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    measured, reckoned = map(int, done.stdout.split())
    assert measured <= reckoned <= 5 * measured


def test_small_chunks_give_the_codes_and_the_audio_of_large_ones():
    config = VQVAEConfig(sample_rate=4_000, widths=(8, 8, 8), depths=(2, 2, 2), latent_width=8, codebook_size=16)
    torch.manual_seed(0)
    vqvae = VQVAE(config).eval().requires_grad_(False)
    for level in Level:
        vqvae.codebook(level).vectors.normal_(std=0.3)
    audio = torch.randn(1, 128 * 100)
    for level in Level:
        whole, pieces = (chunks.encode(vqvae, audio, level, chunk_seconds=seconds) for seconds in (8.0, SMALLEST))
        assert torch.equal(whole, pieces)
        one, other = (
            torch.cat(list(chunks.decode(vqvae, whole, level, chunk_seconds=seconds)), dim=1)
            for seconds in (8.0, SMALLEST)
        )
        assert torch.allclose(one, other, atol=1e-6)
