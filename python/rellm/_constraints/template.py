"""`Template`: literal text with holes, which constraints fill."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import regex

from rellm._constraints import expression
from rellm._constraints.base import (
    Constraint,
    constraint_from_data,
    kind_of,
    refuse_surrogates,
    text_from_data,
    text_to_data,
)
from rellm._constraints.conversion import as_part
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.free_text import FreeText
from rellm._constraints.pieces import Pieces
from rellm._constraints.report import Report
from rellm._errors import TemplateError

_BRACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Template(Constraint):
    """Literal text with holes: `Template("Name: {name}\\nBorn: {born}\\n", name=rellm.Regex(r"[A-Z]\\w+"), born=date)`.

    The literal text is forced, and needs no choice of the model. `{{` and `}}` are single braces. The value is a dict
    of the values of the holes, by name.

    Args:
        text: the text. `{name}` is a hole.
        holes: the constraint of each hole: a constraint, a compiled pattern, a `str`, which is exactly that text, or a
            type. A hole that is not named here, or that is None, is free text; a hole of the type `str` is one line of
            it. Free text without an end of its own ends where the literal text after it begins.
        **more: the same, by name.

    Raises:
        TemplateError: a brace is not closed, a hole has no name or occurs twice, an argument fills no hole, or a hole
            for free text has no literal text after it; `.position` gives the place.
        TypeError: something is of another type.
    """

    kind: ClassVar[str] = "template"

    text: str
    holes: tuple[tuple[str, Constraint], ...]

    def __init__(self, text: str, holes: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        if not isinstance(text, str):
            raise TypeError(f"Template takes its text as a string, not {kind_of(text)}")
        if holes is not None and not isinstance(holes, Mapping):
            raise TypeError(f"the holes of a Template are a dict, not {kind_of(holes)}")
        refuse_surrogates("the text of Template", text)
        filled = {**(holes or {}), **more}
        for name in sorted(set(holes or {}) & set(more)):
            raise TypeError(f"the hole {name!r} is filled twice")
        pieces = _pieces(text)
        places = {name: at for name, at, is_hole in pieces if is_hole}
        for name in filled:
            if name not in places:
                near = difflib.get_close_matches(str(name), places, 1)
                raise TemplateError(
                    f"the template has no hole {{{name}}}"
                    + (f": did you mean {{{near[0]}}}, at position {places[near[0]]}?" if near else ""),
                    pattern=text,
                    position=places[near[0]] if near else None,
                )
        object.__setattr__(self, "text", str(text))
        constraints = [(name, _filled(filled.get(name), name)) for _, name in _holes(pieces)]
        object.__setattr__(self, "holes", tuple(constraints))
        for (index, name), (_, constraint) in zip(_holes(pieces), constraints, strict=True):
            if _is_endless(constraint) and index + 1 < len(pieces) and pieces[index + 1][2]:
                raise TemplateError(
                    f"the hole {{{name}}} at position {pieces[index][1]} is free text, and the hole "
                    f"{{{pieces[index + 1][0]}}} follows at once: nothing tells where it ends; put text between, or "
                    "give it a constraint",
                    pattern=text,
                    position=pieces[index][1],
                )

    @property
    def children(self) -> tuple[Constraint, ...]:
        """The constraints of the holes, in the order of the text."""
        return tuple(constraint for _, constraint in self.holes)

    def parts(self) -> list[tuple[str | None, Constraint]]:
        """The template as a sequence: literal texts without a name, and each hole's constraint with its name.

        The constraint of a free-text hole is `FreeText` up to the literal text after it.
        """
        constraints = dict(self.holes)
        found: list[tuple[str | None, Constraint]] = []
        for text, _, is_hole in _pieces(self.text):
            last = found[-1] if found else None
            if is_hole:
                found.append((text, constraints[text]))
            elif last is not None and isinstance(last[1], FreeText) and _is_endless(last[1]):
                found[-1] = (last[0], FreeText(until=text, exclude=last[1].exclude))
            else:
                found.append((None, as_part(text, "the text of Template")))
        return found

    def to_expression(self, context: ExpressionContext) -> Fragment:
        constraints = dict(self.holes)
        parts: list[Fragment] = []
        waiting: tuple[str, FreeText] | None = None  # free text that ends at the next literal text
        for text, _, is_hole in _pieces(self.text):
            if not is_hole:
                parts.append(self._literal(context, text, waiting))
                waiting = None
                continue
            constraint = constraints[text]
            if isinstance(constraint, FreeText) and _is_endless(constraint):
                waiting = (text, constraint)
            else:
                parts.append(context.marked(text, partial(constraint.to_expression, context)))
        if waiting is not None:
            parts.append(context.marked(waiting[0], partial(waiting[1].to_expression, context)))
        return expression.sequence(parts)

    @staticmethod
    def _literal(context: ExpressionContext, text: str, waiting: tuple[str, FreeText] | None) -> Fragment:
        if waiting is None:
            return context.marker(text)
        name, free = waiting
        return expression.union(
            expression.sequence([context.marked(name, partial(list, before)), marker])
            for before, marker in FreeText(until=text, exclude=free.exclude).endings(context)
        )

    def parse(self, pieces: Any) -> dict[str, Any]:
        """A dict of the values of the holes."""
        written = Pieces.of(pieces)
        if not written.parts and self.holes:
            from rellm._constraints.combine import marked_pieces

            written = marked_pieces(self, written)
        values: dict[str, Any] = {}
        for name, constraint in self.holes:
            found = written.labelled(name)
            if found:
                values[name] = constraint.parse(found[0])
        return values

    def report(self) -> Report:
        """The reports of the holes' constraints."""
        return Report(entry for name, constraint in self.holes for entry in constraint.report().under(f"/holes/{name}"))

    def _to_data(self) -> dict[str, Any]:
        holes = {name: constraint.to_data() for name, constraint in self.holes if constraint != FreeText()}
        return {"text": text_to_data(self.text), "holes": holes}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Template:
        holes = data.pop("holes", {})
        if not isinstance(holes, dict):
            raise TypeError("the holes of a template are a JSON object")
        return Template(text_from_data(data.pop("text")), {n: constraint_from_data(c) for n, c in holes.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return (Template, (self.text, {name: found for name, found in self.holes if found != FreeText()}))

    def __repr__(self) -> str:
        filled = {name: found for name, found in self.holes if found != FreeText()}
        named = all(name.isidentifier() and not keyword.iskeyword(name) for name in filled)
        if named:
            return f"Template({', '.join([repr(self.text), *(f'{name}={found!r}' for name, found in filled.items())])})"
        return f"Template({self.text!r}, {filled!r})"


def _pieces(text: str) -> list[tuple[str, int, bool]]:
    """The literal texts and the names of the holes, each with its position and whether it is a hole."""
    found: list[tuple[str, int, bool]] = []
    literal, start, at = "", 0, 0
    seen: dict[str, int] = {}
    for brace in _BRACE.finditer(text):
        literal += text[at : brace.start()]
        at = brace.end()
        if brace[0] in ("{{", "}}"):
            literal += brace[0][0]
            continue
        name = brace[1]
        position = brace.start()
        if name is None:
            raise TemplateError(
                f"single {brace[0]!r} at position {position}: write {brace[0] * 2!r} for the character itself"
                + (", or close the hole: {name}" if brace[0] == "{" else ""),
                pattern=text,
                position=position,
            )
        if not name.isidentifier():
            what = "has no name" if not name.strip() else f"has the name {name!r}, which is no Python name"
            formatted = ": a hole takes no format and no conversion" if re.match(r"\w+[:!]", name) else ""
            raise TemplateError(
                f"the hole at position {position} {what}{formatted}; write it as {{name}}, or {{{{ and }}}} for braces",
                pattern=text,
                position=position,
            )
        if name in seen:
            raise TemplateError(
                f"the hole {{{name}}} stands twice, at positions {seen[name]} and {position}: its value holds one "
                "of them; give them different names",
                pattern=text,
                position=position,
            )
        seen[name] = position
        if literal:
            found.append((literal, start, False))
        found.append((name, position, True))
        literal, start = "", at
    literal += text[at:]
    return [*found, (literal, start, False)] if literal else found


def _holes(pieces: list[tuple[str, int, bool]]) -> list[tuple[int, str]]:
    return [(index, text) for index, (text, _, is_hole) in enumerate(pieces) if is_hole]


def _is_endless(constraint: Constraint) -> bool:
    return isinstance(constraint, FreeText) and not constraint.until


def _filled(value: Any, name: str) -> Constraint:
    """The constraint of a hole's argument."""
    if value is None:
        return FreeText()
    if value is str:
        return FreeText(exclude="\n")
    if not isinstance(value, (Constraint, str, re.Pattern, regex.Pattern)):
        from rellm._constraints.python_types import constraint_of, is_type

        if is_type(value):
            return constraint_of(value)
    return as_part(value, f"the hole {{{name}}}")
