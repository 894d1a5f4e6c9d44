"""Tokens that are never text: their names, the errors about them, and the default patterns."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from rellm import _core
from rellm._errors import VocabularyError

_OPEN, _CLOSE = r"(?:<[|｜]?|\[)", r"(?:[|｜]?>|\])"
_GAP = r"[ ▁_-]?"  # between the words of a marker


def _marker(*words: str) -> re.Pattern[str]:
    """Any of these words between `<` and `>`, `<|` and `|>`, `<｜` and `｜>`, `[` and `]`. A blank is any gap."""
    inside = "|".join(word.replace(" ", _GAP) for word in words)
    return re.compile(f"{_OPEN}(?:{inside}){_CLOSE}", re.IGNORECASE)


def _barred(*words: str) -> re.Pattern[str]:
    """The same with bars only: without bars, `<user>` or `[system]` may be ordinary text."""
    inside = "|".join(word.replace(" ", _GAP) for word in words)
    return re.compile(rf"<[|｜](?:{inside})[|｜]>", re.IGNORECASE)


@cache
def default_never_text() -> tuple[re.Pattern[str], ...]:
    """Unused and reserved tokens, markers of roles and of fill-in-the-middle; `<think>` and `<td>` stay text."""
    return (
        # `<unused32>`, `[unused1]`, `[UNUSED_TOKEN_145]`, `<|reserved_special_token_7|>`, `<|placeholder3|>`,
        # `<｜place▁holder▁no▁12｜>`, `<|dummy_5|>`, `<|extra_9|>`, `<SPECIAL_23>`, `[control_8]`
        _marker(r"unused(?: tokens?)?(?: \d+)?", r"reserved(?: special)?(?: tokens?)?(?: \d+)?"),
        _marker(r"(?:place holder|dummy|special|control|extra)(?: tokens?)?(?: no)? \d+"),
        # `<|fim_prefix|>`, `<fim-suffix>`, `<｜fim▁hole｜>`, `<|code_middle|>`, `<|repo_name|>`, `<|file_sep|>`
        _marker(r"fim (?:prefix|middle|suffix|begin|hole|end|pad)"),
        _barred(r"code (?:prefix|middle|suffix)", r"repo name", r"file (?:sep|separator|name)"),
        # `<｜User｜>`, `<|assistant|>`, `<|USER_TOKEN|>`, `<|im_start|>`, `<|eot_id|>`, `<start_of_turn>`, `[/INST]`
        _barred(
            r"(?:im )?(?:user|human|assistant|chat ?bot|bot|model|system|developer|observation|ipython)(?: token)?",
            r"im (?:start|end|middle|sep)",
            r"(?:start|end) header(?: id)?",
            r"eo[tm](?: id)?",
        ),
        _marker(r"(?:start|end) of turn(?: token)?"),
        re.compile(r"\[/?INST\]|\[/?SYSTEM_PROMPT\]"),
    )


_ENDS = frozenset(b">]")
_MOST_COMPARED = 4096
_SHOWN = 8


def named_special_tokens(
    tokens: Sequence[bytes | None], eos: Iterable[int], special_tokens: Mapping[str, int]
) -> dict[str, int]:
    """The ids of special tokens by name: those that were given, and EOS tokens by their bytes.

    Raises:
        VocabularyError: an id is none of a token's.
        TypeError: a name is no string, or an id is no whole number.
    """
    if not isinstance(special_tokens, Mapping):
        raise TypeError(f"special_tokens are ids by names, {{name: id}}, not {type(special_tokens).__name__}")
    names: dict[str, int] = {}
    for name, token_id in special_tokens.items():
        if not isinstance(name, str):
            raise TypeError(f"special_tokens are ids by names, {{name: id}}: {name!r:.60} is no name")
        if isinstance(token_id, bool) or not hasattr(token_id, "__index__"):
            raise TypeError(f"special_tokens: the id of {name!r} is a whole number, not {token_id!r:.60}")
        names[name] = operator.index(token_id)
        if not 0 <= names[name] < len(tokens):
            raise VocabularyError(
                f"special_tokens: {names[name]} ({name!r}) is not a token, ids go from 0 to {len(tokens) - 1}; "
                "give tokens an entry for it, None for a special token"
            )
    known = set(names.values())
    for token_id in eos:
        data = tokens[token_id] if tokens else None
        written = _decoded(data) if isinstance(data, bytes) and data else None
        if written is not None and token_id not in known:
            names.setdefault(written, token_id)
    return names


def tokens_never_text(
    tokens: Sequence[bytes | None], special: Mapping[str, int], wanted: Iterable[str | int | re.Pattern[str]]
) -> dict[int, str]:
    """The tokens that are asked for and still text: their content by their id.

    Args:
        tokens: the bytes of each token, by its id.
        special: the ids of the special tokens by name.
        wanted: content, ids, or patterns that match the content in full.

    Raises:
        VocabularyError: a content or an id is none of a token's.
        TypeError: something else is asked for.
    """
    patterns: list[re.Pattern[str]] = []
    texts: set[str] = set()
    found: dict[int, str] = {}
    for item in wanted:
        if isinstance(item, re.Pattern):
            patterns.append(item)
        elif isinstance(item, str):
            texts.add(item)
        elif 0 <= item < len(tokens):
            data = tokens[item]
            if data is not None:
                found[item] = data.decode("utf-8", "replace")
        else:
            raise VocabularyError(f"never_text: {item} is not a token, ids go from 0 to {len(tokens) - 1}")
    missing = texts - special.keys()
    only_defaults = not texts and all(pattern in default_never_text() for pattern in patterns)
    for token_id, data in enumerate(tokens):
        # PERF: what ends as no default does is not decoded: 200,000 tokens in 15 ms in place of 400.
        if not data or (only_defaults and data[-1] not in _ENDS):
            continue
        text = _decoded(data)
        if text is None:
            continue
        if text in texts or any(pattern.fullmatch(text.strip(" ")) for pattern in patterns):
            missing.discard(text)
            found[token_id] = text
    if missing:
        name = min(missing)
        near = _near(name, [*special, *_markers(tokens)])
        raise VocabularyError(f"never_text: no token is {name!r}{near}. Leave it out, or give the token's id")
    return found


def checked_never_text(wanted: Any) -> tuple[str | int | re.Pattern[str], ...]:
    """Checks the argument `never_text=`; None is the default.

    Raises:
        TypeError: it is no list of content, ids and patterns.
    """
    if wanted is None:
        return default_never_text()
    if isinstance(wanted, (str, bytes, re.Pattern, Mapping)) or not isinstance(wanted, Iterable):
        raise TypeError(
            f"never_text is a list, not {type(wanted).__name__} {wanted!r:.60}: "
            + ("[] switches it off" if isinstance(wanted, bool) else "put it into [ ]")
        )
    items: list[str | int | re.Pattern[str]] = []
    for item in wanted:
        if isinstance(item, str) or (isinstance(item, re.Pattern) and isinstance(item.pattern, str)):
            items.append(item)
        elif not isinstance(item, bool) and hasattr(item, "__index__"):
            items.append(operator.index(item))
        else:
            raise TypeError(
                "never_text takes the content of tokens, their ids, or patterns that re.compile made, not "
                f"{type(item).__name__} {item!r:.60}"
            )
    return tuple(items)


def unknown_special_token(name: str, special: Mapping[str, int], native: _core.Vocabulary) -> VocabularyError:
    """The error for the name of a special token that the vocabulary lacks: with near names, or why it is none."""
    data = name.encode("utf-8", "replace")
    as_text = next((i for i in range(len(native)) if native.token_bytes(i) == data), None) if data else None
    if as_text is not None:
        return VocabularyError(
            f"{name!r} is no special token of this vocabulary, but an ordinary one (id {as_text}) that writes these "
            "characters: write it as text, or make it special by never_text=[…] of Vocabulary.from_tokenizer"
        )
    if not special:
        return VocabularyError(
            f"this vocabulary has no special token {name!r}, and none of its tokens has a name: "
            "name them by special_tokens= of Vocabulary, or give the token's id"
        )
    return VocabularyError(f"this vocabulary has no special token {name!r}{_near(name, special)}")


def _near(name: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches  # here: an import of rellm must be quick

    candidates = list(dict.fromkeys(names))[:_MOST_COMPARED]
    inner = {candidate.strip("<>[]|｜ ").casefold(): candidate for candidate in reversed(candidates)}
    same = inner.get(name.strip("<>[]|｜ ").casefold())
    found = get_close_matches(name, candidates, n=3, cutoff=0.6)
    if same is not None and same not in found:
        found = [same, *found[:2]]
    if found:
        return f"; did you mean {' or '.join(map(repr, found))}"
    shown = ", ".join(map(repr, candidates[:_SHOWN]))
    more = f", … {len(candidates) - _SHOWN} more" if len(candidates) > _SHOWN else ""
    return f"; it has {shown}{more}" if candidates else ""


def _markers(tokens: Sequence[bytes | None]) -> Iterator[str]:
    for data in tokens:
        if data and data[-1] in _ENDS and data[0] in b"<[" and (text := _decoded(data)) is not None:
            yield text


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
