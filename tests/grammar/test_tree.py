"""`value="tree"` is the tree that Lark makes."""

from __future__ import annotations

import lark
import pytest
from rellm import Grammar

ARITHMETIC = """
?start: sum
?sum: product | sum "+" product -> add | sum "-" product -> sub
?product: atom | product "*" atom -> mul
?atom: NUMBER -> number | "-" atom -> neg | "(" sum ")"
%import common.NUMBER
%ignore " "
"""
JSON = """
?start: value
?value: object | array | string | SIGNED_NUMBER -> number | "true" -> true | "null" -> null
array: "[" [value ("," value)*] "]"
object: "{" [pair ("," pair)*] "}"
pair: string ":" value
string: ESCAPED_STRING
%import common.ESCAPED_STRING
%import common.SIGNED_NUMBER
%import common.WS
%ignore WS
"""
SHAPES = """
!start: _list "x"i? named
_list: item ("," item)*
?item: A | B B | pair{A}
pair{x}: "<" x ">"
named: _C A -> other
A: "a"
B: "b"
_C: "c"
"""


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        (ARITHMETIC, ["1", "1 + 2*-3 - (4)", "((2))*3"]),
        (JSON, ["{}", '{"a": [1, true, null], "b": {"c": "d\\"e"}}', "[[], [[]]]", "-1.5e3"]),
        (SHAPES, ["a,bb,<a>xca", "aXca", "bbca"]),
    ],
)
def test_trees_are_larks(source, texts):
    grammar = Grammar(source, value="tree")
    parser = lark.Lark(source, parser="earley", maybe_placeholders=False)
    for text in texts:
        assert grammar.parse(text) == parser.parse(text), text


def test_a_tree_is_made_of_gbnf_too():
    grammar = Grammar('root ::= item ("," item)*\nitem ::= [a-z]+', format="gbnf", value="tree")
    tree = grammar.parse("ab,c")
    assert [child.data for child in tree.children] == ["item", "item"]


def test_deep_texts_need_no_recursion():
    grammar = Grammar('start: "(" start ")" | "x"', value="tree")
    tree = grammar.parse("(" * 3000 + "x" + ")" * 3000)
    assert tree.data == "start"


def test_a_text_of_another_language_is_an_error_with_its_place():
    with pytest.raises(ValueError, match=r"nothing fits at character 3, ' \*'"):
        Grammar(ARITHMETIC, value="tree").parse("1 + *")


def test_the_value_is_the_text_unless_a_tree_is_asked_for():
    assert Grammar(ARITHMETIC).parse("1+1") == "1+1"
