import pytest
import torch

from jukectl.prior.conditioning import UpperCodes
from jukectl.prior.config import ConditionerConfig
from jukectl.prior.labels import LabelBatch


@pytest.mark.parametrize("downs", [1, 2, 3])
def test_every_code_above_becomes_its_ratio_of_vectors(downs: int) -> None:
    conditioner = UpperCodes(ConditionerConfig(width=8, depth=2, downs=downs, codebook_size=20), 16, std=1.0)
    vectors = conditioner(LabelBatch.repeat(2), torch.randint(0, 20, (2, 5)))
    assert vectors.shape == (2, 5 * 2**downs, 16)


def test_the_vectors_are_normalised() -> None:
    conditioner = UpperCodes(ConditionerConfig(width=8, depth=2, downs=2, codebook_size=20), 64, std=1.0)
    vectors = conditioner(LabelBatch.repeat(1), torch.randint(0, 20, (1, 5)))
    assert torch.allclose(vectors.mean(dim=2), torch.zeros(1, 20), atol=1e-5)
    assert torch.allclose(vectors.var(dim=2, unbiased=False), torch.ones(1, 20), atol=1e-2)


def test_an_upper_code_affects_the_codes_at_its_place() -> None:
    conditioner = UpperCodes(ConditionerConfig(width=8, depth=1, downs=2, codebook_size=20), 16, std=1.0)
    codes = torch.zeros(1, 40, dtype=torch.int64)
    changed = codes.clone()
    changed[0, 20] = 1
    difference = (conditioner(LabelBatch.repeat(1), codes) - conditioner(LabelBatch.repeat(1), changed)).abs().sum(2)[0]
    heard = difference.nonzero().flatten().tolist()
    assert 80 in heard
    assert min(heard) >= 60
    assert max(heard) < 100


def test_without_the_codes_above_it_says_so() -> None:
    conditioner = UpperCodes(ConditionerConfig(width=8, depth=1, downs=1), 16, std=1.0)
    with pytest.raises(ValueError, match="codes of the level above"):
        conditioner(LabelBatch.repeat(1))
