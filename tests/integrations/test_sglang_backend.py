"""rellm as SGLang's grammar backend, over the base class of the real wheel; the rest of SGLang is a stand-in."""

from __future__ import annotations

import json
import logging
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rellm
import torch
from rellm import testing
from rellm.integrations import sglang as integration

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dev"))
from wheel_files import UnavailableError, wheel_file

BASE = "sglang.srt.constrained.base_grammar_backend"
WORDS = ["the ", "water", " is", "yes", "no"]


@pytest.fixture(params=["0.5.23", "newest"])
def base(request: Any, monkeypatch: Any) -> Any:
    """The wheel's own file, among modules that it only imports names of."""
    try:
        source = wheel_file("sglang", request.param, BASE.replace(".", "/") + ".py")
    except UnavailableError as error:
        pytest.skip(str(error))
    chosen = types.SimpleNamespace(kernel=types.SimpleNamespace(grammar_backend="rellm"))
    names: dict[str, dict[str, Any]] = {
        "sglang": {},
        "sglang.srt": {},
        "sglang.srt.constrained": {},
        "sglang.srt.parser": {},
        "sglang.srt.parser.reasoning_parser": {"ReasoningParser": lambda **given: given},
        "sglang.srt.runtime_context": dict.fromkeys(("get_context", "get_resources", "get_serving"))
        | {"get_exec": lambda: chosen},
        "sglang.srt.server_args": {"ServerArgs": object, "add_grammar_backend_choices": CHOICES.extend},
    }
    for name, values in names.items():
        module = types.ModuleType(name)
        module.__dict__.update({"__path__": [], **values})
        monkeypatch.setitem(sys.modules, name, module)
    module = types.ModuleType(BASE)
    monkeypatch.setitem(sys.modules, BASE, module)
    exec(compile(source, BASE, "exec", dont_inherit=True), module.__dict__)
    CHOICES.clear()
    integration.register()
    return module


CHOICES: list[str] = []


@pytest.fixture
def tokenizer() -> Any:
    return testing.tiny_tokenizer(WORDS)


@pytest.fixture
def backend(base: Any, tokenizer: Any) -> Any:
    return base.create_grammar_backend(None, tokenizer, 288, {tokenizer.eos_token_id})


def made(backend: Any, kind: str, key: str) -> Any:
    value, _ = backend.get_cached_or_future_value((kind, key), False)
    return value.result() if hasattr(value, "result") else value


def mask_of(grammar: Any) -> np.ndarray:
    mask = grammar.allocate_vocab_mask(288, 3, "cpu")
    grammar.fill_vocab_mask(mask, 1)
    assert bool((mask[[0, 2]] == -1).all())
    return mask[1].numpy().view(np.uint32)


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def test_the_backend_is_in_the_registry_and_among_the_choices(backend: Any) -> None:
    assert type(backend).__name__ == "RellmGrammarBackend"
    assert CHOICES == ["rellm"]


def test_masks_accepts_and_rollbacks_are_those_of_the_matcher(backend: Any, tokenizer: Any) -> None:
    pattern = r"(?P<w>yes|no) (?P=w)"
    grammar = made(backend, "regex", pattern)
    matcher = rellm.compile(pattern, backend.vocabulary).matcher()
    for token in ids(tokenizer, "yes yes"):
        assert (mask_of(grammar) == matcher.mask()).all()
        grammar.accept_token(token)
        grammar.rollback(1)
        assert (mask_of(grammar) == matcher.mask()).all()
        grammar.accept_token(token)
        matcher.advance(token)
    assert not grammar.is_terminated()
    with pytest.raises(ValueError, match="not allowed"):
        grammar.accept_token(ord("x"))
    grammar.accept_token(tokenizer.eos_token_id)
    assert grammar.is_terminated()
    assert grammar.finished
    grammar.rollback(1)
    assert not grammar.finished


@pytest.mark.parametrize(
    ("kind", "key", "text"),
    [
        ("json", '{"const": "yes"}', '"yes"'),
        ("json", "$$ANY$$", "{}"),
        ("ebnf", 'root ::= "(" root ")" | "x"', "((x))"),
        ("structural_tag", json.dumps({"format": {"type": "const_string", "value": "yes"}}), "yes"),
        ("regex", r"(?=[a-z]+)yes", "yes"),
    ],
)
def test_every_kind_of_constraint_is_served(backend: Any, tokenizer: Any, kind: str, key: str, text: str) -> None:
    grammar = made(backend, kind, key)
    for token in [*ids(tokenizer, text), tokenizer.eos_token_id]:
        grammar.accept_token(token)
    assert grammar.is_terminated()


def test_what_is_wrong_is_an_invalid_grammar_with_our_message(base: Any, backend: Any) -> None:
    for kind, key in (("regex", "(a"), ("json", "{"), ("ebnf", "root ::= missing"), ("structural_tag", "[]")):
        grammar = made(backend, kind, key)
        assert isinstance(grammar, base.InvalidGrammarObject), kind
        assert grammar.error_message
    assert "unbalanced parenthesis at position 2" in made(backend, "regex", "(a").error_message


def test_a_copy_begins_a_text_of_its_own(backend: Any, tokenizer: Any) -> None:
    grammar = made(backend, "regex", "yes|no")
    backend.set_cache(("regex", "yes|no"), grammar)
    grammar.accept_token(ids(tokenizer, "yes")[0])
    other, is_hit = backend.get_cached_or_future_value(("regex", "yes|no"), False)
    assert is_hit
    assert (mask_of(other) != mask_of(grammar)).any()


def test_forced_text_is_jumped_over(backend: Any, tokenizer: Any) -> None:
    grammar = made(backend, "regex", "(yes|no), the water is")
    assert grammar.try_jump_forward(tokenizer) is None
    before = ids(tokenizer, "yes")
    grammar.accept_token(before[0])
    helper = grammar.try_jump_forward(tokenizer)
    text, state = grammar.jump_forward_str_state(helper)
    assert text == ", the water is"
    after = ids(tokenizer, "yes" + text)
    grammar.jump_and_retokenize(before, after, state)
    assert grammar.text.text == b"yes, the water is"
    assert grammar.text.is_accepting


def test_masks_are_applied_to_logits_on_the_cpu(backend: Any, tokenizer: Any) -> None:
    grammar = made(backend, "regex", "no")
    mask = grammar.allocate_vocab_mask(288, 2, "cpu")
    grammar.fill_vocab_mask(mask, 0)
    logits = torch.zeros(2, 288)
    grammar.apply_vocab_mask(logits, grammar.move_vocab_mask(mask, "cpu"))
    allowed = set(torch.nonzero(logits[0] == 0).flatten().tolist())
    assert allowed == {ord("n"), *ids(tokenizer, "no")}
    assert bool((logits[1] == 0).all())
    grammar.reset_vocab_mask(mask)
    assert bool((mask == -1).all())


def test_a_reasoning_parser_wraps_the_backend(base: Any, tokenizer: Any, monkeypatch: Any) -> None:
    wrapped: list[Any] = []
    module = types.ModuleType("sglang.srt.constrained.reasoner_grammar_backend")
    module.ReasonerGrammarBackend = lambda *args, **given: wrapped.append((args, given)) or "wrapped"  # type: ignore
    monkeypatch.setitem(sys.modules, module.__name__, module)
    arguments = types.SimpleNamespace(reasoning_parser="qwen3", enable_strict_thinking=False)
    assert base.create_grammar_backend(arguments, tokenizer, 288, None) == "wrapped"
    ((inner, parser, given), _) = wrapped[0]
    assert type(inner).__name__ == "RellmGrammarBackend"
    assert parser["model_type"] == "qwen3"
    assert given is tokenizer


def test_without_sglang_registering_says_one_line_and_raises_nothing(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setitem(sys.modules, "sglang", None)
    with caplog.at_level(logging.WARNING, "rellm"):
        integration.register()
    assert len(caplog.records) == 1
    assert "no grammar backend of this SGLang" in caplog.text
