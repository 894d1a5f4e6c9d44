"""A grammar is the set of strings that its rules derive, however they are written."""

from __future__ import annotations

import random
import time

import pytest
from rellm import Grammar, GrammarError

from .languages import TEXTS, Rules, as_gbnf, as_lark, fragments, texts_of


def random_rules(source: random.Random) -> Rules:
    names = [f"r{i}" for i in range(source.randint(1, 5))]
    rules = {}
    for name in names:
        ways = []
        for _ in range(source.randint(1, 3)):
            ways.append(
                [source.choice([*names, *names, "a", "b", "a"]) for _ in range(source.choice([0, 1, 1, 2, 2, 3]))]
            )
        rules[name] = ways
    return rules


@pytest.mark.parametrize("seed", range(12))
def test_random_rules_mean_what_they_derive(seed):
    """Ambiguous, nullable, left-recursive in every way, circular, unproductive: as they come."""
    source = random.Random(seed)
    checked = 0
    while checked < 25:
        rules = random_rules(source)
        expected = texts_of(rules, "r0")
        read = (as_lark(rules), "lark") if checked % 2 else (as_gbnf(rules), "gbnf")
        try:
            grammar = Grammar(read[0], "r0", format=read[1])
        except GrammarError as error:
            # Empty for texts of any length: a rule that has texts at all here has one of at most a few letters.
            assert "no text ends" in str(error), read[0]
            assert not expected, read[0]
            continue
        found = fragments(grammar)
        wrong = [text for text in TEXTS if found.accepts(text) != (text in expected)]
        assert not wrong, f"{read[0]}\n{wrong[:5]}"
        checked += 1


def test_no_rule_is_left_recursive_in_what_the_core_gets():
    source = random.Random(7)
    for _ in range(300):
        rules = random_rules(source)
        try:
            grammar = Grammar(as_gbnf(rules), "r0", format="gbnf")
        except GrammarError:
            continue
        assert not left_recursive(fragments(grammar)), as_gbnf(rules)


def left_recursive(found) -> set[int]:
    """The rules that reach themselves behind parts that can be empty."""

    def nullable(node, known):
        if node.code in (5, 8, 12):
            return all(nullable(child, known) for child in node.children)
        if node.code == 6:
            return any(nullable(child, known) for child in node.children)
        if node.code == 7:
            return node.numbers[0] == 0 or nullable(node.children[0], known)
        return node.code == 0 or (node.code == 13 and node.numbers[0] in known)

    known: set[int] = set()
    while True:
        more = {i for i, body in enumerate(found.rules) if nullable(body, known)}
        if more == known:
            break
        known = more

    def first(node):
        if node.code == 13:
            return {node.numbers[0]}
        if node.code == 5:
            reached = set()
            for child in node.children:
                reached |= first(child)
                if not nullable(child, known):
                    break
            return reached
        return set().union(*map(first, node.children))

    edges = {i: first(body) for i, body in enumerate(found.rules)}
    reach = {i: set(following) for i, following in edges.items()}
    changed = True
    while changed:
        changed = False
        for reached in reach.values():
            more = set().union(*(reach[other] for other in reached)) - reached
            if more:
                reached |= more
                changed = True
    return {i for i, reached in reach.items() if i in reached}


def test_direct_left_recursion_becomes_a_repetition_and_no_larger():
    source = 'start: start "+" term | start "-" term | term\nterm: term "*" atom | atom\natom: "a" | "(" start ")"\n'
    found = fragments(Grammar(source))
    assert len(found.ops) < 80
    assert found.accepts("a+a*(a-a)*a-a")
    assert not found.accepts("a+")


def test_a_large_group_that_begins_with_itself_is_a_typed_error():
    names = [f"r{i}" for i in range(60)]
    rules = {name: [*([other, "a"] for other in names), ["b"]] for name in names}
    Grammar(as_gbnf({name: [*ways[:2], ["b"]] for name, ways in rules.items()}), "r0", format="gbnf")
    chain = {names[i]: [[names[(i + 1) % 60], "a"], ["b"]] for i in range(60)}
    with pytest.raises(GrammarError, match=r"begin with each other.*times as large") as caught:
        Grammar(as_gbnf(chain), "r0", format="gbnf")
    assert caught.value.line == 1


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (
            "".join(f"r{i}: r{i + 1} | \n" for i in range(10_000)) + 'r10000: "a"\n',
            "a chain of rules that may be empty",
        ),
        ("".join(f'r{i}: "a" r{(i * 7 + 1) % 3000} | "b"\n' for i in range(3000)), "many rules"),
        (f'r0: {" ".join(["a?"] * 300)}\na: "a"\n', "300 optional parts"),
        ("r0: " + " | ".join(f'r0 "{i}"' for i in range(2000)) + ' | "x"\n', "2,000 ways to go on"),
    ],
    ids=lambda value: value if len(value) < 60 else "source",
)
def test_large_grammars_are_read_in_linear_time(source, what):
    begun = time.process_time()
    Grammar(source, "r0")
    assert time.process_time() - begun < 8, what


def test_unproductive_rules_are_left_out_and_reported():
    grammar = Grammar('start: "a" | stuck\nstuck: "b" stuck\n')
    assert fragments(grammar).accepts("a")
    assert [(entry.keyword, entry.status) for entry in grammar.report()] == [("stuck", "suspicious")]


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ('start: "a" b\n', (1, 12), "rule b is not defined at line 1, column 12: define or import it"),
        ('start: nam\nname: "a"\n', (1, 8), "did you mean name?"),
        ('start: "a"\nstart: "b"\n', (2, 1), "rule start is defined twice (the first is at line 1)"),
        ('begin: "a"\n', (1, 1), "the grammar has no rule start at line 1, column 1: define it, or pass start="),
        ('start: "a" start\n', (1, 1), "no text ends: the rule start needs start, which always needs itself again"),
        ('start: A\nA: b\nb: "x"\n', (2, 4), "terminal A refers to the rule b"),
        ('start: A\nA: A "x" | "y"\n', (2, 4), "the terminal A is recursive"),
        ("start: X\n%declare X\n", (2, 1), "%declare needs a lexer of your own"),
        ('start: "a" ~ 3..2\n', (1, 14), "a repetition of 3 to 2 times is empty"),
        ("start: /[/\n", (1, 9), "the regular expression /[/ is wrong: unterminated character set"),
        ('start: ("a"\n', (1, 12), "the grammar ends too early"),
        ("start: 'a'\n", (1, 8), 'write strings as "text"'),
        ('start ::= "a"\n', (1, 8), 'pass format="gbnf"'),
        ('start: sep{"a"}\n', (1, 8), "the template sep is not defined"),
        ('start: sep{"a"}\nsep{x, y}: x y\n', (1, 8), "the template sep takes 2 arguments, not 1"),
        ('start: sep{"a"}\nsep{x}: sep{y{x}}\ny{x}: x "b"\n', (2, 1), "expands to more than 5000 rules"),
        ("%import common.NUMBR\nstart: NUMBR\n", (1, 9), "common has no NUMBR at line 1, column 9"),
        ("%import nothing.X\nstart: X\n", (1, 9), "there is no grammar nothing to import"),
        ("%import .near.X\nstart: X\n", (1, 10), "give the grammar as a pathlib.Path"),
        ('start: "z".."a"\n', (1, 8), "is empty at line 1, column 8: swap its ends"),
        ('start: start_ & ~start_\nstart_: "a" start_ | "b"\n', (1, 8), "stands on start_, which is recursive"),
        ('start[unknown]: "a"\n', (1, 7), "the attribute unknown is unknown"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_remedy(source, place, message):
    with pytest.raises(GrammarError) as caught:
        Grammar(source)
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == place
    line, column = place
    assert caught.value.position == sum(len(text) + 1 for text in source.split("\n")[: line - 1]) + column - 1


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ('root ::= "a" b', (1, 14), "rule b is not defined"),
        ('root ::= "a\n', (1, 10), "the string does not end in its line"),
        ("root ::= [z-a]", (1, 10), "the range z-a is empty"),
        ('root ::= ("a"', (1, 10), "the bracket is not closed"),
        ('root ::= "\\q"', (1, 11), "the escape \\q is unknown"),
        ('root: "a"', (1, 5), 'pass format="lark"'),
        ("root ::= * ", (1, 10), "* repeats nothing"),
        ("root ::= !<[7]>", (1, 10), "says what tokens may be written, not what strings"),
    ],
)
def test_what_is_wrong_in_gbnf_is_told_too(source, place, message):
    with pytest.raises(GrammarError) as caught:
        Grammar(source, format="gbnf")
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == place
