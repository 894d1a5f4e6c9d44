"""Thinking before the answer: whether a prompt has begun it, whether the model may think, and for how many tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rellm._generate.prompts import PromptOptions, chat_text, is_chat

if TYPE_CHECKING:
    from rellm._constraints.thinking import ThinkingMarkers

# The arguments that switch thinking off in chat templates.
_OFF: Final = {"enable_thinking": False, "thinking": False}


def thinking_first(
    tokenizer: Any, prompt: Any, constraint: Any, arguments: dict[str, Any], reasoning: Any, max_new_tokens: int
) -> Any:
    """The constraint with thinking in front, if any: a list of constraints where prompts differ.

    Args:
        tokenizer: the object with the chat template.
        prompt, constraint: those of the call.
        arguments: its other arguments; thinking is switched off in those of the chat template.
        reasoning: "auto", False, or a number of tokens.
        max_new_tokens: the budget of the call, of which thinking takes at most half where no number is given.

    Raises:
        TypeError, ValueError: `reasoning` is something else.
    """
    if reasoning is True or not (reasoning in ("auto", False) or isinstance(reasoning, int)):
        raise TypeError(f'reasoning is "auto", False or a number of tokens, not {reasoning!r:.60}')
    if reasoning is not False and reasoning != "auto" and reasoning < 1:
        raise ValueError(f"reasoning is {reasoning}: thinking takes at least one token; to have none, pass False")
    if reasoning is False:
        template = dict(arguments.get("chat_template_kwargs") or {})
        arguments["chat_template_kwargs"] = {**_OFF, **template}
    chats = [prompt] if isinstance(prompt, str) or is_chat(prompt) else prompt
    if not isinstance(chats, (list, tuple)) or not all(isinstance(one, str) or is_chat(one) for one in chats):
        return constraint
    source = str(getattr(tokenizer, "chat_template", None) or "")
    options = PromptOptions.taken_from(dict(arguments))
    states = [_state(tokenizer, one, source, options, reasoning) for one in chats]
    if all(state is None for state in states):
        return constraint
    many = constraint if isinstance(constraint, (list, tuple)) else [constraint] * len(states)
    budget = max(max_new_tokens // 2, 1) if reasoning == "auto" else None if reasoning is False else reasoning
    made = [_with_thinking(one, state, budget) for one, state in zip(many, states, strict=False)]
    return made if isinstance(constraint, (list, tuple)) or any(state != states[0] for state in states) else made[0]


def _with_thinking(constraint: Any, state: tuple[ThinkingMarkers, str] | None, budget: int | None) -> Any:
    if state is None:
        return constraint
    from rellm._constraints.conversion import as_constraint
    from rellm._constraints.free_text import FreeText
    from rellm._constraints.thinking import Thinking
    from rellm._engines.compile import CompiledConstraint

    if isinstance(constraint, Thinking):
        return constraint
    if isinstance(constraint, CompiledConstraint):
        constraint = constraint.constraint
    answer = FreeText() if constraint is None else as_constraint(constraint)
    return Thinking(answer, state[0], state[1], budget)


def _state(
    tokenizer: Any, prompt: Any, source: str, options: PromptOptions, reasoning: Any
) -> tuple[ThinkingMarkers, str] | None:
    """The markers of the model, and the state of the thinking at the end of the prompt; None: no thinking."""
    from rellm._constraints.thinking import MARKERS

    tail, is_exact = _tail(tokenizer, prompt, source, options)
    is_text = isinstance(prompt, str)
    known = [markers for markers in MARKERS if "".join(markers.opens).strip() in tail or markers.closes in tail]
    if not known and not is_text:
        known = [m for m in MARKERS if m.closes in source and m.opens[0] in source and _last_word(m) in source]
    asked = isinstance(reasoning, int) and reasoning is not False
    for markers in known:
        opening = "".join(markers.opens).strip()
        opened, closed = tail.rfind(opening), tail.rfind(markers.closes)
        if not is_exact:  # markers before the end may be text of a message
            opened, closed = (0 if tail.rstrip().endswith(sign) else -1 for sign in (opening, markers.closes))
        if opened > closed:
            return markers, "closed" if reasoning is False else "open"
        if closed >= 0:
            return None  # the prompt has ended it
        if reasoning is not False and not is_text:
            return markers, "asked" if asked else "possible"
    return (MARKERS[0], "asked") if asked and (is_text or not known) else None


def _last_word(markers: ThinkingMarkers) -> str:
    return next((part.strip() for part in markers.opens if not part.startswith("<")), markers.opens[-1])


def _tail(tokenizer: Any, prompt: Any, source: str, options: PromptOptions) -> tuple[str, bool]:
    """The end of a prompt, and whether it is exactly the part that the template or the assistant has begun."""
    if isinstance(prompt, str):
        return prompt[-200:], False
    if not source and "chat_template" not in options.template_kwargs:
        return "", True  # an error of its own, later
    if options.continue_final_message or (
        options.continue_final_message is None and prompt[-1].get("role") == "assistant"
    ):
        content = prompt[-1].get("content")
        return (content, True) if isinstance(content, str) else ("", True)
    text = chat_text(prompt, tokenizer, options)
    try:
        before = chat_text(prompt, tokenizer, options, add_generation_prompt=False)
    except Exception:  # templates raise errors of any type
        return text[-200:], False
    same = next((i for i, (a, b) in enumerate(zip(text, before, strict=False)) if a != b), min(len(text), len(before)))
    return (text[same:], True) if text[same:] else (text[-200:], False)
