"""The two sound fonts that scores are played with, both under the MIT licence.

MuseScore General is an SF3 font, whose samples are Ogg Vorbis. FluidSynth decodes them at each start, which takes
longer than playing a song, so the font is converted to SF2 once.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import soundfile
from packages import FLUID, MUSESCORE, unpack
from songs import written_whole

COMPRESSED = 0x10  # flag of a sample's type in SF3
GAP = 46  # zero samples after each sample, which the SF2 format asks for
HEADER = struct.Struct("<20s5IBbHH")  # name, start, end, loop start, loop end, rate, pitch, correction, link, type


def fonts(packages: Path) -> dict[str, Path]:
    """Return the fonts by name, fetched and converted on first use."""
    fluid = unpack(FLUID, packages) / "usr/share/sounds/sf2/FluidR3_GM.sf2"
    converted = packages / "MuseScore_General.sf2"
    if not converted.exists():
        compressed = unpack(MUSESCORE, packages) / "usr/share/sounds/sf3/MuseScore_General_Full.sf3"
        with written_whole(converted) as part:
            part.write_bytes(decompress(compressed.read_bytes()))
    return {"fluid": fluid, "musescore": converted}


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the identifiers and contents of RIFF chunks."""
    place = 0
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        yield name, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a RIFF chunk."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def decompress(font: bytes) -> bytes:
    """Return an SF3 font as SF2."""
    lists = {content[:4]: content[4:] for name, content in chunks(font[12:]) if name == b"LIST"}
    stored = dict(chunks(lists[b"sdta"]))[b"smpl"]
    parts = dict(chunks(lists[b"pdta"]))
    samples, place = [], 0
    headers = []
    for fields in HEADER.iter_unpack(parts[b"shdr"]):
        name, start, end, loop_start, loop_end, *rest, kind = fields
        if kind & COMPRESSED:
            wave, _ = soundfile.read(io.BytesIO(stored[start:end]), dtype="int16")
            loop = place + loop_start, place + loop_end  # relative to the sample in SF3
            headers.append(HEADER.pack(name, place, place + len(wave), *loop, *rest, kind & ~COMPRESSED))
            samples += [wave.tobytes(), bytes(2 * GAP)]
            place += len(wave) + GAP
        else:  # the terminal record
            headers.append(HEADER.pack(*fields))
    parts[b"shdr"] = b"".join(headers)
    info = b"INFO" + b"".join(
        chunk(name, struct.pack("<HH", 2, 4) if name == b"ifil" else content)
        for name, content in chunks(lists[b"INFO"])
    )
    body = b"sfbk" + chunk(b"LIST", info)
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", b"".join(samples)))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(name, content) for name, content in parts.items()))
    return chunk(b"RIFF", body)
