"""Tiny models of every family, with random weights and small real tokenizers.

Random weights are the hard case: such a model wants nothing that a constraint allows.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

torch.set_num_threads(1)  # the models are so small that a second thread only waits

CORPUS = [
    "The capital of France is Paris, and 12.50 is a number.",
    '{"action": "Final Answer", "action_input": "yes or no"}',
    "red green blue yes no maybe 0123456789 a-b-c x=1; y=22 café Größe 日本語 😀",
    "the quick brown fox jumps over the lazy dog 2024-11-21 10:30:00",
] * 8

# Before 5.2 `generate` hands no cache to a loop of our own: transformers' loop writes, and no pass is saved.
SAVES_PASSES = tuple(map(int, transformers.__version__.split(".")[:2])) >= (5, 2)
# Without any processor, 5.0 cannot fill a prompt in chunks, nor draft by a model of another tokenizer.
IS_5_0 = transformers.__version__.startswith("5.0.")
HAS_CONTINUOUS_BATCHING = hasattr(transformers, "ContinuousBatchingConfig")

FAMILIES = ("gpt2", "llama", "gemma", "qwen2", "t5")
REAL = "smollm2"


@dataclass(frozen=True)
class Family:
    """A model with its tokenizer."""

    name: str
    model: Any
    tokenizer: Any

    @property
    def is_encoder_decoder(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)

    def prompt(self, text: str = "The capital of") -> dict[str, torch.Tensor]:
        """What `generate` takes."""
        encoded = self.tokenizer(text, return_tensors="pt")
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}

    def start(self, prompt: dict[str, torch.Tensor]) -> int:
        """Where the written text begins in what `generate` returns."""
        return 1 if self.is_encoder_decoder else prompt["input_ids"].shape[1]


@functools.cache
def family(name: str) -> Family:
    """The family of this name; made once."""
    if name == REAL:
        return _real()
    torch.manual_seed(FAMILIES.index(name))
    tokenizer = _TOKENIZERS[name]()
    size = len(tokenizer) + 7  # padded, as real models are
    common = {
        "vocab_size": size,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    small = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    }
    model: Any
    if name == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=512, **common))
    elif name == "llama":
        model = LlamaForCausalLM(LlamaConfig(**small, **common))
    elif name == "gemma":
        model = GemmaForCausalLM(GemmaConfig(head_dim=8, **small, **common))
    elif name == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**small, **common))
    else:
        model = T5ForConditionalGeneration(
            T5Config(d_model=32, d_ff=48, d_kv=8, num_layers=2, num_heads=4, decoder_start_token_id=0, **common)
        )
    with torch.no_grad():
        for parameter in model.parameters():  # sharper than the usual initialisation: choices must differ
            parameter.mul_(3.0)
    return Family(name, model.eval(), tokenizer)


def tiny_bart(of: Family) -> Any:
    """An encoder-decoder that begins every text with a forced token and ends the longest with another."""
    torch.manual_seed(99)
    tokenizer = of.tokenizer
    config = BartConfig(
        vocab_size=len(tokenizer) + 7,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.unk_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
    )
    model: Any = BartForConditionalGeneration(config).eval()
    model.generation_config.forced_bos_token_id = tokenizer.unk_token_id
    model.generation_config.forced_eos_token_id = tokenizer.eos_token_id
    return model


def _real() -> Family:
    """SmolLM2-135M-Instruct, the demonstration's model."""
    from rellm import _demo_model

    folder = _demo_model.model_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return Family(REAL, AutoModelForCausalLM.from_pretrained(folder).eval(), tokenizer)


def _byte_level() -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<|end|>", "<|pad|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")


def _byte_fallback() -> Any:
    specials = ["<unk>", "<s>", "</s>", "<pad>"]
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=specials))
    state = _model_of(trained)
    vocabulary = {token: i for i, token in enumerate(specials + [f"<0x{byte:02X}>" for byte in range(256)])}
    for token in sorted(state["vocab"], key=state["vocab"].get):
        vocabulary.setdefault(token, len(vocabulary))
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in state["merges"]]
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def _unigram() -> Any:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=specials, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")


def _model_of(tokenizer: Tokenizer) -> dict[str, Any]:
    import json

    state: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return state


_TOKENIZERS = {
    "gpt2": _byte_level,
    "llama": _byte_fallback,
    "gemma": _byte_fallback,
    "qwen2": _byte_level,
    "t5": _unigram,
}
