"""Small codecs in published shapes, with weights large enough to show mistakes."""

from dataclasses import replace

import pytest
import torch

from jukectl.codes.level import Level
from jukectl.vqvae.codebook import CodebookLearner
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.model import VQVAE

PUBLISHED = VQVAEConfig(widths=(4, 4, 4), latent_width=4, codebook_size=16)
MINI = VQVAEConfig(
    sample_rate=22_050,
    downs=(1, 1, 1),
    strides=(16, 4, 4),
    widths=(4, 4, 4),
    latent_width=4,
    codebook_size=16,
    depths=(8, 4, 4),
    dilation_cycle=4,
    audio_head=False,
)
LOG_MEL = VQVAEConfig(
    sample_rate=22_050,
    downs=(1, 1, 1),
    strides=(16, 4, 8),
    widths=(4, 4, 8),
    latent_width=4,
    codebook_size=16,
    depths=(2, 2, 2),
    dilation_cycle=2,
    audio_head=False,
    upsampling="balanced",
    front_end="log_mel",
    mel_window=1_024,
    mel_spacing=0.05,
)

ALL_LOG_MEL = replace(
    LOG_MEL, strides=(64, 2, 4), codebook_size=32, widths=(8, 8, 8), mel_levels=("bottom", "middle", "top")
)


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=[PUBLISHED, MINI, LOG_MEL, ALL_LOG_MEL], ids=["published", "mini", "log-mel", "all-log-mel"])
def config(request: pytest.FixtureRequest) -> VQVAEConfig:
    """Return a published shape with tiny widths."""
    return request.param


@pytest.fixture
def vqvae(config: VQVAEConfig) -> VQVAE:
    """Return a codec in which every layer and every vector changes the output."""
    vqvae = VQVAE(config).eval()
    with torch.no_grad():
        for parameter in vqvae.parameters():
            if not parameter.any():  # residual branches are initialized to zero
                parameter.normal_(std=0.2)
        noise = torch.randn(2, 32 * config.hop(Level.TOP))
        for level in Level:
            autoencoder = vqvae.autoencoder(level)
            learner = CodebookLearner(autoencoder.codebook)
            learner.start(autoencoder.codebook, autoencoder.encoder(noise), torch.Generator().manual_seed(0))
    return vqvae
