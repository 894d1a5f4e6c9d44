"""Patterns that no one here wrote: those of CPython's own tests, read from the running interpreter's `test` package.

`python -m tests.dialect.test_conformance` prints what became of each pattern.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import rellm

from .texts import BYTES, REFUSALS, Language, flags_of, library

FUNCTIONS = {"compile", "match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split"}
SAMPLES = 12


@dataclass(frozen=True)
class Usage:
    """A pattern with the texts that the suite tries on it."""

    pattern: str
    flags: int
    texts: tuple[str, ...]


def suite() -> list[Usage]:
    """The patterns of `test.re_tests` and `test.test_re`; an empty list where Python comes without its tests."""
    found: dict[tuple[str, int], list[str]] = {}
    try:
        re_tests = importlib.import_module("test.re_tests")
        source = inspect.getsource(importlib.import_module("test.test_re"))
    except ImportError:
        return []
    for entry in re_tests.tests:
        found.setdefault((entry[0], 0), []).append(entry[1])
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and _name(call.func) in FUNCTIONS and call.args:
            constants = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            texts = [constant for constant in constants if isinstance(constant, str)]
            if texts and isinstance(call.args[0], ast.Constant):
                found.setdefault((texts[0], _flags(call)), []).extend(texts[1:])
    return [Usage(pattern, flags, tuple(texts)) for (pattern, flags), texts in found.items()]


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _flags(call: ast.Call) -> int:
    flags = 0
    for node in (n for argument in [*call.args, *(k.value for k in call.keywords)] for n in ast.walk(argument)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re":
            flag = getattr(re, node.attr, 0)
            flags |= flag if isinstance(flag, re.RegexFlag) else 0
    return int(flags) & ~int(re.DEBUG)


def variants(text: str, chance: random.Random) -> list[str]:
    """The text, parts of it, and texts near it."""
    texts = [text, text + "\n", text.upper(), text.lower(), text + text, ""]
    for _ in range(6):
        at, to = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
        texts += [text[at:to], text[:at] + chance.choice("ab \nA1é") + text[to:]]
    return texts


def sampled(compiled: rellm.CompiledConstraint, chance: random.Random) -> str | None:
    """A text that the automaton takes, chosen at random; None where finding its end takes more than the limits."""
    matcher = compiled.matcher()
    text = ""
    for _ in range(chance.randint(0, 12)):
        ranges = matcher.next_characters()
        if not ranges:
            break
        low, high = chance.choice(ranges)
        text += chr(chance.randint(low, min(high, low + 400)))
        matcher.advance_bytes(text[-1].encode())
    try:
        completion = matcher.shortest_completion()
    except rellm.LimitExceededError:
        return None
    return None if completion is None else text + completion.decode()


def verdict(usage: Usage, dialect: str) -> tuple[str, str | None]:
    """("not a pattern" | "refused" | "search" | "automaton" | "limit", the disagreement with the library or None)."""
    chance = random.Random(usage.pattern)
    flags = usage.flags
    if dialect == "regex":
        flags = int(flags_of("regex", [flag.name for flag in re.RegexFlag if flag & usage.flags and flag.name]))
    try:
        pattern = library(dialect, usage.pattern, flags, {})
    except REFUSALS:
        with pytest.raises((rellm.PatternError, rellm.LimitExceededError)):
            rellm.compile(rellm.Regex(usage.pattern, flags, dialect=dialect), BYTES)
        return "not a pattern", None
    try:
        language = Language.of(dialect, usage.pattern, flags, {}, rellm.Limits())
    except rellm.LimitExceededError:
        return "limit", None
    except rellm.PatternError as error:
        return "refused", str(error)
    try:
        return language.engine, _disagreement(language, pattern, usage, chance)
    except rellm.LimitExceededError:
        return "limit", None


def _disagreement(language: Language, pattern: Any, usage: Usage, chance: random.Random) -> str | None:
    texts = [variant for text in usage.texts[:20] for variant in variants(text[:60], chance)]
    if language.engine == "search":
        texts = texts[:8]
    for text in [*texts, *variants(usage.pattern[:30], chance)[:8]]:
        wanted = pattern.fullmatch(text) is not None
        accepted, alive = language.alive(text)
        if accepted != wanted:
            return f"{text!r}: the library {'accepts' if wanted else 'refuses'} it"
        if language.engine == "automaton" and language.compiled is not None:
            # What is alive can be completed: so that nothing is refused later than at the first byte that is wrong.
            matcher = language.compiled.matcher()
            matcher.advance_bytes(text.encode("utf-8", "surrogatepass")[:alive])
            whole = text.encode("utf-8", "surrogatepass")[:alive] + (matcher.shortest_completion() or b"")
            if pattern.fullmatch(whole.decode()) is None:
                return f"{whole!r}: said to complete a text, and does not match"
    if language.engine == "automaton" and language.compiled is not None:
        for _ in range(SAMPLES):
            text = sampled(language.compiled, chance)
            if text is not None and pattern.fullmatch(text) is None:
                return f"{text!r}: sampled from the automaton, and does not match"
        return _mask_disagreement(language.compiled, usage, chance)
    return None


def _mask_disagreement(compiled: rellm.CompiledConstraint, usage: Usage, chance: random.Random) -> str | None:
    """A vocabulary thrown together: a token is allowed if and only if its bytes are, one by one."""
    pieces = [
        text[i : i + n].encode("utf-8", "ignore") for text in usage.texts[:4] for i, n in ((0, 2), (1, 3), (2, 5))
    ]
    pieces += [bytes(chance.choices(b"ab1 \n\xc3\xa9<>-", k=chance.randint(2, 4))) for _ in range(20)]
    tokens = [bytes([byte]) for byte in range(256)] + [piece for piece in pieces if piece]
    vocabulary = rellm.Vocabulary([*tokens, None], eos_token_ids=[len(tokens)])
    matcher = rellm.compile(compiled.constraint, vocabulary).matcher()
    single = compiled.matcher()
    for _ in range(4):
        mask = matcher.mask()
        for token, data in enumerate(tokens):
            allowed = bool(mask[token >> 5] >> (token & 31) & 1)
            taken = single.validate(list(data)) == len(data)
            if allowed != taken:
                return f"the mask says {allowed} to {data!r}, its bytes say {taken}"
        choices = [token for token in range(len(tokens)) if mask[token >> 5] >> (token & 31) & 1]
        if not choices:
            break
        token = chance.choice(choices)
        matcher.advance(token)
        single.advance_bytes(tokens[token])
    return None


@pytest.mark.parametrize("dialect", ["re", "regex"])
def test_cpythons_own_patterns_are_read_as_the_library_reads_them(dialect: str) -> None:
    usages = suite()
    if not usages:
        pytest.skip("this Python comes without its test package")
    assert len(usages) > 500
    verdicts = [(usage, *verdict(usage, dialect)) for usage in usages]
    wrong = [(usage.pattern, usage.flags, kind, fault) for usage, kind, fault in verdicts if fault is not None]
    assert not wrong
    counts = Counter(kind for _, kind, _ in verdicts)
    served = counts["automaton"] + counts["search"]
    assert served >= 0.99 * (sum(counts.values()) - counts["not a pattern"])


def report(dialect: str) -> None:
    verdicts = [(usage, *verdict(usage, dialect)) for usage in suite()]
    for usage, kind, fault in verdicts:
        if kind not in ("automaton", "not a pattern") or fault:
            sys.stdout.write(f"{kind:10} {usage.pattern[:70]!r} {usage.flags} {fault or ''}\n")
    sys.stdout.write(f"{dialect}: {dict(Counter(kind for _, kind, _ in verdicts))}\n")


if __name__ == "__main__":
    for each in sys.argv[1:] or ["re", "regex"]:
        report(each)
