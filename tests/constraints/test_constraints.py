"""Constraints are values: compared, hashed and pickled by what was given; wrong arguments are told apart."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from typing import Any

import pytest
import regex
import rellm

CONSTRAINTS = [
    rellm.Regex(r"\d+"),
    rellm.Regex(r"\d+", re.IGNORECASE | re.ASCII),
    rellm.Regex(re.compile("(?i)a|b", re.S)),
    rellm.Regex(r"\w+", dialect="regex"),
    rellm.Regex(r"\w+", regex.V1 | regex.I),
    rellm.Regex(regex.compile(r"\p{L}(?V1)")),
    rellm.Regex(regex.compile(r"\L<word>", word=["b", "a"])),
    rellm.Regex(r"\L<word>", dialect="regex", word=["b", "a"]),
    rellm.Choice(["red", "green"]),
    rellm.Literal("a 'quoted' text"),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=repr)
def test_a_constraint_survives_pickling_and_copying(constraint: Any) -> None:
    for again in (pickle.loads(pickle.dumps(constraint)), copy.copy(constraint), copy.deepcopy(constraint)):
        assert again == constraint
        assert hash(again) == hash(constraint)
        assert repr(again) == repr(constraint)


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=repr)
def test_the_repr_of_a_constraint_makes_it_again(constraint: Any) -> None:
    names = {name: getattr(rellm, name) for name in ("Regex", "Choice", "Literal")}
    assert eval(repr(constraint), {**names, "re": re, "regex": regex}) == constraint


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=repr)
def test_a_constraint_cannot_be_changed(constraint: Any) -> None:
    for field in dataclasses.fields(constraint):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(constraint, field.name, "x")


def test_constraints_are_told_apart_by_all_they_say() -> None:
    assert len(set(CONSTRAINTS)) == len(CONSTRAINTS) - 1  # the two with the same list are equal
    assert rellm.Regex("a") != rellm.Regex("a", dialect="regex")
    assert rellm.Regex("a", re.A) != rellm.Regex("a", regex.V1)  # 256 both
    assert rellm.Literal("a") != rellm.Choice(["a"])
    assert rellm.Choice(["a", "b", "a"]) == rellm.Choice(("b", "a"))


def test_a_compiled_pattern_is_its_source_and_flags() -> None:
    assert rellm.Regex(re.compile("a")) == rellm.Regex("a")
    assert rellm.Regex(re.compile("a", re.I)) == rellm.Regex("a", re.I)
    assert rellm.Regex(re.compile("a", re.A)) == rellm.Regex("a", re.A)
    assert rellm.Regex(regex.compile("a")) == rellm.Regex("a", dialect="regex")
    assert rellm.Regex(regex.compile("a", regex.I)) == rellm.Regex("a", regex.I)


@pytest.mark.parametrize(
    ("source", "flags", "text"),
    [
        ("a(?i)b", 0, "AB"),
        ("a(?i)b", regex.I, "AB"),
        ("(?V1)a(?i)b", 0, "AB"),
        ("(?i:a)b", 0, "AB"),
        ("a(?s).", regex.S, "a\n"),
        (".(?s).", 0, "\n\n"),
        ("(?w)\\b.", 0, "a"),
        ("(?fi)ß", 0, "SS"),
    ],
)
def test_flags_that_the_text_switches_on_stay_where_it_does(source: str, flags: int, text: str) -> None:
    """`regex` also reports them in `.flags`; given to the whole pattern they would change it."""
    pattern = regex.compile(source, flags)
    again = rellm.Regex(pattern).library_pattern
    assert pickle.dumps(again) == pickle.dumps(pattern)
    assert bool(again.fullmatch(text)) == bool(pattern.fullmatch(text))


def test_the_library_pattern_is_the_one_that_was_given() -> None:
    given = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)", re.ASCII)
    found = rellm.Regex(given).library_pattern
    match = found.fullmatch("2026-11")
    assert match is not None
    assert match.groupdict() == {"year": "2026", "month": "11"}
    assert found.flags == given.flags
    lists = rellm.Regex(r"\L<word>", dialect="regex", word=["b", "a"]).library_pattern
    assert lists.fullmatch("b")


def test_dialects_follow_from_patterns_and_flags() -> None:
    assert [rellm.Regex(*arguments).dialect for arguments in [("a",), ("a", re.I), (re.compile("a"),)]] == ["re"] * 3
    assert [rellm.Regex(*arguments).dialect for arguments in [("a", regex.I), (regex.compile("a"),)]] == ["regex"] * 2
    assert rellm.Regex("a", 2, dialect="regex").flags is regex.I
    assert rellm.Regex("a", 2, dialect="re").flags is re.I


def test_a_long_choice_is_shown_in_short() -> None:
    many = rellm.Choice([f"{number:02}" for number in range(60)])
    assert repr(many) == "Choice(['00', '01', '02', '03', '04', '05', '06', '07', … 52 more])"


WRONG = {
    "bytes": (
        lambda: rellm.Regex(b"a"),
        rellm.UnsupportedError,
        "a pattern over bytes cannot constrain text: pass the same pattern as str",
    ),
    "compiled bytes": (
        lambda: rellm.Regex(re.compile(b"a")),
        rellm.UnsupportedError,
        "a pattern over bytes cannot constrain text: pass the same pattern as str",
    ),
    "bare number": (
        lambda: rellm.Regex("a", 256),
        rellm.PatternError,
        "flags=256 is a bare number, and re and regex give it different meanings (re.A is regex.V1): "
        'use members of re.RegexFlag or regex.RegexFlag, or say dialect="re" or dialect="regex"',
    ),
    "flags of the other": (
        lambda: rellm.Regex("a", re.A, dialect="regex"),
        rellm.PatternError,
        're.ASCII is a flag of re, but dialect="regex": use the flags of regex, whose numbers mean other things',
    ),
    "unknown flag": (
        lambda: rellm.Regex("a", re.I | 0x4000),
        rellm.PatternError,
        "flags=0x4002: re has no flag 0x4000; it is regex.FULLCASE: write all flags as members of regex",
    ),
    "flags of both": (
        lambda: rellm.Regex("a", re.I | regex.F | regex.W),
        rellm.PatternError,
        "flags=0x4802: re has no flag 0x4800; it is regex.WORD | regex.FULLCASE: write all flags as members of regex",
    ),
    "a flag of neither": (
        lambda: rellm.Regex("a", re.RegexFlag(0x100002)),
        rellm.PatternError,
        "flags=0x100002: re has no flag 0x100000: leave it out",
    ),
    "a flag that only prints, or one of regex": (
        lambda: rellm.Regex("a", re.I | regex.A),
        rellm.PatternError,
        "re.DEBUG prints while re compiles, and here nothing is printed: leave it out. regex.ASCII is the same number: "
        "with flags of re (re.I | regex.A) write all of them as members of regex",
    ),
    "flags twice": (
        lambda: rellm.Regex(re.compile("a"), re.I),
        rellm.PatternError,
        "the pattern is compiled and has its flags already: give them to re.compile, "
        "or pass the pattern's source and flags",
    ),
    "dialect of the other": (
        lambda: rellm.Regex(regex.compile("a"), dialect="re"),
        rellm.PatternError,
        'the pattern is compiled by regex, but dialect="re": pass its source to read it as re',
    ),
    "list too late": (
        lambda: rellm.Regex(regex.compile("a"), word=["a"]),
        rellm.PatternError,
        "the pattern is compiled, so that word= comes too late: give it to regex.compile",
    ),
    "misspelled argument": (
        lambda: rellm.Regex("a", flgas=re.I),
        rellm.PatternError,
        "flgas= is neither an argument of Regex nor a named list: only regex has these. "
        r'For a list behind \L<name>, say dialect="regex"',
    ),
    "list of a string": (
        lambda: rellm.Regex(r"\L<w>", dialect="regex", w="ab"),
        TypeError,
        "the named list w takes a list of strings, not str 'ab': put it into [ ]",
    ),
    "no pattern": (
        lambda: rellm.Regex(None),
        TypeError,
        "Regex takes a string or a compiled pattern, not None",
    ),
    "list of patterns": (
        lambda: rellm.Regex(["a", "b"]),
        TypeError,
        "Regex takes a string or a compiled pattern, not list ['a', 'b']: for one of several strings, use rellm.Choice",
    ),
    "no flags": (
        lambda: rellm.Regex("a", "i"),
        TypeError,
        "flags are members of re.RegexFlag or regex.RegexFlag, not str 'i'",
    ),
    "no dialect": (lambda: rellm.Regex("a", dialect="pcre"), TypeError, 'dialect is "re" or "regex", not \'pcre\''),
    "nothing to choose": (
        lambda: rellm.Choice([]),
        rellm.UnsatisfiableError,
        "Choice([]) has nothing to choose from: give it at least one string",
    ),
    "choice of a string": (
        lambda: rellm.Choice("red"),
        TypeError,
        "Choice takes a list of strings, not str 'red': put it into [ ]",
    ),
    "choice of numbers": (lambda: rellm.Choice(["1", 2]), TypeError, "Choice takes strings, and number 1 is int 2"),
    "choice of nothing": (lambda: rellm.Choice(None), TypeError, "Choice takes a list of strings, not None"),
    "literal number": (lambda: rellm.Literal(5), TypeError, "Literal takes a string, not int 5"),
    "surrogate": (
        lambda: rellm.Literal("ab\ud83d"),
        rellm.PatternError,
        "the text of Literal holds the lone surrogate U+D83D at position 2: "
        "no text can hold one; decode what it was read from as UTF-8",
    ),
    "surrogate in a choice": (
        lambda: rellm.Choice(["a", "\udc00"]),
        rellm.PatternError,
        "text 1 of Choice holds the lone surrogate U+DC00 at position 0: "
        "no text can hold one; decode what it was read from as UTF-8",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_say_what_to_do(case: str) -> None:
    make, kind, message = WRONG[case]
    with pytest.raises(kind) as raised:
        make()
    assert str(raised.value) == message
    assert type(raised.value) is kind


def test_limits_are_checked_when_they_are_made() -> None:
    assert rellm.Limits() == rellm.Limits(memory_bytes=32 << 20, fuel=20_000_000, nesting=500, pattern_length=2_000_000)
    assert hash(rellm.Limits(fuel=5)) == hash(rellm.Limits(fuel=5))
    with pytest.raises(ValueError, match=r"^Limits\.fuel is between 1 and 18446744073709551615, not 0$"):
        rellm.Limits(fuel=0)
    with pytest.raises(ValueError, match=r"^Limits\.nesting is between 1 and 500, not 501$"):
        rellm.Limits(nesting=501)
    with pytest.raises(TypeError, match=r"^Limits\.fuel is a whole number, not float$"):
        rellm.Limits(fuel=1e6)  # type: ignore[arg-type]
