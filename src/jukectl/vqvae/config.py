"""The shape of a VQ-VAE: three separate autoencoders over one waveform (Jukebox, section 3)."""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal

from jukectl.codes.level import Level
from jukectl.nn.limits import LARGEST_WHOLE, check_dilations, check_number, check_positive

POSITIVE = (
    "sample_rate",
    "latent_width",
    "dilation_growth",
    "hidden_multiplier",
    "mel_window",
    "mel_hop",
    "mel_spacing",
    "mel_latent_width",
    "mel_floor",
)
OF_LEVELS = {"downs": "downs", "strides": "stride", "widths": "width", "depths": "depth"}
"""Lists of a number for each level, and the name of one of their numbers."""
CHOICES = {"upsampling": ("transposed", "balanced"), "front_end": ("waveform", "log_mel")}


@dataclass(frozen=True, kw_only=True)
class VQVAEConfig:
    """Sizes of the three autoencoders; the defaults are the published model's. Tuples go bottom, middle, top."""

    sample_rate: int = 44_100  # Hz
    downs: tuple[int, ...] = (3, 2, 2)  # strided convolutions that each level adds to the one below
    strides: tuple[int, ...] = (2, 2, 2)  # the stride of each of them
    codebook_size: int = 2_048  # 0 has no codebook: latents go to the decoder as they are, and there are no codes
    latent_width: int = 64
    widths: tuple[int, ...] = (64, 32, 32)  # channels of the residual stacks
    depths: tuple[int, ...] = (8, 4, 4)  # residual blocks after each strided convolution
    dilation_growth: int = 3
    dilation_cycle: int | None = None
    hidden_multiplier: float = 1.0
    scale_residuals: bool = False  # each residual block's branch by 1/sqrt(depth)
    audio_head: bool = True  # a convolution after the decoder; without it the last transposed one writes the audio
    upsampling: Literal["transposed", "balanced"] = "transposed"  # balanced: no tones at the code rate
    front_end: Literal["waveform", "log_mel"] = "waveform"  # input of `mel_levels`; see `vqvae.log_mel`
    mel_levels: tuple[str, ...] = ("top",)  # levels that have the log-mel front end, if it is chosen
    mel_window: int = 2_048  # audio samples of a spectrum of the log-mel front end
    mel_hop: int = 256  # audio samples from one spectrum to the next
    mel_spacing: float = 0.01  # of neighbouring bands, as a share of their frequency; never under a bin
    mel_latent_width: int = 16  # for each code of a latent, not latent_width; few dimensions have all vectors used
    mel_floor: float = 0.3  # power of a band that counts as silent; a full-scale sine has (mel_window / 4)^2

    def __post_init__(self) -> None:
        for name, singular in OF_LEVELS.items():
            values = getattr(self, name)
            if len(values) != len(Level) or min(values) < 1:
                raise ValueError(f"{name} needs {len(Level)} whole numbers from 1, one a level, got {values}")
            for value in values:
                check_number(singular, value)
        check_positive(self, *POSITIVE, optional=("dilation_cycle",))
        check_dilations(self.dilation_growth, self.dilation_cycle, self.depths)
        if self.hop(Level.TOP) > LARGEST_WHOLE:
            raise ValueError(f"strides and downs make a code of {self.hop(Level.TOP)} samples: lower them")
        if any(stride % 2 for stride in self.strides):
            raise ValueError(f"strides must be even, got {self.strides}")
        for name, values in CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is one of {', '.join(values)}, got {getattr(self, name)!r}")
        if self.front_end == "log_mel":
            self._check_log_mel()
        if self.codebook_size and not 2 <= self.codebook_size <= 2**16:
            raise ValueError(
                f"codebook_size must be 2 to 65536 (codes are kept as uint16), or 0 for none, got {self.codebook_size}"
            )

    def _check_log_mel(self) -> None:
        """Raise ValueError where the spectra do not fit the hops of their levels."""
        if not self.mel_levels or set(self.mel_levels) - {level.label for level in Level}:
            raise ValueError(f"mel_levels are among {', '.join(level.label for level in Level)}, got {self.mel_levels}")
        hop = self.hop(Level.TOP)
        if self.mel_hop % 2 or hop % self.mel_hop or (hop // self.mel_hop) not in (1, 2, 4, 8):
            raise ValueError(f"mel_hop must be a half, a quarter … or all of the top hop {hop}, got {self.mel_hop}")
        if any(self.codebook_size % self.stages(level) for level in Level):
            raise ValueError(f"codebook_size must be a multiple of the stages, got {self.codebook_size}")
        if self.mel_window % self.mel_hop or self.mel_window < 2 * self.mel_hop:
            raise ValueError(f"mel_window must be a multiple of mel_hop, at least twice it, got {self.mel_window}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for TOML, without fields that are None and variants that are not in use."""
        values = {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(self).items()}
        unused = {"upsampling"} if self.upsampling == "transposed" else set()
        if self.front_end == "waveform":
            unused |= {name for name in values if name.startswith("mel_")} | {"front_end"}
        elif self.mel_levels == ("top",):
            unused.add("mel_levels")
        return {name: one for name, one in values.items() if one is not None and name not in unused}

    def codebook_width(self, level: Level) -> int:
        """Return the width D of a level's latents and codebook vectors."""
        return self.mel_latent_width * self.stages(level) if self.is_log_mel(level) else self.latent_width

    def is_log_mel(self, level: Level) -> bool:
        """Return whether a level encodes and decodes log-mel spectra, not the waveform."""
        return self.front_end == "log_mel" and level.label in self.mel_levels

    def stages(self, level: Level) -> int:
        """Return the codes of one latent, stages of a residual quantizer.

        A level that encodes waveforms has one. Log-mel levels have a latent for every code of the top, and the lower
        ones several codes for it.
        """
        return self.hop(Level.TOP) // self.hop(level) if self.is_log_mel(level) else 1

    def hop(self, level: Level) -> int:
        """Audio samples per code: 8, 32 and 128 by default."""
        return prod(stride**down for stride, down in zip(self.strides[: level + 1], self.downs, strict=False))

    def ratio(self, level: Level) -> int:
        """Codes of this level for one code of the level above; 1 at the top, which has none above."""
        return 1 if level is Level.TOP else self.hop(level.above) // self.hop(level)

    def codes_per_second(self, level: Level) -> float:
        """Codes a second of audio."""
        return self.sample_rate / self.hop(level)
