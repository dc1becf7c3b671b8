"""Facts about the models that OpenAI published: location, size and terms. No network."""

from collections.abc import Mapping
from dataclasses import dataclass

LICENCE = "OpenAI's non-commercial licence for Jukebox"
TERMS = (
    "The weights are OpenAI's, under its licence for Jukebox, which allows no commercial use; it may bind what is made "
    "with them too. jukectl itself is MIT. Read the terms before you use the weights."
)

# parameters; stated here, since a model's size is shown before anything of it has been downloaded
_VQVAE = 1_878_979
_UPSAMPLER = 981_298_176
_SHARED_FILES = ("5b/vqvae.pth.tar", "5b/prior_level_0.pth.tar", "5b/prior_level_1.pth.tar")


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """One published model: a top prior, and the codec and two upsamplers that all models share."""

    name: str
    summary: str
    repository: str | None  # on the hub, owner/name; None if it is not there
    top_file: str  # the original file of the top prior
    top_parameters: int

    @property
    def files(self) -> tuple[str, ...]:
        """Original files of the model, relative to one base folder."""
        return (*_SHARED_FILES, self.top_file)

    @property
    def parameters(self) -> Mapping[str, int]:
        """Parameters of each part."""
        return {"vqvae": _VQVAE, "bottom": _UPSAMPLER, "middle": _UPSAMPLER, "top": self.top_parameters}

    @property
    def bytes(self) -> int:
        """Approximate size of the download, which is in float32."""
        return 4 * sum(self.parameters.values())

    @property
    def how_to_get(self) -> str:
        """Instructions to get the model, as the end of a message."""
        if self.repository:
            return f"Fetch it with: jukectl models pull {self.name} ({size(self.bytes)})"
        return (
            f"It is published as original files alone: put {', '.join(self.files)} in a folder and run: "
            "jukectl models convert FOLDER OUT"
        )


PUBLISHED = {
    model.name: model
    for model in (
        PublishedModel(
            name="1b-lyrics",
            summary="Jukebox 1B: sings given lyrics, 7,898 artists and 604 genres.",
            repository="openai/jukebox-1b-lyrics",
            top_file="1b_lyrics/prior_level_2.pth.tar",
            top_parameters=942_643_200,
        ),
        PublishedModel(
            name="5b-lyrics",
            summary="Jukebox 5B: sings given lyrics, 4,111 artists and 120 genre words.",
            repository="openai/jukebox-5b-lyrics",
            top_file="5b_lyrics/prior_level_2.pth.tar",
            top_parameters=5_640_506_800,
        ),
        PublishedModel(
            name="5b",
            summary="Jukebox 5B without lyrics, 4,111 artists and 120 genre words.",
            repository=None,
            top_file="5b/prior_level_2.pth.tar",
            top_parameters=5_050_622_400,
        ),
    )
}
"""Published models by name."""


PRECISIONS = {"fp32": 4, "bf16": 2, "fp16": 2}  # bytes a number


def memory(parts: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes of the largest part's weights by precision, from the parameters of each part.

    One part is in memory at a time, and the codec is in fp32 at any precision. Sampling takes more, for each sample and
    its window.
    """
    # reconstructions suffer audibly from half precision, and the codec is small
    codec = 4 * parts.get("vqvae", 0)
    # the largest of the three, since a level's prior is loaded when its turn comes
    prior = max((count for name, count in parts.items() if name != "vqvae"), default=0)
    return {name: max(width * prior, codec) for name, width in PRECISIONS.items()}


def size(count: int) -> str:
    """Format a number of bytes: 12 GB, 1.5 GB, 340 MB."""
    # limits at which rounding changes the unit or the digits: 999.5 MB would otherwise print as 1000 MB
    if count >= 999_500_000:
        return f"{count / 1e9:.1f} GB" if count < 9_950_000_000 else f"{count / 1e9:.0f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 999_500 else f"{max(count // 1_000, 1)} kB"
