"""Free text with an end, special tokens, and templates: their languages and their values."""

from __future__ import annotations

import itertools
import pickle
import random

import pytest
import rellm
from fragment_oracle import Fragments
from rellm import FreeText, Literal, PatternError, SpecialToken, Template, TemplateError, Vocabulary, VocabularyError
from rellm._constraints.base import Constraint
from rellm._constraints.expression import ExpressionContext

TEXTS = ["".join(letters) for length in range(7) for letters in itertools.product("ab", repeat=length)]
VOCABULARY = Vocabulary(
    [*(bytes([byte]) for byte in range(256)), None, None, None],
    eos_token_ids=[256],
    special_tokens={"ab": 257, "<call>": 258},
)


def fragments(constraint: Constraint, vocabulary: Vocabulary | None = None) -> Fragments:
    context = ExpressionContext(vocabulary)
    ops = context.operations(constraint.to_expression(context))
    return Fragments(ops, context.strings, context.dialects)


def first_end(text: str, markers: list[str]) -> int | None:
    """Where the first marker that is met ends."""
    return min((text.find(marker) + len(marker) for marker in markers if marker in text), default=None)


@pytest.mark.parametrize("seed", range(40))
def test_free_text_ends_where_a_marker_is_met_first(seed):
    source = random.Random(seed)
    markers = ["".join(source.choices("ab", k=source.randint(1, 3))) for _ in range(source.randint(1, 3))]
    excluded = ["".join(source.choices("ab", k=source.randint(1, 3))) for _ in range(source.randint(0, 1))]
    or_end = source.random() < 0.3
    constraint = FreeText(until=markers, or_end=or_end, exclude=excluded)
    found = fragments(constraint)
    for text in TEXTS:
        end = first_end(text, markers)
        before = constraint.parse(text)
        clean = not any(part in before for part in excluded)
        assert found.accepts(text) == (clean and (end == len(text) or (or_end and end is None))), (text, constraint)
        if end == len(text):
            assert text.startswith(before)
            assert text[len(before) :] in markers


def test_a_marker_is_met_as_text_and_as_the_token_of_this_content():
    found = fragments(FreeText(until="ab"), VOCABULARY)
    assert found.accepts("bab")
    assert found.accepts([*"ba", 257])
    assert not found.accepts([*"ab", 257])
    assert not found.accepts([*"b", 258])
    assert fragments(FreeText(until=SpecialToken("<call>")), VOCABULARY).accepts([*"abab", 258])
    assert fragments(Literal("ab"), VOCABULARY).accepts([257])
    assert fragments(Literal("ab"), VOCABULARY).accepts("ab")
    assert fragments(Literal("abb"), VOCABULARY).accepts("abb")


def test_a_special_token_that_the_vocabulary_lacks_is_told_with_near_names():
    with pytest.raises(VocabularyError, match="did you mean '<call>'"):
        fragments(SpecialToken("<cal>"), VOCABULARY)


@pytest.mark.parametrize(
    ("text", "holes", "right", "wrong", "value"),
    [
        ("{x}ab", {}, "baab", "abab", {"x": "ba"}),
        ("a{x}", {}, "abab", "b", {"x": "bab"}),
        ("{x}a{y}b", {"y": rellm.Choice(["b", "bb"])}, "babb", "bab", {"x": "b", "y": "b"}),
        ("{{{x}}}", {"x": "a"}, "{a}", "a", {"x": "a"}),
        ("a", {}, "a", "b", {}),
        ("{x}\nb", {"x": str}, "a\nb", "a\na\nb", {"x": "a"}),
    ],
)
def test_a_template_is_its_text_with_its_holes_filled(text, holes, right, wrong, value):
    template = Template(text, holes)
    assert fragments(template).accepts(right)
    assert not fragments(template).accepts(wrong)
    assert list(value) == [name for name, _ in template.holes]


def test_a_hole_takes_a_python_type():
    import datetime

    template = Template("Born {born}, {married}.", born=datetime.date, married=bool)
    compiled = rellm.compile(template, VOCABULARY)
    matcher = compiled.matcher()
    matcher.advance_bytes(b"Born 1990-02-28, true.")
    assert matcher.is_accepting
    assert compiled.matcher().forced_bytes() == b"Born "
    with pytest.raises(rellm.TokenRejectedError):
        compiled.matcher().advance_bytes(b"Born 1990-02-30")


@pytest.mark.parametrize(
    ("text", "holes", "position", "message"),
    [
        ("a {b", {}, 2, "single '{' at position 2: write '{{' for the character itself, or close the hole"),
        ("a } b", {}, 2, "single '}' at position 2: write '}}'"),
        ("a {} b", {}, 2, "the hole at position 2 has no name"),
        ("{a:>3}", {}, 0, "a hole takes no format and no conversion"),
        ("{a-b}", {}, 0, "has the name 'a-b', which is no Python name"),
        ("{a} {a}", {}, 4, "the hole {a} stands twice, at positions 0 and 4"),
        ("x {name}", {"nme": "a"}, 2, "the template has no hole {nme}: did you mean {name}, at position 2?"),
        ("{a}{b}", {"b": "x"}, 0, "the hole {a} at position 0 is free text, and the hole {b} follows at once"),
    ],
)
def test_what_is_wrong_with_a_template_is_told_with_its_position(text, holes, position, message):
    with pytest.raises(TemplateError) as caught:
        Template(text, holes)
    assert message in str(caught.value)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: FreeText(until=""), PatternError, "a marker of FreeText is empty"),
        (lambda: FreeText(until=[]), PatternError, "has no marker"),
        (lambda: FreeText(until=3), TypeError, "until is text, a SpecialToken, or a list of them"),
        (lambda: FreeText(exclude=[""]), PatternError, "an excluded text of FreeText is empty"),
        (lambda: SpecialToken(), TypeError, "exactly one of the two"),
        (lambda: SpecialToken(7), TypeError, "for an id, write id="),
        (lambda: SpecialToken(id=-1), PatternError, "ids go from 0"),
        (lambda: Template("{a}", {"a": "x"}, a="y"), TypeError, "the hole 'a' is filled twice"),
        (lambda: Template("{a}", {"a": 3}), TypeError, "the hole {a} is int 3"),
    ],
)
def test_wrong_arguments_are_typed_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "constraint",
    [
        FreeText(),
        FreeText(until=["</a>", SpecialToken("<x>"), SpecialToken(id=3)], or_end=True, exclude=["b"]),
        SpecialToken("<x>"),
        SpecialToken(id=7),
        Template("a {b} {{c}} {d}", {"b": rellm.Choice(["x"])}),
    ],
)
def test_they_are_values(constraint):
    for again in (pickle.loads(pickle.dumps(constraint)), Constraint.from_json(constraint.to_json())):
        assert again == constraint
        assert hash(again) == hash(constraint)
    assert eval(repr(constraint), {name: getattr(rellm, name) for name in rellm.__all__}) == constraint


def allowed(matcher) -> set[int]:
    mask = matcher.mask()
    return {token for token in range(len(VOCABULARY)) if mask[token // 32] >> (token % 32) & 1}


def test_the_core_steps_over_special_tokens():
    """Needs a core with special tokens as symbols."""
    matcher = rellm.compile(FreeText(until="ab") + "x", VOCABULARY).matcher()
    assert 257 in allowed(matcher)
    assert 258 not in allowed(matcher)
    matcher.advance(257)
    assert allowed(matcher) == {ord("x")}
    assert matcher.text == b""
    grammar = rellm.Grammar('start: "a" | "b" <call>\n')
    matcher = rellm.compile(grammar, VOCABULARY).matcher()
    matcher.advance_bytes(b"b")
    assert allowed(matcher) == {258}
    thinking = FreeText(until=SpecialToken("<call>")).within(max_tokens=5) + "x"
    source = random.Random(2)
    for _ in range(20):
        matcher, ids = rellm.compile(thinking, VOCABULARY).matcher(), []
        while not matcher.is_finished:
            ids.append(source.choice(sorted(allowed(matcher))))
            matcher.advance(ids[-1])
        assert ids.index(258) <= 4


def test_a_template_that_was_written_has_its_values():
    template = Template("Name: {name}\n<call>{married}!", married=rellm.Choice(["yes", "no"]))
    compiled = rellm.compile(template, VOCABULARY)
    matcher = compiled.matcher()
    matcher.advance_bytes(b"Name: me\n<call>no!")
    assert template.parse(compiled.pieces(matcher)) == {"name": "me", "married": "no"}
