"""Parts in combinations: what they mean, how they are written down, how they are refused."""

from __future__ import annotations

import itertools
import pickle
import re
from dataclasses import dataclass
from typing import ClassVar

import pytest
import rellm
from fragment_oracle import Fragments
from rellm._constraints import expression
from rellm._constraints.combine import MAX_DEPTH, AnyOf, Maybe, Named, Repeat, Sequence
from rellm._constraints.expression import ExpressionContext

TEXTS = ["".join(letters) for length in range(6) for letters in itertools.product("ab,", repeat=length)]
AB = rellm.Regex("[ab]+")

COMBINED = {
    "sequence": AB + "," + AB,
    "sequence of a str first": "a" + AB,
    "empty sequence": Sequence(),
    "alternatives": "ab" | AB | rellm.Choice(["a", ","]),
    "optional": AB.optional(),
    "repeat": AB.repeat(2, 3, ","),
    "repeat without bounds": rellm.Literal("a").repeat(),
    "repeat none": AB.repeat(0, 0, separator=","),
    "named": AB.named("x") + Maybe(Sequence(",", AB.named("y"))),
    "nested": AnyOf(Repeat(Named(AB | "," + AB.named("z"), "x"), 1), Maybe("b")).named("all"),
    "flags and lists": rellm.Regex(r"\L<w>", rellm.Regex(r"a", dialect="regex").flags, dialect="regex", w=["b", "a"])
    + "a",
    "case": rellm.Regex("a", re.IGNORECASE | re.ASCII) | rellm.Regex("(?s:.)"),
}


def oracle(constraint):
    context = ExpressionContext()
    return Fragments(context.operations(constraint.to_expression(context)), context.strings, context.dialects)


def matching(constraint):
    fragments = oracle(constraint)
    return {text for text in TEXTS if fragments.accepts(text)}


@pytest.mark.parametrize(
    ("constraint", "pattern"),
    [
        (AB + "," + AB, "[ab]+,[ab]+"),
        ("a" + AB, "a[ab]+"),
        (AB + ".", r"[ab]+\."),
        (Sequence(), ""),
        ("ab" | AB | rellm.Choice(["a", ","]), "ab|[ab]+|a|,"),
        (AB.optional() + ",", "(?:[ab]+)?,"),
        (AB.repeat(2, 3, ","), "[ab]+(?:,[ab]+){1,2}"),
        (rellm.Literal("ab").repeat(), "(?:ab)*"),
        (rellm.Literal("ab").repeat(1), "(?:ab)+"),
        (rellm.Literal("ab").repeat(0, 1, ","), "(?:ab)?"),
        (AB.repeat(0, None, separator=","), "(?:[ab]+(?:,[ab]+)*)?"),
        (AB.repeat(0, 0, separator=","), ""),
        (AB.named("x") + Maybe("," + AB.named("y")), "[ab]+(?:,[ab]+)?"),
    ],
)
def test_a_combination_is_the_pattern_that_one_would_write(constraint, pattern):
    assert matching(constraint) == {text for text in TEXTS if re.fullmatch(pattern, text)}


def test_each_part_is_a_language_of_its_own():
    # Anchors, lookarounds and groups see their own part, flags stay inside.
    assert matching(rellm.Regex("a$") + "b") == {"ab"}
    assert matching(rellm.Regex("a(?!b)") + "b") == {"ab"}
    assert matching("a" + rellm.Regex("(?<!a)b")) == {"ab"}
    assert matching(rellm.Regex(r"(a|b)\1") + rellm.Regex(r"(a|b)\1")) == {"aaaa", "aabb", "bbaa", "bbbb"}
    assert matching(rellm.Regex("(?i)A") + "b") == {"ab"}
    assert "aB" not in matching(rellm.Regex("(?i)A") + "b")


@pytest.mark.parametrize("name", COMBINED)
def test_a_combination_is_a_value(name):
    constraint = COMBINED[name]
    again = rellm.Constraint.from_json(constraint.to_json())
    assert again == constraint
    assert hash(again) == hash(constraint)
    assert type(constraint).from_json(constraint.to_json()) == constraint
    assert pickle.loads(pickle.dumps(constraint)) == constraint
    names = {kind.__name__: kind for kind in (AnyOf, Maybe, Named, Repeat, Sequence)}
    names |= {"Regex": rellm.Regex, "Choice": rellm.Choice, "Literal": rellm.Literal, "re": re}
    if "\\L" not in repr(constraint):
        assert eval(repr(constraint), names) == constraint
    with pytest.raises((AttributeError, TypeError)):
        constraint.kind = "other"
    assert {constraint: 1}[again] == 1


def test_operators_put_sequences_and_alternatives_into_one():
    a, b, c = map(rellm.Literal, "abc")
    assert a + b + c == a + (b + c) == Sequence(a, b, c) == "a" + (b + "c")
    assert a | b | c == a | (b | c) == AnyOf(a, b, c) == "a" | (b | "c")
    assert a + (b | c) == Sequence(a, AnyOf(b, c))
    assert a.optional() == Maybe(a) == Maybe("a")
    assert a.repeat(1, 2, ",") == Repeat(a, 1, 2, rellm.Literal(","))
    assert a.named("x") == Named("a", "x")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Sequence("a", rellm.Regex(r"\X", dialect="regex")),
            rellm.UnsupportedError,
            r"""part 2 of Sequence, Regex('\\X', dialect="regex"), goes to the search engine (a grapheme cluster \X at position"""
            " 0), which serves a pattern by itself only, never as a part: give it alone, or write it without that construct",
        ),
        (  # what only the core finds, once it builds the expression
            lambda: rellm.validate(Sequence("a", rellm.Regex(r"(?=(b-))\1x"))),
            rellm.UnsupportedError,
            "a pattern among the parts goes to the search engine (a group set inside a lookaround or an atomic group and "
            "asked for outside of it at position 8), which serves a pattern by itself only, never as a part: give it "
            "alone, or write it without that construct",
        ),
        (
            lambda: Repeat("a", separator=rellm.Regex(r"\X", dialect="regex")),
            rellm.UnsupportedError,
            r"""the separator of Repeat, Regex('\\X', dialect="regex"), goes to the search engine (a grapheme cluster \X at """
            "position 0), which serves a pattern by itself only, never as a part: give it alone, or write it without that "
            "construct",
        ),
        (
            lambda: rellm.Regex(r"\X", dialect="regex").named("x"),
            rellm.UnsupportedError,
            "the part named 'x', Regex('\\\\X', dialect=\"regex\"), goes to the search engine (a grapheme cluster \\X at "
            "position 0), which serves a pattern by itself only, never as a part: give it alone, or write it without that "
            "construct",
        ),
        (
            lambda: Sequence("a", 5),
            TypeError,
            "part 2 of Sequence is int 5: a part is a constraint, a compiled pattern, or a str, which is exactly that text",
        ),
        (
            lambda: AnyOf("a", {"zip": "zap"}),
            TypeError,
            "part 2 of AnyOf is dict {'zip': 'zap'}: a part is a constraint, a compiled pattern, or a str, which is "
            "exactly that text; the dict has no keyword of JSON Schema: for any object, use rellm.JsonSchema(schema)",
        ),
        (
            lambda: Sequence(["a", "b"]),
            TypeError,
            "Sequence takes its parts one by one, not in a list: Sequence(*parts)",
        ),
        (
            AnyOf,
            rellm.UnsatisfiableError,
            "AnyOf() has nothing to choose from: give it at least one constraint",
        ),
        (
            lambda: AB.named("x") + AB.named("x"),
            rellm.PatternError,
            "two parts of a Sequence are named 'x': its value could hold only one of them",
        ),
        (
            lambda: AB.named("x") + Maybe(AnyOf("b", AB.named("x"))),
            rellm.PatternError,
            "two parts of a Sequence are named 'x': its value could hold only one of them",
        ),
        (
            lambda: AB.repeat(3, 2),
            rellm.PatternError,
            "Repeat would need at least 3 and at most 2 items: min must not be above max",
        ),
        (
            lambda: AB.repeat(-1),
            rellm.PatternError,
            "min of Repeat is between 0 and 2147483646, not -1",
        ),
        (
            lambda: AB.repeat(0, 2**64),
            rellm.PatternError,
            "max of Repeat is between 0 and 2147483646, not 18446744073709551616",
        ),
        (lambda: AB.repeat(True), TypeError, "min of Repeat is a whole number, not bool True"),
        (lambda: AB.repeat(0, 2.0), TypeError, "max of Repeat is a whole number, not float 2.0"),
        (lambda: AB.named(5), TypeError, "the name of a part is a string, not int 5"),
        (lambda: AB.named(""), rellm.PatternError, "the name of a part is empty: give it one, or leave named() out"),
        (
            lambda: AB + "\ud800",
            rellm.PatternError,
            "the text of Literal holds the lone surrogate U+D800 at position 0: no text can hold one; decode what it was "
            "read from as UTF-8",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_written(make, error, message):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value) == message


def test_other_operands_are_pythons_own_error():
    for wrong in (lambda: AB + 5, lambda: 5 + AB, lambda: AB | None, lambda: b"a" + AB):
        with pytest.raises(TypeError, match=r"unsupported operand|can't concat"):
            wrong()


def test_depth_is_bounded_and_length_is_not():
    deep = rellm.Literal("a")
    for _ in range(MAX_DEPTH):
        deep = deep.optional()
    assert rellm.Constraint.from_json(deep.to_json()) == deep
    assert pickle.loads(pickle.dumps(deep)) == deep
    assert oracle(deep).accepts("a")
    assert repr(deep).startswith("Maybe(Maybe(")
    with pytest.raises(rellm.LimitExceededError, match=f"nested more than {MAX_DEPTH} deep"):
        deep.optional()
    nested = {"rellm": 1, "kind": "literal", "text": "a"}
    for _ in range(MAX_DEPTH + 1):
        nested = {"rellm": 1, "kind": "maybe", "item": {k: v for k, v in nested.items() if k != "rellm"}}
    with pytest.raises(rellm.LimitExceededError):
        rellm.Constraint.from_json(nested)
    long = Sequence(*map(str, range(10_000)))
    assert rellm.Constraint.from_json(long.to_json()) == long


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            '{"rellm": 2, "kind": "literal", "text": "a"}',
            rellm.UnsupportedError,
            "the constraint was written in version 2 of the format, and this rellm reads version 1: read it with the rellm "
            "that wrote it, or a newer one",
        ),
        (
            '{"rellm": 1, "kind": "os.system", "text": "a"}',
            rellm.UnsupportedError,
            "this rellm knows no constraint of kind 'os.system': it may have been written by a newer one, or by a class of "
            "somebody's own that is not defined here",
        ),
        (
            '{"rellm": 1, "kind": "sequence", "parts": [{"kind": "new"}]}',
            rellm.UnsupportedError,
            "this rellm knows no constraint of kind 'new': it may have been written by a newer one, or by a class of "
            "somebody's own that is not defined here",
        ),
        ('{"kind": "literal"}', rellm.PatternError, 'this is no constraint: it has no version, "rellm": 1'),
        ("[1]", rellm.PatternError, "a constraint is a JSON object, not list [1]"),
        ("{", rellm.PatternError, "this is no JSON text of a constraint: Expecting property name enclosed in double quotes: "
         "line 1 column 2 (char 1)"),
        ("[" * 100_000, rellm.PatternError, "this is no JSON text of a constraint: it is nested too deep"),
        (
            '{"rellm": 1, "kind": "literal", "text": 5}',
            rellm.PatternError,
            "the fields of a constraint of kind 'literal' are wrong: a string was expected, not int 5",
        ),
        (
            '{"rellm": 1, "kind": "sequence", "parts": 5}',
            rellm.PatternError,
            "the fields of a constraint of kind 'sequence' are wrong: 'int' object is not iterable",
        ),
        (
            '{"rellm": 1, "kind": "regex", "pattern": "a", "dialect": "pcre", "flags": [], "named_lists": {}}',
            rellm.UnsupportedError,
            "this rellm reads no patterns of the dialect 'pcre'",
        ),
        (
            '{"rellm": 1, "kind": "regex", "pattern": "a", "dialect": "re", "flags": ["WONDER"], "named_lists": {}}',
            rellm.UnsupportedError,
            "re has no flag WONDER here: the pattern was written with another version",
        ),
        (
            '{"rellm": 1, "kind": "regex", "pattern": "(", "dialect": "re", "flags": [], "named_lists": {}}',
            rellm.PatternError,
            'unbalanced parenthesis at position 1 of \'(\': add ")" or escape "(" as "\\("',
        ),
    ],
)  # fmt: skip
def test_json_that_is_no_constraint_is_a_typed_error(text, error, message):
    with pytest.raises(error) as raised:
        rellm.Constraint.from_json(text)
    assert type(raised.value) is error
    assert str(raised.value) == message


def test_every_field_of_wrong_json_is_looked_at():
    """No wrong field gets through, and none is an untyped error."""
    for constraint in COMBINED.values():
        data = constraint.to_data()
        for name in data:
            for wrong in (None, -1.5, [[]], {"kind": "literal"}, "x", {}):
                if data[name] == wrong or (name in ("max", "separator") and wrong is None):
                    continue
                changed = {"rellm": 1, **data, name: wrong}
                try:
                    rellm.Constraint.from_json(changed)
                except (rellm.PatternError, rellm.UnsatisfiableError):
                    continue
                assert name in ("name", "pattern", "text") or wrong in ([[]], {}), changed
        with pytest.raises(rellm.PatternError):
            rellm.Constraint.from_json({"rellm": 1, **data, "surplus": 1})


def test_json_keeps_surrogates_apart():
    pattern = rellm.Regex("[a\ud83d\ude00]")
    assert rellm.Constraint.from_json(pattern.to_json()) == pattern
    assert rellm.Constraint.from_json(pattern.to_json().encode()) == pattern


def test_json_is_read_by_the_class_that_is_asked():
    with pytest.raises(
        TypeError, match=r"^this is Literal\('a'\), and no Regex: read it with rellm.Constraint.from_json$"
    ):
        rellm.Regex.from_json(rellm.Literal("a").to_json())


def test_a_class_of_ones_own_is_a_constraint():
    @dataclass(frozen=True)
    class Shout(rellm.Constraint):
        kind: ClassVar[str] = "shout"
        word: str

        def to_expression(self, context):
            return expression.sequence([expression.literal(context, self.word), expression.literal(context, ",")])

        def parse(self, pieces):
            return len(super().parse(pieces))

        def _to_data(self):
            return {"word": self.word}

        @classmethod
        def _from_data(cls, data):
            return cls(**data)

    both = Shout("a") + AB
    assert matching(both) == {text for text in TEXTS if re.fullmatch("a,[ab]+", text)}
    assert rellm.Constraint.from_json(both.to_json()) == both
    assert Shout("a").parse("a,") == 2
    with pytest.raises(
        TypeError, match=r"kind = 'literal' is rellm\._constraints\.choice\.Literal: give Other another"
    ):

        class Other(rellm.Constraint):
            kind: ClassVar[str] = "literal"

    class Nameless(rellm.Constraint):
        pass

    with pytest.raises(rellm.UnsupportedError, match="has no kind"):
        Nameless().to_json()
