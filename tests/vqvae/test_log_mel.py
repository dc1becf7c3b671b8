"""The log-mel front end of the top level."""

from dataclasses import replace

import pytest
import torch

from jukectl.audio.spectral import spectral_convergence_db
from jukectl.codes.level import Level
from jukectl.vqvae.config import VQVAEConfig
from jukectl.vqvae.log_mel import griffin_lim, linear_magnitudes, log_mel_spectra, mel_filters
from jukectl.vqvae.model import VQVAE

SMALL = VQVAEConfig(
    sample_rate=22_050,
    downs=(1, 1, 1),
    strides=(16, 4, 8),
    widths=(4, 4, 8),
    latent_width=4,
    codebook_size=16,
    depths=(2, 2, 2),
    audio_head=False,
    front_end="log_mel",
    mel_spacing=0.05,
)
CONFIG = VQVAEConfig(sample_rate=22_050, downs=(1, 1, 1), strides=(16, 4, 8), front_end="log_mel")


def chord(samples, shift=0):
    """Three notes that sound all the time, (1, samples)."""
    time = (torch.arange(samples) + shift) / CONFIG.sample_rate
    pitches = torch.tensor([[220.0], [277.18], [659.26]])
    return torch.sin(2 * torch.pi * pitches * time).sum(dim=0, keepdim=True) / 4


def test_every_frequency_belongs_to_bands_by_one_in_all():
    filters = mel_filters(CONFIG)
    assert filters.shape[1] == 1_025
    torch.testing.assert_close(filters.sum(0), torch.ones(1_025))
    assert (filters.sum(1) > 0.4).all()


def test_there_is_a_spectrum_for_every_hop():
    assert log_mel_spectra(torch.zeros(2, 10 * 256), CONFIG).shape == (2, len(mel_filters(CONFIG)), 10)


def test_a_spectrum_depends_on_the_audio_near_it_alone():
    audio = torch.randn(1, 64 * 256)
    changed = audio.clone()
    changed[:, 40 * 256 :] = 0
    same = (log_mel_spectra(audio, CONFIG) == log_mel_spectra(changed, CONFIG)).all(dim=1)[0]
    assert same[: 40 - 4].all()
    assert not same[40:].any()


def test_a_tone_has_the_same_spectra_when_it_begins_a_little_later():
    before, after = (log_mel_spectra(chord(64 * 256, shift), CONFIG)[..., 8:-8] for shift in (0, 33))
    assert (before - after).abs().mean() < 0.05


def test_the_audio_of_spectra_is_the_audio_but_for_its_phases():
    audio = chord(64 * 256)
    again = griffin_lim(linear_magnitudes(log_mel_spectra(audio, CONFIG), CONFIG), CONFIG.mel_window, CONFIG.mel_hop)
    assert again.shape == audio.shape
    assert spectral_convergence_db(audio[0], again[0]) < -12


def test_silence_stays_silent():
    spectra = log_mel_spectra(torch.zeros(1, 16 * 256), CONFIG)
    assert not griffin_lim(linear_magnitudes(spectra, CONFIG), CONFIG.mel_window, CONFIG.mel_hop).any()


@pytest.mark.parametrize(("stride", "hop"), [(4, 256), (8, 512), (16, 1_024)])
def test_a_code_may_stand_for_several_spectra(stride, hop):
    config = replace(SMALL, strides=(16, 4, stride))
    vqvae = VQVAE(config, (Level.TOP,))
    result = vqvae.autoencoder(Level.TOP)(torch.randn(2, 8 * hop))
    assert result.codes.shape == (2, 8)
    assert result.spectra.shape == result.target_spectra.shape == (2, len(mel_filters(config)), 8 * hop // 256)
    assert vqvae.decode(result.codes, Level.TOP).shape == (2, 8 * hop)


def test_lower_levels_have_several_codes_for_each_of_the_top():
    config = replace(SMALL, strides=(64, 4, 2), mel_levels=("bottom", "middle", "top"))
    vqvae = VQVAE(config)
    audio = torch.randn(2, 4 * 512)
    for level, codes in zip(Level, (8, 2, 1), strict=True):
        result = vqvae.autoencoder(level)(audio)
        assert (result.codes.shape, result.latents.shape[:2]) == ((2, 4 * codes), (2, 4))
        assert result.spectra.shape[2] == 8
        assert (result.codes // (16 // codes) == torch.arange(4 * codes) % codes).all()  # a code tells its stage


def test_codes_that_fill_no_latent_are_decoded_and_encoded_all_the_same():
    vqvae = VQVAE(replace(SMALL, strides=(64, 2, 4), mel_levels=("bottom",)), (Level.BOTTOM,))
    audio = chord(9 * 64)
    assert vqvae.encode(audio, Level.BOTTOM).shape == (1, 9)
    assert vqvae.decode(torch.zeros(1, 9, dtype=torch.int64), Level.BOTTOM).shape == (1, 9 * 64)


def test_the_levels_below_are_those_of_a_codec_without_it():
    plain = replace(SMALL, front_end="waveform")
    shapes = [
        {name: tensor.shape for name, tensor in VQVAE(config, (Level.BOTTOM, Level.MIDDLE)).state_dict().items()}
        for config in (SMALL, plain)
    ]
    assert shapes[0] == shapes[1]
