"""What `report` calls suspicious in a pattern, and what it leaves alone."""

from __future__ import annotations

import json
import re

import pytest
import rellm


def found(constraint):
    return [(entry.keyword, entry.position) for entry in constraint.report()]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r'[a-z "-_]+', [("range", 5)]),
        ("[A-z]", [("range", 1)]),
        (r"[\w+-/]", [("range", 3)]),
        ("[0-z]", [("range", 1)]),
        ("[[:alpha:]]+", [("POSIX class", 0)]),
        ("x[[:^digit:]]", [("POSIX class", 1)]),
        ("[:space:]", [("POSIX class", 0)]),
        (r"\\d+", [("double escape", 0)]),
        (r"a\\w", [("double escape", 1)]),
        (r"[\\s,]", [("double escape", 1)]),
        ("^abc$", [("anchor", 0), ("anchor", 4)]),
        (r"\Aabc\Z", [("anchor", 0), ("anchor", 5)]),
        ("^a$|^b$", [("anchor", 0), ("anchor", 2), ("anchor", 4), ("anchor", 6)]),
        ("(?i)^abc", [("anchor", 4)]),
        (r"\s*", [("whitespace", 0)]),
        (r"a\s+b", [("whitespace", 1)]),
        (" +?", [("whitespace", 0)]),
        (r"[ \t\n]*", [("whitespace", 0)]),
        (r"\n{2,}", [("whitespace", 0)]),
        (r"\uD83D\uDE00|a", [("surrogates", 0)]),
    ],
)
def test_slips_are_found_where_they_stand(pattern, expected):
    with pytest.warns() if ("[:" in pattern and pattern[0] != "[") or "[[" in pattern else no_warning():
        constraint = rellm.Regex(pattern)
    assert found(constraint) == expected
    report = constraint.report()
    assert report.is_exact  # what is written is enforced
    for entry in report:
        assert entry.status == "suspicious"
        assert entry.why
        assert entry.remedy


def no_warning():
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.parametrize(
    "pattern",
    [
        r"[a-zA-Z0-9_.-]+@[a-z]+\.[a-z]{2,3}",
        r"[ -~]*",
        r"[!-/:-@[-`{-~]",
        r"[\x00-\x1f]",
        r"[+\-.]?\d+",
        r"[,-.]",
        r"[-a-z]",
        r'"(?:[^"\\]|\\.)*"',
        r"[^\\n]",
        r"\\section\{\w+\}",
        r"C:\\[a-z]+\\\w+",
        r"(?:^a|b)?c",
        r"(a$|b)",
        r"a(?=b)b",
        r"\s{0,8}",
        r"[\s\S]*",
        r"\S+ \S+",
        r"[^ ]*",
        "[а-я]+",
        r"a{2}b{,3}",
        r"\^a\$",
        "[$^]",
        "[]a-z]",
        "[^]a-z]",
        r"(?P<a>x)(?P=a)",
        r"(?#[^$)a",
        r"x|y",
    ],
)
def test_what_is_usual_is_left_alone(pattern):
    assert found(rellm.Regex(pattern)) == []


def test_verbose_patterns_are_read_as_such():
    assert found(rellm.Regex("a * b  # ^ [A-z] \\\\d\n c", re.VERBOSE)) == []
    assert found(rellm.Regex("a # [\n ^", re.VERBOSE)) == []
    assert found(rellm.Regex("\\s*  # any", re.VERBOSE)) == [("whitespace", 0)]


def test_regex_knows_posix_classes():
    assert found(rellm.Regex("[[:alpha:]_]+", dialect="regex")) == []
    assert found(rellm.Regex('[[:alpha:]"-_]+', dialect="regex")) == [("range", 10)]


def test_parts_of_a_combination_are_named_by_their_place():
    combined = ("a" + rellm.Regex("^x").named("x")) | rellm.Regex("b").repeat(1, 2, rellm.Regex(" *"))
    entries = combined.report().entries
    assert [(entry.pointer, entry.keyword) for entry in entries] == [
        ("/options/0/parts/1/item", "anchor"),
        ("/options/1/separator", "whitespace"),
    ]
    assert found(rellm.Literal(" \n").repeat()) == [("whitespace", None)]


def test_a_report_is_read_by_people_and_by_programs():
    report = rellm.Regex(r"[A-z]").report()
    assert str(report) == (
        "the constraint, position 1: range: suspicious: A-z is a range of 58 characters, which holds BCDEFG… too; "
        r"for a hyphen, write \- or put it last; for the range, write its ends as \x escapes"
    )
    assert json.loads(report.to_json()) == {
        "is_exact": True,
        "entries": [
            {
                "pointer": "",
                "keyword": "range",
                "status": "suspicious",
                "why": "A-z is a range of 58 characters, which holds BCDEFG… too",
                "remedy": r"for a hyphen, write \- or put it last; for the range, write its ends as \x escapes",
                "direction": None,
                "position": 1,
            }
        ],
    }
    assert str(rellm.Literal("a").report()) == "nothing to report: exactly this is enforced"
    approximated = rellm.Report([rellm.ReportEntry("/a", "format", "approximated", direction="wider")])
    assert not approximated.is_exact
    assert str(approximated) == "/a: format: approximated (wider)"
    with pytest.raises(ValueError, match="status is one of enforced, approximated"):
        rellm.ReportEntry("", "a", "wrong")
