"""Errors as people read them, word for word, and as programs do."""

from __future__ import annotations

import pickle

import pytest
import regex
import rellm

VOCABULARY = rellm.Vocabulary([bytes([byte]) for byte in range(256)] + [b"the ", None], [257])


def test_the_hierarchy_is_the_one_that_is_drawn() -> None:
    below = {
        rellm.PatternError: (rellm.RellmError, ValueError),
        rellm.UnsupportedError: (rellm.PatternError, ValueError),
        rellm.UnsatisfiableError: (rellm.RellmError, ValueError),
        rellm.VocabularyError: (rellm.RellmError, ValueError),
        rellm.TokenRejectedError: (rellm.RellmError, ValueError),
        rellm.LimitExceededError: (rellm.RellmError,),
        rellm.BudgetError: (rellm.RellmError,),
        rellm.DeadEndError: (rellm.RellmError,),
        rellm.IncompleteError: (rellm.RellmError,),
    }
    for error, bases in below.items():
        assert issubclass(error, bases)
        assert error.__module__ in ("rellm._errors", "rellm")


@pytest.mark.parametrize(
    "error",
    [
        rellm.PatternError("m", pattern="a(", position=1),
        rellm.UnsupportedError("m", pattern="a", position=None),
        rellm.LimitExceededError("m", limit="fuel", allowed=5),
        rellm.BudgetError("m", text="so far", needed=7),
        rellm.DeadEndError("m", text="so far"),
        rellm.IncompleteError("m", text="so far"),
        rellm.UnsatisfiableError("m"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_keep_what_they_carry_when_they_are_pickled(error: rellm.RellmError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_rejected_token_keeps_its_rejection_when_it_is_pickled() -> None:
    with pytest.raises(rellm.TokenRejectedError) as raised:
        rellm.compile("a+", VOCABULARY).matcher().advance_bytes(b"ab")
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)
    for name in ("token_id", "token_bytes", "failed_at", "text_before", "expected", "message"):
        assert getattr(again.rejection, name) == getattr(raised.value.rejection, name), name


def compile_regex(pattern: str) -> object:
    return rellm.compile(rellm.Regex(pattern, dialect="regex"), VOCABULARY)


MESSAGES = {
    "unbalanced": (
        lambda: rellm.compile(r"\d+(abc", VOCABULARY),
        rellm.PatternError,
        r"""unbalanced parenthesis at position 7 of '\d+(abc': add ")" or escape "(" as "\(" """.strip(),
    ),
    "nesting": (
        lambda: rellm.compile("(" * 30_000, VOCABULARY),
        rellm.LimitExceededError,
        "groups are nested more than 500 deep (Limits.nesting) at position 501 of the pattern: nest less",
    ),
    "length": (
        lambda: rellm.compile("a" * 30, VOCABULARY, limits=rellm.Limits(pattern_length=20)),
        rellm.LimitExceededError,
        "the pattern has 30 characters, and Limits.pattern_length is 20: shorten it or raise the limit",
    ),
    "empty": (
        lambda: rellm.compile("a(?!)b", VOCABULARY),
        rellm.UnsatisfiableError,
        "no text matches: every way through the constraint contradicts itself",
    ),
    "not spelled": (
        lambda: rellm.compile("x+", rellm.Vocabulary([b"a"])),
        rellm.UnsatisfiableError,
        "texts match, but each has a character that no token of this vocabulary spells: "
        "allow a text that its tokens can write, or take another tokenizer",
    ),
    "not spelled by whole tokens": (
        lambda: rellm.compile("a", rellm.Vocabulary([b"aa"])),
        rellm.UnsatisfiableError,
        "texts match, but no sequence of this vocabulary's tokens spells any of them: "
        "allow a text that its tokens can write, or take another tokenizer",
    ),
    "a surrogate": (
        lambda: rellm.compile("a\udcff", VOCABULARY),
        rellm.UnsatisfiableError,
        "no text matches: the pattern has the lone surrogate U+DCFF at position 1, and no text can hold one; "
        "if the pattern was read from a file or a command line, decode that as UTF-8",
    ),
    "an escaped surrogate": (
        lambda: compile_regex(r"\\\ud83d+"),
        rellm.UnsatisfiableError,
        "no text matches: the pattern has the lone surrogate U+D83D at position 2, and no text can hold one; "
        "if the pattern was read from a file or a command line, decode that as UTF-8",
    ),
    "an escaped backslash": (
        lambda: rellm.compile(r"\\ud83d(?!)", VOCABULARY),
        rellm.UnsatisfiableError,
        "no text matches: every way through the constraint contradicts itself",
    ),
    "reverse": (
        lambda: compile_regex("(?r)ab"),
        rellm.UnsupportedError,
        "the flag REVERSE at position 0 of '(?r)ab': leave it out: text is written forwards",
    ),
    "best match": (
        lambda: compile_regex("(?b)(?:ab){e<=1}"),
        rellm.UnsupportedError,
        "the flag BESTMATCH at position 0 of '(?b)(?:ab){e<=1}': leave it out: a full match has no better or worse",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages_say_what_where_and_what_to_do(case: str) -> None:
    make, kind, message = MESSAGES[case]
    with pytest.raises(kind) as raised:
        make()
    assert str(raised.value) == message


@pytest.mark.parametrize(("flag", "name"), [(regex.REVERSE, "REVERSE"), (regex.BESTMATCH, "BESTMATCH")])
def test_flags_given_beside_the_pattern_are_refused_as_well(flag: regex.RegexFlag, name: str) -> None:
    with pytest.raises(rellm.UnsupportedError, match=f"flags={name} is not supported in 'ab': leave it out"):
        rellm.compile(rellm.Regex("ab", flag), VOCABULARY)
    with pytest.raises(rellm.UnsupportedError, match=f"flags={name} is not supported"):
        rellm.compile(rellm.Regex("(?:ab){e}(?R)?", flag), VOCABULARY)


def test_a_rejected_token_says_where_it_fails_and_what_was_expected() -> None:
    matcher = rellm.compile(r"\d+(\.\d{1,2})?", VOCABULARY).matcher()
    matcher.advance_bytes(b"12.")
    with pytest.raises(rellm.TokenRejectedError) as raised:
        matcher.advance(256)
    expected = "a digit, or one of 650 characters beyond ASCII"
    assert str(raised.value) == f'token 256 ("the ") is not allowed after "12.": expected {expected}'
    assert matcher.text == b"12."
    rejection = matcher.explain(256)
    assert rejection is not None
    assert (rejection.token_bytes, rejection.failed_at, rejection.text_before) == (b"the ", 0, "12.")
    assert matcher.explain(ord("5")) is None


@pytest.mark.parametrize("pattern", ["a+", r"a+|b(?>(?R))b"])
@pytest.mark.parametrize(
    ("token", "words"),
    [
        (-1, "token -1, which is not in the vocabulary (ids 0 to 258),"),
        (259, "token 259, which is not in the vocabulary (ids 0 to 258),"),
        (2**32 - 1, "token 4294967295, which is not in the vocabulary (ids 0 to 258),"),
        (-(2**70), "token -1180591620717411303424, which is not in the vocabulary (ids 0 to 258),"),
        (257, "token 257, which ends the text,"),
        (258, "token 258, which is not text,"),
    ],
)
def test_a_token_that_is_no_text_is_called_what_it_is(pattern: str, token: int, words: str) -> None:
    vocabulary = rellm.Vocabulary([bytes([byte]) for byte in range(256)] + [b"the ", None, None], [257])
    matcher = rellm.compile(rellm.Regex(pattern, dialect="regex"), vocabulary).matcher()
    expected = '"a"' if pattern == "a+" else '"a", or "b"'
    with pytest.raises(rellm.TokenRejectedError) as raised:
        matcher.advance(token)
    assert str(raised.value) == f'{words} is not allowed after "": expected {expected}'
    rejection = matcher.explain(token)
    assert rejection is not None
    assert (rejection.token_id, str(rejection)) == (token, str(raised.value))
    assert raised.value.rejection.token_id == token


@pytest.mark.parametrize("token", [-1, 258, 2**70])
def test_a_token_out_of_range_is_named(token: int) -> None:
    message = f"^token id {token} is out of range: this vocabulary has ids from 0 to 257$"
    for ask in (VOCABULARY.token_bytes, lambda token: VOCABULARY.tokens_bytes([97, token])):
        with pytest.raises(IndexError, match=message):
            ask(token)


@pytest.mark.parametrize("pattern", ["a+", r"a+|b(?>(?R))b"])
def test_text_where_bytes_belong_is_a_type_error_with_the_remedy(pattern: str) -> None:
    matcher = rellm.compile(rellm.Regex(pattern, dialect="regex"), VOCABULARY).matcher()
    with pytest.raises(TypeError, match=r"^data: expected bytes, not str: encode it as UTF-8$"):
        matcher.advance_bytes("a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^data: expected bytes, not int$"):
        matcher.advance_bytes(3)  # type: ignore[arg-type]
    matcher.advance_bytes(bytearray(b"a"))
    assert matcher.text == b"a"


def test_taking_back_too_much_is_an_index_error_and_changes_nothing() -> None:
    matcher = rellm.compile("ab", VOCABULARY).matcher()
    matcher.advance(ord("a"))
    with pytest.raises(IndexError):
        matcher.rollback(2)
    assert matcher.text == b"a"
    assert not matcher.allows(10**9)
