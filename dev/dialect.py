"""Makes docs/dialect.md from testdata/dialect.toml: the same cases that the tests run.

python dev/dialect.py           # prints the page
python dev/dialect.py --write   # writes it
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

ENGINES = {
    "automaton": "automaton",
    "search": "search",
    "refused": "refused, as by the library",
    "unsupported": "refused",
}

HEAD = """\
# The dialects, construct by construct

Made from `testdata/dialect.toml` by `python dev/dialect.py --write`; the tests run every line of it against
the library and against rellm.

A pattern means what its own library says: an `re.Pattern` (or a `str`) what the running interpreter's `re` says, a
`regex.Pattern` (or a `str` with `dialect="regex"`) what the installed `regex` says. A constraint is the set of
texts that the library would `fullmatch`. Classes of characters and case come from the library itself, by a scan
over all code points.

**automaton**: exact, no dead ends, all promises. **search**: served by partial matching with the `regex` library;
what is returned matches, but its masks may allow a token that turns out to be a dead end. **refused**: a
`PatternError` with the position, or an `UnsupportedError` where only rellm refuses.

**Flags** are members of one library, and choose the dialect of a `str`. Do not mix those of two: `re.I | regex.V1` has
the class of its first and the numbers of both, and since `regex.V1` and `re.A` are the same number, it *is*
`re.I | re.A`. Where the number shows it (`re.I | regex.FULLCASE`, `re.I | regex.ASCII`), mixed flags are a
`PatternError`; where it does not, nothing can tell.

"""

TAIL = """
## What goes to the search engine besides

- Calls of groups, `(?R)`, `(?1)`, `(?&name)`: where the called group sets a group that something asks for, or asks for
  one, since a called group keeps what it sets to itself and each level of the recursion has texts of its own; inside
  atomic groups, possessive repetitions and lookbehinds, where the first way counts that the library finds, or it reads
  backwards. A group that calls itself before it reads a character is an `UnsupportedError`: the library never ends on it.
- Fuzzy items, `(?:…){e<=1}`: with a least number of errors; inside atomic groups, possessive repetitions and lookbehinds;
  beside full case folding; and those that hold an atomic group, a possessive repetition, a backreference, a group that
  something asks for, or a call. Those that hold a lookaround, an anchor, a boundary, a conditional, `\\X` or another
  fuzzy item are an `UnsupportedError`, since partial matching is wrong about them. All others are equal to the library.
- Backreferences that the automaton cannot hold exactly, such as to a group inside of itself, or where captures are
  tested inside atomic groups and lookarounds.
- A property such as `\\p{Lu}` outside of a set, with case ignored, in ASCII or behind an uncertain beginning: the
  library answers differently there from one place in a pattern to the next.
- A literal of hundreds of characters that folds in very many ways under full case folding (`(?if)` and `s` a
  thousand times).

## Where we do not follow the libraries

- `regex` takes a set that holds a property and its opposite for all characters, even if the set is negated: its
  `[^\\w\\W]` matches every character. Ours matches none.
- `regex` splits a common beginning off alternatives before it folds them in full, with a slip for foldings of
  three characters at the end of an alternative.
- `re` refuses a pattern of some thousand nested groups with a `RecursionError`; both dialects end in
  `Limits.nesting` here.
- `(?(1)…)` with a number that is not written in ASCII digits is refused.
"""


def rows(cases: list[dict[str, Any]], dialect: str) -> str:
    lines = ["| construct | meaning | engine | example | matches | does not match |", "|---|---|---|---|---|---|"]
    for case in cases:
        if dialect not in case["dialects"]:
            continue
        cells = [
            case["construct"],
            case["meaning"],
            ENGINES[case.get("engine", "automaton")],
            code(case["pattern"] + (f"  ({', '.join(case['flags'])})" if "flags" in case else "")),
            ", ".join(code(repr(text)) for text in case.get("matches", [])[:3]),
            ", ".join(code(repr(text)) for text in case.get("misses", [])[:3]),
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    text = text.replace("\n", "⏎")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def page() -> str:
    cases = tomllib.loads((ROOT / "testdata" / "dialect.toml").read_text(encoding="utf-8"))["case"]
    parts = [
        HEAD,
        "## Python's `re`\n\n",
        rows(cases, "re"),
        "\n## The `regex` library\n\n",
        rows(cases, "regex"),
        TAIL,
    ]
    return "".join(parts)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        (ROOT / "docs" / "dialect.md").write_text(page(), encoding="utf-8")
    else:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stdout.write(page())
