"""Random patterns of `re`, over few characters, so that texts that match are short; random vocabularies for them."""

from __future__ import annotations

import re
import warnings

from hypothesis import assume
from hypothesis import strategies as st

ALPHABET = "ab1 é"

_ATOMS = [
    "a", "b", "1", " ", "é", ".", r"\w", r"\W", r"\d", r"\s", "[ab]", "[^a]", r"[^\w]", "[a-c1]", r"[\dé]", "(?i:B)",
    "(?i:É)", "(?a:\\w)", "(?s:.)",
]  # fmt: skip
_EDGES = [r"\b", r"\B", "^", "$", r"\A", r"\Z", "(?m:^)", "(?m:$)"]
_QUANTIFIERS = ["?", "*", "+", "{2}", "{1,2}", "{0,1}", "{,2}", "{2,}", "??", "*?", "+?", "{1,2}?", "?+", "*+", "++"]


def _bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    behind = st.sampled_from(["a", "b", "[ab]", "é1", r"\w", r"\b", "^"])
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(_QUANTIFIERS)).map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
        inner.map(lambda part: f"({part})"),
        inner.map(lambda part: f"(?={part})"),
        inner.map(lambda part: f"(?!{part})"),
        inner.map(lambda part: f"(?>{part})"),
        behind.map(lambda part: f"(?<={part})"),
        behind.map(lambda part: f"(?<!{part})"),
        st.tuples(inner, inner).map(lambda parts: rf"(?:({parts[0]}){parts[1]}\1)"),
        st.tuples(inner, inner, inner).map(lambda parts: f"(?:({parts[0]})?{parts[1]}(?(1){parts[2]}|b))"),
    )


def _numbered(pattern: str) -> str:
    """Each `\\1` and `(?(1)` means the group that was opened for it: number them as they come."""
    opened: list[int] = []
    count = 0
    out = []
    for part in re.split(r"(\((?!\?)|\(\?\(1\)|\\1|\))", pattern):
        if part == "(":
            count += 1
            opened.append(count)
        elif part in ("(?(1)", r"\1") and count:
            part = part.replace("1", str(count if part == r"\1" else max(1, count)))
        out.append(part)
    return "".join(out)


@st.composite
def patterns(draw: st.DrawFn) -> re.Pattern[str]:
    """A pattern that `re` takes, with flags."""
    atom = st.one_of(st.sampled_from(_ATOMS), st.sampled_from(_ATOMS), st.sampled_from(_EDGES))
    text = _numbered(draw(st.recursive(atom, _bigger, max_leaves=7)))
    flags = draw(st.sampled_from([0, 0, 0, re.I, re.S, re.M, re.A, re.I | re.A]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(text, flags)
        except (re.error, OverflowError):
            assume(False)
            raise


@st.composite
def vocabularies(draw: st.DrawFn) -> tuple[list[bytes | None], list[int]]:
    """Tokens and EOS ids: texts of a few characters, single bytes, gaps, empty and duplicate tokens."""
    token = st.one_of(
        st.text(ALPHABET, min_size=1, max_size=3).map(str.encode),
        st.sampled_from([character.encode() for character in ALPHABET]),
        st.sampled_from([b"", b"\xc3", b"\xa9", b"\xa9a", b"a\xc3", b"\xff", "🙂".encode(), None]),
    )
    tokens: list[bytes | None] = draw(st.lists(token, min_size=3, max_size=14))
    if draw(st.booleans()):
        tokens += [character.encode() for character in ALPHABET]  # everything can be spelled
    eos = draw(st.sampled_from([[], [0], [len(tokens)], [1, len(tokens)]]))
    return [*tokens, None], eos
