"""The value of a JSON text that is still being written."""

from __future__ import annotations

from typing import Any, Final

_WHITE: Final = " \t\n\r"
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final = {"true": True, "false": False, "null": None}
_ABSENT: Final = object()


class PartialJson:
    """Reads a JSON text piece by piece; each character is read once.

    Unfinished numbers and words are left out, and so is a member whose value has not begun; an unfinished string is
    given as far as it is written. No text is refused: after a text that is not JSON, the value stays unchanged.
    """

    __slots__ = ("_escape", "_is_begun", "_is_key", "_keys", "_open", "_root", "_scalar", "_state", "_string")

    def __init__(self) -> None:
        self._root: Any = _ABSENT
        # The open containers, the outermost first, and the key of each object whose value comes next.
        self._open: list[Any] = []
        self._keys: list[str | None] = []
        self._string: list[str] = []
        self._is_key = False
        # Whether the container already has the beginning of the open string.
        self._is_begun = False
        self._escape = ""
        self._scalar: list[str] = []
        self._state = "value"  # the expected token: "value", "key", "colon", "comma", "string", "scalar", "end"

    def feed(self, text: str) -> None:
        """Reads the next piece of text."""
        at = 0
        while at < len(text) and self._state != "end":
            if self._state == "string":
                at = self._read_string(text, at)
            elif self._state == "scalar":
                at = self._read_scalar(text, at)
            elif self._state == "fence":
                self._state = "value" if text[at] == "\n" else "fence"
                at += 1
            elif text[at] in _WHITE:
                at += 1
            else:
                self._read_sign(text[at])
                # A scalar's first character is read as part of it.
                at += self._state != "scalar"

    @property
    def value(self) -> Any:
        """The value read so far, as plain data; None before its beginning.

        Lists and dicts are the reader's own, and grow while the text is read, so that asking after every piece takes
        linear time in total: copy values that you keep.
        """
        if self._state != "string" or self._is_key:
            return None if self._root is _ABSENT else self._root
        text = "".join(self._string)
        self._string = [text]
        if not self._open:
            return text
        self._put(text)
        self._is_begun = True
        return self._root

    def _put(self, value: Any) -> None:
        """Puts a value into the innermost container, in place of its beginning if that is there already."""
        container, key = self._open[-1], self._keys[-1]
        if isinstance(container, dict):
            if key is not None:
                container[key] = value
        elif self._is_begun:
            container[-1] = value
        else:
            container.append(value)
        self._is_begun = False

    def _read_string(self, text: str, at: int) -> int:
        if self._escape:
            self._escape += text[at]
            self._unescape()
            return at + 1
        end = at
        while end < len(text) and text[end] not in '"\\':
            end += 1
        if end > at:
            self._string.append(text[at:end])
        if end == len(text):
            return end
        if text[end] == "\\":
            self._escape = "\\"
        else:
            self._close_string()
        return end + 1

    def _unescape(self) -> None:
        escape = self._escape
        if escape[1] != "u":
            self._string.append(_ESCAPES.get(escape[1], escape[1]))
            self._escape = ""
            return
        if len(escape) < 6:
            return
        try:
            unit = int(escape[2:6], 16)
        except ValueError:
            self._state = "end"
            return
        if not 0xD800 <= unit < 0xDC00:
            self._string.append(chr(unit))
            self._escape = ""
        elif len(escape) == 12:  # with the other half of the pair
            try:
                other = int(escape[8:12], 16)
                self._string.append(chr(0x10000 + ((unit - 0xD800) << 10) + (other - 0xDC00)))
            except ValueError:
                self._state = "end"
            self._escape = ""

    def _close_string(self) -> None:
        text = "".join(self._string)
        self._string = []
        if self._is_key:
            self._keys[-1] = text
            self._state = "colon"
        else:
            self._add(text)

    def _read_scalar(self, text: str, at: int) -> int:
        end = at
        while end < len(text) and text[end] not in ",]} \t\n\r":
            end += 1
        self._scalar.append(text[at:end])
        if end < len(text):
            self._close_scalar()
        return end

    def _close_scalar(self) -> None:
        text = "".join(self._scalar)
        self._scalar = []
        try:
            value = _WORDS[text] if text in _WORDS else _number(text)
        except ValueError:
            self._state = "end"
            return
        self._add(value)

    def _read_sign(self, sign: str) -> None:
        state = self._state
        if state == "colon":
            self._state = "value" if sign == ":" else "end"
        elif sign in "]}" and self._open and state in ("comma", "value", "key"):
            self._close(sign)
        elif state == "comma":
            is_object = bool(self._open) and isinstance(self._open[-1], dict)
            self._state = ("key" if is_object else "value") if sign == "," and self._open else "end"
        elif sign == "`" and not self._open:
            self._state = "fence"  # a Markdown fence: its line is skipped
        elif sign == '"':
            self._is_key = state == "key"
            self._state = "string"
        elif state == "key":
            self._state = "end"
        elif sign in "[{":
            container: Any = [] if sign == "[" else {}
            if self._open:
                self._put(container)
            else:
                self._root = container
            self._open.append(container)
            self._keys.append(None)
            self._state = "value" if sign == "[" else "key"
        else:
            self._state = "scalar"

    def _close(self, sign: str) -> None:
        if isinstance(self._open[-1], list) != (sign == "]"):
            self._state = "end"
            return
        self._open.pop()
        self._keys.pop()
        self._state = "comma" if self._open else "end"

    def _add(self, value: Any) -> None:
        if not self._open:
            self._root = value
            self._state = "end"
            return
        self._put(value)
        self._keys[-1] = None
        self._state = "comma"


def partial_value(text: str) -> Any:
    """The value of a prefix of a JSON text, as plain data; None if it has no value yet."""
    reader = PartialJson()
    reader.feed(text)
    return reader.value


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
