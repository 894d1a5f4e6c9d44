"""Several rows at a time: each jumps over its own forced text, and writes what it would have written without."""

from __future__ import annotations

from typing import Any

import pytest
import rellm
import torch
from families import FAMILIES, REAL, SAVES_PASSES, family
from rellm._generate.decode_batch import _draft_width
from vocabularies import vocabulary_of

ACTION = r'\{"action": "[a-z ]{1,12}", "number": [0-9]{1,3}\}'
FORM = r"the name: [a-z]{1,9} the number: [0-9]{4} the action: (yes|no)"
PROMPTS = ["The capital of France is", "red", "a number"]
DECODERS = [name for name in FAMILIES if name != "t5"]


def generator(name: str) -> rellm.Generator:
    of = family(name)
    return rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))


def flat(found: list[Any]) -> list[rellm.Completion]:
    return [one for some in found for one in (some if isinstance(some, list) else [some])]


@pytest.mark.parametrize("name", [*FAMILIES, REAL])
@pytest.mark.parametrize("constraints", [ACTION, [ACTION, FORM, "yes|no"], [FORM, None, ACTION]])
@pytest.mark.parametrize("many", [{}, {"do_sample": True}, {"do_sample": True, "num_return_sequences": 2}])
def test_rows_are_the_same_with_and_without_jumps(name: str, constraints: Any, many: dict[str, Any]) -> None:
    if name == REAL and (many or constraints == ACTION):
        pytest.skip("the small ones are enough")
    write = generator(name)
    found: dict[str, list[rellm.Completion]] = {}
    for mode in ("off", "verified", "forced"):
        torch.manual_seed(5)
        found[mode] = flat(write(PROMPTS, constraints, 48, forced_text=mode, **{"do_sample": False, **many}))
        assert all(completion.is_complete for completion in found[mode] if completion.constraint is not None)
    assert found["verified"] == found["off"]


@pytest.mark.skipif(not SAVES_PASSES, reason="this release of transformers is left to its own loop")
@pytest.mark.parametrize("name", DECODERS)
def test_jumps_save_forward_passes(name: str) -> None:
    write = generator(name)
    for mode in ("verified", "forced"):
        rows = write(PROMPTS, [ACTION, FORM, ACTION], 60, forced_text=mode, do_sample=False)
        assert len({row.forward_passes for row in rows}) == 1
        assert rows[0].forward_passes is not None
        assert rows[0].forward_passes < max(len(row.token_ids) for row in rows)


def test_a_row_alone_is_the_row_in_a_batch() -> None:
    write = generator("gpt2")
    together = write(PROMPTS, [ACTION, FORM, "[a-f]{5}"], 60, do_sample=False)
    alone = [
        write(prompt, one, 60, do_sample=False) for prompt, one in zip(PROMPTS, [ACTION, FORM, "[a-f]{5}"], strict=True)
    ]
    assert [row.text for row in together] == [row.text for row in alone]


@pytest.mark.skipif(not SAVES_PASSES, reason="this release of transformers is left to its own loop")
def test_rows_of_one_length_need_no_padding() -> None:
    write = generator("llama")
    for prompts in (["red", "red"], "red"):
        torch.manual_seed(2)
        rows = flat(write(prompts, ACTION, 60, do_sample=True, num_return_sequences=2))
        assert all(row.is_complete for row in rows)
        assert rows[0].forward_passes is not None


@pytest.mark.parametrize("mode", ["off", "verified", "forced"])
def test_stops_and_budgets_hold_for_each_row(mode: Any) -> None:
    write = generator("qwen2")
    for row in write(PROMPTS, [ACTION, FORM, ACTION], 60, stop=["number"], forced_text=mode, do_sample=False):
        assert row.finish_reason == "stop"
        assert "number" not in row.text
    needed = max(rellm.compile(one, write.vocabulary).matcher().tokens_to_match(99) or 0 for one in (ACTION, FORM))
    for row in write(PROMPTS, [ACTION, FORM, ACTION], needed, forced_text=mode, do_sample=False):
        assert row.is_complete
        assert len(row.token_ids) <= needed
    for row in write(PROMPTS, "[a-f]{2,50}", 60, stop_after_match=True, forced_text=mode, do_sample=False):
        assert row.finish_reason in ("stop", "complete")
        assert len(row.text) < 10


def test_models_that_cannot_leave_columns_out_go_the_plain_way() -> None:
    """A sliding window counts columns, holes included; so does T5, whose distances are between columns."""
    from transformers import MistralConfig, MistralForCausalLM

    of = family("llama")
    torch.manual_seed(3)
    config = MistralConfig(
        vocab_size=len(of.tokenizer) + 7, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, sliding_window=8, max_position_embeddings=256,
        eos_token_id=of.tokenizer.eos_token_id, bos_token_id=of.tokenizer.bos_token_id,
        pad_token_id=of.tokenizer.pad_token_id,
    )  # fmt: skip
    write = rellm.Generator(MistralForCausalLM(config).eval(), of.tokenizer, vocabulary=vocabulary_of(of))
    verified = write(PROMPTS, ACTION, 48, do_sample=False)
    assert [row.forward_passes for row in verified] == [None] * 3
    assert verified == write(PROMPTS, ACTION, 48, do_sample=False, forced_text="off")
    assert [row.text for row in verified] == [write(prompt, ACTION, 48, do_sample=False).text for prompt in PROMPTS]


def test_processors_of_ones_own_see_the_whole_batch() -> None:
    seen: list[int] = []

    class Look:
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            seen.append(len(input_ids))
            return scores

    assert all(row.is_complete for row in generator("gpt2")(PROMPTS, ACTION, 48, logits_processor=[Look()]))
    assert set(seen) == {3}


def test_at_least_half_of_a_block_is_drafts() -> None:
    assert _draft_width([0, 0]) == 0
    assert _draft_width([6, 6, 6]) == 6
    assert _draft_width([8, 0]) == 8
    assert _draft_width([8, 0, 0]) == 0
    assert _draft_width([2, 2, 9]) == 8
