"""Compiling: what may be given, which engine serves, and what is kept."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import random
import re
import sys
import threading

import numpy as np
import pytest
import regex
import rellm
import tokenizers_at_hand as at_hand
from rellm._engines import compile as engine
from rellm._engines.cache import CompiledCache

ASCII = rellm.Vocabulary([bytes([byte]) for byte in range(128)] + [b"ab", b"the ", None], [130])


def accepts(constraint: object, text: str) -> bool:
    matcher = rellm.compile(constraint, ASCII).matcher()
    try:
        matcher.advance_bytes(text.encode())
    except rellm.TokenRejectedError:
        return False
    return matcher.is_accepting


def test_a_pattern_or_its_text_stands_for_a_regex() -> None:
    for given in (r"\d+", re.compile(r"\d+"), regex.compile(r"\d+"), rellm.Regex(r"\d+")):
        assert accepts(given, "12")
        assert not accepts(given, "1x")


def test_a_tokenizer_stands_for_its_vocabulary() -> None:
    tokenizer = at_hand.byte_level()
    compiled = rellm.compile("a+", tokenizer)
    assert compiled.vocabulary == rellm.Vocabulary.from_tokenizer(tokenizer)


def test_choices_and_literals_are_taken_word_by_word() -> None:
    matcher = rellm.compile(rellm.Choice(["a", "ab", "a.c"]), ASCII).matcher()
    matcher.advance_bytes(b"a")
    assert (matcher.is_accepting, matcher.is_finished) == (True, False)
    assert matcher.allows(130)  # EOS
    assert sorted(np.flatnonzero(np.unpackbits(matcher.mask().view(np.uint8), bitorder="little"))) == [46, 98, 130]
    assert accepts(rellm.Literal("a.c"), "a.c")
    assert not accepts(rellm.Literal("a.c"), "abc")
    assert accepts(rellm.Choice([""]), "")


def test_what_is_no_constraint_is_told_apart() -> None:
    message = r"^a constraint was expected, not list \['a'\]: for one of several strings, use rellm\.Choice$"
    with pytest.raises(TypeError, match=message):
        rellm.compile(["a"], ASCII)
    with pytest.raises(TypeError, match=r"^a constraint was expected, not None: use rellm\.Regex, rellm\.Choice, "):
        rellm.compile(None, ASCII)
    with pytest.raises(rellm.UnsupportedError, match="a pattern over bytes cannot constrain text"):
        rellm.compile(b"a", ASCII)
    with pytest.raises(TypeError, match=r"^limits is a rellm\.Limits, not dict$"):
        rellm.compile("a", ASCII, limits={"fuel": 5})  # type: ignore[arg-type]


def test_the_engine_that_serves_is_told_with_the_reason() -> None:
    exact = rellm.compile(r"(a|b)*\1", ASCII)
    assert (exact.engine, exact.engine_reason) == ("automaton", None)
    recursive = rellm.compile(rellm.Regex(r"a(?:b|(?R))c", dialect="regex"), ASCII)
    assert (recursive.engine, recursive.engine_reason) == ("automaton", None)
    searched = rellm.compile(rellm.Regex(r"a(?>b|(?R))c", dialect="regex"), ASCII)
    reason = "a call of a group inside an atomic group or a possessive repetition at position 6"
    assert (searched.engine, searched.engine_reason) == ("search", reason)
    assert repr(exact).startswith(
        r"<Regex('(a|b)*\\1') on <Vocabulary of 131 tokens, eos_token_ids=[130]>, engine='auto"
    )


def test_the_search_engine_keeps_its_promise() -> None:
    compiled = rellm.compile(rellm.Regex(r"\((?:[^()]|(?R))*+\)", dialect="regex"), ASCII)
    assert compiled.engine == "search"
    matcher = compiled.matcher()
    for character in b"(a(b)":
        assert matcher.allows(character)
        matcher.advance(character)
    assert not matcher.is_accepting
    assert matcher.forced_bytes() == b""
    assert matcher.shortest_completion() is None
    matcher.advance(ord(")"))
    assert matcher.is_accepting
    assert matcher.allows(130)


def test_errors_of_a_pattern_carry_position_and_pattern() -> None:
    with pytest.raises(rellm.PatternError) as raised:
        rellm.compile(r"\d+(abc", ASCII)
    assert (raised.value.position, raised.value.pattern) == (7, r"\d+(abc")
    with pytest.raises(rellm.LimitExceededError) as limit:
        rellm.compile("(" * 600 + ")" * 600, ASCII)
    assert (limit.value.limit, limit.value.allowed) == ("nesting", 500)
    assert accepts("(" * 400 + "a" + ")" * 400, "a")
    with pytest.raises(rellm.LimitExceededError):
        rellm.compile("(" * 20 + "a" + ")" * 20, ASCII, limits=rellm.Limits(nesting=10))


@pytest.mark.parametrize("pattern", [r"[^\s\S]", "(?!)", "a(?!)b", "$a", "é"])
def test_what_nothing_can_match_or_spell_is_told_when_it_is_compiled(pattern: str) -> None:
    with pytest.raises(rellm.UnsatisfiableError):
        rellm.compile(pattern, rellm.Vocabulary([b"a", b"b"]))


# --- the cache ------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> CompiledCache:
    empty = CompiledCache(most=128, most_bytes=384 << 20)
    monkeypatch.setattr(engine, "_cache", empty)
    return empty


def test_the_same_is_compiled_once(cache: CompiledCache) -> None:
    first = rellm.compile("a+", ASCII)
    same = rellm.Vocabulary([ASCII.token_bytes(token) for token in range(len(ASCII))], [130])
    assert rellm.compile(re.compile("a+"), same) is first  # by content
    assert rellm.compile("a+", ASCII, limits=rellm.Limits()) is first
    assert rellm.compile(first, ASCII) is first
    assert rellm.compile("a+", ASCII, limits=rellm.Limits(fuel=10**6)) is not first
    assert rellm.compile("a+", rellm.Vocabulary([b"a"])) is not first
    assert rellm.compile(first, rellm.Vocabulary([b"a"])).vocabulary != ASCII


def test_the_least_recently_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_cache", CompiledCache(most=2, most_bytes=384 << 20))
    a, b = rellm.compile("a", ASCII), rellm.compile("b", ASCII)
    assert rellm.compile("a", ASCII) is a
    rellm.compile("c", ASCII)
    assert rellm.compile("a", ASCII) is a
    assert rellm.compile("b", ASCII) is not b


def test_the_cache_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    small = CompiledCache(most=1000, most_bytes=ASCII.memory_bytes + (1 << 20))
    monkeypatch.setattr(engine, "_cache", small)
    for number in range(64):
        compiled = rellm.compile("|".join(f"{number}x{other}" for other in range(2000)), ASCII)
        compiled.matcher().mask()
    assert small.memory_bytes() < ASCII.memory_bytes + (4 << 20)
    assert len(small._entries) < 64


def test_ten_thousand_patterns_stay_within_bounded_memory(cache: CompiledCache) -> None:
    """A server's life: patterns come and go, what they held is given back."""
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()

    def run(first: int, last: int) -> None:
        for number in range(first, last):
            matcher = rellm.compile(rf"user{number}: \w{{1,{number % 50 + 2}}}( \d+)?", ASCII).matcher()
            matcher.advance_bytes(f"user{number}: ab".encode())
            matcher.mask()

    run(0, 1000)
    before = process.memory_info().rss
    run(1000, 10_000)
    assert process.memory_info().rss - before < 64 << 20
    assert len(cache._entries) <= 128


# --- threads --------------------------------------------------------------------------------------------------


def in_threads(count: int, work: object) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a deadlock"
    if failures:
        raise failures[0]


def test_threads_that_compile_the_same_get_the_same(cache: CompiledCache) -> None:
    found: list[rellm.CompiledConstraint] = []
    in_threads(8, lambda _: found.extend(rellm.compile(rf"\w{{{n}}}x", ASCII) for n in range(20)))
    assert len(found) == 160
    assert len(set(map(id, found))) == 20


def test_threads_that_step_one_constraint_get_the_masks_of_one_thread(cache: CompiledCache) -> None:
    pattern = r"(?=.*\d)(\w{1,8}) (the \1|[a-z]{3,9})+\.?"

    def walk(seed: int, compiled: rellm.CompiledConstraint) -> list[bytes]:
        chance, matcher, masks = random.Random(seed), compiled.matcher(), []
        for _ in range(40):
            mask = matcher.mask()
            masks.append(mask.tobytes())
            allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
            allowed = allowed[allowed != 130]
            if not len(allowed):
                break
            matcher.advance(int(chance.choice(allowed)))
        return masks

    alone = [walk(seed, rellm.compile(pattern, ASCII)) for seed in range(12)]
    cache.clear()
    shared = rellm.compile(pattern, ASCII)
    together: dict[int, list[bytes]] = {}
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        in_threads(12, lambda seed: together.__setitem__(seed, walk(seed, shared)))
    finally:
        sys.setswitchinterval(switch)
    assert [together[seed] for seed in range(12)] == alone


# --- copies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "constraint",
    [
        rellm.Regex(r"a+\d", re.I | re.A),
        rellm.Regex(r"\L<word>", dialect="regex", word=["ab", "b"]),
        rellm.Regex(r"a(?R)?b", dialect="regex"),
        rellm.Regex(r"a(?>(?R))?b", dialect="regex"),
        rellm.Choice(["red", "green"]),
        rellm.Literal("a.c"),
    ],
    ids=repr,
)
def test_a_compiled_constraint_is_pickled_as_what_it_was_made_from(
    cache: CompiledCache, constraint: rellm.Regex | rellm.Choice | rellm.Literal
) -> None:
    compiled = rellm.compile(constraint, ASCII, limits=rellm.Limits(fuel=5_000_000))
    sent = pickle.dumps(compiled)
    assert pickle.loads(sent) is compiled, "in this process it is known already"
    cache.clear()
    again = pickle.loads(sent)
    assert again is not compiled
    assert (again.constraint, again.vocabulary, again.limits) == (constraint, ASCII, rellm.Limits(fuel=5_000_000))
    assert (again.engine, again.engine_reason) == (compiled.engine, compiled.engine_reason)
    assert np.array_equal(again.matcher().mask(), compiled.matcher().mask())


def test_a_compiled_constraint_crosses_to_another_process(cache: CompiledCache) -> None:
    compiled = rellm.compile("[ab]{3}", ASCII)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(accepts_bytes, (compiled, b"aba")) is True
        assert pool.apply(accepts_bytes, (compiled, b"ab")) is False


def accepts_bytes(compiled: rellm.CompiledConstraint, data: bytes) -> bool:
    matcher = compiled.matcher()
    matcher.advance_bytes(data)
    return matcher.is_accepting


def test_what_cannot_change_is_its_own_copy() -> None:
    compiled = rellm.compile("a+", ASCII)
    for one in (compiled, ASCII):
        assert copy.copy(one) is one
        assert copy.deepcopy([one])[0] is one


@pytest.mark.parametrize("pattern", ["(ab)+", r"(?:ab)+|a(?>(?R))b"])
def test_a_matcher_is_copied_with_its_text_and_refuses_to_be_pickled(pattern: str) -> None:
    matcher = rellm.compile(rellm.Regex(pattern, dialect="regex"), ASCII).matcher()
    matcher.advance_bytes(b"ab")
    for again in (copy.copy(matcher), copy.deepcopy([matcher])[0]):
        again.advance_bytes(b"a")
        assert (again.text, matcher.text) == (b"aba", b"ab")
    with pytest.raises(TypeError) as raised:
        pickle.dumps(matcher)
    assert str(raised.value) == (
        "a matcher cannot be pickled: pickle its compiled constraint and the tokens that it has taken, and there "
        "make one with compiled.matcher() and advance it by them"
    )


# --- batches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_batch_is_filled_row_by_row_whatever_the_engines(threads: int | None, mixed: bool) -> None:
    constraints: list[object] = ["a+", r"\d{3}", rellm.Choice(["the end", "ab"])]
    if mixed:
        constraints.insert(1, rellm.Regex(r"\((?>(?R)?)\)", dialect="regex"))
    matchers = [rellm.compile(constraint, ASCII).matcher() for constraint in constraints]
    out = np.full((len(matchers) + 1, 7), 0xFFFFFFFF, dtype=np.uint32)
    rellm.fill_masks(matchers, out, threads=threads)
    for row, matcher in enumerate(matchers):
        assert np.array_equal(out[row, :5], matcher.mask())
        assert not out[row, 5:].any()
    assert (out[-1] == 0xFFFFFFFF).all()
    with pytest.raises(ValueError, match="threads is 0: it must be at least 1"):
        rellm.fill_masks(matchers, out, threads=0)


def test_a_buffer_in_another_byte_order_or_out_of_alignment_is_refused() -> None:
    matcher = rellm.compile("a+", ASCII).matcher()
    order = ">" if sys.byteorder == "little" else "<"
    with pytest.raises(TypeError, match="expected elements of int32 or uint32, not of format"):
        matcher.fill_mask(np.zeros((1, 5), dtype=f"{order}u4"))
    unaligned = np.frombuffer(bytearray(4 * 5 + 1), dtype=np.uint32, offset=1)
    with pytest.raises(ValueError, match="aligned"):
        matcher.fill_mask(unaligned)
    with pytest.raises(ValueError, match="aligned"):
        rellm.fill_masks([matcher], unaligned)
    between = np.zeros(2, dtype=np.dtype([("row", np.uint32, 5), ("more", np.uint8)]))["row"]
    with pytest.raises(ValueError, match="aligned"):
        matcher.fill_mask(between, 1)
    assert not between.any()


def test_a_batch_of_something_else_than_matchers_is_refused() -> None:
    matcher = rellm.compile("a+", ASCII).matcher()
    out = np.zeros((2, 5), dtype=np.uint32)
    with pytest.raises(TypeError, match=r"^matchers is a list of matchers, not Matcher: put it into \[ \]$"):
        rellm.fill_masks(matcher, out)  # type: ignore[arg-type]
    for threads in ("2", 1.0, True):
        with pytest.raises(TypeError, match=r"^threads is a whole number, or None for as many as the machine has"):
            rellm.fill_masks([matcher], out, threads=threads)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"matchers\[1\] is CompiledConstraint: pass matchers"):
        rellm.fill_masks([matcher, rellm.compile("a+", ASCII)], np.zeros((2, 5), dtype=np.uint32))


@pytest.mark.parametrize(
    ("pattern", "matches", "misses"),
    [
        (r"[ab](?<=(?(?=\B)a|b))", ["b"], ["a"]),
        (r"ab(?<=(?(?=\B)a|b))", ["ab"], []),
        (r"b(?<=(?(?<=b)b|a))", ["b"], []),
        (r"[ab]b(?<=b+b?+)", ["bb"], []),
        (r"[ab](?<=b++b?+|a)", ["a"], ["b"]),
    ],
)
def test_lookbehinds_of_regex_are_read_from_their_end(pattern, matches, misses):
    vocabulary = rellm.Vocabulary([b"a", b"b", None], eos_token_ids=[2])
    matcher = rellm.compile(rellm.Regex(pattern, dialect="regex"), vocabulary).matcher()
    for text in (*matches, *misses):
        assert bool(regex.fullmatch(pattern, text)) == (text in matches)
        matcher.reset()
        try:
            matcher.advance_bytes(text.encode())
        except rellm.TokenRejectedError:
            assert text in misses
        else:
            assert matcher.is_accepting == (text in matches)
