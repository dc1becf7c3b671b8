"""How evenly a codebook is used."""

import numpy as np
from numpy.typing import NDArray


def entropy_bits(counts: NDArray[np.number]) -> float:
    """Entropy in bits of the distribution that counts (K,) were drawn from, as they show it; 0 where all are zero."""
    seen = counts[counts > 0]
    if not seen.size:
        return 0.0
    shares = seen / seen.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # no -0.0 for a single code
