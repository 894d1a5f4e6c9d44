"""Terminals: what stands in them, what surrounds them, and what a lexer would make of them."""

from __future__ import annotations

import itertools
import re

import pytest
from rellm import Grammar
from rellm._constraints.grammar.patterns import whole_pattern
from rellm._constraints.grammar.terminals import WITHOUT_LAZINESS

from .languages import fragments


def accepted(source: str, texts: list[str], **kwargs) -> list[bool]:
    found = fragments(Grammar(source, **kwargs))
    return [found.accepts(text) for text in texts]


@pytest.mark.parametrize("number", range(len(WITHOUT_LAZINESS)))
def test_terminals_without_laziness_are_the_first_matches_of_the_lazy_ones(number):
    lazy, plain = (re.compile(whole_pattern(expr)) for expr in WITHOUT_LAZINESS[number])
    letters = ('"', "\\", "a", "\n") if number == 0 else ("/", "*", "a", "\n")
    for length in range(8):
        for text in map("".join, itertools.product(letters, repeat=length)):
            first = lazy.match(text)
            assert (first is not None and first.end() == length) == (plain.fullmatch(text) is not None), text


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        ('start: "if"i "a".."c"', ["ifa", "IFb", "iFc"], ["ifA", "ifd"]),
        ('start: A~2..3\nA: "a"|"b"', ["aa", "aba"], ["a", "aaaa"]),
        ('start: "a"{2} "b"{1,} "c"{,2}', ["aab", "aabbcc"], ["ab", "aabccc", "aa"]),
        ("start: /a+/ & ~/aa/", ["a", "aaa"], ["aa", ""]),
        ('start: NAME "!"\nNAME: /[a-z]+/ & ~("if" | "else")', ["i!", "ifx!", "els!"], ["if!", "else!"]),
        ('start: a [b] c?\na: "a"\nb: "b"\nc: "c"', ["a", "ab", "ac", "abc"], ["b", "acb"]),
        ('start: sep{"a", ","}\nsep{x, y}: x (y x)*', ["a", "a,a,a"], ["a,", ",a"]),
        ('start: one{one{"a"}}\none{x}: "(" x ")"', ["((a))"], ["(a)"]),
        (r'start: "\n" "\x41\u00e4\U0001F600" "\\" "\""', ['\nAä😀\\"'], ['nAä😀\\"']),
        (r"start: /a\/b/ /[^\/]/", ["a/bc"], ["a/b/"]),
        ("start: /A.B/is", ["a\nb", "AxB"], ["ab"]),
        ("start: /<.*?>/ REST\nREST: /[a-z]*/", ["<a>b", "<>"], ["<a>b>"]),
        ("start: /a+/ /b(?=c)/ /./", ["abc", "aabc"], ["abd", "ab"]),
        ("start: /a/ /(?<!a)b|c/", ["ac"], ["ab"]),
        (r"start: /ab\b/ / ?c/", ["ab c"], ["abc"]),
        ('start: A "b"\nA[stop="x"]: /a*/', ["axb", "aaxb"], ["ab", "axxb"]),
        ('start: A\nA[suffix="xa"]: /[ax]*/', ["xa", "aaxa"], ["xaxa", "a"]),
        ('start: A "a"\nA[lazy]: /a+b?/', ["aa"], ["aba", "aaa"]),
        ('start: %regex {"substring_chars": "abc"}', ["", "b", "bc", "abc"], ["ac", "cb"]),
        ('!start: _a x -> y | "q" -> z\n_a: "a"\n?x: "b"', ["ab", "q"], ["a"]),
        ('start: "a"  // comment "b"\n  | "c"  # another\n  | ("d"\n  "e")\n\n', ["a", "c", "de"], ["b", "d"]),
    ],
)
def test_what_lark_and_llguidance_write_is_read(source, right, wrong):
    assert accepted(source, right) == [True] * len(right)
    assert accepted(source, wrong) == [False] * len(wrong)


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        (r'root ::= "\x41\n" [^a-z\n]+', ["A\nX1"], ["A\nx", "A\n\n"]),
        ('root ::= a{2,3} | b{2}\na ::= "a"\nb ::= [b]', ["aa", "aaa", "bb"], ["a", "b"]),
        ('root ::= ("a" | "b"\n  | "c")+ # comment\n', ["abc", "c"], ["", "d"]),
        ("root ::= a-b\na-b ::= .", ["x", "\n"], ["", "xy"]),
        (r"root ::= [\]\-x-z]", ["]", "-", "y"], ["\\", "w"]),
        ("root ::= /[a-c]+\\/x/", ["ab/x"], ["/x"]),
        ('root ::= word rest\nword ::= [a-z]+ (=" ")\nrest ::= .*', ["ab c"], ["abc"]),
    ],
)
def test_what_llama_cpp_and_xgrammar_write_is_read(source, right, wrong):
    assert accepted(source, right, format="gbnf") == [True] * len(right)
    assert accepted(source, wrong, format="gbnf") == [False] * len(wrong)


def test_what_is_ignored_may_stand_before_each_lexeme_and_at_the_end():
    source = 'start: "a" NUMBER\nNUMBER: /[0-9]/ "." /[0-9]/\n%ignore " "\n%ignore /#[a-z]*;/'
    right = ["a1.2", " a #x; 1.2 ", "#;a1.2#;"]
    assert accepted(source, right) == [True] * 3
    assert accepted(source, ["a1 .2", "a1.2#"]) == [False] * 2


def test_terminals_of_larks_library_are_imported_with_what_they_need():
    source = "start: ESCAPED_STRING | N\n%import common (ESCAPED_STRING, SIGNED_NUMBER -> N)\n"
    texts = ['"a\\"b"', "-1.5e3", '"a"b"', "1.5.", "N"]
    assert accepted(source, texts) == [True, True, False, False, False]
    both = "start: A B\n%import common.CNAME -> A\n%import unicode.WS -> B\n"
    assert accepted(both, ["a_1\xa0", "1a "]) == [True, False]


def test_files_beside_a_grammar_are_imported(tmp_path):
    (tmp_path / "main.lark").write_text('start: pair+\n%import .parts (pair, WORD)\n%extend WORD: "!"\n')
    (tmp_path / "parts.lark").write_text('pair: WORD "=" inner\ninner: WORD\nWORD: /[a-z]/\n')
    grammar = Grammar(tmp_path / "main.lark")
    found = fragments(grammar)
    assert found.accepts("a=bc=!")
    assert not found.accepts("a=")
    again = Grammar.from_json(grammar.to_json())
    assert again == grammar
    assert hash(again) == hash(grammar)


def test_a_lexer_takes_keywords_and_the_longest_match():
    source = 'start: "if" NAME | NAME "<" NAME | "<=" NAME\nNAME: /[a-z]+/\n%ignore " "'
    texts = ["if a", "ifa", "if", "a<b", "<= a", "a < if", "ifif < a"]
    assert accepted(source, texts) == [True, True, False, True, True, True, True]
    assert accepted(source, texts, lexer="maximal") == [True, False, False, True, True, False, True]
    report = Grammar(source).report()
    assert [entry.keyword for entry in report] == ["NAME", "strings"]
    assert all(entry.status == "approximated" and 'lexer="maximal"' in entry.remedy for entry in report)
    assert not report.is_exact
    assert not list(Grammar(source, lexer="maximal").report())


def test_priorities_and_settings_are_reported_as_without_effect():
    report = Grammar('start[capture="x", temperature=0.5]: A.2\nA.2: "a"\n'.replace("A.2\n", "A\n", 1)).report()
    assert [(entry.keyword, entry.status) for entry in report] == [
        ("start[capture]", "not enforced"),
        ("start[temperature]", "not enforced"),
        ("priority of A", "annotation"),
    ]
    assert report.entries[2].position is not None


def test_a_terminal_that_is_imported_by_way_of_another_file_stays_one(tmp_path):
    (tmp_path / "outer.lark").write_text("%import .inner.start -> inner__start\nstart: inner__start\n")
    (tmp_path / "inner.lark").write_text('start: INT "." \n%import common.INT\n%ignore " "\n')
    found = fragments(Grammar(tmp_path / "outer.lark"))
    assert found.accepts("12.")
    assert not found.accepts("1 2.")


def test_a_schema_is_a_rule_of_a_grammar():
    import rellm

    grammar = Grammar(
        'start: "call " %json {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}\n'
    )
    compiled = rellm.compile(
        grammar, rellm.Vocabulary([*(bytes([byte]) for byte in range(256)), None], eos_token_ids=[256])
    )
    matcher = compiled.matcher()
    matcher.advance_bytes(b'call {"a": 12}')
    assert matcher.is_accepting
    with pytest.raises(rellm.TokenRejectedError):
        compiled.matcher().advance_bytes(b'call {"a": "x"')
