"""What is fuzzed: each target takes bytes, and raises where a promise is broken.

A promise holds for every input: it ends within the limits, in an answer or a `RellmError`; masks, `allows`, `advance` and
`explain` agree; what may end matches in full, as the pattern's own library says.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import regex
import rellm
from rellm import testing

LIMITS = rellm.Limits(fuel=1_000_000, memory_bytes=4 << 20, pattern_length=4_000, nesting=100)
VOCABULARY = testing.tiny_vocabulary(words=["ab", "aa", '":', "0", "é"], special_tokens=["<|call|>"])
STEPS = 24
_LONGEST_TEXT = 12  # what `re` is asked to match: it has no time limit


class Bytes:
    """Random bytes as a source of choices; zeros when they have run out."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def below(self, n: int) -> int:
        return self.byte() % n

    def choice(self, options: Any) -> Any:
        return options[self.below(len(options))]

    def text(self) -> str:
        """A text of the next bytes, as many as the first of them says."""
        size = self.byte()
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken.decode("utf-8", "replace")


def walk(constraint: Any, source: Bytes) -> bytes | None:
    """Writes a text that the bytes choose; the text where it may end, None where it did not get there."""
    matcher: Any = rellm.compile(constraint, VOCABULARY, limits=LIMITS).matcher()
    for _ in range(STEPS):
        mask = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")[: len(VOCABULARY)]
        allowed = np.flatnonzero(mask)
        assert len(allowed), "a dead end"
        probe = source.below(len(VOCABULARY))
        assert matcher.allows(probe) == bool(mask[probe])
        assert (matcher.explain(probe) is None) == bool(mask[probe])
        before = matcher.text
        token = int(allowed[source.below(len(allowed))])
        matcher.advance(token)
        if token in VOCABULARY.eos_token_ids:
            return bytes(before)
        assert matcher.text == before + (VOCABULARY.token_bytes(token) or b"")
    rest = matcher.shortest_completion()
    if matcher.forced_bytes():
        assert rest is None or rest.startswith(matcher.forced_bytes()[: len(rest)]) or not rest
    return None


_PIECES = [
    "a", "b", "é", "日", ".", "\\d", "\\w", "\\s", "\\b", "^", "$", "(", ")", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>",
    "(?P<n>", "(?P=n)", "\\1", "(?(1)", "|", "*", "+", "?", "{2}", "{0,3}", "{1,40}", "*?", "++", "[", "]", "[^", "-", "a-c", "\\",
    "(?i)", "(?i:", "(?s:", "\\p{L}", "\\X", "(?R)", "(?|", "&&", "--", "\n", " ", "\\Z", "\\A",
]  # fmt: skip


def pattern(data: bytes) -> None:
    """Patterns, in both dialects, under any flags."""
    source = Bytes(data)
    dialect = source.choice(["re", "regex"])
    library: Any = re if dialect == "re" else regex
    flags = source.choice([0, library.I, library.S, library.A, library.X, library.M, library.I | library.A])
    as_text = source.below(3) == 0
    text = source.text() if as_text else "".join(source.choice(_PIECES) for _ in range(1 + source.below(14)))
    constraint = rellm.Regex(text, flags, dialect)
    written = walk(constraint, source)
    if written is not None and len(written) <= _LONGEST_TEXT:
        compiled = constraint.library_pattern
        timeout = {"timeout": 2} if dialect == "regex" else {}
        try:
            assert compiled.fullmatch(written.decode(), **timeout) is not None, (text, written)
        except TimeoutError:
            pass


_KEYWORDS = {
    "type": ["object", "array", "string", "integer", "number", "boolean", "null", ["string", "null"], 5],
    "minimum": [0, -1, 2.5, 1e300, "x"], "maximum": [10, -5, 0], "multipleOf": [1, 3, 0.1, 0], "minLength": [0, 2, -1],
    "maxLength": [1, 5, 4000], "pattern": ["^a+$", "(", "\\d", "a|b", "(?=a)"], "minItems": [0, 1, 3], "maxItems": [0, 2],
    "uniqueItems": [True], "enum": [[1, "a", None], [], [[1]]], "const": [1, "é", {"a": 1}], "format": ["date", "uuid", "x"],
    "required": [["a"], ["a", "zz"]], "additionalProperties": [False], "minProperties": [1], "maxProperties": [0, 2],
    "$ref": ["#", "#/properties/a", "#/no", "other.json"], "dependentRequired": [{"a": ["b"]}],
}  # fmt: skip
_HOLDERS = [
    "items",
    "not",
    "contains",
    "additionalProperties",
    "propertyNames",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
]


def _schema(source: Bytes, depth: int) -> Any:
    if depth == 0 or source.below(8) == 0:
        return source.choice([True, False, {}, {"type": "integer"}])
    schema: dict[str, Any] = {}
    for _ in range(1 + source.below(3)):
        kind = source.below(4)
        if kind == 0:
            schema[source.choice(_HOLDERS)] = _schema(source, depth - 1)
        elif kind == 1:
            key = source.choice(["anyOf", "oneOf", "allOf", "prefixItems"])
            schema[key] = [_schema(source, depth - 1) for _ in range(1 + source.below(3))]
        elif kind == 2:
            key = source.choice(["properties", "patternProperties", "$defs"])
            schema[key] = {
                source.choice(["a", "b", "^a"]): _schema(source, depth - 1) for _ in range(1 + source.below(2))
            }
        else:
            key = source.choice(list(_KEYWORDS))
            schema[key] = source.choice(_KEYWORDS[key])
    return schema


def schema(data: bytes) -> None:
    """JSON Schemas; what is written is JSON, and reads back."""
    source = Bytes(data)
    given = source.text() if source.below(4) == 0 else _schema(source, 3)
    on_unsupported = source.choice(["error", "report"])
    constraint = rellm.JsonSchema(given, on_unsupported=on_unsupported)
    assert len(constraint.report()) >= 0
    written = walk(constraint, source)
    if written is not None:
        json.loads(written)


_GRAMMAR = [
    "root ::= ", "start: ", "a", "b", "A: ", '"x"', "/[a-z]/", "[a-z]", "|", "*", "+", "?", "{2}", "{0,3}", "(", ")", "\n", " ",
    "root", "start", "%ignore \" \"\n", "%import common.NUMBER\n", "NUMBER", "~2", "..", "\"", "/", "<|call|>", "&", "%json {}",
]  # fmt: skip


def grammar(data: bytes) -> None:
    """Grammars in GBNF and in Lark's format."""
    source = Bytes(data)
    form = source.choice(["gbnf", "lark"])
    head = {"gbnf": "root ::= ", "lark": "start: "}[form]
    text = (
        source.text()
        if source.below(4) == 0
        else head + "".join(source.choice(_GRAMMAR) for _ in range(source.below(20)))
    )
    walk(rellm.Grammar(text, format=form, lexer=source.choice(["none", "maximal"])), source)


def constraint_json(data: bytes) -> None:
    """What `Constraint.to_json` wrote, damaged; nothing that it names is imported."""
    source = Bytes(data)
    whole = rellm.Sequence(
        rellm.Regex("a+", re.I).named("x"), rellm.Choice(["b", "c"]).repeat(1, 3, ","), rellm.FreeText("d")
    )
    text = bytearray(whole.to_json().encode())
    for _ in range(1 + source.below(6)):
        at = (source.byte() << 8 | source.byte()) % len(text)
        text[at : at + source.below(6)] = bytes(source.byte() for _ in range(source.below(4)))
    walk(rellm.Constraint.from_json(bytes(text)), source)


def saved_file(data: bytes) -> None:
    """Files of `CompiledConstraint.save`, damaged or made up."""
    source = Bytes(data)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "saved")
        rellm.compile(r"[ab]+", VOCABULARY, limits=LIMITS).save(file)
        content = bytearray(file.read_bytes())
        if source.below(4) == 0:
            content = bytearray(data)
        for _ in range(source.below(6)):
            at = (source.byte() << 8 | source.byte()) % max(len(content), 1)
            content[at : at + source.below(6)] = bytes(source.byte() for _ in range(source.below(4)))
        file.write_bytes(bytes(content))
        try:
            rellm.CompiledConstraint.load(file, VOCABULARY, limits=LIMITS).matcher().mask()
        except ValueError as error:  # as it is documented: no file of `save`
            assert str(file) in str(error) or isinstance(error, rellm.RellmError), error


def vocabulary(data: bytes) -> None:
    """Vocabularies of any bytes, and their stored form, damaged."""
    source = Bytes(data)
    tokens: list[bytes | None] = []
    for _ in range(1 + source.below(40)):
        size = source.below(6)
        tokens.append(None if source.below(9) == 0 else bytes(source.byte() for _ in range(size)))
    made = rellm.Vocabulary(tokens, eos_token_ids=source.below(len(tokens)) if source.below(2) else None)
    assert made.tokens_bytes(range(len(made))) == b"".join(made.token_bytes(i) or b"" for i in range(len(made)))
    stored = bytearray(made._to_bytes())
    stored[source.below(len(stored))] ^= 1 + source.below(255)
    from rellm._vocabulary import from_stored

    try:
        from_stored(bytes(stored))
    except rellm.VocabularyError:
        pass
    else:
        raise AssertionError("a damaged file was read")
    matcher: Any = rellm.compile(r"(?s).*", made, limits=LIMITS).matcher()
    mask = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")[: len(made)]
    assert all(bool(mask[i]) == matcher.allows(i) for i in range(len(made)))


def template(data: bytes) -> None:
    """Templates with any braces."""
    source = Bytes(data)
    pieces = ["{", "}", "{{", "}}", "{a}", "{b}", "{a.b}", "{0}", "{a!r}", "{a:x}", "x", "é", "\n", " "]
    text = source.text() if source.below(4) == 0 else "".join(source.choice(pieces) for _ in range(source.below(12)))
    walk(rellm.Template(text, {"a": rellm.Regex("[ab]{1,3}")}), source)


def partial_json(data: bytes) -> None:
    """`partial_value` of any text: it never raises, and a whole JSON text is read as `json` reads it."""
    from rellm._constraints.json_schema.partial import PartialJson

    source = Bytes(data)
    pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        '"a"',
        "\\",
        "\\u00e9",
        "\\ud83d",
        "1",
        "-",
        "1e5",
        "true",
        "nul",
        " ",
        "\n",
        "é",
    ]
    if source.below(3) == 0:
        text = source.text()
    else:
        text = "".join(source.choice(pieces) for _ in range(source.below(40)))
    reader = PartialJson()
    for character in text:
        reader.feed(character)
        json.dumps(reader.value)


def trace_page(data: bytes) -> None:
    """Pages of traces: whatever a model wrote, no text of it leaves the script element that holds the data."""
    from rellm._trace.trace import RefusedToken, Trace, TracedToken

    source = Bytes(data)
    texts = ["</script>", "<!--", "<script>", "&lt;", "\u2028", "<img src=x onerror=alert(1)>", "]]>", source.text()]
    text = "".join(source.choice(texts) for _ in range(1 + source.below(4)))
    refused = RefusedToken(1, text, 0.25, text, text)
    token = TracedToken(0, text, -1.0, -0.5, 0.5, -0.7, (refused,), True, False, False, 2, ("/" + text,), "/" + text)
    page = Trace((token, token), text).to_html()
    empty = Trace((), "").to_html()
    assert page.count("<script") == empty.count("<script")
    assert page.count("</script") == empty.count("</script")
    assert "<!--" not in page.replace("<!doctype", "").split("<body")[1].replace("&lt;!--", "") or "<!--" in empty
    assert "<img src=x" not in page


def rows(data: bytes) -> None:
    """Files of rows: a bad line is a row with an error."""
    from rellm._batch.row_files import read_rows

    source = Bytes(data)
    suffix = source.choice([".jsonl", ".csv", ".tsv"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows" + suffix)
        file.write_bytes(data[source.at :])
        for _ in read_rows(file):
            pass


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        pattern, schema, grammar, constraint_json, saved_file, vocabulary, template, partial_json, trace_page, rows,
    )
}  # fmt: skip


def run(name: str, data: bytes) -> str:
    """One input: "ok", or the name of the `RellmError` that it ended in; anything else is raised."""
    try:
        TARGETS[name](data)
    except rellm.RellmError as error:
        return type(error).__name__
    return "ok"
