"""The JSON pointer at the end of a text that is being written, from its bytes, in linear time."""

from __future__ import annotations

import json
from typing import Final, Literal, TypeAlias

_Mode: TypeAlias = Literal["fence", "value", "string", "name", "key", "colon", "scalar", "after"]
_BLANKS: Final = frozenset(b" \t\n\r")
_ENDS: Final = frozenset(b",]} \t\n\r")
_QUOTE, _BACKSLASH, _COMMA, _COLON, _FENCE, _NEWLINE = b'"\\,:`\n'


class JsonPlace:
    """Reads a JSON text piece by piece. A Markdown fence before it is skipped, and text after it is ignored."""

    __slots__ = ("_containers", "_escaped", "_key", "_mode")

    def __init__(self) -> None:
        # For each open container: whether it is an object, and the key or the index of its current member.
        self._containers: list[tuple[bool, str | int | None]] = []
        self._mode: _Mode = "value"
        self._escaped = False
        self._key = bytearray()

    @property
    def pointer(self) -> str:
        """The JSON pointer of the value at the end of the text: between members that of their container."""
        names = [name for _, name in self._containers]
        if self._mode in ("after", "name", "key") and names:
            names.pop()
        return "".join(f"/{_escaped(name)}" for name in names if name is not None)

    @property
    def in_string(self) -> bool:
        """Whether the text ends inside a string that is a value."""
        return self._mode == "string"

    @property
    def containers(self) -> tuple[str, ...]:
        """The open containers, outermost first: "object" or "array"."""
        return tuple("object" if is_object else "array" for is_object, _ in self._containers)

    @property
    def is_whole(self) -> bool:
        """Whether the text is a complete value; a number may still go on."""
        return not self._containers and self._mode in ("after", "scalar")

    def copy(self) -> JsonPlace:
        """Another reader at the same place."""
        other = JsonPlace()
        other._containers, other._key = self._containers.copy(), self._key.copy()
        other._mode, other._escaped = self._mode, self._escaped
        return other

    def read(self, data: bytes) -> list[str]:
        """Reads these bytes.

        Returns:
            The pointers of the strings, numbers and literals that contain the bytes, in order. The byte that ends a
            number counts as part of it, because it decides that no further digit comes.
        """
        touched: list[str] = []
        if self._mode == "string" and data:
            touched.append(self.pointer)
        for byte in data:
            if self._mode == "string" or self._mode == "key":
                self._read_string(byte)
                continue
            if self._mode == "scalar":
                if byte not in _ENDS:
                    self._touch(touched)
                    continue
                self._touch(touched)
                self._mode = "after"
            if self._mode == "fence":
                if byte == _NEWLINE:
                    self._mode = "value"
                continue
            if byte in _BLANKS:
                continue
            self._read_sign(byte, touched)
        return touched

    def _touch(self, touched: list[str]) -> None:
        pointer = self.pointer
        if not touched or touched[-1] != pointer:
            touched.append(pointer)

    def _read_string(self, byte: int) -> None:
        if self._mode == "key":
            self._key.append(byte)
        if self._escaped:
            self._escaped = False
        elif byte == _BACKSLASH:
            self._escaped = True
        elif byte == _QUOTE and self._mode == "key":
            self._containers[-1] = (True, str(json.loads(b'"' + self._key)))
            self._mode = "colon"
        elif byte == _QUOTE:
            self._mode = "after"

    def _read_sign(self, byte: int, touched: list[str]) -> None:
        mode = self._mode
        if byte in b"]}" and mode in ("value", "name", "after"):
            if self._containers:
                self._containers.pop()
            self._mode = "after"
        elif mode == "colon":
            self._mode = "value"
        elif mode == "name" and byte == _QUOTE:
            self._key.clear()
            self._mode = "key"
        elif mode == "after" and byte == _COMMA and self._containers:
            is_object, name = self._containers[-1]
            self._containers[-1] = (is_object, None if is_object or not isinstance(name, int) else name + 1)
            self._mode = "name" if is_object else "value"
        elif mode == "value":
            if byte == _FENCE:
                self._mode = "fence"
            elif byte in b"{[":
                self._containers.append((byte == ord("{"), None if byte == ord("{") else 0))
                self._mode = "name" if byte == ord("{") else "value"
            else:
                self._mode = "string" if byte == _QUOTE else "scalar"
                self._touch(touched)


def _escaped(name: str | int) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
