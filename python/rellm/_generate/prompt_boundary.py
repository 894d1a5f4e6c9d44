"""Token healing: takes back the last tokens of a prompt that one longer token could replace.

A model has learned texts in the tokens of its tokenizer. A prompt that ends with "http:" ends with the token ":", and
"//" hardly ever follows this token, because "://" is a token of its own. So the last tokens of the prompt are taken
back, and the text has to begin with their characters: the model may write them in longer tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from rellm._constraints.continued import Continued
from rellm._constraints.conversion import as_constraint
from rellm._engines.compile import CompiledConstraint
from rellm._engines.compile import compile as compile_constraint
from rellm._errors import TokenRejectedError
from rellm._generate.prompts import EncodedPrompts, padded
from rellm._generate.text_state import text_bytes
from rellm._generate.token_prefixes import TokenPrefixes

_MOST_BYTES: Final = 32  # the longest end of a prompt that is looked for in longer tokens


def heal_prompts(
    prompts: EncodedPrompts,
    constraints: Sequence[Any],
    vocabulary: Any,
    prefixes: TokenPrefixes,
    *,
    token_healing: bool,
    leading_space: bool,
    pad: int,
    has_encoder: bool,
    is_begun: Sequence[bool],
) -> tuple[EncodedPrompts, list[Any], int]:
    """Removes the last tokens that a longer one could replace, and makes the constraints begin with their characters.

    Args:
        prompts: the prompts as tokens.
        constraints: the constraint of each, or None.
        vocabulary: the model's tokens.
        prefixes: the same in the order of their bytes.
        token_healing: whether tokens are taken back.
        leading_space: whether a space may stand before the text, where the prompt ends without one and the constraint
            has none.
        pad: the padding token of shorter rows.
        has_encoder: whether the model has an encoder, so that its texts do not continue the prompts.
        is_begun: whether the text continues each prompt; not in a chat whose template begins an answer.

    Returns:
        The prompts, the constraints, and the most tokens that were taken back from one prompt.

    Raises:
        ValueError: the prompt cannot be healed.
        UnsupportedError: a constraint goes to the search engine.
    """
    names = [name for name, is_on in (("token_healing", token_healing), ("leading_space", leading_space)) if is_on]
    if has_encoder or prompts.others or not prompts.begins_with_ids:
        what = "the prompt of an encoder" if has_encoder else "what a processor made"
        raise ValueError(f"{' and '.join(names)} look at the end of a prompt, and {what} has none: leave it out")
    rows = [
        [int(token) for token, is_text in zip(ids, seen, strict=True) if is_text]
        for ids, seen in zip(prompts.input_ids.tolist(), prompts.attention_mask.tolist(), strict=True)
    ]
    found, most = [], 0
    for i, row in enumerate(rows):
        if len(is_begun) == len(rows) and not is_begun[i]:
            found.append(constraints[i])
            continue
        count = _replaceable(row, vocabulary, prefixes) if token_healing else 0
        head = b"".join(text_bytes(vocabulary, token) for token in row[len(row) - count :])
        before = head or (text_bytes(vocabulary, row[-1]) if row else b"")
        ends_open = bool(before) and not before.decode(errors="ignore")[-1:].isspace()
        found.append(_continued(constraints[i], head.decode(), vocabulary, leading_space and ends_open))
        rows[i] = row[: len(row) - count]
        most = max(most, count)
    if most:
        ids, mask = padded(rows, pad, at_left=True)
        device = prompts.input_ids.device
        prompts = replace(
            prompts, input_ids=ids.to(device), attention_mask=mask.to(device), lengths=tuple(map(len, rows))
        )
    return prompts, found, most


def _replaceable(row: Sequence[int], vocabulary: Any, prefixes: TokenPrefixes) -> int:
    """The number of last tokens of a prompt whose bytes begin some longer token; one token always stays."""
    data, found = b"", 0
    for count, token in enumerate(reversed(row[1:]), start=1):
        spelled = text_bytes(vocabulary, token)
        data = spelled + data
        if not spelled or len(data) > _MOST_BYTES:
            break
        if _is_text(data) and prefixes.longer_than(data):
            found = count
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _continued(constraint: Any, head: str, vocabulary: Any, leading_space: bool) -> Any:
    limits = constraint.limits if isinstance(constraint, CompiledConstraint) else None
    plain = constraint.constraint if isinstance(constraint, CompiledConstraint) else constraint
    answer = None if plain is None else as_constraint(plain)
    may_have_space = leading_space and answer is not None and not _begins_with_space(answer, vocabulary, limits)
    if not head and not may_have_space:
        return constraint
    return compile_constraint(Continued(head, answer, may_have_space), vocabulary, limits)


def _begins_with_space(constraint: Any, vocabulary: Any, limits: Any) -> bool:
    matcher = compile_constraint(constraint, vocabulary, limits).matcher()
    try:
        matcher.advance_bytes(b" ")
    except TokenRejectedError:
        return False
    return True
