"""Grammars that nobody here wrote, read from Lark's package: classified beside Lark's own parsers."""

from __future__ import annotations

import json
import random
import string
from importlib import resources

import lark
import pytest
import rellm
from rellm import Grammar, Vocabulary

BYTES = Vocabulary([*(bytes([byte]) for byte in range(256)), None], eos_token_ids=[256])
FILES = resources.files("lark.grammars")
JSON = """
?start: value
?value: object | array | string | SIGNED_NUMBER | "true" | "false" | "null"
array: "[" [value ("," value)*] "]"
object: "{" [pair ("," pair)*] "}"
pair: string ":" value
string: ESCAPED_STRING
%import common.ESCAPED_STRING
%import common.SIGNED_NUMBER
%import common.WS
%ignore WS
"""


def accepts(compiled, text: str) -> bool:
    matcher = compiled.matcher()
    try:
        matcher.advance_bytes(text.encode())
    except rellm.TokenRejectedError:
        return False
    return matcher.is_accepting


def larks_accepts(parser, text: str) -> bool:
    try:
        parser.parse(text)
    except lark.exceptions.LarkError:
        return False
    return True


def mutated(text: str, source: random.Random) -> str:
    at = source.randrange(len(text) + 1)
    letter = source.choice([*text, *string.printable])
    return source.choice(
        [text[:at] + letter + text[at:], text[:at] + text[at + 1 :], text[:at] + letter + text[at + 1 :]]
    )


def agreement(compiled, parser, texts: list[str]) -> tuple[int, list[str]]:
    different = [text for text in texts if accepts(compiled, text) != larks_accepts(parser, text)]
    return len(texts) - len(different), different


def random_json(source: random.Random, depth: int = 0):
    kind = source.randrange(7 if depth < 4 else 4)
    if kind < 4:
        return source.choice([None, True, -1.5e3, 12, 'a"b\\', "é", ""])
    if kind < 6:
        return [random_json(source, depth + 1) for _ in range(source.randrange(4))]
    return {source.choice("abc") * n: random_json(source, depth + 1) for n in range(1, source.randrange(1, 4))}


def test_json_as_larks_example_writes_it():
    source = random.Random(1)
    parser = lark.Lark(JSON, parser="lalr")
    compiled = rellm.compile(Grammar(JSON), BYTES)
    texts = [json.dumps(random_json(source), ensure_ascii=source.random() < 0.5) for _ in range(200)]
    same, different = agreement(compiled, parser, texts)
    assert same == 200, different
    same, different = agreement(compiled, parser, [mutated(text, source) for text in texts])
    assert same >= 198, different


def test_larks_own_grammar_reads_larks_own_files():
    source = random.Random(2)
    text = FILES.joinpath("lark.lark").read_text()
    parser = lark.Lark(text, parser="lalr")
    compiled = rellm.compile(Grammar(text, lexer="maximal"), BYTES)
    files = [FILES.joinpath(f"{name}.lark").read_text() for name in ("lark", "common", "unicode")]
    for file in files:
        assert accepts(compiled, file) == larks_accepts(parser, file) is True
    lines = [line + "\n" for file in files for line in file.splitlines() if larks_accepts(parser, line + "\n")]
    texts = [source.choice(lines) for _ in range(200)]
    assert agreement(compiled, parser, texts)[0] == 200
    same, different = agreement(compiled, parser, [mutated(text, source) for text in texts])
    assert same >= 198, different


NAMES = [
    "DIGIT", "HEXDIGIT", "INT", "SIGNED_INT", "DECIMAL", "FLOAT", "SIGNED_FLOAT", "NUMBER", "SIGNED_NUMBER",
    "ESCAPED_STRING", "WORD", "CNAME", "WS_INLINE", "WS", "NEWLINE", "SH_COMMENT", "CPP_COMMENT",
    "C_COMMENT", "SQL_COMMENT",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_common_terminals_are_what_larks_lexer_reads(name):
    grammar = f"start: {name}\n%import common.{name}\n"
    parser = lark.Lark(grammar, parser="lalr", lexer="basic")
    compiled = rellm.compile(Grammar(grammar), BYTES)
    source = random.Random(name)
    texts = ["1", "-1.5e+3", '"a\\"b"', "ab_1", " \t", "\n", "# x", "// x", "/* x */", "-- x", "aF", '"\\\\"', "\r\n"]
    wrong = []
    for _ in range(150):
        text = source.choice(texts)
        for _ in range(source.randrange(4)):
            text = mutated(text, source)
        if accepts(compiled, text) != larks_accepts(parser, text):
            wrong.append(text)
    assert not wrong
