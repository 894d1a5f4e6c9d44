"""`Pieces`, the written text of a constraint: text, special tokens, and the bytes of each marked part."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Path = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The written text of a constraint or of a part of it; `Constraint.parse` makes a value of it.

    Iterating gives the pieces in their order: each run of text as a `str`, each special token as the matcher's entry
    for it.

    Attributes:
        data: the text as UTF-8, without special tokens.
        specials: the special tokens, each with the number of bytes of `data` before it.
        parts: the marked parts inside, in the order of the text: the last label of each one's path, and its pieces.
        is_marked: whether the parts come from a matcher's marks.
    """

    data: bytes
    specials: tuple[tuple[int, Any], ...] = ()
    parts: tuple[tuple[Any, Pieces], ...] = field(default=(), repr=False)
    is_marked: bool = False

    @property
    def text(self) -> str:
        """The text, without special tokens, and without an incomplete character at the end of an unfinished text."""
        return self.data.decode(errors="ignore")

    def __iter__(self) -> Iterator[Any]:
        start = 0
        for at, token in self.specials:
            if at > start:
                yield self.data[start:at].decode(errors="ignore")
            yield token
            start = at
        if start < len(self.data):
            yield self.data[start:].decode(errors="ignore")

    def labelled(self, label: Hashable) -> list[Pieces]:
        """The marked parts of this label, in the order of the text."""
        return [part for found, part in self.parts if found == label]

    @classmethod
    def of(cls, pieces: Any) -> Pieces:
        """Pieces from text, or from a list of text and special tokens; no part of it is marked.

        Raises:
            TypeError: it is neither.
        """
        if isinstance(pieces, Pieces):
            return pieces
        if isinstance(pieces, str):
            return cls(pieces.encode())
        if isinstance(pieces, (bytes, bytearray)) or not isinstance(pieces, Iterable):
            raise TypeError(f"pieces are a str, or a list of str and special tokens, not {type(pieces).__name__}")
        data, specials = bytearray(), []
        for piece in pieces:
            if isinstance(piece, str):
                data += piece.encode()
            else:
                specials.append((len(data), piece))
        return cls(bytes(data), tuple(specials))

    @classmethod
    def marked(
        cls,
        data: bytes,
        marks: Sequence[tuple[int, int, int]],
        paths: Sequence[Path],
        specials: Sequence[tuple[int, Any]] = (),
    ) -> Pieces:
        """Pieces with their parts, from the marks of a matcher.

        Args:
            data: the text.
            marks: (number of the mark, start, end) as `Matcher.marks` gives them: outer parts before inner ones.
            paths: by the number of a mark, its path: that of the enclosing part and one more label.
            specials: the special tokens of the text, each with the number of bytes before it.
        """
        root: list[tuple[Hashable, _Node]] = []
        open_nodes: list[_Node] = []
        for number, start, end in marks:
            path = paths[number]
            # The parent of a part is the last one whose path is the part's own without the last label: spans alone do
            # not determine the parent of an empty part.
            while open_nodes and not (open_nodes[-1].path == path[:-1] and open_nodes[-1].holds(start, end)):
                open_nodes.pop()
            node = _Node(path, start, end)
            (open_nodes[-1].parts if open_nodes else root).append((path[-1], node))
            open_nodes.append(node)
        return cls(data, tuple(specials), tuple((label, node.pieces(data, specials)) for label, node in root), True)


class _Node:
    """A marked part while the tree of parts is built."""

    __slots__ = ("end", "parts", "path", "start")

    def __init__(self, path: Path, start: int, end: int) -> None:
        self.path = path
        self.start = start
        self.end = end
        self.parts: list[tuple[Hashable, _Node]] = []

    def holds(self, start: int, end: int) -> bool:
        return self.start <= start and end <= self.end

    def pieces(self, data: bytes, specials: Sequence[tuple[int, Any]]) -> Pieces:
        inside = tuple((at - self.start, token) for at, token in specials if self.start <= at <= self.end)
        parts = tuple((label, node.pieces(data, specials)) for label, node in self.parts)
        return Pieces(data[self.start : self.end], inside, parts, True)
