"""Prompts to token ids: strings, chat messages, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rellm._errors import VocabularyError

if TYPE_CHECKING:
    import torch

Prompt = str | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class EncodedPrompts:
    """What `generate` needs of the prompts: `(rows, length)` tensors on the model's device."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    is_single: bool  # one prompt was given, not a list of them


def is_chat(prompt: Any) -> bool:
    """Whether this is one list of chat messages, and not a list of prompts."""
    return (
        isinstance(prompt, Sequence)
        and not isinstance(prompt, (str, bytes))
        and len(prompt) > 0
        and all(isinstance(message, Mapping) for message in prompt)
    )


def _check_chat(messages: Sequence[Mapping[str, Any]]) -> None:
    """A template writes nothing for what is missing, and anything for what it does not know: so neither gets there."""
    for i, message in enumerate(messages):
        role = message.get("role")
        if not isinstance(role, str):
            given = f"is {type(role).__name__}" if "role" in message else "is missing"
            raise TypeError(f'message {i}: "role" {given}: say who speaks, for instance {{"role": "user", …}}')
        content = message.get("content")
        if content is None and not message.get("tool_calls"):
            raise TypeError(f'message {i}: "content" is missing: say what {role} says, for instance {{"content": "…"}}')
        if content is not None and not isinstance(content, (str, list)):
            raise TypeError(f'message {i}: "content" is {type(content).__name__}: pass str, or a list of parts')


def split_prompts(prompt: Any) -> tuple[list[Prompt], bool]:
    """The prompts as a list, and whether it was a single one."""
    if isinstance(prompt, str) or is_chat(prompt):
        return [prompt], True
    if isinstance(prompt, (list, tuple)):
        if not prompt:
            raise ValueError("an empty list of prompts: pass a prompt, or a list with at least one")
        for i, one in enumerate(prompt):
            if isinstance(one, Mapping):
                odd = next(j for j, other in enumerate(prompt) if not isinstance(other, Mapping))
                raise TypeError(
                    f"message {odd} is {type(prompt[odd]).__name__}: chat messages are dicts, "
                    'for instance {"role": "user", "content": "…"}'
                )
            if not (isinstance(one, str) or is_chat(one)):
                raise TypeError(f"prompt {i} is {type(one).__name__}: a prompt is a str or a list of chat messages")
        return list(prompt), False
    raise TypeError(f"the prompt is {type(prompt).__name__}: pass a str, a list of chat messages, or a list of these")


def encode_prompts(prompts: Sequence[Prompt], is_single: bool, tokenizer: Any, model: Any, pad: int) -> EncodedPrompts:
    """Tokenise, and pad where the model wants it: left for a decoder, right for an encoder.

    Padding is done here, not by the tokenizer: many have no padding token or pad on the wrong side, and a caller's
    tokenizer is not ours to change.
    """
    import torch

    rows = [_ids(prompt, tokenizer) for prompt in prompts]
    encoder_decoder = bool(model.config.is_encoder_decoder)
    for i, row in enumerate(rows):
        if not row:
            rows[i] = [_first_token(tokenizer, model, prompts[i])]
    _check_ids(rows, tokenizer, model)
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(0, len(row)) if encoder_decoder else slice(longest - len(row), longest)
        ids[i, where] = torch.tensor(row, dtype=torch.long)
        mask[i, where] = 1
    return EncodedPrompts(ids.to(model.device), mask.to(model.device), is_single)


def _check_ids(rows: Sequence[Sequence[int]], tokenizer: Any, model: Any) -> None:
    """Ids beyond the model's embeddings would be an IndexError from deep inside it, or worse on an accelerator."""
    known = getattr(model.get_input_embeddings(), "num_embeddings", None)
    highest = max(max(row) for row in rows)
    if isinstance(known, int) and highest >= known:
        raise VocabularyError(
            f"the tokenizer writes id {highest} for the prompt, but the model's embeddings end at {known - 1}: "
            "take the model's own tokenizer, or call model.resize_token_embeddings(len(tokenizer))"
        )


def _ids(prompt: Prompt, tokenizer: Any) -> list[int]:
    if isinstance(prompt, str):
        return _flat(tokenizer(prompt)["input_ids"])
    if getattr(tokenizer, "chat_template", None) is None:
        raise ValueError("the tokenizer has no chat template: pass the prompt as a str, or set tokenizer.chat_template")
    _check_chat(prompt)
    text = tokenizer.apply_chat_template(list(prompt), tokenize=False, add_generation_prompt=True)
    # The template writes the special tokens that belong there; the tokenizer must not add a second BOS.
    return _flat(tokenizer(text, add_special_tokens=False)["input_ids"])


def _flat(ids: Any) -> list[int]:
    return [int(token_id) for token_id in ids]


def _first_token(tokenizer: Any, model: Any, prompt: Prompt) -> int:
    for candidate in (
        getattr(tokenizer, "bos_token_id", None),
        getattr(model.generation_config, "bos_token_id", None),
        getattr(tokenizer, "eos_token_id", None),  # GPT-2 and its kin begin texts with it
    ):
        if isinstance(candidate, int):
            return candidate
    raise ValueError(
        f"the prompt {prompt!r} has no tokens, and the tokenizer no BOS token to begin with: pass at least a character"
    )
