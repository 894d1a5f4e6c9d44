"""The finds of random tests, from testdata/regressions.toml."""

import tomllib
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve().parents[1] / "testdata" / "regressions.toml"


def regressions(kind: str) -> list[dict[str, Any]]:
    """The finds of one kind: "budget" or "mask".

    Raises:
        KeyError: the file has none of this kind.
    """
    found: list[dict[str, Any]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))[kind]
    return found
