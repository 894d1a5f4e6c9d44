"""What each engine makes of the constructs of patterns and of the keywords of JSON Schema; writes a Markdown table.

    python benchmarks/features.py                      # every engine, each in an environment of its own
    python benchmarks/features.py --engine llguidance  # one, in the environment that runs this

A probe is a pattern or schema with texts that match and texts that do not, written byte by byte over a vocabulary of the
256 bytes. A cell is "yes" (each text came out right), "error" (the engine refused the pattern, which is honest), "wrong"
(it took the pattern and allowed a text that does not match, or forbade one that does), or "–" (no such door).
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

ENGINES = ["rellm", "llguidance", "xgrammar", "outlines_core", "lm_format_enforcer"]

PATTERNS: list[tuple[str, str, list[str], list[str]]] = [
    ("classes, repetition, alternation", r"[a-c]{2,3}(x|yz)*", ["ab", "abcyzx"], ["a", "abcd"]),
    ("longer match at an accepting state", r"(foo|foobar)", ["foo", "foobar"], ["foob"]),
    (r"`.` is no newline", r"a.b", ["axb", "aéb"], ["a\nb"]),
    (r"`\d`, `\w` of Unicode", r"\w\d", ["é1", "a٣"], ["-1"]),
    ("inline flags `(?i)`", r"(?i)yes", ["YES", "yEs"], ["no"]),
    ("flag of a group `(?i:…)`", r"(?i:y)es", ["Yes", "yes"], ["YES"]),
    ("named groups", r"(?P<n>[0-9])x", ["1x"], ["x"]),
    ("anchors `^` and `$`", r"^ab$", ["ab"], ["a", "abc"]),
    (r"word borders `\b`", r"ab\b[ c]*", ["ab", "ab c"], ["abc"]),
    ("lookahead", r"(?=.*[0-9])[a-z0-9]{3}", ["a1b"], ["abc"]),
    ("negative lookahead", r"(?!no)[a-z]{2,3}", ["yes", "nay"], ["no", "non"]),
    ("lookbehind", r"[a-z]+(?<=e)x", ["ex", "bex"], ["ax"]),
    ("backreference", r"(['\"])[a-z]*\1", ["'a'", '"a"'], ["'a\""]),
    ("atomic group", r"(?>a|ab)c", ["ac"], ["abc"]),
    ("possessive quantifier", r"(?:a|ab)++c", ["ac"], ["abc"]),
    ("conditional", r"(<)?a(?(1)>|!)", ["<a>", "a!"], ["<a!", "a>"]),
    ("lazy quantifier", r"a+?b", ["aab"], ["a"]),
]
SCHEMAS: list[tuple[str, Any, list[str], list[str]]] = [
    ("types, required, closed objects", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
                                         "additionalProperties": False}, ['{"a":1}'], ['{"a":"x"}', "{}"]),
    ("members in any order", {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
                              "required": ["a", "b"]}, ['{"a":null,"b":null}', '{"b":null,"a":null}'], ['{"a":null}']),
    ("open objects", {"type": "object", "properties": {"a": {"type": "null"}}}, ['{"z":1}'], ['{"a":1}']),
    ("bounds", {"type": "integer", "minimum": 3, "maximum": 10}, ["3", "10"], ["2", "11"]),
    ("`multipleOf`", {"type": "integer", "multipleOf": 3}, ["9"], ["10"]),
    ("`pattern`", {"type": "string", "pattern": "^[a-c]+$"}, ['"abc"'], ['"abd"']),
    ("`pattern` with a lookahead", {"type": "string", "pattern": "^(?=.*b)[a-c]+$"}, ['"abc"'], ['"aac"']),
    ("`format: date` of the calendar", {"type": "string", "format": "date"}, ['"2024-02-29"'], ['"2023-02-29"']),
    ("`oneOf`", {"oneOf": [{"type": "integer"}, {"minimum": 2}]}, ["1", "2.5"], ["3"]),
    ("`not`", {"not": {"type": "string"}}, ["1"], ['"a"']),
    ("`uniqueItems` of an enum", {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True}, ["[1,2]"], ["[1,1]"]),
    ("`contains`", {"type": "array", "items": {"type": "integer"}, "contains": {"const": 2}}, ["[1,2]"], ["[1]"]),
    ("`if`, `then`", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "if": {
        "properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}}, ['{"a":2}', '{"a":1,"b":0}'], ['{"a":1}']),
    ("recursion", {"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}},
     ["[[],[[]]]"], ["[1]"]),
    ("`patternProperties`", {"type": "object", "patternProperties": {"^a": {"type": "integer"}}}, ['{"ab":1}'],
     ['{"ab":"x"}']),
]  # fmt: skip


def accepts(engine: Any, compiled: Any, text: str, eos: int) -> bool:
    """Whether the masks let all of a text be written, and end there."""
    written = engine.start(compiled)
    for token in [*text.encode(), eos]:
        words = written.packed(written.fill())
        if not int(words[token // 32]) >> (token % 32) & 1:
            return False
        if token != eos:
            written.advance(token)
    return True


def cell(engine: Any, compile_it: Any, good: list[str], bad: list[str], eos: int) -> str:
    try:
        compiled = compile_it()
        verdicts = [accepts(engine, compile_it() if index else compiled, text, eos)
                    for index, text in enumerate([*good, *bad])]  # fmt: skip
    except Exception:  # engines raise what they like; each is a refusal
        return "error"
    return "yes" if verdicts == [True] * len(good) + [False] * len(bad) else "wrong"


def probe(name: str) -> dict[str, Any]:
    """The cells of one engine, in the environment that runs this."""
    from importlib.metadata import version

    engine: Any = importlib.import_module(f"engines.{name}")
    from engines import Tokenizer

    eos = 256
    tokens = [*(bytes([byte]) for byte in range(256)), None]
    vocabulary = engine.load(Tokenizer(tokens, eos, r"[\s\S]"))
    found = {}
    for label, pattern, good, bad in PATTERNS:
        found[label] = cell(engine, lambda p=pattern: engine.compile(vocabulary, p), good, bad, eos)
    for label, schema, good, bad in SCHEMAS:
        if not hasattr(engine, "compile_json_schema"):
            found[label] = "–"
            continue
        text = json.dumps(schema)
        found[label] = cell(engine, lambda s=text: engine.compile_json_schema(vocabulary, s), good, bad, eos)
    package = engine.REQUIREMENTS[0] if name != "rellm" else "rellm"
    release = engine_version(name) if name == "rellm" else version(package)
    return {"engine": f"{package} {release}", "cells": found}


def engine_version(name: str) -> str:
    return str(importlib.import_module(name).__version__)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--engine", choices=ENGINES)
    arguments.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES)
    arguments.add_argument("--rellm-python", type=Path, default=Path(sys.executable))
    given = arguments.parse_args()
    if given.engine:
        print(json.dumps(probe(given.engine)))
        return
    from comparison import environments

    pythons = environments.create(HERE.parent, given.engines, given.rellm_python, with_torch=False)
    columns = []
    for name in given.engines:
        command = [str(pythons[name]), str(HERE / "features.py"), "--engine", name]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr}")
        columns.append(json.loads(done.stdout.splitlines()[-1]))
    print("| | " + " | ".join(column["engine"] for column in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for label in columns[0]["cells"]:
        print(f"| {label} | " + " | ".join(column["cells"][label] for column in columns) + " |")


if __name__ == "__main__":
    main()
