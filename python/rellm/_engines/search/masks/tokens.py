"""The tokens of a vocabulary as texts, and the trie of those that a pattern can tell apart.

A token may begin and end inside a character. What a text begins with is compared as text; the bytes after its last
whole character are its tail, and stand for the code points that they can become.
"""

from __future__ import annotations

import codecs
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from rellm._engines.search.pattern.alphabet import Alphabet, overlap
from rellm._fork import ForkSafeLock

_MOST_TRIED: Final = 0x1000  # characters, one by one
_SCALARS: Final = ((0, 0xD7FF), (0xE000, 0x10FFFF))


class VocabularyLike(Protocol):
    """What the search needs of a vocabulary."""

    def __len__(self) -> int: ...
    @property
    def eos_token_ids(self) -> list[int]: ...
    @property
    def fingerprint(self) -> bytes: ...
    def token_bytes(self, token_id: int, /) -> bytes | None: ...


def decode(data: bytes) -> tuple[str, bytes] | None:
    """The whole characters of `data`, and the bytes of one that is begun; `None` if it is not the start of UTF-8."""
    try:
        text, consumed = codecs.utf_8_decode(data, "strict", False)
    except UnicodeDecodeError:
        return None
    tail = data[consumed:]
    if tail[:1] == b"\xed" and tail[1:2] >= b"\xa0":  # would become a surrogate
        return None
    return text, tail


def becoming(tail: bytes) -> tuple[int, int]:
    """The first and the last code point that the begun character `tail` can become."""
    lead = tail[0]
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    bits = lead & (0x7F >> length)
    for byte in tail[1:]:
        bits = bits << 6 | byte & 0x3F
    missing = 6 * (length - len(tail))
    first, last = bits << missing, (bits + 1 << missing) - 1
    return max(first, (0x80, 0x800, 0x10000)[length - 2]), min(last, 0xD7FF if lead == 0xED else 0x10FFFF)


@dataclass(frozen=True)
class Texts:
    """What the tokens of a vocabulary are. Tokens without bytes, special ones and broken UTF-8 are not there."""

    whole: list[tuple[int, str]]
    cut: list[tuple[int, str, bytes]]  # the tail follows
    continuing: list[tuple[int, bytes]]  # begin inside a character
    code_points: tuple[tuple[int, int], ...]  # that a text may contain

    @cached_property
    def trie(self) -> Trie:
        """The trie with every character as a symbol of its own, for all patterns that need it."""
        return Trie(self, None)


def _texts(vocabulary: VocabularyLike) -> Texts:
    whole: list[tuple[int, str]] = []
    cut: list[tuple[int, str, bytes]] = []
    continuing: list[tuple[int, bytes]] = []
    special = set(vocabulary.eos_token_ids)
    bulk = getattr(vocabulary, "tokens", None)
    tokens: Sequence[bytes | None] = (
        bulk() if callable(bulk) else [vocabulary.token_bytes(token) for token in range(len(vocabulary))]
    )
    for token, data in enumerate(tokens):
        if not data or token in special:
            continue
        if 0x80 <= data[0] < 0xC0:
            continuing.append((token, data))
        elif (decoded := decode(data)) is not None:
            text, tail = decoded
            if tail:
                cut.append((token, text, tail))
            else:
                whole.append((token, text))
    return Texts(whole, cut, continuing, tuple(getattr(vocabulary, "alphabet", _SCALARS)))


_recent: OrderedDict[bytes, Texts] = OrderedDict()
_lock = ForkSafeLock()


def texts_of(vocabulary: VocabularyLike) -> Texts:
    """The texts of a vocabulary; those of the last four are kept."""
    key = vocabulary.fingerprint
    with _lock:
        if key in _recent:
            _recent.move_to_end(key)
            return _recent[key]
    texts = _texts(vocabulary)
    with _lock:
        _recent[key] = texts
        while len(_recent) > 4:
            _recent.popitem(last=False)
    return texts


Ids = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Cut:
    """Tokens that end inside a character."""

    tail: bytes  # where every character is a symbol of its own
    symbols: tuple[str, ...]  # one for each class of what the tail can become, where there are classes
    ids: Ids


class Trie:
    """The tokens that begin with a whole character, in symbols: a symbol stands for a class of characters.

    Nodes are in preorder; node 0 is the empty text. Node `i`'s subtree ends before `end[i]`.
    """

    def __init__(self, texts: Texts, alphabet: Alphabet | None) -> None:
        self.symbols = Symbols(texts, alphabet)
        whole: dict[str, list[int]] = {}
        cut: dict[str, dict[tuple[bytes, tuple[str, ...]], list[int]]] = {}
        encoded = self.symbols.encode_all([text for _, text in texts.whole])
        for (token, _), key in zip(texts.whole, encoded, strict=True):
            if key in whole:
                whole[key].append(token)
            else:
                whole[key] = [token]
        for token, text, tail in texts.cut:
            # Also where no character can come of it: the tries with and without classes have the same nodes.
            here = cut.setdefault(self.symbols.encode(text), {})
            here.setdefault((b"", self.symbols.reach(tail)) if alphabet else (tail, ()), []).append(token)
        self.key: list[str] = [""]
        self.end: list[int] = [0]
        self.parent: list[int] = [-1]
        self.ids: list[Ids | None] = [None]
        self.cuts: list[list[Cut]] = [[]]
        path = [0]
        for key in sorted(whole.keys() | cut.keys()):
            while not key.startswith(self.key[path[-1]]):
                self.end[path.pop()] = len(self.key)
            for length in range(len(self.key[path[-1]]) + 1, len(key) + 1):
                node = len(self.key)
                self.key.append(key[:length])
                self.end.append(0)
                self.parent.append(path[-1])
                self.ids.append(None)
                self.cuts.append([])
                path.append(node)
            node = path[-1]
            if key in whole:
                self.ids[node] = np.array(whole[key], dtype=np.uint32)
            if key in cut:
                self.cuts[node] = [
                    Cut(tail, reach, np.array(ids, dtype=np.uint32)) for (tail, reach), ids in cut[key].items()
                ]
        for node in path:
            self.end[node] = len(self.key)
        self.continuing = texts.continuing
        self.cut_nodes = [node for node, cuts in enumerate(self.cuts) if cuts]
        parts = [ids for ids in self.ids if ids is not None]
        self._ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint32)
        holders = [node for node, ids in enumerate(self.ids) if ids is not None]
        self._holder_of = np.repeat(np.array(holders, dtype=np.int64), [len(part) for part in parts])
        # What is appended to a text to test a node.
        self.text: list[str] = [self.symbols.spell(key) for key in self.key] if alphabet else self.key
        self.memory_bytes = 200 * len(self.key) + 4 * (len(texts.whole) + len(texts.cut))

    def mark(self, alive: npt.NDArray[np.bool_], allowed: npt.NDArray[np.bool_]) -> None:
        """Allows the tokens of the nodes that are alive."""
        allowed[self._ids[alive[self._holder_of]]] = True


class Symbols:
    """The characters of a vocabulary, one symbol for all that a pattern cannot tell apart."""

    def __init__(self, texts: Texts, alphabet: Alphabet | None) -> None:
        self.alphabet = alphabet
        self._reach: dict[bytes, tuple[str, ...]] = {}
        if alphabet is None:
            self._known = sorted({character for _, text in texts.whole for character in text})
            self.every: list[str] = [*self._known, *_strangers(texts.code_points, self._known)]
            return
        self._table = alphabet.table()
        self._members = [overlap(ranges, texts.code_points) for ranges in alphabet.members]
        usual = sorted({character for _, text in texts.whole for character in text}, key=lambda c: (not c.isalnum(), c))
        best: dict[int, str] = {}
        for character in usual:
            best.setdefault(alphabet.class_of(character), character)
        # A class without a character that this vocabulary can spell has no symbol.
        self._spelling = [
            best.get(number) or (chr(ranges[0][0]) if ranges else "") for number, ranges in enumerate(self._members)
        ]
        self._translation = dict(enumerate(self._spelling))
        self.every = [chr(number) for number, spelling in enumerate(self._spelling) if spelling]

    def members(self, symbol: str) -> Sequence[tuple[int, int]]:
        """The code points that a symbol stands for."""
        return [(ord(symbol), ord(symbol))] if self.alphabet is None else self._members[ord(symbol)]

    def spell(self, symbols: str) -> str:
        """A text that the symbols stand for."""
        return symbols if self.alphabet is None else symbols.translate(self._translation)

    def encode(self, text: str) -> str:
        """A text in symbols."""
        return text if self.alphabet is None else self.encode_all([text])[0]

    def encode_all(self, texts: list[str]) -> list[str]:
        if self.alphabet is None:
            return texts
        joined = "".join(texts)
        points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        symbols = self._table[points].astype(np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
        found, at = [], 0
        for text in texts:
            found.append(symbols[at : at + len(text)])
            at += len(text)
        return found

    def reach(self, tail: bytes) -> tuple[str, ...]:
        """The symbols of what a begun character can become."""
        assert self.alphabet is not None
        if (known := self._reach.get(tail)) is None:
            span = [becoming(tail)]
            known = tuple(symbol for symbol in self.every if overlap(self._members[ord(symbol)], span))
            self._reach[tail] = known
        return known

    def begun(self, tail: bytes) -> Iterable[str]:
        """Texts that a begun character may become: if none of them is alive, no such character is."""
        if self.alphabet is not None:
            return map(self.spell, self.reach(tail))
        first, last = becoming(tail)
        if last - first < _MOST_TRIED:
            return map(chr, range(first, last + 1))
        # There are too many, and no class tells which to try: what is before them has to be alive.
        return ("",)


def _strangers(code_points: Sequence[tuple[int, int]], known: list[str]) -> list[str]:
    """Some characters that no token has whole, though a text may contain them: every sixty-fourth."""
    seen = set(known)
    found = []
    for first, last in code_points:
        for point in range(first, last + 1, 0x40):
            if chr(point) not in seen:
                found.append(chr(point))
                if len(found) > 200:
                    return found
    return found
