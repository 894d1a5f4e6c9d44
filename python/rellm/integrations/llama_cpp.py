"""Constrained generation with llama.cpp, through llama-cpp-python: GGUF models on a laptop.

    from llama_cpp import Llama
    from rellm.integrations.llama_cpp import Generator

    generator = Generator(Llama("model.gguf", verbose=False))
    generator("Is water wet? Answer: ", r"yes|no").text

The vocabulary is read from the GGUF itself, with all ids that end a text. `ConstraintProcessor` is the same for
`create_completion` and `create_chat_completion`; its docstring explains three pitfalls of these that it avoids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from rellm._engines.compile import compile
from rellm._errors import RellmError, VocabularyError
from rellm._generate.engine_loop import OneByOne, Stopped, prompts_of, written_text
from rellm._generate.engine_text import EngineText, failure_of
from rellm._generate.run_limits import RunLimits
from rellm._generate.stop_strings import stop_strings
from rellm._generate.stream import TextStream
from rellm._generate.token_budget import check_budget
from rellm._vocabulary import Vocabulary

__all__ = ["ConstraintProcessor", "Generator", "vocabulary_of"]

_DEFAULT_MAX_NEW_TOKENS = 200
# Settings of `Llama.generate` that a call may set.
_SAMPLING = (
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "frequency_penalty",
    "presence_penalty",
    "mirostat_mode",
    "mirostat_tau",
    "mirostat_eta",
)
_vocabularies: WeakKeyDictionary[Any, Vocabulary] = WeakKeyDictionary()


def vocabulary_of(llama: Any) -> Vocabulary:
    """The vocabulary of a loaded model, from the GGUF itself.

    Args:
        llama: a `llama_cpp.Llama`.

    Returns:
        The bytes of each token; control, unknown and unused tokens are special; all ids that llama.cpp counts as the
        end of a text are end-of-sequence ids.

    Raises:
        VocabularyError: no token ends a text.
    """
    known = _vocabularies.get(llama)
    if known is not None:
        return known
    import llama_cpp as library

    vocab = llama._model.vocab
    special = library.LLAMA_TOKEN_ATTR_CONTROL | library.LLAMA_TOKEN_ATTR_UNKNOWN | library.LLAMA_TOKEN_ATTR_UNUSED
    tokens: list[bytes | None] = []
    ends: list[int] = []
    names: dict[str, int] = {}
    for token_id in range(llama.n_vocab()):
        if library.llama_vocab_is_eog(vocab, token_id):
            ends.append(token_id)
        if library.llama_vocab_get_attr(vocab, token_id) & special:
            tokens.append(None)
            name = library.llama_vocab_get_text(vocab, token_id)
            if name:
                names.setdefault(name.decode("utf-8", "replace"), token_id)
        else:
            tokens.append(_piece(library, vocab, token_id) or None)
    if not ends:
        raise VocabularyError("no token of this GGUF ends a text: its metadata lack tokenizer.ggml.eos_token_id")
    vocabulary = Vocabulary(tokens, ends, names)
    _vocabularies[llama] = vocabulary
    return vocabulary


def _piece(library: Any, vocab: Any, token_id: int) -> bytes:
    import ctypes

    size = 64
    while True:
        buffer = (ctypes.c_char * size)()
        count: int = library.llama_token_to_piece(vocab, token_id, buffer, size, 0, True)
        if count >= 0:
            return buffer.raw[:count]
        size = -count


class ConstraintProcessor:
    """A logits processor of llama-cpp-python for one call of `create_completion` or `create_chat_completion`.

        processor = ConstraintProcessor(r"yes|no", vocabulary_of(llama), max_tokens=8)
        llama.create_completion(prompt, max_tokens=8, logits_processor=LogitsProcessorList([processor]))
        processor.raise_failure()

    - *Exceptions* in a processor are swallowed by ctypes, and the text would go on unconstrained. Here the error is
      kept, the text ends, and `raise_failure` raises it: call it after each completion.
    - *Draft models*: the ids that the processor gets contain drafts. The n-th call chooses the n-th token, and only
      chosen tokens are read.
    - *`logit_bias=`* beside a processor switches the processor off (llama-cpp-python takes the result of
      `list.extend`, None). The processor is then never called, and `raise_failure` reports that: pass the bias here.

    Args:
        constraint: a constraint, or a compiled one.
        vocab: `vocabulary_of(llama)`.
        max_tokens: the budget of the call; the text closes within it.
        run_limits: limits on runs of whitespace and of one repeated token.
        logit_bias: numbers to add to the logits, by token id.
    """

    def __init__(
        self,
        constraint: Any,
        vocab: Vocabulary,
        max_tokens: int | None = None,
        run_limits: RunLimits | None = None,
        logit_bias: Mapping[int | str, float] | None = None,
    ) -> None:
        self.text = EngineText(compile(constraint, vocab), max_tokens, run_limits)
        self._bias = _bias(logit_bias)
        self._prompt: int | None = None
        self._calls = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores, with -inf where a token is not allowed."""
        if self._prompt is None:
            self._prompt = len(input_ids)
        begin = self._prompt + self.text.length
        for token_id in input_ids[begin : self._prompt + self._calls]:
            if not self.text.accept(int(token_id)) and self.text.failure is None:
                self.text.failure = failure_of(self.text)
        self._calls += 1
        return _masked(self.text, np.asarray(scores), self._bias)

    def raise_failure(self) -> None:
        """Raise the error of a call. RellmError: the processor was never called, so the text is unconstrained."""
        if self.text.failure is not None:
            raise self.text.failure
        if self._calls == 0:
            raise RellmError(
                "llama-cpp-python has not called the logits processor, so that the text is free: with logit_bias= it "
                "drops all processors; pass the bias to ConstraintProcessor"
            )


class Generator(OneByOne):
    """Writes texts that match, with a GGUF model.

    Args:
        llama: a `llama_cpp.Llama`; its cache of the last prompt is used, and a draft model where it has one.
        vocabulary: its vocabulary, if you have it.
    """

    def __init__(self, llama: Any, *, vocabulary: Vocabulary | None = None) -> None:
        self.llama = llama
        self.vocabulary = vocabulary_of(llama) if vocabulary is None else vocabulary

    def stream(
        self,
        prompt: Any,
        constraint: Any,
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        stop_after_match: bool = False,
        *,
        run_limits: RunLimits | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        logit_bias: Mapping[int | str, float] | None = None,
        **sampling: Any,
    ) -> TextStream:
        """Write a text for one prompt, and return its pieces while they are written.

        Args:
            prompt: as of the call.
            constraint: as of the call.
            max_new_tokens: as of the call.
            stop: strings at which the text is cut; they are not part of it.
            stop_after_match: end as soon as the text matches.
            run_limits: limits on runs of whitespace and of one repeated token.
            temperature: 0 takes the likeliest allowed token.
            seed: a number; the same number gives the same text.
            logit_bias: numbers to add to the logits, by token id.
            **sampling: `top_k`, `top_p`, `min_p`, `typical_p`, `repeat_penalty`, `frequency_penalty`,
                `presence_penalty`, `mirostat_mode`, `mirostat_tau`, `mirostat_eta`.

        Returns:
            A `TextStream`: iterate over it, then read `.completion`.
        """
        unknown = [name for name in sampling if name not in _SAMPLING]
        if unknown:
            raise TypeError(f"{unknown[0]} is no setting here: there are {', '.join(_SAMPLING)}")
        tokens = self._prompt_tokens(prompt)
        room = self.llama.n_ctx() - len(tokens) - 1
        asked = _DEFAULT_MAX_NEW_TOKENS if max_new_tokens is None else max_new_tokens
        most = min(asked, room)
        compiled = compile(constraint, self.vocabulary)
        check_budget(compiled.matcher(), most, "max_new_tokens" if most == asked else "the context's room")
        if seed is not None:
            self.llama.set_seed(seed)
        text = EngineText(compiled, most + 1, run_limits)  # one more for EOS, which is not counted
        stopped = Stopped()
        steps = written_text(
            self._tokens(tokens, text, _bias(logit_bias), {"temp": temperature, **sampling}),
            compiled,
            most,
            stop_strings(stop),
            stop_after_match,
            stopped,
            taken=lambda token_id: _take(text, token_id),
            failure=lambda: text.failure,
        )
        return TextStream(steps, stopped)

    def _tokens(
        self, prompt: list[int], text: EngineText, bias: dict[int, float], settings: dict[str, Any]
    ) -> Iterator[int]:
        from llama_cpp import LogitsProcessorList

        def processor(input_ids: Any, scores: Any) -> Any:
            # `text` knows the chosen tokens: the ids may also contain drafts that are not accepted yet.
            return _masked(text, np.asarray(scores), bias)

        yield from self.llama.generate(prompt, logits_processor=LogitsProcessorList([processor]), **settings)

    def _prompt_tokens(self, prompt: Any) -> list[int]:
        if isinstance(prompt, str):
            return list(self.llama.tokenize(prompt.encode(), add_bos=True, special=True)) or [self.llama.token_bos()]
        prompts_of(prompt)
        if prompt and isinstance(prompt[0], Mapping):
            return list(self.llama.tokenize(self._chat(prompt).encode(), add_bos=False, special=True))
        return [int(token_id) for token_id in prompt]

    def _chat(self, messages: Sequence[Any]) -> str:
        template = (self.llama.metadata or {}).get("tokenizer.chat_template")
        if not template:
            raise RellmError(
                "this GGUF has no chat template: write the conversation as text, in the model's own format"
            )
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        def content(token_id: int) -> str:
            return "" if token_id < 0 else self.vocabulary.special_token_name(token_id) or ""

        formatter = Jinja2ChatFormatter(
            template=template, eos_token=content(self.llama.token_eos()), bos_token=content(self.llama.token_bos())
        )
        prompt: str = formatter(messages=[dict(message) for message in messages]).prompt
        return prompt


def _take(text: EngineText, token_id: int) -> None:
    text.accept(token_id)


def _masked(text: EngineText, scores: npt.NDArray[Any], bias: Mapping[int, float]) -> npt.NDArray[Any]:
    """The scores with a bias, and -inf where a token is not allowed."""
    found = np.array(scores, dtype=np.float32)
    for token_id, more in bias.items():
        if 0 <= token_id < len(found):
            found[token_id] += more
    found[~text.allowed_tokens(len(found))] = -np.inf
    return found


def _bias(given: Mapping[int | str, float] | None) -> dict[int, float]:
    return {} if given is None else {int(token_id): float(more) for token_id, more in given.items()}
