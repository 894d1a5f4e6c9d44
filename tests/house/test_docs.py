"""The documentation site is true: every Python block of its pages runs, in order, in one namespace a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
# A block that cannot run here stands below `<!-- not run: reason -->`, which a reader of the source sees.
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?^```python[^\n]*\n(?P<code>.*?)^```", re.S | re.M)


def blocks(page):
    text = page.read_text(encoding="utf-8")
    return [
        ("\n" * text.count("\n", 0, found.start("code")) + found["code"], found["reason"])
        for found in BLOCK.finditer(text)
        # A file of the project has tests of its own, and test_search_partial.py runs the doctests of its page.
        if "--8<--" not in found["code"] and not found["code"].startswith(">>>")
    ]


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if blocks(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    import real_model

    monkeypatch.chdir(tmp_path)
    namespace = {"folder": real_model.folder()}
    for code, reason in blocks(page):
        if reason is None:
            exec(compile(code, str(page), "exec", dont_inherit=True), namespace)


def test_blocks_are_found():
    assert any(page.name == "index.md" for page in PAGES)
