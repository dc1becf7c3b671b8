"""How the audio of songs gets into a site."""

from dataclasses import dataclass

from jukectl.errors import BadInput

MEDIA_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
"""What a browser calls the formats of audio files."""


@dataclass(frozen=True, kw_only=True)
class Taking:
    """How audio gets into a site. BadInput where it contradicts itself."""

    link: bool = False  # by links to where it lies, in place of copies
    format: str | None = None  # transcoded; None: as it is
    decode: bool = True  # levels of which there are codes alone

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in MEDIA_TYPES:
            raise BadInput(f"--format is one of {', '.join(MEDIA_TYPES)}; got {self.format!r}")
        if self.link and self.format is not None:
            raise BadInput("--link leaves audio as it is: give it without --format")
