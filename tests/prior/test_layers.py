import pytest
import torch
import torch.nn.functional as F

from jukectl.prior.layers import ROWS, Affine, pad_rows


def test_it_is_a_linear_layer_with_its_weight_the_other_way_round() -> None:
    affine = Affine(6, 10, std=1.0)
    torch.nn.init.normal_(affine.bias)
    x = torch.randn(2, 3, 6)
    assert torch.allclose(affine(x), F.linear(x, affine.weight.T, affine.bias), atol=1e-5)
    assert torch.allclose(affine.step(x[0], alpha=2, beta=3), 2 * x[0] @ affine.weight + 3 * affine.bias, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 4, 5, 8])
def test_padding_repeats_the_last_row_to_a_multiple(batch: int) -> None:
    x = torch.randn(batch, 3)
    padded = pad_rows(x)
    assert len(padded) % ROWS == 0
    assert len(padded) - batch < ROWS
    assert torch.equal(padded[:batch], x)
    assert torch.equal(padded[batch:], x[-1:].expand(len(padded) - batch, -1))


@pytest.mark.parametrize(("width_in", "width_out"), [(256, 192), (64, 256), (384, 384)])
def test_a_row_has_the_same_bits_in_any_batch(width_in: int, width_out: int) -> None:
    affine = Affine(width_in, width_out, std=1.0)
    x = torch.randn(13, width_in)
    together = affine.step(pad_rows(x))
    for row in range(len(x)):
        assert torch.equal(affine.step(pad_rows(x[row : row + 1]))[0], together[row])
