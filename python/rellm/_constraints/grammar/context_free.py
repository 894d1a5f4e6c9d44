"""`rellm.Grammar`: the texts of a context-free grammar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from typing import Literal as OneOf

from rellm._constraints.base import Constraint, kind_of
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.grammar.failures import failure, offset_of
from rellm._constraints.grammar.lowering import lower, to_fragment
from rellm._constraints.grammar.rule_tree import NOWHERE, Expr, RuleSet
from rellm._constraints.pieces import Pieces
from rellm._constraints.report import Report, ReportEntry

Format: TypeAlias = OneOf["lark", "gbnf"]
Lexer: TypeAlias = OneOf["none", "maximal"]
ValueKind: TypeAlias = OneOf["text", "tree"]

_CHOICES = {"format": ("lark", "gbnf"), "lexer": ("none", "maximal"), "value": ("text", "tree")}


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Grammar(Constraint):
    """The texts of a context-free grammar, in Lark's format or in GBNF.

    A grammar is a set of strings, as a regular expression is: every text that the rules derive is allowed, even where a
    lexer would cut it into other terminals. `report()` shows where that makes a difference.

    Args:
        source: the grammar's text, or a `pathlib.Path` to its file.
        start: the rule to start with; by default "start" for Lark, "root" for GBNF.
        format: "lark": Lark's own files as far as they are context-free, and llguidance's additions (`&` and `~`,
            `{m,n}`, `<|special tokens|>`, `%json {…}`); needs the extra `[grammar]`. "gbnf": llama.cpp's GBNF, and
            xgrammar's EBNF.
        lexer: "none", or "maximal" to restrict terminals to what a lexer would read: the longest match, and strings of
            the grammar (`if`) before the named terminals that contain them (NAME).
        value: the form of `Completion.value`: the text, or a `lark.Tree`.

    Raises:
        GrammarError: the grammar is wrong, or is not context-free; `.line` and `.column` give the place.
        OSError: the file cannot be read.
        TypeError: an argument is of another type.
    """

    kind: ClassVar[str] = "grammar"

    source: str
    start: str | None
    format: Format
    lexer: Lexer
    value: ValueKind
    folder: str | None

    def __init__(
        self,
        source: str | Path,
        start: str | None = None,
        format: Format = "lark",
        lexer: Lexer = "none",
        value: ValueKind = "text",
    ) -> None:
        folder = None
        if isinstance(source, Path):
            folder, source = str(source.resolve().parent), source.read_text(encoding="utf-8")
        elif not isinstance(source, str):
            raise TypeError(f"Grammar takes the grammar's text or a pathlib.Path, not {kind_of(source)}")
        self._fill(source, start, format, lexer, value, folder)

    def _fill(self, source: str, start: Any, format: Any, lexer: Any, value: Any, folder: str | None) -> None:
        for name, given in (("format", format), ("lexer", lexer), ("value", value)):
            if given not in _CHOICES[name]:
                raise TypeError(f"{name} is one of {', '.join(map(repr, _CHOICES[name]))}, not {given!r}")
        if start is not None and not isinstance(start, str):
            raise TypeError(f"start is the name of a rule, not {kind_of(start)}")
        fields = (str(source), start, format, lexer, value, folder)
        for name, field in zip(("source", "start", "format", "lexer", "value", "folder"), fields, strict=True):
            object.__setattr__(self, name, field)
        _lowered(self)

    def to_expression(self, context: ExpressionContext) -> Fragment:
        return to_fragment(_lowered(self)[1], context, self)

    def parse(self, pieces: Any) -> Any:
        """The text, or with `value="tree"` its `lark.Tree`.

        Raises:
            ValueError: the grammar does not derive the text.
        """
        text = Pieces.of(pieces).text
        return _tree_parser(self).parse(text) if self.value == "tree" else text

    def report(self) -> Report:
        """The places where the grammar allows other texts than a lexer and a parser, and the parts without effect."""
        entries = []
        for note in _lowered(self)[0].notes:
            entries.append(
                ReportEntry(
                    "",
                    note.keyword,
                    note.status,  # type: ignore[arg-type]
                    note.why,
                    note.remedy or None,
                    note.effect or None,  # type: ignore[arg-type]
                    None if note.place == NOWHERE else offset_of(self.source, note.place),
                )
            )
        return Report(entries)

    def _to_data(self) -> dict[str, Any]:
        given = {"start": (self.start, None), "format": (self.format, "lark"), "lexer": (self.lexer, "none")}
        given |= {"value": (self.value, "text"), "folder": (self.folder, None)}
        return {"source": self.source, **{name: value for name, (value, default) in given.items() if value != default}}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Grammar:
        return _grammar(
            data["source"],
            data.get("start"),
            data.get("format", "lark"),
            data.get("lexer", "none"),
            data.get("value", "text"),
            data.get("folder"),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_grammar, (self.source, self.start, self.format, self.lexer, self.value, self.folder))

    def __repr__(self) -> str:
        shown = repr(self.source if len(self.source) <= 60 else self.source[:57] + "…")
        given = [("start", self.start, None), ("format", self.format, "lark"), ("lexer", self.lexer, "none")]
        given.append(("value", self.value, "text"))
        return (
            f"Grammar({', '.join([shown, *(f'{name}={value!r}' for name, value, usual in given if value != usual)])})"
        )


def _grammar(source: Any, start: Any, format: Any, lexer: Any, value: Any, folder: Any) -> Grammar:
    if not isinstance(source, str) or not (folder is None or isinstance(folder, str)):
        raise TypeError("the source of a grammar and its folder are strings")
    grammar = object.__new__(Grammar)
    grammar._fill(source, start, format, lexer, value, folder)
    return grammar


def _read(grammar: Grammar) -> RuleSet:
    if grammar.format == "gbnf":
        from rellm._constraints.grammar.gbnf_format import read_gbnf

        return read_gbnf(grammar.source, grammar.start)
    from rellm._constraints.grammar.lark_format import read_lark

    path = None if grammar.folder is None else Path(grammar.folder, "grammar.lark")
    return read_lark(grammar.source, grammar.start, path)


@lru_cache(maxsize=64)
def _lowered(grammar: Grammar) -> tuple[RuleSet, dict[str, Expr]]:
    from rellm._errors import GrammarError

    try:
        rules = _read(grammar)
        return rules, lower(rules, maximal=grammar.lexer == "maximal")
    except RecursionError:
        raise failure(
            "parts are nested too deep", NOWHERE, "give inner parts a rule of their own", grammar.source
        ) from None
    except GrammarError as error:
        if error.pattern is None:
            error.pattern = grammar.source
            if error.line is not None and error.column is not None:
                error.position = offset_of(grammar.source, (error.line, error.column))
        raise


@lru_cache(maxsize=16)
def _tree_parser(grammar: Grammar) -> Any:
    from rellm._constraints.grammar.expand_templates import expand_templates
    from rellm._constraints.grammar.parse_tree import TreeParser

    rules = _read(grammar)
    expand_templates(rules)
    return TreeParser(rules)
