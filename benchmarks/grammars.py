"""Whole requests under grammars, beside llguidance (Lark) and xgrammar (EBNF), on Tekken's 131,072 tokens.

    python benchmarks/grammars.py [--rounds 3] [--json FILE]

Each engine compiles the same language and writes the same text, token by token: a mask, then the token. CPU time of
this thread; the best of the rounds. An engine that is not installed, or refuses the grammar, is left out and said so.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import rellm

ARITHMETIC = (
    'start: expr\nexpr: term (("+" | "-") term)*\nterm: factor (("*" | "/") factor)*\n'
    'factor: NUMBER | "(" expr ")"\nNUMBER: /[0-9]+(\\.[0-9]+)?/\n',
    'root ::= expr\nexpr ::= term (("+" | "-") term)*\nterm ::= factor (("*" | "/") factor)*\n'
    'factor ::= number | "(" expr ")"\nnumber ::= [0-9]+ ("." [0-9]+)?\n',
    "+".join(["(1+2.5)*(3-4/7)+((12*8)-(90+1))*3.25-(((4)))+17*(2+2)"] * 3),
)
JSON = (
    'start: value\nvalue: object | array | STRING | NUMBER | "true" | "false" | "null"\n'
    'object: "{" [pair ("," pair)*] "}"\npair: STRING ":" value\narray: "[" [value ("," value)*] "]"\n'
    'STRING: /"[^"\\\\\\x00-\\x1f]*"/\nNUMBER: /-?[0-9]+(\\.[0-9]+)?/\n',
    'root ::= value\nvalue ::= object | array | string | number | "true" | "false" | "null"\n'
    'object ::= "{" (pair ("," pair)*)? "}"\npair ::= string ":" value\narray ::= "[" (value ("," value)*)? "]"\n'
    'string ::= "\\"" [^"\\\\\\x00-\\x1f]* "\\""\nnumber ::= "-"? [0-9]+ ("." [0-9]+)?\n',
    json.dumps({"name": "a long name", "list": [1, 2.5, [True, None, {"x": "y"}]], "deep": [[[[[[{}]]]]]]},
               separators=(",", ":")) ,
)  # fmt: skip
DEEP = (JSON[0], JSON[1], "[" * 40 + '{"k":"some text in the middle"}' + "]" * 40)
STATEMENTS = (
    'start: statement+\nstatement: NAME "=" expr ";" | "if" "(" expr ")" block | "while" "(" expr ")" block\n'
    'block: "{" statement* "}"\nexpr: atom (("+" | "*" | "<") atom)*\natom: NAME | NUMBER | "(" expr ")"\n'
    "NAME: /[a-z][a-z0-9_]*/\nNUMBER: /[0-9]+/\n%ignore /[ \\n]+/\n",
    'root ::= statement+ ws\nstatement ::= ws name ws "=" expr ws ";" | ws "if" ws "(" expr ws ")" block | '
    'ws "while" ws "(" expr ws ")" block\nblock ::= ws "{" statement* ws "}"\n'
    'expr ::= atom (ws ("+" | "*" | "<") atom)*\natom ::= ws name | ws number | ws "(" expr ws ")"\n'
    "name ::= [a-z] [a-z0-9_]*\nnumber ::= [0-9]+\nws ::= [ \\n]*\n",
    "total = 0;\nwhile (count < 10) {\n  total = total + count * (limit + 2);\n  if (total < 100) {\n"
    "    count = count + 1;\n  }\n}\nresult = total * 7;\n",
)
SQL = (
    'start: "SELECT " columns " FROM " NAME [" WHERE " condition] [" ORDER BY " NAME]\n'
    'columns: "*" | NAME (", " NAME)*\n'
    'condition: test ((" AND " | " OR ") test)*\ntest: NAME (" = " | " < " | " > ") value | "(" condition ")"\n'
    "value: NUMBER | TEXT\nNAME: /[a-z_]+/\nNUMBER: /[0-9]+/\nTEXT: /'[^']*'/\n",
    'root ::= "SELECT " columns " FROM " name (" WHERE " condition)? (" ORDER BY " name)?\n'
    'columns ::= "*" | name (", " name)*\ncondition ::= test ((" AND " | " OR ") test)*\n'
    'test ::= name (" = " | " < " | " > ") value | "(" condition ")"\nvalue ::= number | text\n'
    'name ::= [a-z_]+\nnumber ::= [0-9]+\ntext ::= "\'" [^\']* "\'"\n',
    "SELECT name, age, city FROM customers WHERE (age > 30 AND city = 'New York') OR (name = 'Smith' AND "
    "(age < 18 OR age > 65)) ORDER BY age",
)
_ELEMENTS = " | ".join(f'"<{tag}>" content "</{tag}>"' for tag in ("div", "p", "b", "ul", "li"))
HTML = (
    "start: element\nelement: " + _ELEMENTS + "\ncontent: (element | TEXT)*\nTEXT: /[^<>]+/\n",
    "root ::= element\nelement ::= " + _ELEMENTS + "\ncontent ::= (element | text)*\ntext ::= [^<>]+\n",
    "<div><p>Some text, <b>bold</b> here.</p><ul><li>one</li><li>two<ul><li>three</li></ul></li></ul></div>",
)  # fmt: skip
CASES = {
    "arithmetic": ARITHMETIC, "JSON value": JSON, "JSON, depth 40": DEEP,
    "statements": STATEMENTS, "SQL subset": SQL, "nested tags": HTML,
}  # fmt: skip

Engine = Callable[[tuple[str, str, str]], tuple[Callable[[], Any], Callable[[int], Any]]]


def tekken() -> rellm.Vocabulary:
    import mistral_common
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    (path, *_) = sorted(glob.glob(os.path.join(os.path.dirname(mistral_common.__file__), "data", "tekken*.json")))
    return rellm.Vocabulary.from_tokenizer(Tekkenizer.from_file(path))


def spelled(vocabulary: rellm.Vocabulary, text: str) -> list[int]:
    """The text as the longest tokens, one after the other."""
    by_bytes = {vocabulary.token_bytes(i): i for i in range(len(vocabulary)) if vocabulary.token_bytes(i)}
    data, ids = text.encode(), []
    while data:
        size = next(n for n in range(min(24, len(data)), 0, -1) if data[:n] in by_bytes)
        ids.append(by_bytes[data[:size]])
        data = data[size:]
    return ids


def engines(vocabulary: rellm.Vocabulary) -> Iterator[tuple[str, Engine]]:
    row = np.zeros((1, (len(vocabulary) + 31) // 32), dtype=np.int32)

    def with_rellm(format: Any, case: tuple[str, str, str]) -> Any:
        from rellm._constraints.grammar import context_free
        from rellm._engines import compile as engine

        engine._cache.clear()  # nothing is kept from the round before: neither masks nor the grammar's rules
        context_free._lowered.cache_clear()
        grammar = rellm.Grammar(case[format == "gbnf"], format=format)
        matcher = rellm.compile(grammar, vocabulary).matcher()
        return lambda: matcher.fill_mask(row, 0), matcher.advance

    yield "rellm, Lark", partial(with_rellm, "lark")
    yield "rellm, GBNF", partial(with_rellm, "gbnf")
    try:
        import llguidance
        import llguidance.numpy
    except ImportError:
        print("llguidance is not installed")
    else:
        wrapped = llguidance.LLTokenizer(_wrapper(llguidance, vocabulary), n_vocab=len(vocabulary))

        def with_llguidance(case: tuple[str, str, str]) -> Any:
            matcher = llguidance.LLMatcher(wrapped, llguidance.LLMatcher.grammar_from_lark(case[0]))
            if matcher.is_error():
                raise RuntimeError(matcher.get_error())
            return (
                lambda: llguidance.numpy.fill_next_token_bitmask(matcher, row, 0),
                lambda token: matcher.consume_token(token) or _refuse(token),
            )

        yield "llguidance", with_llguidance
    try:
        import torch
        import xgrammar
    except ImportError:
        print("xgrammar (with torch) is not installed")
    else:
        tokens = [vocabulary.token_bytes(i) or b"" for i in range(len(vocabulary))]
        info = xgrammar.TokenizerInfo(tokens, xgrammar.VocabType.RAW, stop_token_ids=vocabulary.eos_token_ids)
        bits = torch.from_numpy(row)

        def with_xgrammar(case: tuple[str, str, str]) -> Any:
            compiled = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False).compile_grammar(case[1])
            matcher = xgrammar.GrammarMatcher(compiled)
            return (
                lambda: matcher.fill_next_token_bitmask(bits, 0),
                lambda token: None if matcher.accept_token(token) else _refuse(token),
            )

        yield "xgrammar", with_xgrammar


def _refuse(token: int) -> None:
    raise RuntimeError(f"token {token} is refused")


def _wrapper(llguidance: Any, vocabulary: rellm.Vocabulary) -> Any:
    class Tokenizer:
        eos_token_id = vocabulary.eos_token_ids[0]
        bos_token_id = None
        tokens = [vocabulary.token_bytes(i) or b"<special_%d>" % i for i in range(len(vocabulary))]  # noqa: RUF012
        special_token_ids = [i for i in range(len(vocabulary)) if vocabulary.token_bytes(i) is None]  # noqa: RUF012

        def __call__(self, text: str) -> list[int]:
            return spelled(vocabulary, text if isinstance(text, str) else text.decode())

    return llguidance.TokenizerWrapper(Tokenizer())


def measure(make: Engine, case: tuple[str, str, str], ids: list[int]) -> dict[str, float]:
    """Milliseconds to the first mask and of the whole request, microseconds of a further mask (mean and largest)."""
    begun = time.thread_time()
    fill, advance = make(case)
    fill()
    first = time.thread_time() - begun
    masks = []
    for token in ids:
        advance(token)
        before = time.thread_time()
        fill()
        masks.append(time.thread_time() - before)
    whole = time.thread_time() - begun
    return {
        "first_ms": 1e3 * first, "mask_mean_us": 1e6 * sum(masks) / len(masks), "mask_max_us": 1e6 * max(masks),
        "request_ms": 1e3 * whole, "tokens": len(ids),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="write the figures to this file, too")
    arguments = parser.parse_args()
    vocabulary = tekken()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, make in engines(vocabulary):
        for title, case in CASES.items():
            ids = spelled(vocabulary, case[2])
            try:
                runs = [measure(make, case, ids) for _ in range(arguments.rounds)]
            except Exception as error:  # an engine's own refusal, of whatever type
                print(f"{title}: {name} refuses: {str(error)[:100]}")
                continue
            found.setdefault(title, {})[name] = min(runs, key=lambda run: run["request_ms"])
    print(f"{'grammar':<16}{'engine':<12}{'tokens':>7}{'first ms':>10}{'mask us':>9}{'max us':>9}{'request ms':>12}")
    for title, rows in found.items():
        for name, row in rows.items():
            print(
                f"{title:<16}{name:<12}{row['tokens']:>7.0f}{row['first_ms']:>10.2f}{row['mask_mean_us']:>9.1f}"
                f"{row['mask_max_us']:>9.0f}{row['request_ms']:>12.2f}"
            )
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
