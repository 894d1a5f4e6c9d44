"""A stand-in for `llama_cpp`: a model without weights that wants to write a script, and the library's traps.

What it copies of the real one (0.3.36): a processor is called with all evaluated ids, drafts included; an exception in
it is swallowed and the scores stay as they are; `logit_bias=` beside a processor drops the processor.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import numpy as np
from rellm import testing

WORDS = ["yes", "no", " because", "the "]
SPECIAL = ["<|im_start|>", "<|im_end|>"]
VOCABULARY = testing.tiny_vocabulary(WORDS, SPECIAL)
EOS = VOCABULARY.eos_token_ids[0]
END_OF_TURN = VOCABULARY.special_token_id("<|im_end|>")
CHAT = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{{ eos_token }}"


def module() -> types.ModuleType:
    """What the integration imports."""
    found: Any = types.ModuleType("llama_cpp")
    found.__path__ = []
    found.LLAMA_TOKEN_ATTR_UNKNOWN, found.LLAMA_TOKEN_ATTR_UNUSED, found.LLAMA_TOKEN_ATTR_CONTROL = 1, 2, 8
    found.LogitsProcessorList = list
    found.llama_vocab_is_eog = lambda vocab, token: token in (EOS, END_OF_TURN)
    found.llama_vocab_get_attr = lambda vocab, token: 8 if VOCABULARY.token_bytes(token) is None else 4
    found.llama_vocab_get_text = lambda vocab, token: (VOCABULARY.special_token_name(token) or "").encode()

    def to_piece(vocab: Any, token: int, buffer: Any, size: int, lstrip: int, special: bool) -> int:
        data = VOCABULARY.token_bytes(token) or b""
        if len(data) > size:
            return -len(data)
        buffer[: len(data)] = data
        return len(data)

    found.llama_token_to_piece = to_piece
    formats: Any = types.ModuleType("llama_cpp.llama_chat_format")

    class Jinja2ChatFormatter:
        def __init__(self, template: str, eos_token: str, bos_token: str) -> None:
            self._template, self._eos = template, eos_token

        def __call__(self, messages: Any) -> Any:
            import jinja2

            made = jinja2.Template(self._template).render(messages=messages, eos_token=self._eos)
            return types.SimpleNamespace(prompt=made)

    formats.Jinja2ChatFormatter = Jinja2ChatFormatter
    found.llama_chat_format = formats
    return found


class Llama:
    """Wants to write `says`, byte for byte, and then to end. With `drafts`, so many bytes are evaluated ahead."""

    def __init__(self, says: str, drafts: int = 0, template: str | None = CHAT, context: int = 400) -> None:
        self._says = says.encode()
        self._drafts = drafts
        self._context = context
        self._model = types.SimpleNamespace(vocab=None)
        self.metadata = {"tokenizer.chat_template": template} if template else {}
        self.prompts: list[list[int]] = []
        self.settings: list[dict[str, Any]] = []

    def n_vocab(self) -> int:
        return len(VOCABULARY)

    def n_ctx(self) -> int:
        return self._context

    def token_eos(self) -> int:
        return EOS

    def token_bos(self) -> int:
        return -1

    def set_seed(self, seed: int) -> None:
        self.settings.append({"seed": seed})

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        return list(text)

    def generate(self, tokens: Any, logits_processor: Any = None, **settings: Any) -> Iterator[int]:
        self.prompts.append(list(tokens))
        self.settings.append(settings)
        prompt, written, at = list(tokens), [], 0
        while True:
            scores = np.zeros(len(VOCABULARY), dtype=np.single)
            scores[self._says[at] if at < len(self._says) else EOS] = 9
            scores[[EOS, END_OF_TURN]] += 1
            ahead = list(self._says[at : at + self._drafts]) if written else []  # drafts, evaluated with the text
            for processor in logits_processor or []:
                try:
                    scores[:] = processor(np.array([*prompt, *written, *ahead], dtype=np.intc), scores)
                except Exception:  # as ctypes does
                    pass
            token = int(scores.argmax())
            at += 1
            yield token
            written.append(token)

    def create_completion(
        self, prompt: str, max_tokens: int = 16, logits_processor: Any = None, logit_bias: Any = None
    ) -> dict[str, Any]:
        if logit_bias is not None and logits_processor is not None:
            logits_processor = logits_processor.extend([])
        data = b""
        for number, token in enumerate(self.generate(list(prompt.encode()), logits_processor)):
            if token in (EOS, END_OF_TURN):
                break
            data += VOCABULARY.token_bytes(token) or b""
            if number + 1 == max_tokens:
                break
        return {"choices": [{"text": data.decode("utf-8", "replace")}]}
