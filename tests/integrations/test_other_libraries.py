"""docs/other-libraries.md lists each name inside another library that the package leans on, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "rellm"
PAGE = (ROOT / "docs" / "other-libraries.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?) \| ([\w-]+) \| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.M)
# How private names of others are reached: as an attribute of something that is not ours, by getattr, from the stack.
REACHED = re.compile(
    r"""(?x) \b(?:re|model|own|self\.model|tokenizer|encoding|pipeline|state|config)\.(_[a-z]\w+)
    | (?:get|has)attr\([^,()]+, \s* "(_[a-z]\w+)"
    | ^\s*(?:from \s regex \s import|import) \s (_[a-z]\w+)
    | _frame_of\("(\w+)"\)""",
    re.M,
)
OURS = {"_depth", "_get_generator", "_arguments", "_ahead"}  # of constraints, and of our models for LangChain


def sources() -> dict[str, str]:
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def test_the_table_has_all_private_names() -> None:
    listed = set(re.findall(r"`([^`]+)`", " ".join(row[0] for row in ROWS)))
    listed |= {part for name in listed for part in name.split(".")}
    for path, text in sources().items():
        for groups in REACHED.findall(text):
            name = next(filter(None, groups))
            assert name in listed | OURS, f"{path} leans on {name}: list it in docs/other-libraries.md"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_is_true(row: tuple[str, ...]) -> None:
    names, _, where, without, checked = row
    texts = sources()
    places = re.findall(r"`([^`]+)`", where)
    for place in places:
        assert place in texts or any(path.startswith(place) for path in texts), place
    text = "".join(body for path, body in texts.items() if any(path.startswith(place) for place in places))
    for name in re.findall(r"`([^`]+)`", names):
        assert name in text, f"{name} is not in {where}"
    assert without
    assert checked
