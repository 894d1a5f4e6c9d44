"""The official suite: each group is exact, refused for a documented reason, or differs in a way that is listed here."""

from __future__ import annotations

from collections import Counter
from typing import Any

import json_suite
import pytest
from fragment_oracle import Fragments
from rellm import JsonSchema, JsonSpelling, SchemaError

# Groups whose instances are spelled in a way that is documented not to be written: by spelling of integers, the words
# that the texts of rejected valid instances have in common.
SPELLINGS = {"any": ("e+", "E+"), "plain": (".0", "e+", "E+")}
REFUSED = ("uniqueItems", "multipleOf")
LEAST_EXACT = 0.95


def judged(group: json_suite.Group, **options: Any) -> str:
    """ "exact", "refused", "invalid accepted" (with " and reported"), "valid rejected" (with the spelling)."""
    asserts = group.file != "format.json"  # whose groups want formats to be annotations
    try:
        constraint = JsonSchema(group.schema, assert_formats=asserts, resources=json_suite.remotes(), **options)
    except SchemaError as error:
        return f"refused {error.keyword}"
    ops, context = constraint.operations()
    oracle = Fragments(ops, context.strings, context.dialects, json_suite.ecma_matches)
    verdict = "exact"
    for text, is_valid in group.texts:
        if oracle.accepts(text) == is_valid:
            continue
        if not is_valid:
            return "invalid accepted" + ("" if constraint.report().is_exact else " and reported")
        spelled = any(sign in text for sign in SPELLINGS[constraint.spelling.integers])
        verdict = "valid rejected" + (" as spelled" if spelled else f" {text[:60]}")
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize("draft", json_suite.DRAFTS)
@pytest.mark.parametrize("integers", ["any", "plain"])
def test_the_official_suite_holds(draft: str, integers: Any) -> None:
    groups = json_suite.groups(draft)
    assert len(groups) > 100
    found = {(g.file, g.description): judged(g, spelling=JsonSpelling(integers=integers)) for g in groups}
    counts = Counter(found.values())
    print(draft, integers, dict(counts))
    wrong = {key: verdict for key, verdict in found.items() if verdict.startswith(("invalid", "valid rejected"))}
    wrong = {
        key: v for key, v in wrong.items() if v not in ("invalid accepted and reported", "valid rejected as spelled")
    }
    assert not wrong
    refused = {verdict.split()[1] for verdict in counts if verdict.startswith("refused")}
    assert refused <= {*REFUSED, "oneOf"}
    assert counts["exact"] >= (LEAST_EXACT if integers == "any" else LEAST_EXACT - 0.05) * len(groups)
