"""Mutants of files: each is made from a whole file, a format and a number, and so can be made again.

Bytes are flipped, cut, doubled and exchanged in all formats. Texts get values that readers stumble over. Archives and
safetensors are also mutated inside, with lengths and checksums that fit again, so that damage passes the first check.
"""

import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Sequence

Mutate = Callable[[random.Random, bytes], bytes]

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (
    *("true", "false", "null", "nan", "inf", "-inf", "0", "-0.0", "-1", "1", "3", "1e308", "1e-308", "1e999", "0.5"),
    *("99999999999999999999", "9" * 5_000, "2147483648", "9223372036854775807", "-9223372036854775808"),
    *("[]", "{}", "[[]]", "[" * 3_000, "{a=1}", '[{"a": 1}]', '""', '"a"', '"\\u0000"', '"\\u001b[31m"', '"../../x"'),
    *('"/dev/zero"', "1979-05-27", '"' + "x" * 3_000 + '"', '"' + "Ω" * 300 + '"', "'", '"', "=", ",", "[[a]]", "#"),
    *("[1, 2, 3]", "[1e308, 1]", '["top", "top"]', "1.5", "16", "1024", "65536", "1000000", "1000000000000"),
)
VALUE = re.compile(rb'"[^"\n]*"|[-+]?\d[\w.+-]*|\btrue\b|\bfalse\b|\bnull\b')
LINE = re.compile(rb"[^\n]*\n?")
ARRAY_TYPES = (b"'<u2'", b"'<i8'", b"'<f8'", b"'|O'", b"'<U6'", b"'>u2'", b"'|b1'", b"'<c16'")


def mutant(whole: bytes, kinds: Sequence[Mutate], name: str, number: int) -> bytes:
    """Return a mutant of a file, which differs from it."""
    for attempt in range(100):
        chance = random.Random(f"{name} {number} {attempt}")
        content = whole
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            content = chance.choice(kinds)(chance, content)
        if content != whole:
            return content
    raise AssertionError("no mutant")


def _span(chance: random.Random, content: bytes) -> tuple[int, int]:
    """Choose a short span, or sometimes a long one."""
    first = chance.randrange(len(content) + 1)
    length = chance.choice((1, 2, 4, 8, 16, 64, 512, max(1, len(content) // 3)))
    return first, min(first + length, len(content))


def flipped(chance: random.Random, content: bytes) -> bytes:
    """Flip a bit; near the beginning, where headers stand, half of the time."""
    if not content:
        return content
    place = chance.randrange(min(len(content), chance.choice((64, 2_048, len(content)))))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def cut(chance: random.Random, content: bytes) -> bytes:
    """Drop the end, or a span."""
    first, last = _span(chance, content)
    return content[:first] if chance.random() < 0.5 else content[:first] + content[last:]


def grown(chance: random.Random, content: bytes) -> bytes:
    """Put a span in a second time, or random bytes, or zeros."""
    first, last = _span(chance, content)
    more = (content[first:last], chance.randbytes(last - first), bytes(last - first))[chance.randrange(3)]
    place = chance.randrange(len(content) + 1)
    return content[:place] + more + content[place:]


def exchanged(chance: random.Random, content: bytes) -> bytes:
    """Exchange two spans."""
    (a, b), (c, d) = sorted((_span(chance, content), _span(chance, content)))
    return content if b > c else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def extreme(chance: random.Random, content: bytes) -> bytes:
    """Write an extreme whole number, of one to eight bytes of either order."""
    size = chance.choice((1, 2, 4, 8))
    place = chance.randrange(min(len(content), chance.choice((64, 2_048, len(content)))) + 1)
    number = chance.choice(EXTREMES) % (1 << 8 * size)
    return content[:place] + number.to_bytes(size, chance.choice(("little", "big"))) + content[place + size :]


def revalued(chance: random.Random, content: bytes) -> bytes:
    """Replace a value of a text."""
    found = list(VALUE.finditer(content))
    if not found:
        return content
    one = chance.choice(found)
    by = chance.choice((*WORDS, chance.choice(found).group().decode("latin-1")))
    return content[: one.start()] + by.encode("utf-8") + content[one.end() :]


def relined(chance: random.Random, content: bytes) -> bytes:
    """Drop, double or exchange lines of a text, or join two."""
    lines = LINE.findall(content)
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    change = chance.randrange(4)
    if change == 0:
        del lines[one]
    elif change == 1:
        lines.insert(other, lines[one])
    elif change == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] = lines[one].rstrip(b"\n")
    return b"".join(lines)


BYTES: tuple[Mutate, ...] = (flipped, cut, grown, exchanged, extreme)
TEXT: tuple[Mutate, ...] = (revalued, revalued, revalued, relined, relined, flipped, cut, grown)


def inside_zip(chance: random.Random, content: bytes) -> bytes:
    """Mutate a member of an archive, or its name or compression; its checksum fits."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except Exception:  # a mutant of before
        return content
    if not members:
        return content
    one = chance.randrange(len(members))
    name, data = members[one]
    change = chance.randrange(8)
    if change == 0:
        members[one] = (name[: chance.randrange(len(name) + 1)] + chance.choice(("", "x", "/../y")), data)
    elif change == 1:
        del members[one]
    elif change == 2:
        members[one] = (name, chance.choice(members)[1])
    elif change == 3 and data.startswith(b"\x93NUMPY"):
        members[one] = (name, _other_array(chance, data))
    elif change == 4:
        members[one] = (name, bytes(chance.choice((10**5, 10**7))) if chance.random() < 0.1 else data + bytes(9))
    else:
        members[one] = (name, chance.choice(BYTES)(chance, data))
    out = io.BytesIO()
    packed = zipfile.ZIP_DEFLATED if chance.random() < 0.2 else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", packed) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name or "x"), data, packed)
    return out.getvalue()


def _other_array(chance: random.Random, data: bytes) -> bytes:
    """Change the type or the shape in the header of an array."""
    if chance.random() < 0.5:
        return re.sub(rb"'[<|>]\w+'", chance.choice(ARRAY_TYPES), data, count=1)
    shape = chance.choice((b"()", b"(1,)", b"(0, 0)", b"(1, 1000000000000)", b"(4294967296, 4294967296)", b"(-1, 2)"))
    return re.sub(rb"\([\d, ]*\)", shape, data, count=1)


def inside_safetensors(chance: random.Random, content: bytes) -> bytes:
    """Mutate the JSON header, whose length fits."""
    length = int.from_bytes(content[:8], "little")
    header, numbers = content[8 : 8 + length], content[8 + length :]
    changed = chance.choice(TEXT)(chance, header) if chance.random() < 0.7 else _other_tensor(chance, header)
    return len(changed).to_bytes(8, "little") + changed + numbers


def _other_tensor(chance: random.Random, header: bytes) -> bytes:
    """Change the name, type, shape or place of a tensor."""
    try:
        table = json.loads(header)
        name = chance.choice(sorted(table))
        one = table[name]
        change = chance.randrange(5)
        if change == 0:
            table[name + "x"] = table.pop(name)
        elif change == 1:
            del table[name]
        elif change == 2:
            one["dtype"] = chance.choice(("F32", "F16", "F64", "I64", "BF16", "U8", "F8_E4M3", "X", 3))
        elif change == 3:
            one["shape"] = chance.choice((one["shape"][::-1], [], [0], [-1], [2**62, 4], [2**31, 2**31], "a", [1.5]))
        else:
            one["data_offsets"] = chance.choice(
                (chance.choice(sorted(table.values(), key=str)), [0, 0], [0, 2**62], [-8, 8], [8, 0], [0, 1e3])
            )
        return json.dumps(table).encode()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):  # a mutant of before
        return header


ARCHIVE: tuple[Mutate, ...] = (*BYTES, *(inside_zip,) * len(BYTES))
TENSORS: tuple[Mutate, ...] = (*BYTES, *(inside_safetensors,) * len(BYTES))
