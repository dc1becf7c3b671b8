"""Encoding and decoding in chunks, compared with the whole."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jukectl.codes.level import Level
from jukectl.vqvae import chunks

levels = pytest.mark.parametrize("level", Level)


@given(st.integers(0, 200), st.integers(1, 60), st.integers(0, 80))
def test_chunks_cover_every_frame_once_with_all_available_neighbours(total, size, reach):
    plan = list(chunks.plan_chunks(total, size=size, reach=reach))

    assert [frame for chunk in plan for frame in range(chunk.start, chunk.stop)] == list(range(total))
    for chunk in plan:
        assert chunk.stop - chunk.start <= size
        assert (chunk.from_, chunk.to) == (max(0, chunk.start - reach), min(total, chunk.stop + reach))


def music(config, seconds):
    time = torch.arange(int(seconds * config.sample_rate)) / config.sample_rate
    return torch.stack([torch.sin(2_000 * time * (1 + time)), torch.randn(len(time)) * time.sin()]) / 2


@levels
def test_encoding_in_chunks_gives_the_codes_of_the_whole(vqvae, level):
    hop = vqvae.config.hop(level)
    audio = music(vqvae.config, 0.5)
    whole = vqvae.encode(audio[:, : audio.shape[1] // hop * hop], level)

    assert len(whole.unique()) > 4  # or equality would say little
    assert torch.equal(chunks.encode(vqvae, audio, level, chunk_seconds=0.02), whole)


@levels
def test_decoding_in_chunks_gives_the_audio_of_the_whole(vqvae, level):
    codes = torch.randint(vqvae.config.codebook_size, (2, round(0.3 * vqvae.config.codes_per_second(level))))
    with torch.inference_mode():
        whole = vqvae.decode(codes, level)

    pieces = list(chunks.decode(vqvae, codes, level, chunk_seconds=0.02))
    assert len(pieces) > 2
    # Griffin and Lim's iterations enlarge differences of rounding, where spectra that overlap nearly cancel out
    near = 2e-2 * float(whole.abs().max()) if vqvae.config.is_log_mel(level) else 1e-6
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=near, rtol=0)


@levels
def test_settled_audio_is_not_changed_by_further_codes_and_the_rest_can_be_decoded_alone(vqvae, level):
    reach = vqvae.autoencoder(level).decoder.reach
    codes = torch.randint(vqvae.config.codebook_size, (1, 2 * reach + 90))
    known = 2 * reach + 37  # may end in the middle of a latent
    with torch.inference_mode():
        whole, part = vqvae.decode(codes, level)[0], vqvae.decode(codes[:, :known], level)[0]
        settled = chunks.settled(vqvae, level, known)
        rest = vqvae.decode(codes[:, settled - reach :], level)[0]
    hop = vqvae.config.hop(level)
    near = 2e-2 * float(whole.abs().max()) if vqvae.config.is_log_mel(level) else 1e-6
    assert settled > reach
    torch.testing.assert_close(part[: settled * hop], whole[: settled * hop], atol=near, rtol=0)
    torch.testing.assert_close(rest[reach * hop :], whole[settled * hop :], atol=near, rtol=0)


@levels
def test_samples_after_the_last_whole_code_are_dropped(vqvae, level):
    hop = vqvae.config.hop(level)
    audio = music(vqvae.config, 0.1)
    short = audio[:, : 5 * hop + hop - 1]
    assert torch.equal(chunks.encode(vqvae, short, level), chunks.encode(vqvae, audio[:, : 5 * hop], level))


def test_audio_below_one_code_has_no_codes_and_no_codes_have_no_audio(vqvae):
    codes = chunks.encode(vqvae, torch.zeros(2, vqvae.config.hop(Level.TOP) - 1), Level.TOP)
    assert codes.shape == (2, 0)
    assert list(chunks.decode(vqvae, codes, Level.TOP)) == []


def test_encoding_reports_its_progress(vqvae):
    reports = []
    audio = music(vqvae.config, 0.3)
    codes = chunks.encode(vqvae, audio, Level.MIDDLE, chunk_seconds=0.1, watch=reports.append)
    assert reports == sorted(reports)
    assert len(reports) > 2
    assert reports[-1] == codes.shape[1]


@levels
@pytest.mark.parametrize("block", [1, 2_000])
def test_streamed_audio_has_the_codes_of_the_whole(vqvae, level, block):
    audio = music(vqvae.config, 0.3 if block > 1 else 0.05)[0]
    top = vqvae.config.hop(Level.TOP)
    encoder = chunks.StreamEncoder(vqvae, level, multiple=top, chunk_seconds=0.02)
    needed = 0.02 * vqvae.config.sample_rate + 2 * (vqvae.autoencoder(level).encoder.reach + 1) * vqvae.config.hop(
        level
    )
    for first in range(0, len(audio), block):
        encoder.push(audio[first : first + block])
        assert len(encoder._audio) <= needed + block + top  # the rest is gone
    whole = chunks.encode(vqvae, audio[None, : len(audio) // top * top], level, chunk_seconds=0.02)
    assert encoder.finish().tolist() == whole[0].tolist()


def test_a_stream_shorter_than_one_code_has_no_codes(vqvae):
    encoder = chunks.StreamEncoder(vqvae, Level.BOTTOM, multiple=vqvae.config.hop(Level.TOP))
    encoder.push(torch.zeros(vqvae.config.hop(Level.TOP) - 1))
    assert encoder.finish().tolist() == []
