"""The spelling of JSON: white space, escapes, layout, and a Markdown fence around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from typing import Literal as OneOf

from rellm._constraints.expression import (
    CLASS,
    ExpressionContext,
    Fragment,
    empty,
    literal,
    optional,
    repeat,
    sequence,
    union,
)

_LAYOUTS: Final = ("flexible", "spaced", "compact", "any")
_BLANKS: Final = 64


@dataclass(frozen=True, slots=True)
class JsonSpelling:
    """The spelling of values where JSON leaves a choice.

    Args:
        whitespace: "flexible": around every sign nothing, one space, or a newline and at most 64 blanks; "spaced":
            `", "` and `": "` as `json.dumps` writes; "compact": none; "any": any amount anywhere between tokens; a
            number: the spaces of indentation per level, exactly as `json.dumps(indent=…)` writes.
        fence: "optional": the value may be inside a Markdown fence (three backticks, `json`, a newline before and
            after).
        max_digits: the most digits of a number without bounds; None: no limit.
        integers: "plain": whole numbers as digits only; "any": also as `1.0` and, without bounds, `1e2`, except in
            schemas of draft 4, where such a number is no integer.

    Raises:
        ValueError: an argument has none of these values.
    """

    whitespace: str | int = "flexible"
    fence: OneOf["never", "optional"] = "never"
    max_digits: int | None = None
    integers: OneOf["plain", "any"] = "plain"

    def __post_init__(self) -> None:
        layout = self.whitespace
        is_indent = isinstance(layout, int) and not isinstance(layout, bool) and 0 <= layout <= 16
        if not is_indent and layout not in _LAYOUTS:
            names = ", ".join(map(repr, _LAYOUTS))
            raise ValueError(f"whitespace is {names} or a number of spaces from 0 to 16, not {layout!r}")
        if self.fence not in ("never", "optional"):
            raise ValueError(f'fence is "never" or "optional", not {self.fence!r}')
        if self.integers not in ("plain", "any"):
            raise ValueError(f'integers is "plain" or "any", not {self.integers!r}')
        if self.max_digits is not None and (not isinstance(self.max_digits, int) or self.max_digits < 1):
            raise ValueError(f"max_digits is a positive number or None, not {self.max_digits!r}")

    @property
    def is_indented(self) -> bool:
        """Whether the layout depends on the depth of a value."""
        return isinstance(self.whitespace, int)


class Layout:
    """The fragments around keys, items and values, for one depth of nesting."""

    __slots__ = ("array_between", "array_close", "array_first", "between", "close", "colon", "first", "is_strict")

    def __init__(self, context: ExpressionContext, spelling: JsonSpelling, depth: int) -> None:
        mode = spelling.whitespace
        # Whether an empty object or array omits the white space that a non-empty one has before its closing sign.
        self.is_strict = spelling.is_indented
        if isinstance(mode, int):
            outer, inner = "\n" + " " * (mode * depth), "\n" + " " * (mode * (depth + 1))
            self.first, self.array_first = literal(context, f'{inner}"'), literal(context, inner)
            self.between, self.array_between = literal(context, f',{inner}"'), literal(context, f",{inner}")
            self.close, self.array_close = literal(context, outer + "}"), literal(context, outer + "]")
            self.colon = literal(context, ": ")
        elif mode in ("spaced", "compact"):
            blank = " " if mode == "spaced" else ""
            self.first, self.array_first = literal(context, '"'), empty()
            self.between, self.array_between = literal(context, f',{blank}"'), literal(context, f",{blank}")
            self.close, self.array_close = literal(context, "}"), literal(context, "]")
            self.colon = literal(context, f":{blank}")
        else:
            blank_space = _FLEXIBLE if mode == "flexible" else _ANY
            quote, comma, shared = literal(context, '"'), literal(context, ","), context.shared
            self.first, self.array_first = shared(sequence([blank_space, quote])), shared(blank_space)
            self.array_between = shared(sequence([blank_space, comma, blank_space]))
            self.between = shared(sequence([blank_space, comma, blank_space, quote]))
            self.close = shared(sequence([blank_space, literal(context, "}")]))
            self.array_close = shared(sequence([blank_space, literal(context, "]")]))
            self.colon = shared(sequence([blank_space, literal(context, ":"), blank_space]))


_FLEXIBLE: Final = optional(
    union([[CLASS, 1, 32, 32], sequence([[CLASS, 1, 10, 10], repeat([CLASS, 2, 9, 9, 32, 32], 0, _BLANKS)])])
)
_ANY: Final = repeat([CLASS, 3, 9, 10, 13, 13, 32, 32], 0, None)

_HEX: Final[Fragment] = [CLASS, 3, 48, 57, 65, 70, 97, 102]
_BACKSLASH: Final[Fragment] = [CLASS, 1, 92, 92]
_U: Final[Fragment] = [CLASS, 1, 117, 117]
_D: Final[Fragment] = [CLASS, 2, 68, 68, 100, 100]
# One character of a string in any spelling: itself, a short escape, an escape of four digits, or a surrogate pair.
CHARACTER: Final = union(
    [
        [CLASS, 4, 32, 33, 35, 91, 93, 0xD7FF, 0xE000, 0x10FFFF],
        sequence(
            [
                _BACKSLASH,
                union(
                    [
                        [CLASS, 8, 34, 34, 47, 47, 92, 92, 98, 98, 102, 102, 110, 110, 114, 114, 116, 116],
                        sequence(
                            [
                                _U,
                                union(
                                    [
                                        sequence(
                                            [[CLASS, 5, 48, 57, 65, 67, 69, 70, 97, 99, 101, 102], repeat(_HEX, 3, 3)]
                                        ),
                                        sequence([_D, [CLASS, 1, 48, 55], repeat(_HEX, 2, 2)]),
                                        sequence(
                                            [
                                                _D,
                                                [CLASS, 3, 56, 57, 65, 66, 97, 98],
                                                repeat(_HEX, 2, 2),
                                                _BACKSLASH,
                                                _U,
                                                _D,
                                                [CLASS, 2, 67, 70, 99, 102],
                                                repeat(_HEX, 2, 2),
                                            ]
                                        ),
                                    ]
                                ),
                            ]
                        ),
                    ]
                ),
            ]
        ),
    ]
)
# One character of a text: any code point but the surrogates.
SCALAR: Final[Fragment] = [CLASS, 2, 0, 0xD7FF, 0xE000, 0x10FFFF]
