"""How large a model is: in memory, and as people say it."""

from collections.abc import Mapping

PRECISIONS = {"fp32": 4, "bf16": 2, "fp16": 2}  # bytes a number


def memory(parts: Mapping[str, int]) -> dict[str, int]:
    """Bytes that the weights of the largest part take, by precision, from the numbers in each part.

    One part is in memory at a time, and the codec is in fp32 at any precision. Sampling takes more beside that, for
    each sample and its window.
    """
    codec = 4 * parts.get("vqvae", 0)
    prior = max((count for name, count in parts.items() if name != "vqvae"), default=0)
    return {name: max(width * prior, codec) for name, width in PRECISIONS.items()}


def size(count: int) -> str:
    """A number of bytes as people say it: 12 GB, 1.5 GB, 340 MB."""
    if count >= 999_500_000:
        return f"{count / 1e9:.1f} GB" if count < 9_950_000_000 else f"{count / 1e9:.0f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 999_500 else f"{max(count // 1_000, 1)} kB"
