"""Saves compiled constraints in files, and warms them: makes masks before the first request.

A file holds the source of a constraint, and the texts that it was warmed with: reading the file compiles the
constraint and makes the same masks. That takes milliseconds. The masks themselves would take a hundred times the space
of the texts, and nothing could check them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rellm._constraints import Constraint, Literal, as_constraint
from rellm._errors import UnsupportedError, VocabularyError
from rellm._limits import Limits
from rellm._vocabulary import as_vocabulary

if TYPE_CHECKING:
    from rellm._engines.compile import CompiledConstraint

_FORMAT: Final = 1
_LENGTH: Final = 200
_MOST_TEXTS: Final = 64


def make_masks(compiled: CompiledConstraint, texts: Iterable[str] | None, count: int, seconds: float) -> list[str]:
    """Makes the masks along these texts, or along `count` random ones; returns those that may be written."""
    from rellm._engines.sampling import sample

    until = time.monotonic() + seconds
    if texts is None:
        texts = sample(compiled.constraint, count, seed=0, length=_LENGTH)
    row = np.zeros((len(compiled.vocabulary) + 31) // 32, dtype=np.uint32)
    compiled.matcher().fill_mask(row)
    made = []
    for text in texts:
        if time.monotonic() > until:
            break
        if _walk(compiled, text, row):
            made.append(text)
    return made


def _walk(compiled: CompiledConstraint, text: str, row: Any) -> bool:
    """Whether the whole text may be written, token by token."""
    from rellm._engines.compile import compile_language

    if not text:
        return False
    spelled: Any = compile_language(Literal(text), compiled.vocabulary, Limits()).matcher()
    matcher = compiled.matcher()
    for token in spelled.shortest_completion_tokens() or ():
        if not matcher.allows(token):
            return False
        matcher.advance(token)
        matcher.fill_mask(row)
    return True


def write(compiled: CompiledConstraint, texts: Iterable[str], path: str | Path) -> None:
    """Writes the file of a compiled constraint, whole or not at all."""
    limits = compiled.limits
    try:
        constraint = compiled.constraint.to_json()
    except UnsupportedError:  # it holds a Python type, which `load` is given again
        constraint = None
    data = {
        "format": _FORMAT,
        "constraint": constraint,
        "limits": {name: getattr(limits, name) for name in Limits.__dataclass_fields__},
        "vocabulary": compiled.vocabulary.fingerprint.hex(),
        "texts": list(texts)[:_MOST_TEXTS],
    }
    target = Path(path)
    unfinished = target.with_name(target.name + ".new")
    unfinished.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    unfinished.replace(target)


def read(path: str | Path, vocab: Any, given: Any) -> tuple[Constraint, Any, Limits, list[str]]:
    """The arguments for `compile` (constraint, vocabulary, limits) and the texts to warm it with, from a file."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError(f"its format is {data['format']!r}, and this version reads {_FORMAT}")
        limits, fingerprint, texts = Limits(**data["limits"]), str(data["vocabulary"]), list(data["texts"])
        if len(texts) > _MOST_TEXTS or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"its texts are not {_MOST_TEXTS} strings at most")
        written = data["constraint"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no file that CompiledConstraint.save wrote: {error}") from None
    vocabulary = as_vocabulary(vocab)
    if vocabulary.fingerprint.hex() != fingerprint:
        raise VocabularyError(
            f"{path} was saved for another vocabulary: load it with the tokenizer that it was compiled for, or compile "
            "its constraint for this one"
        )
    if given is not None:
        return as_constraint(given), vocabulary, limits, texts
    if written is None:
        raise ValueError(f"{path} was saved for a Python type, which no file can hold: pass it as constraint=")
    return Constraint.from_json(written), vocabulary, limits, texts
