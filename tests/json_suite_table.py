"""What becomes of each group of the official suite, on the automaton: the table of docs/json-schema-report.md.

.venv/bin/python tests/json_suite_table.py            the table
.venv/bin/python tests/json_suite_table.py --groups   each group that is not exact, too
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections import Counter
from typing import Any, NamedTuple

import json_suite
import rellm
from rellm import JsonSchema, JsonSpelling, SchemaError
from rellm._engines.compile import over_single_bytes

INTEGERS = ("any", "plain")
# By spelling of integers: what the rejected valid instances hold that is documented not to be written.
SPELLINGS = {"any": ("e+", "E+"), "plain": (".0", "e+", "E+")}
VERDICTS = ("exact", "refused", "invalid accepted, reported", "valid rejected, documented", "wrong")


class Verdict(NamedTuple):
    """One of `VERDICTS`, and why."""

    kind: str
    why: str = ""


def judged(group: json_suite.Group, **options: Any) -> Verdict:
    """What becomes of a group whose instances are written in compact and in spaced spelling."""
    asserts = group.file != "format.json"  # whose groups want formats to be annotations
    try:
        constraint = JsonSchema(group.schema, assert_formats=asserts, resources=json_suite.remotes(), **options)
    except SchemaError as error:
        return Verdict("refused", str(error.keyword))
    try:
        compiled: Any = over_single_bytes(constraint)
    except rellm.UnsatisfiableError:
        compiled = None
    verdict = Verdict("exact")
    for text, is_valid in group.texts:
        if (compiled is not None and accepts(compiled, text)) == is_valid:
            continue
        if not is_valid:
            return Verdict("wrong" if constraint.report().is_exact else "invalid accepted, reported", text[:60])
        if not any(sign in text for sign in SPELLINGS[constraint.spelling.integers]):
            return Verdict("wrong", text[:60])
        verdict = Verdict("valid rejected, documented", text[:60])
    return verdict


def accepts(compiled: Any, text: str) -> bool:
    """Whether the text is in the language of a compiled constraint."""
    matcher = compiled.matcher()
    try:
        matcher.advance_bytes(text.encode())
    except rellm.TokenRejectedError:
        return False
    return bool(matcher.is_accepting)


def verdicts(draft: str, integers: Any) -> dict[tuple[str, str], Verdict]:
    """The verdict of each group of a draft, by file and description."""
    spelling = JsonSpelling(integers=integers)
    return {(g.file, g.description): judged(g, spelling=spelling) for g in json_suite.groups(draft)}


def row(draft: str, integers: str, found: dict[tuple[str, str], Verdict]) -> str:
    """A line of the table."""
    counts = Counter(verdict.kind for verdict in found.values())
    cells = [str(counts[kind]) for kind in VERDICTS]
    share = f"{100 * counts['exact'] / len(found):.1f} %"
    return f"| {draft.removeprefix('draft')} | `{integers}` | {len(found)} | {' | '.join(cells)} | {share} |"


def version() -> str:
    """The release whose sdist holds the suite."""
    return f"jsonschema {importlib.metadata.version('jsonschema')}"


def main() -> None:
    print(f"| {version()} | integers | groups | {' | '.join(VERDICTS)} | exact |")
    print("|" + "---|" * (4 + len(VERDICTS)))
    others = []
    for draft in json_suite.DRAFTS:
        for integers in INTEGERS:
            found = verdicts(draft, integers)
            print(row(draft, integers, found), flush=True)
            others += [(draft, integers, *key, *v) for key, v in found.items() if v.kind != "exact"]
    if "--groups" in sys.argv[1:]:
        print(*(" | ".join(other) for other in others), sep="\n")


if __name__ == "__main__":
    main()
