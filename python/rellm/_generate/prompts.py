"""Prompts to token ids: strings, chat messages, token ids, encoded inputs, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from rellm._errors import VocabularyError

if TYPE_CHECKING:
    import torch

Prompt: TypeAlias = "str | Sequence[Mapping[str, Any]] | Sequence[int] | torch.Tensor | Mapping[str, Any]"
"""One prompt: text, a list of chat messages, token ids, or the inputs that a tokenizer or a processor made."""


@dataclass(frozen=True)
class PromptOptions:
    """How prompts become tokens.

    Attributes:
        tools, template_kwargs: for the chat template.
        continue_final_message: go on with the last message; by default, if it is the assistant's.
        add_special_tokens: have the tokenizer add its BOS to a text; by default, unless the text begins with one.
    """

    tools: Any = None
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    continue_final_message: bool | None = None
    add_special_tokens: bool | None = None

    @classmethod
    def taken_from(cls, kwargs: dict[str, Any]) -> PromptOptions:
        """The options among the arguments of a call; they are removed from `kwargs`."""
        template = dict(kwargs.pop("chat_template_kwargs", None) or {})
        for name in ("enable_thinking", "documents", "chat_template"):
            if name in kwargs:
                template[name] = kwargs.pop(name)
        return cls(
            kwargs.pop("tools", None),
            template,
            kwargs.pop("continue_final_message", None),
            kwargs.pop("add_special_tokens", None),
        )


@dataclass(frozen=True)
class EncodedPrompts:
    """The prompts as `generate` takes them: `(rows, length)` tensors on the model's device.

    Attributes:
        lengths: the number of tokens in each row without its padding.
        others: further inputs of a processor (pixels, sound), by the names of the model's arguments.
        begins_with_ids: whether `generate` gets `input_ids`; not for a model that reads sound, for example.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    is_single: bool  # one prompt was given, not a list of them
    lengths: tuple[int, ...] = ()
    others: Mapping[str, Any] = field(default_factory=dict)
    begins_with_ids: bool = True


def is_chat(prompt: Any) -> bool:
    """Whether this is one list of chat messages, and not a list of prompts."""
    return (
        isinstance(prompt, Sequence)
        and not isinstance(prompt, (str, bytes))
        and len(prompt) > 0
        and all(isinstance(message, Mapping) for message in prompt)
    )


def _check_chat(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuses incomplete and unknown messages: a template would silently omit or mangle them."""
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


def is_encoded(prompt: Any) -> bool:
    """Whether a tokenizer or a processor made this: `input_ids`, or other tensors in their place."""
    return isinstance(prompt, Mapping) and not {"role", "content"} & set(prompt) and len(prompt) > 0


def is_ids(prompt: Any) -> bool:
    """Whether this is one prompt as token ids."""
    if hasattr(prompt, "tolist") and hasattr(prompt, "shape"):
        return len(prompt.shape) == 1 or (len(prompt.shape) == 2 and prompt.shape[0] == 1)
    return (
        isinstance(prompt, (list, tuple))
        and len(prompt) > 0
        and all(isinstance(one, int) and not isinstance(one, bool) for one in prompt)
    )


def split_prompts(prompt: Any) -> tuple[list[Any], bool]:
    """The prompts as a list, and whether `prompt` was a single one."""
    if isinstance(prompt, str) or is_chat(prompt) or is_ids(prompt):
        return [prompt], True
    if is_encoded(prompt):
        ids = prompt.get("input_ids")
        many = next(iter(prompt.values())) if ids is None else ids
        rows = 1 if ids is not None and is_ids(ids) else len(many)
        return [prompt], rows == 1
    if hasattr(prompt, "tolist") and len(getattr(prompt, "shape", ())) == 2:
        return list(prompt), False
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
            if not (isinstance(one, str) or is_chat(one) or is_ids(one)):
                raise TypeError(f"prompt {i} is {type(one).__name__}: a prompt is a str or a list of chat messages")
        return list(prompt), False
    raise TypeError(f"the prompt is {type(prompt).__name__}: pass a str, a list of chat messages, or a list of these")


def encode_prompts(
    prompts: Sequence[Any], is_single: bool, tokenizer: Any, model: Any, pad: int, options: PromptOptions | None = None,
    template: Any = None,
) -> EncodedPrompts:  # fmt: skip
    """Tokenise, and pad where the model wants it: left for a decoder, right for an encoder.

    Padding is done here, not by the tokenizer: many have no padding token or pad on the wrong side, and we do not
    change the caller's tokenizer.

    Args:
        template: the object with the chat template, if it is not the tokenizer.
    """
    options = PromptOptions() if options is None else options
    device = device_of(model)
    if len(prompts) == 1 and is_encoded(prompts[0]):
        if set(prompts[0]) - {"input_ids", "attention_mask", "token_type_ids"}:
            return _of_processor(prompts[0], is_single, device)
        prompts = _rows_of(prompts[0])
    rows = [_ids(prompt, tokenizer, options, tokenizer if template is None else template) for prompt in prompts]
    encoder_decoder = bool(model.config.is_encoder_decoder)
    for i, row in enumerate(rows):
        if not row:
            rows[i] = [_first_token(tokenizer, model, prompts[i])]
    _check_ids(rows, tokenizer, model)
    ids, mask = padded(rows, pad, at_left=not encoder_decoder)
    return EncodedPrompts(ids.to(device), mask.to(device), is_single, tuple(map(len, rows)))


def padded(rows: Sequence[Sequence[int]], pad: int, *, at_left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of tokens as `(rows, longest)` ids, and the attention mask of their padding."""
    import torch

    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), longest) if at_left else slice(0, len(row))
        ids[i, where] = torch.tensor(row, dtype=torch.long)
        mask[i, where] = 1
    return ids, mask


def device_of(model: Any) -> Any:
    """The device of the model's inputs: that of its first weight that is not offloaded."""
    import torch

    device = getattr(model, "device", None)
    if isinstance(device, torch.device) and device.type != "meta":
        return device
    hook = getattr(getattr(model, "_hf_hook", None), "execution_device", None)  # accelerate's, for offloaded models
    if hook is not None:
        return torch.device(hook)
    for parameter in model.parameters() if hasattr(model, "parameters") else ():
        if parameter.device.type != "meta":
            return parameter.device
    return torch.device("cpu")


def _rows_of(encoded: Mapping[str, Any]) -> list[list[int]]:
    """The prompts of a tokenizer's answer, without their padding."""
    ids, mask = encoded["input_ids"], encoded.get("attention_mask")
    rows = _lists(ids)
    masks = _lists(mask) if mask is not None else [[1] * len(row) for row in rows]
    return [
        [int(token_id) for token_id, is_text in zip(row, seen, strict=True) if is_text]
        for row, seen in zip(rows, masks, strict=True)
    ]


def _lists(ids: Any) -> list[list[int]]:
    found = ids.tolist() if hasattr(ids, "tolist") else [one.tolist() if hasattr(one, "tolist") else one for one in ids]
    return [list(found)] if found and not isinstance(found[0], (list, tuple)) else [list(row) for row in found]


def _of_processor(encoded: Mapping[str, Any], is_single: bool, device: Any) -> EncodedPrompts:
    """The inputs that a processor made of text, images and sound, unchanged."""
    import torch

    def tensor(name: str, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(device)
        raise TypeError(f'{name} is {type(value).__name__}: call the processor with return_tensors="pt"')

    values = {name: tensor(name, value) for name, value in encoded.items()}
    ids, mask = values.pop("input_ids", None), values.pop("attention_mask", None)
    if ids is not None:
        mask = torch.ones_like(ids) if mask is None else mask
        return EncodedPrompts(ids, mask, is_single, tuple(mask.sum(dim=-1).tolist()), values)
    rows = len(next(iter(values.values())))
    if mask is not None:
        values["attention_mask"] = mask
    none = torch.zeros((rows, 1), dtype=torch.long, device=device)
    return EncodedPrompts(none, torch.ones_like(none), is_single, (0,) * rows, values, begins_with_ids=False)


def _check_ids(rows: Sequence[Sequence[int]], tokenizer: Any, model: Any) -> None:
    """Refuses ids beyond the model's embeddings: the model would raise an IndexError, or crash on an accelerator."""
    try:
        known = getattr(model.get_input_embeddings(), "num_embeddings", None)
    except (AttributeError, NotImplementedError, TypeError):  # not every model gives its embeddings
        known = None
    highest = max(max(row) for row in rows)
    if isinstance(known, int) and highest >= known:
        raise VocabularyError(
            f"the tokenizer writes id {highest} for the prompt, but the model's embeddings end at {known - 1}: "
            "take the model's own tokenizer, or call model.resize_token_embeddings(len(tokenizer))"
        )


def goes_on(prompt: Sequence[Mapping[str, Any]], options: PromptOptions) -> bool:
    """Whether the text continues a chat's last message instead of beginning a new one."""
    if options.continue_final_message is not None:
        return options.continue_final_message
    return prompt[-1].get("role") == "assistant" and not prompt[-1].get("tool_calls")


def chat_text(
    prompt: Sequence[Mapping[str, Any]],
    template: Any,
    options: PromptOptions,
    *,
    add_generation_prompt: bool | None = None,
) -> str:
    """A chat as its template renders it.

    Args:
        prompt: the messages.
        template: the tokenizer or processor that has the template.
        options: how the prompt is rendered.
        add_generation_prompt: whether it ends with the beginning of an answer; by default unless the last message is
            continued.

    Raises:
        ValueError: there is no template.
        TypeError: a message is not valid.
    """
    if getattr(template, "chat_template", None) is None and "chat_template" not in options.template_kwargs:
        raise ValueError("the tokenizer has no chat template: pass the prompt as a str, or set tokenizer.chat_template")
    _check_chat(prompt)
    more = dict(options.template_kwargs)
    if options.tools is not None:
        more["tools"] = options.tools
    is_continued = goes_on(prompt, options)
    if is_continued:
        more["continue_final_message"] = True
    adds = not is_continued if add_generation_prompt is None else add_generation_prompt
    text: str = template.apply_chat_template(list(prompt), tokenize=False, add_generation_prompt=adds, **more)
    return text


def _ids(prompt: Any, tokenizer: Any, options: PromptOptions, template: Any) -> list[int]:
    if isinstance(prompt, str):
        add = options.add_special_tokens
        if add is None:
            first = getattr(tokenizer, "bos_token", None)
            add = not (isinstance(first, str) and first and prompt.startswith(first))  # a rendered template has its BOS
        return _flat(
            tokenizer(prompt)["input_ids"] if add else tokenizer(prompt, add_special_tokens=False)["input_ids"]
        )
    if not is_chat(prompt):
        return _lists(prompt)[0]
    text = chat_text(prompt, template, options)
    # The template writes the special tokens itself; the tokenizer must not add a second BOS.
    return _flat(tokenizer(text, add_special_tokens=bool(options.add_special_tokens))["input_ids"])


def _flat(ids: Any) -> list[int]:
    return [int(token_id) for token_id in ids]


def _first_token(tokenizer: Any, model: Any, prompt: Prompt) -> int:
    for candidate in (
        getattr(tokenizer, "bos_token_id", None),
        getattr(model.generation_config, "bos_token_id", None),
        getattr(tokenizer, "eos_token_id", None),  # GPT-2 and similar models begin texts with it
    ):
        if isinstance(candidate, int):
            return candidate
    raise ValueError(
        f"the prompt {prompt!r} has no tokens, and the tokenizer no BOS token to begin with: pass at least a character"
    )
