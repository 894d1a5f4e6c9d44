"""`FreeText`: any text up to a marker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from rellm._constraints import expression
from rellm._constraints.base import (
    Constraint,
    constraint_from_data,
    kind_of,
    refuse_surrogates,
    text_from_data,
    text_to_data,
    texts_from_data,
    texts_to_data,
)
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.pieces import Pieces
from rellm._constraints.special_token import SpecialToken
from rellm._errors import PatternError

Marker: TypeAlias = str | SpecialToken


@dataclass(frozen=True, init=False, repr=False, slots=True)
class FreeText(Constraint):
    """Any text without the marker, then the marker.

    The text ends at the first occurrence of the marker. A marker that is passed as text is recognised as its characters
    and as the special token of exactly this content, if the vocabulary has one. The value is the text without the
    marker.

    Args:
        until: the marker: text, a `SpecialToken`, or a list of them; the first one in the text ends it. None: no
            marker; the text ends where the constraint ends.
        or_end: whether the text may also end without a marker.
        exclude: texts that do not appear in the text.

    Raises:
        PatternError: a marker or an excluded text is empty or holds a lone surrogate, or the list of markers is empty.
        TypeError: something is of another type.
    """

    kind: ClassVar[str] = "free_text"

    until: tuple[Marker, ...]
    or_end: bool
    exclude: tuple[str, ...]

    def __init__(
        self,
        until: Marker | Iterable[Marker] | None = None,
        or_end: bool = False,
        exclude: str | Iterable[str] = (),
    ) -> None:
        object.__setattr__(self, "until", _markers(until))
        if not isinstance(or_end, bool):
            raise TypeError(f"or_end is True or False, not {kind_of(or_end)}")
        object.__setattr__(self, "or_end", or_end or until is None)
        object.__setattr__(self, "exclude", _excluded(exclude))

    def to_expression(self, context: ExpressionContext) -> Fragment:
        return expression.union(
            [
                *(expression.sequence([before, marker]) for before, marker in self.endings(context)),
                *([text_without(context, [*self._texts(), *self.exclude])] if self.or_end else []),
            ]
        )

    def endings(self, context: ExpressionContext) -> list[tuple[Fragment, Fragment]]:
        """Each marker, with the texts that may precede it."""
        texts = self._texts()
        found = []
        for marker in self.until:
            if isinstance(marker, SpecialToken):
                found.append((text_without(context, [*texts, *self.exclude]), marker.to_expression(context)))
                continue
            if any(other in marker[:-1] for other in texts):
                continue  # another marker occurs before this one ends
            # The end of the text and the beginning of this marker must not form another marker that ends earlier.
            begun = sorted({text[:n] for text in texts for n in range(1, len(text)) if _ends_early(text[n:], marker)})
            before = text_without(context, [*texts, *self.exclude], begun)
            found.append((before, expression.literal(context, marker)))
            if context.vocabulary is not None and marker in context.vocabulary.special_tokens:
                found.append((text_without(context, [*texts, *self.exclude]), context.special_token(marker)))
        return found

    def parse(self, pieces: Any) -> str:
        """The text before the marker."""
        written = Pieces.of(pieces)
        text = written.text if not written.specials else written.data[: written.specials[0][0]].decode(errors="ignore")
        # Of the markers in the text, the one that ends first.
        met = [(text.find(marker) + len(marker), text.find(marker)) for marker in self._texts() if marker in text]
        return text[: min(met)[1]] if met else text

    def _texts(self) -> list[str]:
        return [marker for marker in self.until if isinstance(marker, str)]

    def _to_data(self) -> dict[str, Any]:
        until = [text_to_data(marker) if isinstance(marker, str) else marker.to_data() for marker in self.until]
        data: dict[str, Any] = {"until": until} if until else {}
        if self.or_end and until:
            data["or_end"] = True
        return {**data, "exclude": texts_to_data(self.exclude)} if self.exclude else data

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> FreeText:
        until = [_marker_from_data(marker) for marker in data.pop("until", [])] or None
        return FreeText(until, exclude=texts_from_data(data.pop("exclude", [])), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (FreeText, (self.until or None, self.or_end, self.exclude))

    def __repr__(self) -> str:
        parts = []
        if self.until:
            parts.append(f"until={self.until[0]!r}" if len(self.until) == 1 else f"until={list(self.until)!r}")
        if self.or_end and self.until:
            parts.append("or_end=True")
        if self.exclude:
            parts.append(f"exclude={list(self.exclude)!r}")
        return f"FreeText({', '.join(parts)})"


def text_without(context: ExpressionContext, texts: list[str], ends: Iterable[str] = ()) -> Fragment:
    """Any text that contains none of `texts`, and ends with none of `ends`."""
    anything = expression.repeat(expression.any_char(), 0, None)
    refused = []
    if texts:
        inside = expression.choice(context, dict.fromkeys(texts))
        refused.append(expression.sequence([anything, inside, anything]))
    last = list(ends)
    if last:
        refused.append(expression.sequence([anything, expression.choice(context, last)]))
    return expression.complement(expression.union(refused)) if refused else anything


def _ends_early(rest: str, marker: str) -> bool:
    """Whether the rest of a begun marker is a proper prefix of this one."""
    return len(rest) < len(marker) and marker.startswith(rest)


def _markers(until: Any) -> tuple[Marker, ...]:
    if until is None:
        return ()
    if isinstance(until, (str, SpecialToken)):
        until = [until]
    if not isinstance(until, Iterable) or isinstance(until, (bytes, Constraint)):
        raise TypeError(f"until is text, a SpecialToken, or a list of them, not {kind_of(until)}")
    found: dict[Marker, None] = {}
    for marker in until:
        if not isinstance(marker, (str, SpecialToken)):
            raise TypeError(f"a marker of FreeText is text or a SpecialToken, not {kind_of(marker)}")
        if isinstance(marker, str):
            _refuse_unusable("a marker of FreeText", marker)
        found.setdefault(marker)
    if not found:
        raise PatternError("FreeText(until=[]) has no marker: leave until out if the text has no end of its own")
    return tuple(found)


def _excluded(exclude: Any) -> tuple[str, ...]:
    if isinstance(exclude, str):
        exclude = [exclude]
    if not isinstance(exclude, Iterable) or isinstance(exclude, bytes):
        raise TypeError(f"exclude is a list of texts, not {kind_of(exclude)}")
    found = dict.fromkeys(exclude)
    for text in found:
        if not isinstance(text, str):
            raise TypeError(f"exclude takes texts, not {kind_of(text)}")
        _refuse_unusable("an excluded text of FreeText", text)
    return tuple(sorted(found))


def _refuse_unusable(what: str, text: str) -> None:
    if not text:
        raise PatternError(f"{what} is empty: it stands everywhere")
    refuse_surrogates(what, text)


def _marker_from_data(data: Any) -> Marker:
    if isinstance(data, dict) and "kind" in data:
        found = constraint_from_data(data)
        if not isinstance(found, SpecialToken):
            raise TypeError(f"a marker is text or a SpecialToken, not {found!r}")
        return found
    return text_from_data(data)
