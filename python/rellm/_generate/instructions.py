"""Adds instructions to a prompt that tell the model which texts match, where a call asks for them."""

from __future__ import annotations

from typing import Any

from rellm._generate.prompts import is_chat


def with_instructions(tokenizer: Any, prompt: Any, constraint: Any, instructions: Any) -> Any:
    """The prompt with instructions about the constraint: in a chat's system message, or before a text.

    Args:
        tokenizer: the object with the chat template.
        prompt, constraint: those of the call.
        instructions: False: none; "auto": the text of `rellm.describe`; a str: this text.

    Raises:
        TypeError: `instructions` is something else, or the prompt is neither a text nor a chat.
    """
    if instructions is False or instructions is None:
        return prompt
    if not isinstance(instructions, str):
        raise TypeError(f'instructions is "auto", False or a str, not {instructions!r:.60}')
    if isinstance(prompt, str) or is_chat(prompt):
        return _told(tokenizer, prompt, constraint, instructions)
    if isinstance(prompt, (list, tuple)) and all(isinstance(one, str) or is_chat(one) for one in prompt):
        many = constraint if isinstance(constraint, (list, tuple)) else [constraint] * len(prompt)
        return [_told(tokenizer, one, part, instructions) for one, part in zip(prompt, many, strict=True)]
    raise TypeError("instructions go before a text, or into a chat: the prompt is neither; put them into it yourself")


def _told(tokenizer: Any, prompt: Any, constraint: Any, instructions: str) -> Any:
    from rellm._constraints.describe import describe
    from rellm._engines.compile import CompiledConstraint
    from rellm._generate.chat_turn import with_system_text

    text = instructions
    if text == "auto":
        if constraint is None:
            return prompt
        text = describe(constraint.constraint if isinstance(constraint, CompiledConstraint) else constraint)
    if isinstance(prompt, str):
        return f"{text}\n\n{prompt}"
    return with_system_text(prompt, text, takes_system=_takes_system(tokenizer))


def _takes_system(tokenizer: Any) -> bool:
    """Whether the chat template renders a system message."""
    messages = [{"role": "system", "content": "rellm-mark"}, {"role": "user", "content": "x"}]
    try:
        return "rellm-mark" in str(tokenizer.apply_chat_template(messages, tokenize=False))
    except Exception:  # a template refuses a message by an error of any type
        return False
