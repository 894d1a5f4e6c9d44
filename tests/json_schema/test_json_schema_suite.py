"""The official suite on the automaton: no group is wrong, and the guide's table says what becomes of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import json_suite
import json_suite_table
import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "json.md"
REFUSED = {"uniqueItems", "multipleOf", "oneOf"}
LEAST_EXACT = {"any": 0.95, "plain": 0.90}


@pytest.mark.parametrize("draft", json_suite.DRAFTS)
@pytest.mark.parametrize("integers", json_suite_table.INTEGERS)
def test_the_official_suite_holds(draft: str, integers: str) -> None:
    found = json_suite_table.verdicts(draft, integers)
    assert len(found) > 100
    counts = Counter(verdict.kind for verdict in found.values())
    assert not {key: verdict.why for key, verdict in found.items() if verdict.kind == "wrong"}
    assert {verdict.why for verdict in found.values() if verdict.kind == "refused"} <= REFUSED
    assert counts["exact"] >= LEAST_EXACT[integers] * len(found)
    guide = GUIDE.read_text(encoding="utf-8")
    if json_suite_table.version() in guide:  # another release may have other groups
        assert json_suite_table.row(draft, integers, found) in guide.splitlines()
