"""Token files: what every engine, and the criterion benches, read as their vocabulary.

One record a token: its length as a little-endian u32 and its bytes; the length 0xFFFFFFFF is a token that is never
text.
"""

import struct
from pathlib import Path

NEVER_TEXT = 0xFFFFFFFF
TEKKEN_EOS = 2


def write(path: Path, tokens: list[bytes | None]) -> None:
    """Writes a token file."""
    records = (struct.pack("<I", NEVER_TEXT) if t is None else struct.pack("<I", len(t)) + t for t in tokens)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records))


def read(path: Path) -> list[bytes | None]:
    """Reads a token file."""
    data = path.read_bytes()
    tokens: list[bytes | None] = []
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if length == NEVER_TEXT:
            tokens.append(None)
        else:
            tokens.append(data[at : at + length])
            at += length
    return tokens
