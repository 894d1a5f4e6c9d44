"""The oracle: which tokens may come next, by partial matching with the `regex` library.

For patterns without lookaround `fullmatch(text, partial=True)` is exact: it succeeds if and only if some continuation
of the text matches. Tokens are tested as texts; those that cannot match rule out their extensions. A token that ends in
the middle of a character is allowed if some character with these first bytes may come; characters that no class of the
pattern tells apart are tested once.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import regex

_PARSER = re._parser  # type: ignore[attr-defined]
_MAX = 0x10FFFF


@lru_cache(maxsize=64)
def _members(source: str) -> np.ndarray:
    """Which code points a pattern for one character matches."""
    everything = "".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, _MAX + 1)))
    found = np.zeros(_MAX + 1, dtype=bool)
    for match in regex.finditer(f"(?:{source})+", everything):
        lo, hi = match.span()
        for start, end in ((lo, min(hi, 0xD800)), (max(lo, 0xD800) + 0x800, hi + 0x800)):
            if start < end:
                found[start:end] = True
    return found


def _classes(tree: Iterable[tuple]) -> Iterable[np.ndarray]:
    """Every test of one character in a parsed pattern."""
    for op, argument in tree:
        name = str(op)
        if name in ("LITERAL", "NOT_LITERAL"):
            yield _range(argument, argument)
        elif name == "ANY":
            yield _members(".")
        elif name == "RANGE":
            yield _range(*argument)
        elif name == "CATEGORY":
            yield _members({"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(argument).split("_")[-1]])
        elif name == "IN":
            yield from _classes(item for item in argument if str(item[0]) != "NEGATE")
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from _classes(branch)
        elif name == "SUBPATTERN":
            yield from _classes(argument[-1])
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            yield from _classes(argument[2])
        else:
            raise ValueError(f"the oracle does not know {name}: keep the patterns of the comparison plain")


def _range(lo: int, hi: int) -> np.ndarray:
    found = np.zeros(_MAX + 1, dtype=bool)
    found[lo : hi + 1] = True
    return found


def _cut(data: bytes) -> tuple[str, bytes] | None:
    """Text and the bytes of an unfinished last character; None if no text of Unicode characters goes on from it."""
    for length in range(min(4, len(data) + 1)):
        head, tail = data[: len(data) - length], data[len(data) - length :]
        try:
            text = head.decode()
        except UnicodeDecodeError:
            continue
        return (text, tail) if not tail or _span(tail) else None
    return None


@lru_cache(maxsize=4096)
def _span(tail: bytes) -> tuple[int, int] | None:
    """The code points whose encoding starts with `tail`, which is shorter than they are."""
    lead = tail[0]
    length = 2 if 0xC2 <= lead <= 0xDF else 3 if 0xE0 <= lead <= 0xEF else 4 if 0xF0 <= lead <= 0xF4 else 0
    if len(tail) >= length or any(b & 0xC0 != 0x80 for b in tail[1:]):
        return None
    bits = lead & (0x7F >> length)
    for byte in tail[1:]:
        bits = bits << 6 | byte & 0x3F
    shift = 6 * (length - len(tail))
    lo, hi = bits << shift, ((bits + 1) << shift) - 1
    lo, hi = max(lo, (0x80, 0x800, 0x10000)[length - 2]), min(hi, _MAX)
    if lo >= 0xD800 and hi <= 0xDFFF:
        return None
    return (lo, hi) if lo <= hi else None


class Oracle:
    """A vocabulary, ready to be tested against any pattern."""

    def __init__(self, tokens: Sequence[bytes | None], eos: int) -> None:
        self._tokens = tokens
        self._eos = eos
        self._words = (len(tokens) + 31) // 32
        texts: dict[str, list[int]] = {}
        cuts: dict[str, dict[bytes, list[int]]] = {}
        for i, token in enumerate(tokens):
            cut = _cut(token) if token else None
            if cut is None:
                continue
            if cut[1]:
                cuts.setdefault(cut[0], {}).setdefault(cut[1], []).append(i)
            else:
                texts.setdefault(cut[0], []).append(i)
        # Preorder: every text after its prefixes.
        self._nodes = [
            (text, texts.get(text, []), cuts.get(text, {})) for text in sorted(texts.keys() | cuts.keys() | {""})
        ]
        self._continuing = [(i, t) for i, t in enumerate(tokens) if t and 0x80 <= t[0] <= 0xBF]

    def masks(self, pattern: str, ids: Sequence[int]) -> np.ndarray:
        """One row of packed words for the empty text, and one after each token."""
        compiled = regex.compile(pattern)
        representatives = _representatives(pattern)
        written = b""
        rows = [self._mask(compiled, representatives, written)]
        for i in ids:
            token = self._tokens[i]
            assert token is not None
            written += token
            rows.append(self._mask(compiled, representatives, written))
        return np.stack(rows)

    def _mask(self, compiled: regex.Pattern, representatives: np.ndarray, written: bytes) -> np.ndarray:
        cut = _cut(written)
        assert cut is not None
        before, pending = cut
        fullmatch = compiled.fullmatch

        def alive(text: str) -> bool:
            return fullmatch(before + text, partial=True) is not None

        def cut_alive(text: str, tail: bytes) -> bool:
            span = _span(tail)
            assert span is not None
            lo, hi = np.searchsorted(representatives[:, 0], (span[0], span[1] + 1))
            # A class may start below the span and reach into it.
            tests = {span[0]: None} | {int(c): None for c in representatives[lo:hi, 0]}
            return any(alive(text + chr(c)) for c in tests if not 0xD800 <= c <= 0xDFFF)

        allowed: list[int] = []
        if pending:
            for i, token in self._continuing:
                rest = _cut(pending + token)
                if rest and (cut_alive(*rest) if rest[1] else alive(rest[0])):
                    allowed.append(i)
        else:
            dead: str | None = None
            for text, ids, tails in self._nodes:
                if dead is not None and text.startswith(dead):
                    continue
                dead = None
                if text and not alive(text):
                    dead = text
                    continue
                allowed.extend(ids)
                for tail, cut_ids in tails.items():
                    if cut_alive(text, tail):
                        allowed.extend(cut_ids)
            if fullmatch(before):
                allowed.append(self._eos)
        bits = np.zeros(self._words * 32, dtype=bool)
        bits[allowed] = True
        return np.packbits(bits, bitorder="little").view(np.uint32)


def _representatives(pattern: str) -> np.ndarray:
    """The first code point of every run of characters that the pattern cannot tell apart, surrogates left out."""
    changes = np.zeros(_MAX + 1, dtype=bool)
    changes[0] = changes[0xE000] = True
    for members in _classes(_PARSER.parse(pattern)):
        changes[1:] |= members[1:] != members[:-1]
    return np.flatnonzero(changes).reshape(-1, 1)
