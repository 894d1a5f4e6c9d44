"""rellm as vLLM's structured-output backend, on a stand-in for vLLM: what each call does is what the matcher says."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rellm
import torch
from rellm.integrations.vllm import register
from vllm_stub import SIZE, STUBS, Engine, fresh_vllm

PATTERN = r"(?P<w>[a-z]{2,5}) is (?P=w)\.?"


@pytest.fixture
def vllm() -> Iterator[Any]:
    with fresh_vllm() as module:
        register()
        yield module


@pytest.fixture
def engine(vllm: Any) -> Engine:
    return Engine()


def mask_of(grammar: Any, rows: int = 3, row: int = 1) -> np.ndarray:
    bitmask = torch.full((rows, SIZE // 32), -1, dtype=torch.int32)
    grammar.fill_bitmask(bitmask, row)
    others = [i for i in range(rows) if i != row]
    assert bool((bitmask[others] == -1).all())
    return bitmask[row].numpy().view(np.uint32).copy()


def allowed(grammar: Any) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(mask_of(grammar).view(np.uint8), bitorder="little")).tolist())


def matcher_of(engine: Engine, constraint: Any) -> Any:
    vocabulary = rellm.Vocabulary.from_tokenizer(engine.tokenizer, size=SIZE)
    return rellm.compile(constraint, vocabulary).matcher()


def test_masks_accepts_rollbacks_and_drafts_are_those_of_the_matcher(engine: Engine) -> None:
    choose = random.Random(1)
    for _ in range(20):
        grammar, matcher = engine.grammar(regex=PATTERN, max_tokens=500), matcher_of(engine, PATTERN)
        taken = 0
        for _ in range(30):
            assert (mask_of(grammar) == matcher.mask()).all()
            if grammar.is_terminated():
                break
            options = sorted(allowed(grammar))
            drafts = [choose.choice(options), choose.randrange(SIZE), choose.randrange(SIZE)]
            assert grammar.validate_tokens([*drafts, -1, -1]) == drafts[: matcher.validate(drafts)]
            if choose.random() < 0.3 and taken:
                back = choose.randint(1, taken)
                grammar.rollback(back)
                matcher.rollback(back)
                taken -= back
                continue
            token = drafts[0]
            assert grammar.accept_tokens("r", [token])
            matcher.advance(token)
            taken += 1
            wrong = next(t for t in range(SIZE) if not matcher.allows(t))
            assert not grammar.accept_tokens("r", [wrong])


def test_the_end_is_allowed_where_the_text_matches_and_terminates_it(engine: Engine) -> None:
    grammar = engine.grammar(regex="yes|yes no", max_tokens=100)
    assert engine.eos not in allowed(grammar)
    assert not grammar.accept_tokens("r", [engine.eos])
    assert grammar.accept_tokens("r", engine.ids("yes"))
    assert not grammar.is_terminated()
    assert allowed(grammar) >= {engine.eos, ord(" ")}
    assert grammar.accept_tokens("r", [engine.eos])
    assert grammar.is_terminated()
    assert grammar.validate_tokens([1]) == []
    grammar.rollback(1)
    assert not grammar.is_terminated()
    assert allowed(grammar) >= {engine.eos, ord(" ")}
    grammar.reset()
    assert engine.eos not in allowed(grammar)


def test_a_finished_text_is_not_terminated_before_its_end_is_written(engine: Engine) -> None:
    """vLLM leaves the row of a terminated grammar free: any text could follow."""
    grammar = engine.grammar(regex="yes", max_tokens=100)
    grammar.accept_tokens("r", engine.ids("yes"))
    assert not grammar.is_terminated()
    assert allowed(grammar) == {engine.eos}


def test_a_request_that_ignores_its_end_goes_on_with_the_end_alone(engine: Engine) -> None:
    grammar = engine.grammar(regex="yes", max_tokens=100, ignore_eos=True)
    grammar.accept_tokens("r", [*engine.ids("yes"), engine.eos])
    for _ in range(3):
        assert not grammar.is_terminated()
        assert allowed(grammar) == {engine.eos}
        assert grammar.accept_tokens("r", [engine.eos])
    grammar.rollback(4)
    assert grammar.text.text == b"yes"
    assert not grammar.text.has_ended


def test_all_ids_that_end_a_text_are_known(vllm: Any) -> None:
    engine = Engine(generation_eos=[270, 271])
    grammar = engine.grammar(regex="yes", max_tokens=100)
    grammar.accept_tokens("r", engine.ids("yes"))
    assert allowed(grammar) == {engine.eos, 270, 271}


def test_padded_ids_are_never_allowed(engine: Engine) -> None:
    grammar = engine.grammar(regex=r"[\s\S]*", max_tokens=100)
    real = len(engine.tokenizer)
    assert real < SIZE
    assert max(allowed(grammar)) < real
    assert not grammar.accept_tokens("r", [real + 3])
    assert not grammar.accept_tokens("r", [SIZE + 3])


@pytest.mark.parametrize("stop", ["<|stop|>", ".", "wet"])
def test_stop_ids_are_masked_until_the_text_may_end(engine: Engine, stop: str) -> None:
    token = engine.tokenizer.convert_tokens_to_ids(stop)
    (token,) = [token] if stop.startswith("<") else engine.ids(stop)[:1]
    grammar = engine.grammar(regex=r"water is w[et]{2}\.?", max_tokens=100, stop_token_ids=[token, 10**6])
    text = b""
    while not grammar.text.is_accepting:
        now = allowed(grammar)
        assert token not in now
        assert now
        assert grammar.accept_tokens("r", [min(now)])
        text = grammar.text.text
    assert {token, engine.eos} <= allowed(grammar)
    assert grammar.accept_tokens("r", [token])
    assert grammar.is_terminated()
    assert text.startswith(b"water is w")


@pytest.mark.parametrize("most", range(1, 24))
def test_texts_close_within_max_tokens(engine: Engine, most: int) -> None:
    """Whatever is chosen. The last token is the end, where there is room for it."""
    choose = random.Random(most)
    pattern = r"<b>[a-z ]{1,300}</b>"
    needed = matcher_of(engine, pattern).tokens_to_match(100)
    grammar = engine.grammar(regex=pattern, max_tokens=most)
    written = 0
    while not grammar.is_terminated() and written < most:
        assert grammar.accept_tokens("r", [choose.choice(sorted(allowed(grammar)))])
        written += 1
    if most >= needed:
        assert grammar.text.is_accepting
    if most > needed:
        assert grammar.is_terminated()
    if most < needed:
        closest = grammar.text.matcher.tokens_to_match(100)
        assert closest == needed - most, "the shortest way is taken as far as the budget goes"


def test_masks_within_a_budget_are_those_of_the_matcher_with_one_token_kept_for_the_end(engine: Engine) -> None:
    pattern = r"<b>[a-z ]{1,300}</b>"
    for most in range(9, 20):
        grammar, matcher = engine.grammar(regex=pattern, max_tokens=most), matcher_of(engine, pattern)
        for token in [*b"<b>", *b"water"]:
            within = np.zeros((1, SIZE // 32), dtype=np.uint32)
            matcher.fill_mask_within(within, 0, most - 1 - grammar.text.length)
            got = mask_of(grammar)
            assert not (got & ~within[0]).any(), "no token that the budget cannot hold"
            if not got[token // 32] >> np.uint32(token % 32) & 1:
                break
            assert grammar.accept_tokens("r", [token])
            matcher.advance(token)


def test_a_prefill_server_that_is_asked_for_one_token_may_write_any_that_is_allowed(engine: Engine) -> None:
    only_prefill = {"kv_transfer_params": {"do_remote_decode": True}}
    free = engine.grammar(regex="[a-z ]{20,300}", max_tokens=1, extra_args=only_prefill)
    assert allowed(free) == allowed(engine.grammar(regex="[a-z ]{20,300}", max_tokens=500))


def test_the_context_is_a_budget_too(vllm: Any) -> None:
    engine = Engine(context=20)
    request = engine.request(regex="[a-z]{1,300}", max_tokens=1000, prompt_tokens=15)
    grammar = request.structured_output_request.grammar
    for _ in range(4):
        assert grammar.accept_tokens("r", [min(allowed(grammar))])
    assert allowed(grammar) == {engine.eos}


def test_tokens_of_reasoning_use_up_the_budget(engine: Engine) -> None:
    grammar = engine.grammar(regex="[a-z]{1,300}", max_tokens=12)
    engine.last.num_output_tokens = 8  # written before the grammar is asked
    for written in range(3):
        assert ord("a") in allowed(grammar)
        assert grammar.accept_tokens("r", [ord("a")])
        engine.last.num_output_tokens = 9 + written
    assert allowed(grammar) == {engine.eos}


def test_drafts_do_not_use_up_what_closing_needs(engine: Engine) -> None:
    pattern = r"<b>[a-z]{1,300}</b>"
    drafts = [*b"<b>abcdefghijklmnop"]
    for most in range(9, 16):
        grammar = engine.grammar(regex=pattern, max_tokens=most)
        kept = grammar.validate_tokens(drafts)
        assert grammar.text.length == 0
        matcher = matcher_of(engine, pattern)
        for token in kept:
            matcher.advance(token)
        assert matcher.matches_within(most - 1 - len(kept))
        assert len(kept) < len(drafts)
        assert grammar.accept_tokens("r", kept)  # and the rows between them are filled as vLLM does
        assert allowed(grammar)


def test_drafts_that_are_accepted_and_taken_back_leave_no_trace(engine: Engine) -> None:
    grammar = engine.grammar(regex=r"[a-z ]{3,40}\.", max_tokens=30)
    grammar.accept_tokens("r", engine.ids("the "))
    before = mask_of(grammar)
    for token in grammar.validate_tokens([*b"water", -1]):
        mask_of(grammar)
        assert grammar.accept_tokens("r", [token])
    grammar.rollback(grammar.text.length - 1)
    assert (mask_of(grammar) == before).all()


def test_run_limits_are_kept_in_masks_and_in_drafts(engine: Engine) -> None:
    grammar = engine.grammar(json={"type": "object"}, max_tokens=200, extra_args={"max_whitespace": 1})
    assert grammar.accept_tokens("r", [ord("{")])
    newline, spaces = engine.tokenizer.convert_tokens_to_ids("\n\n"), engine.ids("    ")[0]
    assert spaces not in allowed(grammar)
    assert newline not in allowed(grammar)
    assert grammar.validate_tokens([ord("\n"), ord(" "), ord("}")]) == [ord("\n")]
    repeated = engine.grammar(regex="[a-z]+", max_tokens=200, extra_args={"max_repetition": 2})
    assert repeated.validate_tokens([*b"aaab"]) == [*b"aa"]


def test_each_of_n_texts_has_its_own_state(engine: Engine) -> None:
    first, second = engine.grammar(choice=["yes", "no"]), engine.grammar(choice=["yes", "no"])
    first.accept_tokens("a", engine.ids("yes"))
    assert allowed(first) == {engine.eos}
    assert engine.eos not in allowed(second)


def test_a_failure_while_a_mask_is_made_ends_its_text_and_no_other(engine: Engine, caplog: Any) -> None:
    grammar, other = engine.grammar(regex="[a-z]+", max_tokens=50), engine.grammar(regex="[a-z]+", max_tokens=50)

    class Failing:
        longest_way = None

        def __getattr__(self, name: str) -> Any:
            raise rellm.LimitExceededError("fuel ran out", limit="fuel", allowed=1)

    grammar.text._matcher = Failing()
    assert allowed(grammar) == {engine.eos}, "the end, which is then not accepted: an error, not a free text"
    with caplog.at_level(logging.WARNING, "rellm"):
        assert not grammar.accept_tokens("request-7", [engine.eos])
    assert "request-7" in caplog.text
    assert "fuel ran out" in caplog.text
    assert ord("a") in allowed(other)


def test_dead_ends_of_the_search_engine_end_the_text_with_an_error(engine: Engine) -> None:
    grammar = engine.grammar(regex=r"(?V1)\((?:[^()]|(?R))*+\)", extra_args={"dialect": "regex"}, max_tokens=50)
    assert grammar.accept_tokens("r", [*b"(a(b)"])
    assert ord(")") in allowed(grammar)
    assert grammar.accept_tokens("r", [ord(")"), engine.eos])


def test_other_backends_are_left_as_they_are(vllm: Any) -> None:
    from vllm.exceptions import VLLMValidationError

    engine = Engine(backend="xgrammar")
    with pytest.raises(VLLMValidationError, match="vLLM's own check, backend xgrammar"):
        engine.request(regex="a")
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams
    from vllm_stub import Request

    request = Request(SamplingParams(StructuredOutputsParams(regex="a")), 5)
    engine.manager.grammar_init(request)
    assert request.structured_output_request.grammar == "vLLM's own"
    assert "rellm.integrations.vllm.backend" not in sys.modules


def test_a_request_without_a_constraint_is_left_alone(engine: Engine) -> None:
    from vllm.sampling_params import SamplingParams

    engine.check(SamplingParams())
    assert engine.manager.backend is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"regex": "(a"}, r"unbalanced parenthesis at position 2 of '\(a'"),
        ({"regex": "[^\\s\\S]"}, "no text matches"),
        ({"regex": "a{1,9}", "min_tokens": 5}, "min_tokens=5: a text of 1 tokens matches"),
        ({"json": {"type": "objekt"}}, "objekt"),
        ({"json": "{"}, "no JSON"),
        ({"choice": []}, "nothing to choose"),
        ({"grammar": "start: missing"}, "missing"),
        ({"structural_tag": "[]"}, "structural_tag itself: an object was expected"),
        ({"regex": "a", "extra_args": {"dialekt": "re"}}, "vllm_xargs.dialekt is not known: did you mean dialect?"),
        ({"structural_tag": json.dumps({"format": {"type": "token", "token": "<none>"}})}, "none"),
    ],
)
def test_what_cannot_be_served_is_refused_in_the_front_end_with_our_message(
    engine: Engine, given: dict[str, Any], message: str
) -> None:
    from vllm.exceptions import VLLMValidationError

    with pytest.raises(VLLMValidationError, match=message):
        engine.request(**given)
    assert engine.manager.backend is None


def test_a_request_that_names_another_backend_is_refused(engine: Engine) -> None:
    from vllm.exceptions import VLLMValidationError
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams

    params = SamplingParams(StructuredOutputsParams(regex="a"))
    params.structured_outputs._backend = "guidance"
    with pytest.raises(VLLMValidationError, match="names the structured-output backend 'guidance'"):
        engine.check(params)


def test_a_parameter_is_checked_twice_when_it_is_used_twice(engine: Engine) -> None:
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams

    params = SamplingParams(StructuredOutputsParams(regex="a"))
    engine.check(params)
    engine.check(params)
    assert params.structured_outputs._backend == "rellm"


def test_beam_search_asks_for_a_grammar_by_the_key_alone(engine: Engine) -> None:
    from vllm.sampling_params import StructuredOutputsParams
    from vllm.v1.structured_output.request import get_structured_output_key

    engine.grammar(regex="a")
    backend = engine.manager.backend
    for given in ({"regex": "yes"}, {"choice": ["yes"]}, {"json": {"const": "yes"}}, {"grammar": 'start: "yes"'}):
        params = StructuredOutputsParams(**given)
        for key in (get_structured_output_key(params), backend.key_of(params)):
            grammar = backend.compile_grammar(*key)
            assert grammar.accept_tokens("beam", engine.ids('"yes"' if "json" in given else "yes"))
            assert allowed(grammar) == {engine.eos}


def test_the_configuration_takes_the_name_and_refuses_others(vllm: Any) -> None:
    from pydantic import ValidationError
    from vllm.config import VllmConfig
    from vllm.config.structured_outputs import StructuredOutputsConfig

    assert StructuredOutputsConfig(backend="rellm").backend == "rellm"
    assert VllmConfig(structured_outputs_config={"backend": "rellm"}).structured_outputs_config.backend == "rellm"
    assert StructuredOutputsConfig().backend == "auto"
    with pytest.raises(ValidationError):
        StructuredOutputsConfig(backend="relm")


def test_registering_twice_changes_nothing_more(vllm: Any) -> None:
    from vllm.v1.structured_output import StructuredOutputManager

    before = StructuredOutputManager.grammar_init
    register()
    assert StructuredOutputManager.grammar_init is before


@pytest.mark.parametrize(
    ("module", "owner", "name"),
    [
        ("vllm.sampling_params", "SamplingParams", "_validate_structured_outputs"),
        ("vllm.v1.structured_output", "StructuredOutputManager", "grammar_init"),
        ("vllm.v1.structured_output", "StructuredOutputManager", "_create_grammar"),
        ("vllm.v1.structured_output.request", None, "get_structured_output_key"),
    ],
)
def test_a_vllm_without_a_name_is_left_alone_with_one_line(
    module: str, owner: str | None, name: str, caplog: Any
) -> None:
    import importlib

    from pydantic import ValidationError

    with fresh_vllm(), caplog.at_level(logging.WARNING, "rellm"):
        holder = importlib.import_module(module)
        delattr(holder if owner is None else getattr(holder, owner), name)
        register()
        (line,) = [record.getMessage() for record in caplog.records]
        assert f"{module}.{owner}.{name}".replace(".None", "") in line
        with pytest.raises(ValidationError):
            Engine()


def test_a_vllm_with_other_parameters_is_left_alone(caplog: Any) -> None:
    with fresh_vllm(), caplog.at_level(logging.WARNING, "rellm"):
        from vllm.v1.structured_output import StructuredOutputManager

        StructuredOutputManager.grammar_init = lambda self, a, b: None
        register()
        assert "grammar_init(self, request)" in caplog.text


def test_without_vllm_registering_says_one_line_and_raises_nothing() -> None:
    code = "from rellm.integrations.vllm import register; register()"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 1
    assert "vllm.sampling_params.SamplingParams" in done.stderr


def test_the_plug_in_imports_nothing_heavy() -> None:
    code = (
        "import sys; import rellm.integrations.vllm; "
        "print([name for name in ('vllm', 'torch', 'transformers', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_entry_point_is_vllms_general_plug_ins_and_no_logits_processor() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["vllm.general_plugins"] == {"rellm": "rellm.integrations.vllm:register"}
    assert "vllm.logits_processors" not in project["entry-points"]


def test_the_stand_in_is_what_was_tested() -> None:
    with fresh_vllm() as module:
        assert Path(module.__file__).is_relative_to(STUBS)
