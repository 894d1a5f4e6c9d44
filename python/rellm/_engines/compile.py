"""Compiles a constraint for a vocabulary: chooses the engine, and keeps compiled constraints in a bounded cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeAlias
from typing import Literal as OneOf

from rellm import _core
from rellm._constraints import Choice, Constraint, ConstraintLike, Literal, Regex, as_constraint
from rellm._constraints.base import escaped_pair, lone_surrogate
from rellm._constraints.expression import ExpressionContext
from rellm._constraints.pieces import Path as PathToPart
from rellm._constraints.pieces import Pieces
from rellm._constraints.regex import warn_of_special_tokens
from rellm._constraints.report import Report
from rellm._engines.cache import CompiledCache
from rellm._engines.matcher import Matcher
from rellm._errors import UnsatisfiableError, UnsupportedError
from rellm._limits import Limits
from rellm._vocabulary import Vocabulary, as_vocabulary

Engine: TypeAlias = OneOf["automaton", "search"]


class _Served(Protocol):
    """The compiled form that both engines make of a constraint."""

    @property
    def memory_bytes(self) -> int: ...
    def matcher(self) -> Matcher: ...


class CompiledConstraint:
    """A constraint over a vocabulary, made by `rellm.compile`. Immutable and thread-safe; its matchers are not shared.

    A pickle holds its constraint, vocabulary and limits; unpickling compiles them again.

    Attributes:
        constraint: the constraint.
        vocabulary: the vocabulary.
        limits: its budgets.
        engine: "automaton", which is exact and promises everything, or "search", which promises less
            (docs/search-engine.md).
        engine_reason: why it is the search engine, `recursion (?R) at position 12`; None for the automaton.
    """

    __slots__ = (
        "__weakref__",
        "_mark_paths",
        "_served",
        "_warmed",
        "constraint",
        "engine",
        "engine_reason",
        "limits",
        "vocabulary",
    )

    constraint: Constraint
    vocabulary: Vocabulary
    limits: Limits
    engine: Engine
    engine_reason: str | None

    def __init__(
        self,
        constraint: Constraint,
        vocabulary: Vocabulary,
        limits: Limits,
        served: _Served,
        reason: str | None = None,
        mark_paths: tuple[PathToPart, ...] = (),
    ) -> None:
        self.constraint = constraint
        self.vocabulary = vocabulary
        self.limits = limits
        self.engine = "automaton" if reason is None else "search"
        self.engine_reason = reason
        self._served = served
        self._mark_paths = mark_paths
        self._warmed: tuple[str, ...] = ()

    def matcher(self) -> Matcher:
        """A matcher at the start of a text."""
        return self._served.matcher()

    def pieces(self, matcher: Matcher) -> Pieces:
        """The text of a matcher of this constraint, with its special tokens and marked parts.

        `Constraint.parse` makes a value of it.
        """
        marks: Any = getattr(matcher, "marks", None) if self._mark_paths else None
        specials: Any = getattr(matcher, "specials", None)
        return Pieces.marked(
            bytes(matcher.text),
            () if marks is None else marks(),
            self._mark_paths,
            () if specials is None else [(before, self._special(token_id)) for before, token_id in specials()],
        )

    def _special(self, token_id: int) -> Constraint:
        from rellm._constraints.special_token import SpecialToken

        name = self.vocabulary.special_token_name(token_id)
        return SpecialToken(id=token_id) if name is None else SpecialToken(name)

    def warm(self, texts: Iterable[str] | None = None, *, count: int = 16, seconds: float = 1.0) -> int:
        """Makes masks ahead of the first request.

        Args:
            texts: whole texts or prefixes like the expected ones; by default `count` random texts of the constraint.
            count: how many random texts.
            seconds: no further text is begun after so much time.

        Returns:
            The number of texts along which masks were made; a text that the constraint does not allow does not count.
        """
        from rellm._engines.saved import make_masks

        made = make_masks(self, texts, count, seconds)
        self._warmed = tuple(dict.fromkeys((*self._warmed, *made)))
        return len(made)

    def save(self, path: str | Path) -> None:
        """Writes a file from which `load` makes this compiled constraint again, as warm as `warm` has made it.

        The file holds the constraint as JSON (unless it is one of a Python type), its limits, the fingerprint of its
        vocabulary and the texts that it was warmed with.

        Raises:
            OSError: it cannot be written; a file of this name stays as it was.
        """
        from rellm._engines.saved import write

        write(self, self._warmed, path)

    @classmethod
    def load(
        cls, path: str | Path, vocab: Any, constraint: ConstraintLike | None = None, *, limits: Limits | None = None
    ) -> CompiledConstraint:
        """Makes a compiled constraint from a file that `save` wrote.

        Args:
            path: the file.
            vocab: the `Vocabulary`, or the tokenizer, that it was compiled for.
            constraint: the constraint that was compiled, in place of the one in the file; needed for a Python type.
            limits: what it may cost, in place of the limits that the file names: for files of strangers.

        Raises:
            ValueError: the file is none of `save`'s, or was saved for a Python type and no constraint is given.
            VocabularyError: it was saved for another vocabulary.
            OSError: the file cannot be read.
        """
        from rellm._engines.saved import read

        found, vocabulary, its_limits, texts = read(path, vocab, constraint)
        compiled = compile(found, vocabulary, its_limits if limits is None else limits)
        if texts:
            compiled.warm(texts, seconds=float("inf"))
        return compiled

    @property
    def memory_bytes(self) -> int:
        """The bytes that it holds now, without its vocabulary: expressions, states and cached masks."""
        return self._served.memory_bytes

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # States and masks are not sent along: the other process compiles again, or finds the result in its own cache.
        return (compile, (self.constraint, self.vocabulary, self.limits))

    def __repr__(self) -> str:
        return f"<{self.constraint!r} on {self.vocabulary!r}, engine={self.engine!r}>"


def compile(
    constraint: ConstraintLike | CompiledConstraint, vocab: Any, limits: Limits | None = None
) -> CompiledConstraint:
    """Compiles a constraint for a vocabulary. A cache returns constraints that were compiled before.

    Args:
        constraint: any constraint; a pattern or its text stands for `Regex`; a compiled constraint is compiled again.
        vocab: a `Vocabulary`, or a tokenizer to take it from.
        limits: what it may cost; by default `Limits()`.

    Raises:
        PatternError: the pattern is wrong.
        UnsupportedError: it is right, but no engine reads one of its constructs.
        UnsatisfiableError: nothing matches, or nothing that the vocabulary can spell.
        LimitExceededError: it takes more than the limits.
        VocabularyError: the tokenizer's vocabulary cannot be used.
    """
    vocabulary = as_vocabulary(vocab)
    if limits is None:
        limits = _DEFAULT_LIMITS
    elif not isinstance(limits, Limits):
        raise TypeError(f"limits is a rellm.Limits, not {type(limits).__name__}")
    if isinstance(constraint, CompiledConstraint):
        if constraint.limits == limits and constraint.vocabulary.fingerprint == vocabulary.fingerprint:
            return constraint
        constraint = constraint.constraint
    constraint = as_constraint(constraint)
    key = (constraint, vocabulary.fingerprint, limits)
    found = _cache.get(key)
    if found is None:
        found = _cache.add(key, _compile(constraint, vocabulary, limits))
    return found


def validate(constraint: ConstraintLike, limits: Limits | None = None) -> Report:
    """Checks and reports all that can be known of a constraint without a vocabulary.

    Args:
        constraint: a constraint; a pattern or its text stands for `Regex`.
        limits: what it may cost; by default `Limits()`.

    Returns:
        Its report: which rules are enforced, which are not, and which parts look like a slip.

    Raises:
        PatternError: a pattern is wrong.
        UnsupportedError: it is right, but no engine reads one of its constructs.
        UnsatisfiableError: no text matches.
        LimitExceededError: it takes more than the limits.
        TypeError: it is no constraint.
    """
    constraint = as_constraint(constraint)
    over_single_bytes(constraint, limits)
    return constraint.report()


def over_single_bytes(constraint: Any, limits: Limits | None = None) -> CompiledConstraint:
    """The constraint compiled for a vocabulary of single bytes, which spells any text: no tokenizer is needed.

    Raises:
        PatternError, UnsupportedError, UnsatisfiableError, LimitExceededError: as `compile`.
    """
    constraint = as_constraint(constraint)
    return compile(constraint, _single_bytes(_special_names(constraint)), limits)


def _special_names(constraint: Constraint) -> tuple[str, ...]:
    """The names of the special tokens in a constraint, in the order of their first occurrence."""
    if isinstance(constraint, (Regex, Choice, Literal)):
        return ()
    context = ExpressionContext()
    context.operations(constraint.to_expression(context))
    return tuple(context.special_names)


@lru_cache(maxsize=16)
def _single_bytes(special_names: tuple[str, ...]) -> Vocabulary:
    tokens = [*(bytes([byte]) for byte in range(256)), None, *(None for _ in special_names)]
    names = {name: 257 + number for number, name in enumerate(special_names)}
    return Vocabulary(tokens, eos_token_ids=[256], special_tokens=names)


def fill_masks(matchers: Sequence[Any], out: Any, threads: int | None = None) -> None:
    """Fills one row a matcher: row i of `out` is the mask of `matchers[i]`.

    Args:
        matchers: matchers of any constraints, of both engines.
        out: int32 or uint32, numpy or torch, at least as many rows as matchers and ceil(len(vocab)/32) columns; further
            columns of a filled row are cleared.
        threads: at most so many threads, and never more than 8 nor than the machine has processors; by default as many
            as that allows. Only the automaton uses them: they are kept, asleep, for the next call.
    """
    if not isinstance(matchers, Iterable):
        raise TypeError(f"matchers is a list of matchers, not {type(matchers).__name__}: put it into [ ]")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int)):
        raise TypeError(f"threads is a whole number, or None for as many as the machine has, not {threads!r}")
    matchers = list(matchers)
    if set(map(type, matchers)) <= {_core.Matcher}:
        _core.fill_masks(matchers, out, threads)
        return
    for index, matcher in enumerate(matchers):
        if not hasattr(matcher, "fill_mask"):
            raise TypeError(
                f"matchers[{index}] is {type(matcher).__name__}: pass matchers, as the matcher() of a compiled "
                "constraint makes them"
            )
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}: it must be at least 1, or None for as many as there are")
    for row, matcher in enumerate(matchers):
        matcher.fill_mask(out, row)


def _compile(constraint: Constraint, vocabulary: Vocabulary, limits: Limits) -> CompiledConstraint:
    if not isinstance(constraint, (Regex, Choice, Literal)):
        from rellm._constraints.combine import has_budget

        if has_budget(constraint):
            from rellm._engines.part_budgets import BudgetedConstraint

            budgeted = BudgetedConstraint(constraint, vocabulary, limits)
            return CompiledConstraint(constraint, vocabulary, limits, budgeted, mark_paths=budgeted.mark_paths)
    try:
        return compile_language(constraint, vocabulary, limits)
    except UnsatisfiableError as error:
        from rellm._engines.unspellable import explained

        raise explained(error, constraint, vocabulary, lambda c: compile_language(c, vocabulary, limits)) from None


def compile_language(constraint: Constraint, vocabulary: Vocabulary, limits: Limits) -> CompiledConstraint:
    """Compiles the language of the constraint: budgets of parts do not count, and the cache is not read."""
    if isinstance(constraint, Regex):
        return _compile_regex(constraint, vocabulary, limits)
    native, native_limits = vocabulary._native, limits.native()
    if isinstance(constraint, Choice):
        served = _core.Constraint.choice(constraint.texts, native, native_limits)
        return CompiledConstraint(constraint, vocabulary, limits, served)
    if isinstance(constraint, Literal) and constraint.text not in vocabulary.special_tokens:
        served = _core.Constraint.choice([constraint.text], native, native_limits)
        return CompiledConstraint(constraint, vocabulary, limits, served)
    context = ExpressionContext(vocabulary)
    ops = context.operations(constraint.to_expression(context))
    dialects = [_dialect(name) for name in context.dialects]
    try:
        served = _core.Constraint.expression(ops, context.strings, dialects, native, native_limits)
    except _core.NotRegularError as error:
        raise UnsupportedError(
            f"a pattern among the parts goes to the search engine ({_reason(error)}), which serves a pattern by itself "
            "only, never as a part: give it alone, or write it without that construct"
        ) from None
    return CompiledConstraint(constraint, vocabulary, limits, served, mark_paths=tuple(context.marks))


def _compile_regex(constraint: Regex, vocabulary: Vocabulary, limits: Limits) -> CompiledConstraint:
    warn_of_special_tokens(constraint, vocabulary)
    try:
        served = _core.Constraint.regex(
            constraint.pattern,
            int(constraint.flags),
            _dialect(constraint.dialect),
            dict(constraint.named_lists),
            vocabulary._native,
            limits.native(),
        )
    except _core.NotRegularError as error:
        reason = _reason(error)
        searched = _search(constraint, vocabulary, limits, reason)
        return CompiledConstraint(constraint, vocabulary, limits, searched, reason)
    except UnsatisfiableError:
        pair = escaped_pair(constraint.pattern)
        if pair is not None:
            raise UnsatisfiableError(f"no text matches: the pattern has {pair}") from None
        surrogate = lone_surrogate(constraint.pattern, escapes=True)
        if surrogate is None:
            raise
        raise UnsatisfiableError(
            f"no text matches: the pattern has {surrogate}, and no text can hold one; "
            "if the pattern was read from a file or a command line, decode that as UTF-8"
        ) from None
    return CompiledConstraint(constraint, vocabulary, limits, served)


def _reason(error: _core.NotRegularError) -> str:
    construct, position = error.args
    return str(construct) if position is None else f"{construct} at position {position}"


def _search(constraint: Regex, vocabulary: Vocabulary, limits: Limits, reason: str) -> _Served:
    from rellm._engines.search import compile_search

    return compile_search(constraint, vocabulary._native, limits, reason)


@lru_cache(maxsize=2)
def _dialect(dialect: str) -> _core.Dialect:
    from rellm._dialects import tables

    if dialect == "ecma":
        return tables.ecma_dialect()
    return tables.re_dialect() if dialect == "re" else tables.regex_dialect()


_DEFAULT_LIMITS: Final = Limits()
_cache: Final = CompiledCache(most=128, most_bytes=384 << 20)
