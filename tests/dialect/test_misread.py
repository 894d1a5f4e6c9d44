"""Where a library misreads its own syntax, nothing is returned that it refuses."""

from __future__ import annotations

import random
from typing import Any

import pytest
import regex
import rellm
from regex import _regex
from rellm._dialects import tables

VOCABULARY = rellm.Vocabulary([*(bytes([byte]) for byte in range(256)), None], eos_token_ids=[256])
TEXTS = ["", "a", "x", "-", " ", "é", "一", "ax", "xa", "aa"]


def matches(constraint: Any, text: str) -> bool:
    matcher = rellm.compile(constraint, VOCABULARY).matcher()
    try:
        matcher.advance_bytes(text.encode())
    except rellm.TokenRejectedError:
        return False
    return matcher.is_accepting


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            r"[^\w\W]",
            r"[^\s\S]|x",
            r"(?!([^\s\S]))a",
            r"(?=[^\d\D])a",
            r"(?:[^\s\S]a)?x",
            r"[^a\W\w]",
            r"[^\p{L}\P{L}]",
        ),
        *(r"[^[:alpha:][:^alpha:]]", r"(?i)[^\s\S]a", r"(?V1)[a[^\s\S]]", r"(?V1)[^[\s\S]]", r"(?V1)[\w--[^\s\S]]"),
        *(r"(?V1)[\w&&[^\s\S]]", r"(?V1)[^\s[\S]]", r"(?V1)x(?R)?[\w--[^\s\S]]", r"(?V1)x\X?[^\w||\W]"),
    ],
)
def test_a_set_that_the_library_misreads_is_refused_with_the_version_and_the_fault(pattern: str) -> None:
    with pytest.raises(rellm.UnsupportedError, match=rf"which the library misreads: regex {regex.__version__}") as e:
        rellm.Regex(pattern, dialect="regex")
    assert e.value.position == pattern.index("[")


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"[\s\S]", r"[\w\W]a", r"(?:\w|\W)+", r"(?![\s\S])|a", r"(?<=[\s\S])x|a", r"(?V1)[\s[\S]]", r"\w|\W|a"),
        *(r"(?V1)[[\s\S]--a]", r"(?V1)[[\s\S]&&\w]", r"(?V1)[[\s\S]~~a]", r"[^\x00-\x60]", r"(?V1)[^\w--\d]"),
    ],
)
def test_a_set_that_covers_everything_and_is_read_right_is_served(pattern: str) -> None:
    constraint = rellm.Regex(pattern, dialect="regex")
    for text in TEXTS:
        assert matches(constraint, text) == (regex.fullmatch(pattern, text) is not None), text


def test_random_sets_mean_what_the_library_says_or_are_refused() -> None:
    rng = random.Random(24)

    def item(depth: int) -> str:
        choice = rng.random()
        if choice < 0.25 and depth < 2:
            return nested(depth + 1)
        return rng.choice([r"\w", r"\W", r"\s", r"\S", r"\d", r"\D", "a", "x-z", r"\p{L}", r"\P{L}", "[:alpha:]"])

    def nested(depth: int) -> str:
        inside = rng.choice(["", "", "||", "--", "&&", "~~"]).join(item(depth) for _ in range(rng.randint(1, 3)))
        return f"[{rng.choice(['', '^'])}{inside}]"

    refused = 0
    for _ in range(400):
        pattern = "(?V1)" + nested(0)
        try:
            constraint = rellm.Regex(pattern, dialect="regex")
            library = regex.compile(pattern)
        except rellm.UnsupportedError:
            refused += 1
            continue
        for text in TEXTS:
            try:
                found = matches(constraint, text)
            except rellm.UnsatisfiableError:
                found = False
            assert found == (library.fullmatch(text) is not None), (pattern, text)
    assert 5 <= refused <= 100


class _Interrupted:
    """In the place of the library: whatever it is asked, someone presses Ctrl-C, or there is no memory."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, *arguments: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), SystemExit(1)])
@pytest.mark.parametrize(("pattern", "asked"), [(r"\p{Cherokee}", "_property"), (r"[^\s\S]", "_misreading")])
def test_an_interruption_while_the_library_is_asked_passes_through(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, pattern: str, asked: str
) -> None:
    rellm.Regex("a", dialect="regex")  # the pattern that was parsed last is not parsed again
    monkeypatch.setattr(tables, asked, _Interrupted(error))
    with pytest.raises(type(error)):
        rellm.Regex(pattern, dialect="regex")
    monkeypatch.undo()
    assert rellm.Regex(r"\p{Cherokee}", dialect="regex") is not None  # and nothing is left of it


def test_another_error_of_the_library_is_ours_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rellm.Regex("a", dialect="regex")
    monkeypatch.setattr(
        tables, "_property", _Interrupted(AttributeError("'AnyAll' object has no attribute 'positive'"))
    )
    with pytest.raises(rellm.UnsupportedError, match="could not be asked: AttributeError"):
        rellm.Regex(r"\p{Cherokee}", dialect="regex")


@pytest.mark.parametrize(
    ("dialect", "pattern"), [("regex", r"a(?i:b)c"), ("regex", r"(?V1)[a--b]"), ("re", r"(?<!x)a")]
)
def test_a_pattern_that_its_library_cannot_compile_is_refused_whichever_engine_would_serve_it(
    monkeypatch: pytest.MonkeyPatch, dialect: Any, pattern: str
) -> None:
    from rellm._dialects import library

    def fail(*arguments: Any, **more: Any) -> Any:
        raise AttributeError("'NoneType' object has no attribute 'positive'")

    rellm.Regex(pattern, dialect=dialect)
    monkeypatch.setattr(getattr(library, dialect), "compile", fail)
    with pytest.raises(rellm.UnsupportedError) as raised:
        rellm.Regex(pattern, dialect=dialect)
    assert "fails itself (AttributeError: 'NoneType' object has no attribute 'positive')" in str(raised.value)
    assert rellm.Regex(r"[a-c]+(d|e){2}", dialect=dialect).search_reason is None  # the usual is not asked about


EXPANDING = [chr(c) for c in map(ord, _regex.get_expand_on_folding())]


@pytest.mark.parametrize("opening", ["(?if)", "(?V1i)", "(?fi:", "(?V1)(?i:"])
@pytest.mark.parametrize("beside", ["", "-", "k", "ﬀ"])
def test_what_folds_to_several_is_folded_as_the_library_does_whatever_stands_beside_it(
    opening: str, beside: str
) -> None:
    full = int(regex.U | regex.I | regex.F)
    # The search engine serves what is folded in a part only, a hundred times as slowly.
    for character in EXPANDING if opening.endswith(")") else EXPANDING[::12]:
        pattern = f"{opening}{character}{beside}" + (")" if opening.endswith(":") else "")
        folded = _regex.fold_case(full, character)
        constraint = rellm.Regex(pattern, dialect="regex")
        for text in (folded + beside, character + beside, folded.upper() + beside, beside + folded):
            assert matches(constraint, text) == (regex.fullmatch(pattern, text) is not None), (pattern, text)
