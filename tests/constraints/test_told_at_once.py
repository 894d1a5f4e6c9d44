"""What a wrong or doubtful constraint is told when it is written or compiled, before any text is."""

from __future__ import annotations

import re
import warnings

import pytest
import rellm

VOCABULARY = rellm.Vocabulary(
    [bytes([byte]) for byte in range(128)] + [None, None, None],
    eos_token_ids=[130],
    special_tokens={"<|channel|>": 128, "</s>": 130, "[INST]": 129},
)


@pytest.mark.parametrize("pattern", [r"\p{L}+", "a(?R)?b", r"a\Kb", "(?<n>a)", r"\m\w+", r"[[a-z]--[aeiou]]\X"])
def test_what_only_regex_reads_names_the_dialect(pattern):
    with pytest.raises(rellm.PatternError, match=r'; regex reads it: pass dialect="regex"$'):
        rellm.Regex(pattern)
    with pytest.raises(rellm.PatternError, match=r'; regex reads it: pass dialect="regex"$'):
        rellm.compile(pattern, VOCABULARY)
    rellm.Regex(pattern, dialect="regex")


@pytest.mark.parametrize("pattern", ["(a", "*a", r"a{3,1}", "[b-a]", "(?P<1>a)"])
def test_what_no_library_reads_names_none(pattern):
    with pytest.raises(rellm.PatternError) as raised:
        rellm.Regex(pattern)
    assert "dialect" not in str(raised.value)


def test_two_escaped_surrogates_name_the_character():
    with pytest.raises(
        rellm.UnsatisfiableError, match=r"two surrogates, as JSON writes one character: write \\U0001F600$"
    ):
        rellm.compile(r"\uD83D\uDE00", VOCABULARY)
    with pytest.raises(
        rellm.UnsatisfiableError, match=r"the pattern has x?\\ud800\\udc00 at position 1, two .*U00010000$"
    ):
        rellm.compile(r"x\ud800\udc00", VOCABULARY)


@pytest.mark.parametrize("text", ['{"type": "object"}', "{}", "[]", '["a", "b"]', " [1, 2]\n", "[0]"])
def test_a_text_that_is_json_is_no_pattern_by_accident(text):
    with pytest.raises(rellm.PatternError, match=r"rellm\.JsonSchema\(text\).* rellm\.Regex\(text\)$"):
        rellm.compile(text, VOCABULARY)
    try:
        rellm.Regex(text)  # said in so many words
    except rellm.PatternError as error:
        assert "JsonSchema" not in str(error)


@pytest.mark.parametrize("pattern", ["[a-z]", r"\[1\]", "[1-3]", "{a}", '"a"', "12", "true"])
def test_a_pattern_that_only_looks_like_json_is_a_pattern(pattern):
    rellm.compile(pattern, VOCABULARY)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"zip": "zap"}, "rellm.JsonSchema(schema)"),
        (["a", "b"], "for one of several strings, use rellm.Choice"),
    ],
)
def test_what_is_no_constraint_names_what_would_be(given, remedy):
    with pytest.raises(TypeError, match=re.escape(remedy)):
        rellm.compile(given, VOCABULARY)


@pytest.mark.parametrize("pattern", ["[[:alpha:]]+q", "[+--]q", "[a&&b]q", "[a||b]q", "[a~~b]q"])
def test_the_warnings_of_re_are_passed_on(pattern):
    re.purge()  # `re` warns once a pattern
    with pytest.warns(FutureWarning, match="Possible"):
        rellm.Regex(pattern)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rellm.Regex(r"<\|channel\|>x"),
        lambda: rellm.Regex("(a|b</s>c)"),
        lambda: rellm.Regex(r"\[INST\]"),
        lambda: "a" + rellm.Regex(r"<\|channel\|>y"),
        lambda: rellm.Regex("<[|]x|</s>", dialect="regex"),
    ],
)
def test_a_special_token_as_text_in_a_pattern_warns_where_it_is_compiled(make):
    with pytest.warns(
        UserWarning, match="it is spelled in plain characters, not written as the special token"
    ) as caught:
        rellm.compile(make(), VOCABULARY)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("pattern", ["[INST]", "<|channel|>", "<s>", "</?s", "channel"])
def test_what_only_looks_like_a_special_token_does_not_warn(pattern):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rellm.compile(rellm.Regex(pattern), VOCABULARY)


def test_validate_tells_what_needs_no_vocabulary():
    assert rellm.validate("a+").is_exact
    assert [entry.keyword for entry in rellm.validate(rellm.Regex("^a"))] == ["anchor"]
    with pytest.raises(rellm.UnsatisfiableError, match="no text matches"):
        rellm.validate("a" + rellm.Regex("b(?!)"))
    with pytest.raises(rellm.PatternError, match="unbalanced"):
        rellm.validate("(a")
    with pytest.raises(rellm.LimitExceededError):
        rellm.validate("(" * 20 + "a" + ")" * 20, limits=rellm.Limits(nesting=10))
    with pytest.raises(TypeError, match="a constraint was expected, not int 5"):
        rellm.validate(5)
