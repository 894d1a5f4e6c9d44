"""The patterns, and one sample text for each: those of testdata/benchmarks.toml, and alternations of many words."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

_FILE = Path(__file__).resolve().parents[2] / "testdata" / "benchmarks.toml"


@dataclass(frozen=True)
class Case:
    """A pattern and a text that it matches in full."""

    name: str
    pattern: str
    sample: str


QUICK = ("date-time", "seeds", "any text", "ten words", "200 words")


def words(tokens: list[bytes | None], count: int) -> list[str]:
    """`count` different words of 4 to 18 small letters, made from a vocabulary: every second one is a compound."""
    pieces = [
        t[1:].decode()
        for t in tokens
        if t and t[:1] == b" " and 4 <= len(t) - 1 <= 9 and t[1:].isalpha() and t[1:].isascii() and t[1:].islower()
    ]
    ends = pieces[::-1]

    def make() -> Iterator[str]:
        for piece, end in zip(pieces, ends, strict=True):
            yield piece
            yield piece + end

    return list(islice(dict.fromkeys(make()), count))


def all_cases(tokens: list[bytes | None]) -> list[Case]:
    """Every case. The alternations are made from the words of the vocabulary itself."""
    few, many = words(tokens, 200), words(tokens, 5000)
    return [
        *(Case(**case) for case in tomllib.loads(_FILE.read_text("utf-8"))["case"]),
        Case("200 words", "(" + "|".join(few) + ")", max(few, key=len)),
        Case("5,000 words", "(" + "|".join(many) + ")", max(many, key=len)),
    ]
