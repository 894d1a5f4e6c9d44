"""One state a row: each kept token is read by one matcher once, and the state is right wherever the row is moved to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import rellm
import torch
from counted import counted
from families import family
from rellm import testing
from rellm._generate.drafts import ForcedText
from rellm._generate.text_state import EndRules, Row, RowGroup, RowStatus, common_length
from rellm.integrations.transformers import ConstraintLogitsProcessor
from vocabularies import vocabulary_of

ACTION = r'\{"action": "[a-z ]{1,12}", "number": [0-9]{1,3}\}'
PROMPTS = ["The capital of", "red"]
LETTERS = rellm.Vocabulary([*(bytes([byte]) for byte in range(128)), b"ab", None, None], eos_token_ids=[129])
EOS, PAD = 129, 130
TOKENS, WEIGHTS = [97, 98, 99, 128, EOS, PAD, 120], [9, 9, 2, 4, 1, 1, 1]


def writer(name: str = "gpt2") -> rellm.Generator:
    of = family(name)
    return rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))


@pytest.mark.parametrize("forced", ["off", "verified", "forced"])
@pytest.mark.parametrize("prompt", ["The capital of", PROMPTS], ids=["one", "batch"])
@pytest.mark.parametrize(
    "more",
    [{}, {"do_sample": True}, {"stop": ["number"]}, {"use_cache": False}],
    ids=["greedy", "sampling", "stop", "own"],
)
def test_a_written_token_is_read_once(prompt: Any, forced: Any, more: dict[str, Any]) -> None:
    write = writer()
    constraint, calls = counted(ACTION, write.vocabulary)
    torch.manual_seed(3)
    found = write(prompt, constraint, 60, forced_text=forced, **more)
    completions = found if isinstance(found, list) else [found]
    # With a stop string the tokens that it cuts off were written, too.
    written = [write.vocabulary.tokens_bytes(calls)] if len(completions) == 1 else None
    assert written is None or written[0].decode() == completions[0].uncut
    if "stop" not in more:
        assert len(calls) == sum(len(one.token_ids) for one in completions)


def test_a_streamed_token_is_read_once() -> None:
    write = writer()
    constraint, calls = counted(ACTION, write.vocabulary)
    completion = write.stream("The capital of", constraint, 60).completion
    assert tuple(calls) == completion.token_ids


def test_a_beam_is_read_once_by_a_processor() -> None:
    of = family("gpt2")
    constraint, calls = counted(r"(red|green|blue)( (red|green|blue)){2,4}", vocabulary_of(of))
    processor = ConstraintLogitsProcessor(constraint, vocabulary_of(of), max_new_tokens=24)
    steps = 0

    def count(input_ids: Any, scores: Any) -> Any:
        nonlocal steps
        steps += 1
        return torch.zeros(len(input_ids), dtype=torch.bool)

    of.model.generate(
        **of.prompt(), logits_processor=[processor], stopping_criteria=[count], num_beams=2, max_new_tokens=24
    )
    assert steps > 5
    assert 0 < len(calls) <= 2 * steps


def test_a_beam_that_transformers_looks_at_is_read_once_by_a_generator() -> None:
    """Of two beams `generate` asks about four candidates a step: which of them are over."""
    write = writer()
    constraint, calls = counted(r"(red|green|blue)( (red|green|blue)){2,4}", write.vocabulary)
    asked = 0

    def count(input_ids: Any, scores: Any) -> Any:
        nonlocal asked
        asked += len(input_ids)
        return torch.zeros(len(input_ids), dtype=torch.bool)

    first, second = write(
        "The capital of", constraint, 24, num_beams=2, num_return_sequences=2, stopping_criteria=[count]
    )
    assert first.is_complete
    assert second.is_complete
    assert 0 < len(calls) <= asked


def _row(pattern: str | None = "(a|b)*c?", **rules: Any) -> Row:
    matcher = None if pattern is None else rellm.compile(pattern, LETTERS).matcher()
    return Row(matcher, EndRules(frozenset([EOS]), LETTERS, pad=PAD, **rules))


def _of(row: Row, tokens: Sequence[int]) -> Row:
    for token_id in tokens:
        row.push(token_id)
    return row


def _seen(row: Row) -> tuple[Any, ...]:
    text = None if row.matcher is None else bytes(row.matcher.text)
    return row.tokens, row.accepted, row.status, row.end_token, text


MOVES: list[tuple[list[int], list[int]]] = [
    ([97, 99, EOS], [97, 99]),  # the end is taken back: the text goes on
    ([97, 99, EOS], [97, 98]),
    ([97, 120, 97], [97]),  # what was outside the language is in it again
    ([97, 120, 97], [97, 98, EOS]),
    ([97, PAD, PAD], [97, 98]),
    ([97, 98, 97], [97, 98, 97, EOS, PAD]),
    ([97, 98, 97], []),
    ([97, 120, 97], [97, 120]),  # still outside
]


@pytest.mark.parametrize("rules", [{}, {"where_nothing_follows": True}, {"stops": (b"ba",)}, {"at_first_match": True}])
@pytest.mark.parametrize(("before", "after"), MOVES)
@pytest.mark.parametrize("pattern", ["(a|b)*c?", None])
def test_a_row_that_is_moved_is_as_a_new_one(
    pattern: str | None, before: list[int], after: list[int], rules: dict[str, Any]
) -> None:
    row = _of(_row(pattern, **rules), before)
    row.move_to(after, common_length(before, after))
    assert _seen(row) == _seen(_of(_row(pattern, **rules), after))


def test_rows_of_random_walks_are_as_new_ones() -> None:
    """Reordered, extended, shortened and padded, as beams and drafts do."""
    chosen = random.Random(1)
    for rules in ({}, {"where_nothing_follows": True}, {"stops": (b"bb", b"ca")}, {"at_first_match": True}):
        group = RowGroup(_row(**rules))
        texts: list[list[int]] = [[]]
        for _ in range(400):
            texts = [list(chosen.choice(texts)) for _ in range(chosen.randint(1, 4))]
            for text in texts:
                del text[len(text) - chosen.choice([0, 0, 0, 1, 3]) :]
                more = chosen.choices(TOKENS, WEIGHTS, k=chosen.choice([0, 1, 1, 3]))
                text.extend(more)
            for row, text in zip(group.update(texts), texts, strict=True):
                assert _seen(row) == _seen(_of(_row(**rules), text)), (rules, text)


def test_an_end_id_where_the_text_does_not_match_is_no_end() -> None:
    row = _of(_row("ab|abc"), [97, EOS])
    assert (row.status, row.text_tokens, row.end_token) == (RowStatus.ABANDONED, [97], EOS)
    row.move_to([97, 98, EOS], 1)
    assert (row.status, row.text_tokens, row.end_token) == (RowStatus.ENDED, [97, 98], EOS)


def test_what_follows_the_end_changes_nothing() -> None:
    for end in ([EOS], []):
        row = _of(_row("abc?", where_nothing_follows=True, stops=(b"bc",)), [97, 98, 99, *end, 97, PAD, EOS])
        assert row.text_tokens == [97, 98, 99]
        assert bytes(row.matcher.text) == b"abc"
        assert not row.is_live


def test_an_end_id_that_the_constraint_asks_for_is_its_last_symbol() -> None:
    constraint = rellm.Literal("yes") + rellm.SpecialToken(testing.EOS)
    write = testing.scripted_generator("yes")
    for found in (write("a", constraint), *write(["a", "b"], constraint), write.stream("a", constraint).completion):
        assert (found.text, found.is_complete, found.finish_reason) == ("yes", True, "complete")
        assert found.pieces.specials


@pytest.mark.parametrize("pattern", ["[a-z ]{2,60}", None])
def test_padding_with_a_token_of_text_is_no_text(pattern: str | None) -> None:
    """A criterion of the caller's ends the first row; `generate` fills it up."""
    write = writer()
    pad = next(i for i in range(len(write.vocabulary)) if write.vocabulary.token_bytes(i) == b"a")

    def first(input_ids: Any, scores: Any) -> Any:
        return torch.tensor([input_ids.shape[1] >= length + 2, False])

    length = 2
    more: dict[str, Any] = {"stopping_criteria": [first], "pad_token_id": pad, "do_sample": False}
    short, long = write([[5, 6], [7, 8]], pattern, 12, **more)
    assert len(short.token_ids) == 2
    assert len(long.token_ids) > 2


@pytest.mark.parametrize("name", ["gemma", "t5"])
def test_forced_text_is_cut_as_it_would_be_after_the_text_before(name: str) -> None:
    of = family(name)
    vocabulary = vocabulary_of(of)
    forced = ForcedText(of.tokenizer, vocabulary)
    for before, after in (("red green", "the name"), ("The capital of", "red")):
        ids = [of.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, after, before + after)]
        assert ids[0] + ids[1] != ids[2]
        compiled = rellm.compile(rellm.Literal(after), vocabulary)
        assert forced.candidates(compiled.matcher(), ids[0]) == ids[2][len(ids[0]) :]
        row = Row(compiled.matcher(), EndRules(frozenset(vocabulary.eos_token_ids), vocabulary))
        for token_id in forced.certain(row, ids[0], 99):
            row.push(token_id)
        assert row.tokens
        assert row.tokens == ids[2][len(ids[0]) :][: len(row.tokens)]


UNIONS = [
    rellm.AnyOf("abc", "abd", "xyz"),
    rellm.Regex("abc|abd") | "xyz",
    rellm.AnyOf(rellm.Literal("ab") + rellm.Choice(["c", "d"]), rellm.Regex("x.z").within(max_tokens=3)),
]


@pytest.mark.parametrize("union", UNIONS)
def test_a_union_takes_back_tokens_and_says_what_is_forced(union: rellm.Constraint) -> None:
    compiled = rellm.compile(union, LETTERS)

    def after(text: str) -> tuple[Any, ...]:
        fresh = compiled.matcher()
        for letter in text:
            fresh.advance(ord(letter))
        return fresh.mask().tolist(), fresh.forced_bytes(), bytes(fresh.text), fresh.is_accepting

    matcher = compiled.matcher()
    assert matcher.forced_bytes() == b""
    for path in ("abc", "abd", "xyz"):
        for letter in path:
            matcher.advance(ord(letter))
        assert after(path)[3]
        for length in (2, 1, 0):
            matcher.rollback(1)
            seen = matcher.mask().tolist(), matcher.forced_bytes(), bytes(matcher.text), matcher.is_accepting
            assert seen == after(path[:length])
        assert bytes(matcher.text) == b""
    matcher.advance(ord("a"))
    assert matcher.forced_bytes() == b"b"
    matcher.rollback(1)
    matcher.advance(ord("x"))
    assert matcher.forced_bytes() == (b"yz" if union is not UNIONS[2] else b"")
    matcher.rollback(1)
    assert matcher.forced_bytes() == b""
