"""For your own tests: a tiny vocabulary and tokenizer, and a model that says what it is told. No download, no weights.

    import rellm
    from rellm import testing

    def test_my_answer_is_a_number():
        generator = testing.scripted_generator("The answer is 42.")
        assert generator("How many?", r"[A-Z][a-z ]+\\d+").text == "The answer is 42"

The model wants to write its script, byte for byte, and then to end the text. A constraint stands in its way as in any
other model's: where the script's next byte is not allowed, the model ends the text if it may, and otherwise writes the
first token that is allowed and goes on with what the script has at that place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rellm._vocabulary import Vocabulary

if TYPE_CHECKING:
    from rellm._generate.generator import Generator

__all__ = ["scripted_generator", "scripted_model", "tiny_tokenizer", "tiny_vocabulary"]

EOS = "<|end|>"
"""The token that ends a text."""
PAD = "<|pad|>"
"""The token that fills shorter rows of a batch."""

_MOST_PROMPTS = 64

_CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def tiny_vocabulary(words: Iterable[str] = (), special_tokens: Iterable[str] = ()) -> Vocabulary:
    """A vocabulary that spells every text: each byte is a token, its id is the byte.

    Args:
        words: further tokens, from id 256 on.
        special_tokens: special tokens behind the words. `EOS` and `PAD` follow; `EOS` ends a text.

    Returns:
        The vocabulary, the same as that of `tiny_tokenizer` with the same arguments.
    """
    texts = [word.encode() for word in words]
    names = [*special_tokens, EOS, PAD]
    first = 256 + len(texts)
    tokens = [*(bytes([byte]) for byte in range(256)), *texts, *([None] * len(names))]
    special = {name: first + index for index, name in enumerate(names)}
    return Vocabulary(tokens, eos_token_ids=[special[EOS]], special_tokens=special)


def tiny_tokenizer(words: Iterable[str] = (), special_tokens: Iterable[str] = ()) -> Any:
    """A fast tokenizer of transformers with the tokens of `tiny_vocabulary`, and a chat template.

    Args:
        words: further tokens, from id 256 on.
        special_tokens: special tokens behind the words; `EOS` and `PAD` follow.

    Returns:
        A `transformers.PreTrainedTokenizerFast`.

    Raises:
        ImportError: transformers is not installed.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from rellm._tokenizers.notations import BYTE_LEVEL

    tokenizer = Tokenizer(models.BPE(vocab=dict(BYTE_LEVEL), merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(word, normalized=False, special=False) for word in words])
    tokenizer.add_special_tokens([*special_tokens, EOS, PAD])
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, pad_token=PAD, padding_side="left")
    made.chat_template = _CHAT
    return made


def scripted_model(says: str | Sequence[str] | Callable[[str], str], tokenizer: Any = None) -> Any:
    """A transformers model without weights that wants to write a text, and then to end.

    Args:
        says: the text, or one a row of a batch, again from the first where there are more rows; or a function, which
            tells the text for a prompt.
        tokenizer: the tokenizer that it writes with; by default `tiny_tokenizer()`.

    Returns:
        A model with `generate`, for `rellm.Generator` or a pipeline. It reads whole texts and keeps no cache.

    Raises:
        ImportError: torch or transformers is not installed.
    """
    tokenizer = tiny_tokenizer() if tokenizer is None else tokenizer
    scripts: list[Any] = [says] if isinstance(says, str) else list(says) if isinstance(says, (list, tuple)) else []
    if not callable(says) and not (scripts and all(isinstance(script, str) for script in scripts)):
        raise TypeError(f"says is a text, one a row, or a function of the prompt, not {says!r:.60}")
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    model_class = _model_class()
    wanted = says if callable(says) else [script.encode() for script in scripts]
    return model_class.of(wanted, vocabulary, tokenizer.pad_token_id)


def scripted_generator(
    says: str | Sequence[str] | Callable[[str], str], words: Iterable[str] = (), special_tokens: Iterable[str] = ()
) -> Generator:
    """A `rellm.Generator` over `scripted_model` and `tiny_tokenizer`.

    Args:
        says: the text that the model wants to write, or one a prompt, or a function of the prompt.
        words: further tokens, as in `tiny_vocabulary`.
        special_tokens: further special tokens, as in `tiny_vocabulary`.

    Returns:
        The generator.

    Raises:
        ImportError: torch or transformers is not installed.
    """
    from rellm._generate.generator import Generator

    tokenizer = tiny_tokenizer(words, special_tokens)
    return Generator(scripted_model(says, tokenizer), tokenizer)


def _model_class() -> Any:
    """The class stands in a function, since importing this module must not import torch."""
    import torch
    from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutput

    # Their types say less than they take.
    any_config: Any = PretrainedConfig
    any_model: Any = PreTrainedModel
    any_generation: Any = GenerationMixin

    class ScriptedConfig(any_config):  # type: ignore[misc]
        model_type = "rellm-scripted"

    class ScriptedModel(any_model, any_generation):  # type: ignore[misc]
        config_class = ScriptedConfig
        main_input_name = "input_ids"
        scripts: Any
        eos: Any
        written: Any
        by_bytes: Any
        longest: Any
        prompts: Any
        embedding: Any

        @classmethod
        def of(cls, scripts: Any, vocabulary: Vocabulary, pad_token_id: int | None) -> Any:
            eos = vocabulary.eos_token_ids[0]
            config = ScriptedConfig(
                vocab_size=len(vocabulary), eos_token_id=eos, pad_token_id=pad_token_id, use_cache=False
            )
            model = cls(config)
            model.scripts, model.eos = scripts, eos
            model.written = [vocabulary.token_bytes(token) or b"" for token in range(len(vocabulary))]
            model.by_bytes = {data: token for token, data in reversed(list(enumerate(model.written))) if data}
            model.longest = max(map(len, model.written))
            model.generation_config.use_cache = False
            return model.eval()

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            # A model has a device, a type and a width, which its weights tell.
            self.embedding = torch.nn.Embedding(config.vocab_size, 1)
            # The prompts of the last calls, by their length: the steps of a text may come from several threads.
            self.prompts: dict[tuple[int, ...], Any] = {}

        def get_input_embeddings(self) -> Any:
            return self.embedding

        def generate(self, inputs: Any = None, **arguments: Any) -> Any:
            prompt = inputs if inputs is not None else arguments.get("input_ids")
            for row, tokens in enumerate([] if prompt is None else prompt.tolist()):
                self.prompts.pop(tuple(tokens), None)
                self.prompts[tuple(tokens)] = self.script(tokens, row)
            for known in list(self.prompts)[: -_MOST_PROMPTS - len(prompt if prompt is not None else ())]:
                del self.prompts[known]
            return super().generate(inputs, **arguments)

        def script(self, prompt: list[int], row: int) -> bytes:
            if callable(self.scripts):
                text = b"".join(self.written[token] for token in prompt).decode(errors="replace")
                return bytes(self.scripts(text).encode())
            return bytes(self.scripts[row % len(self.scripts)])

        def begun(self, tokens: list[int], row: int) -> tuple[int, bytes]:
            """Where the text of a row begins, and what it wants to be."""
            for prompt in reversed(list(self.prompts)):
                if tuple(tokens[: len(prompt)]) == prompt:
                    return len(prompt), self.script([], row) if not callable(self.scripts) else self.prompts[prompt]
            return 0, b"" if callable(self.scripts) else self.script([], row)

        def forward(self, input_ids: Any, attention_mask: Any = None, **_: Any) -> Any:
            rows, length = input_ids.shape
            logits = torch.zeros((rows, length, self.config.vocab_size), device=input_ids.device)
            for row, tokens in enumerate(input_ids.tolist()):
                start, script = self.begun(tokens, row)
                at = 0
                for place in range(max(start - 1, 0), length):
                    at += len(self.written[tokens[place]]) if place >= start else 0
                    rest = script[at : at + self.longest]
                    # Where the script cannot go on, it would rather end than write something else.
                    logits[row, place, self.eos] = 20.0 if not rest else 10.0
                    for size in range(1, len(rest) + 1):
                        token = self.by_bytes.get(rest[:size])
                        if token is not None:
                            logits[row, place, token] = 20.0 + size
            return CausalLMOutput(logits=logits)

    return ScriptedModel
