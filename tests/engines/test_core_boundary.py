"""The native part's edge: what it takes, what it refuses and in which words, threads, limits."""

from __future__ import annotations

import contextlib
import copy
import itertools
import random
import re
import sys
import threading
import time

import numpy as np
import pytest
from rellm import (
    LimitExceededError,
    PatternError,
    TokenRejectedError,
    UnsatisfiableError,
    VocabularyError,
    _core,
)
from rellm._dialects import tables

BYTES: list[bytes | None] = [bytes([byte]) for byte in range(256)]
WORDS: list[bytes | None] = [*BYTES, b"12", b"ab", None, b"</s>", "é".encode(), b"ab"]
EOS = 259


@pytest.fixture(scope="module")
def vocabulary() -> _core.Vocabulary:
    return _core.Vocabulary(WORDS, [EOS])


def compiled(
    pattern: str, vocabulary: _core.Vocabulary, memory: int = 32 << 20, fuel: int = 20_000_000
) -> _core.Constraint:
    limits = _core.Limits(memory, fuel, 500, 2_000_000)
    return _core.Constraint.regex(pattern, 0, tables.re_dialect(), {}, vocabulary, limits)


def ids(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


def test_a_mask_is_packed_with_the_lowest_token_in_the_lowest_bit(vocabulary: _core.Vocabulary) -> None:
    mask = compiled("ab|1", vocabulary).matcher().mask()
    assert mask.dtype == np.uint32
    assert mask.shape == (9,)
    assert ids(mask) == [ord("1"), ord("a"), 257, 261]


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
def test_rows_are_filled_in_place_and_extra_columns_cleared(vocabulary: _core.Vocabulary, dtype: type) -> None:
    matcher = compiled("ab|1", vocabulary).matcher()
    out = np.full((3, 12), -1, np.int32).view(dtype)
    matcher.fill_mask(out, 1)
    assert (out[0].view(np.int32) == -1).all()
    assert (out[2].view(np.int32) == -1).all()
    assert (out[1, 9:] == 0).all()
    assert (out[1, :9].view(np.uint32) == matcher.mask()).all()
    backwards = out[::-1]
    matcher.fill_mask(backwards, 0)
    assert (out[2].view(np.uint32)[:9] == matcher.mask()).all()


def test_a_torch_tensor_is_filled_in_place(vocabulary: _core.Vocabulary) -> None:
    torch = pytest.importorskip("torch")
    matcher = compiled("ab|1", vocabulary).matcher()
    out = torch.full((2, 9), -1, dtype=torch.int32)
    matcher.fill_mask(out, 1)
    assert (out[0] == -1).all()
    assert (out[1].numpy().view(np.uint32) == matcher.mask()).all()
    with pytest.raises(TypeError, match="int32"):
        matcher.fill_mask(torch.zeros((1, 9)), 0)


def _read_only() -> np.ndarray:
    out = np.zeros(9, np.uint32)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    ("out", "row", "error", "words"),
    [
        (np.zeros(9, np.int64), 0, TypeError, "expected elements of int32 or uint32"),
        (np.zeros(9, np.float32), 0, TypeError, "expected elements of int32 or uint32"),
        ([0] * 9, 0, TypeError, "expected an int32 or uint32 array of numpy or torch, not list"),
        (np.zeros(8, np.uint32), 0, ValueError, "a row has 8 words, but a mask of this vocabulary needs 9"),
        (np.zeros((2, 9), np.uint32), 2, IndexError, "row 2 is out of range: out has 2 rows"),
        (np.zeros((2, 9), np.uint32), -1, IndexError, "row -1 is out of range: out has 2 rows"),
        (np.zeros((9, 9), np.uint32).T, 0, ValueError, "rows must be contiguous"),
        (np.zeros(18, np.uint32)[::2], 0, ValueError, "rows must be contiguous"),
        (np.zeros((1, 1, 9), np.uint32), 0, ValueError, "expected one or two dimensions, not 3"),
        (_read_only(), 0, ValueError, "read-only"),
    ],
)
def test_an_array_that_cannot_be_filled_is_refused(
    vocabulary: _core.Vocabulary, out: object, row: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        compiled("a", vocabulary).matcher().fill_mask(out, row)


def test_overlapping_rows_are_refused(vocabulary: _core.Vocabulary) -> None:
    out = np.lib.stride_tricks.as_strided(np.zeros(20, np.uint32), (2, 9), (4, 4), writeable=True)
    matcher = compiled("a", vocabulary).matcher()
    with pytest.raises(ValueError, match="must not overlap"):
        _core.fill_masks([matcher, matcher], out)


def test_a_batch_is_filled_whatever_its_matchers_share(vocabulary: _core.Vocabulary) -> None:
    one, other = compiled(r"\w+", vocabulary), compiled("[0-9]+x", vocabulary)
    matchers = [constraint.matcher() for constraint in (one, other, one, other)]
    matchers[2].advance(256)
    matchers += matchers[:2]
    out = np.zeros((8, 9), np.uint32)
    for threads in (None, 1, 2, 9):
        out[:] = 7
        _core.fill_masks(matchers, out, threads)
        for row, matcher in zip(out, matchers, strict=False):
            assert (row == matcher.mask()).all()
        assert (out[6:] == 7).all()
    _core.fill_masks([], out)
    with pytest.raises(ValueError, match="out has 8 rows, but there are 9 matchers"):
        _core.fill_masks([matchers[0]] * 9, out)
    with pytest.raises(ValueError, match="at least 1"):
        _core.fill_masks(matchers, out, 0)


@pytest.mark.parametrize("fuel", [20_000_000, 60_000])  # With so little, no mask is made before it is asked for.
@pytest.mark.parametrize("threads", [None, 2, 9])
def test_a_batch_goes_on_with_the_masks_of_its_rows(
    threads: int | None, fuel: int, vocabulary: _core.Vocabulary
) -> None:
    patterns = [rf"(\w{{1,{9 + i}}}[ ,.]?){{0,{i + 3}}}!" for i in range(24)]
    alone = [compiled(pattern, vocabulary).matcher() for pattern in patterns]
    batch = [compiled(pattern, vocabulary, fuel=fuel).matcher() for pattern in patterns]
    out = np.zeros((len(batch), 9), np.uint32)
    for step, token in enumerate(b"ab cd,e.f gh ij"):
        if step == 7:  # Between two calls there may be as much time as a model takes.
            time.sleep(0.01)
        _core.fill_masks(batch, out, threads)
        for row, matcher in zip(out, alone, strict=True):
            assert (row == matcher.mask()).all()
        for matcher in alone + batch:
            if matcher.allows(token):
                matcher.advance(token)


def test_a_constraint_that_has_reached_its_memory_limit_is_as_good_as_before(vocabulary: _core.Vocabulary) -> None:
    pattern = r"(?!.*zz)(\w|日){1,80}"
    other = compiled(pattern, vocabulary).matcher()
    other.advance(0xE6)
    reached = 0
    for memory in range(20_000, 22_000, 5):
        with contextlib.suppress(LimitExceededError):
            constraint = compiled(pattern, vocabulary, memory=memory)
            matchers = [constraint.matcher() for _ in range(2)]
            matchers[0].advance(0xE6)  # in the middle of a character
            for _ in range(3):
                with contextlib.suppress(LimitExceededError):
                    matchers[0].mask()
                    break
                assert matchers[0].text == b"\xe6"
            else:
                reached += 1
            for token in range(256):
                with contextlib.suppress(LimitExceededError):
                    assert matchers[0].allows(token) == other.allows(token)
            assert not matchers[1].is_accepting
            matchers[1].advance(ord("a"))
            assert matchers[1].is_accepting
    assert reached > 3


def test_an_end_is_allowed_however_little_fuel_is_left() -> None:
    words = [b"aa", b"ab", b"ba", b"aba", b"bbb", b" a", b"a ", b"abababab", b"a" * 20, b"ab "]
    vocabulary = _core.Vocabulary([*(bytes([byte]) for byte in range(128)), *words, None], [138])
    pattern = r"(?:(( )(?:[ab]){3,28})b[a-z]\w (?(1)a|b)|(?=(?:(?:(a)b\3)?+)+))"
    tried = 0
    for memory in range(6_000, 9_000, 7):
        with contextlib.suppress(LimitExceededError):
            constraint = compiled(pattern, vocabulary, memory=memory, fuel=300)
            idle, writing = constraint.matcher(), constraint.matcher()
            tried += 1
            for token in (32, 128, 98, None, 97):
                # After a token that a limit has held back, the next ones need not be allowed.
                with contextlib.suppress(LimitExceededError, TokenRejectedError):
                    writing.mask() if token is None else writing.advance(token)
                assert idle.is_accepting
                assert idle.allows(138)
                with contextlib.suppress(LimitExceededError):
                    assert 138 in ids(idle.mask())
    assert tried > 100


def budget_mask(matcher: _core.Matcher, words: int, tokens_left: int) -> list[int]:
    row = np.zeros((1, words), dtype=np.uint32)
    matcher.fill_mask_within(row, 0, tokens_left)
    return ids(row[0])


def test_a_budget_sees_the_nearest_way_out_of_a_character_that_is_begun(vocabulary: _core.Vocabulary) -> None:
    for pattern in (r"[\u00c0-\u00df]x{50}|[\u00e0-\u00ff]", r"(?!b)([\u00c0-\u00df]x{50}|[\u00e0-\u00ff])(?:y\1)?"):
        matcher = compiled(pattern, vocabulary).matcher()
        assert budget_mask(matcher, 9, 2) == [0xC3, 260]
        matcher.advance(0xC3)
        assert matcher.tokens_to_match(5) == 1
        assert len(matcher.shortest_completion()) == 1


def test_short_of_fuel_a_budget_lets_no_token_through_that_leads_too_far() -> None:
    tokens = [b"a", b"b", b"c", b"aa", b"aaaaaaaa"]
    vocabulary = _core.Vocabulary([*tokens, None], [5])
    patterns = [r"(?:a{0,40}|a{3}[ab]{2,30}c)", r"(?:ab|[ab]{6})*", r"a?(?:[ab]{20}c)?", r"(?:[ab]{0,3}c)*"]
    asked = 0
    for pattern in patterns:
        exact = compiled(pattern, vocabulary)
        for fuel in range(20, 1500, 20):
            with contextlib.suppress(LimitExceededError):
                matcher = compiled(pattern, vocabulary, fuel=fuel).matcher()
                for _ in range(4):
                    for left in (1, 2, 5, 15):
                        with contextlib.suppress(LimitExceededError):
                            for token in budget_mask(matcher, 1, left):
                                asked += 1
                                after = exact.matcher()
                                after.advance_bytes(matcher.text)
                                after.advance(token)
                                assert token == 5 or after.tokens_to_match(left - 1) is not None, (matcher.text, left)
                    matcher.advance(next(token for token in (1, 0, 2) if matcher.allows(token)))
    assert asked > 1000


def test_a_budget_does_not_look_for_what_is_much_too_far(vocabulary: _core.Vocabulary) -> None:
    """Seventy million characters away: their number is known without writing them."""
    matcher = compiled(r"(?:(?=\w)(?:(?:[a-c]{1000}){100}){700})?", vocabulary).matcher()
    for left in (1, 2, 50, 5000):
        assert budget_mask(matcher, 9, left) == [EOS]
    matcher.advance(ord("a"))
    assert matcher.tokens_to_match(100_000) is None


def test_threads_that_share_a_constraint_are_told_what_is_expected_after_their_own_text() -> None:
    vocabulary = _core.Vocabulary([*(bytes([byte]) for byte in range(128)), None], [128])
    pattern = "([ab]*a[ab]{12}|x)*"
    constraint = compiled(pattern, vocabulary, memory=40_000)
    wrong: list[str] = []
    tokens = random.Random(1)

    def write(choices: list[int]) -> None:
        matcher = constraint.matcher()
        for token in choices:
            try:
                matcher.advance(token)
            except LimitExceededError:
                pass
            except TokenRejectedError as error:
                whole = re.fullmatch(pattern, matcher.text.decode()) is not None
                if not str(error).endswith(
                    '"a", "b", "x", or the end of the text' if whole else 'expected "a", or "b"'
                ):
                    wrong.append(str(error))
            except Exception as error:
                wrong.append(str(error))
            if len(matcher.text) > 60:
                matcher.reset()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        writers = [threading.Thread(target=write, args=(tokens.choices(b"abQ", k=20_000),)) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong


def test_ids_out_of_range_are_not_allowed_and_never_crash(vocabulary: _core.Vocabulary) -> None:
    matcher = compiled("a*", vocabulary).matcher()
    for token in (-1, 262, 2**31, 2**64, -(2**70)):
        assert not matcher.allows(token)
        assert matcher.explain(token) is not None
        assert matcher.validate([97, token, 97]) == 1
        with pytest.raises(TokenRejectedError):
            matcher.advance(token)
        with pytest.raises(IndexError):
            vocabulary.token_bytes(token)
    with pytest.raises(TypeError):
        matcher.allows("a")  # type: ignore[arg-type]
    assert matcher.allows(np.int64(97))
    assert matcher.validate(np.array([97, 97])) == 2


def test_a_rejection_tells_where_and_what_was_expected(vocabulary: _core.Vocabulary) -> None:
    matcher = compiled(r"[0-9]+\.[0-9]", vocabulary).matcher()
    matcher.advance(256)
    rejection = matcher.explain(257)
    assert rejection is not None
    assert (rejection.token_id, rejection.token_bytes, rejection.failed_at) == (257, b"ab", 0)
    assert (rejection.text_before, rejection.expected) == ("12", 'a digit, or "."')
    with pytest.raises(TokenRejectedError) as caught:
        matcher.advance(257)
    assert str(caught.value) == 'token 257 ("ab") is not allowed after "12": expected a digit, or "."'
    assert caught.value.rejection.expected == rejection.expected
    assert str(rejection) == str(caught.value)
    assert matcher.text == b"12"


def test_rolling_back_too_far_is_an_index_error_and_changes_nothing(vocabulary: _core.Vocabulary) -> None:
    matcher = compiled("[ab]*", vocabulary).matcher()
    matcher.advance_bytes(b"abab")
    matcher.advance(EOS)
    with pytest.raises(IndexError, match="cannot take back 3 calls of advance: there were only 2"):
        matcher.rollback(3)
    with pytest.raises(ValueError, match="negative"):
        matcher.rollback(-1)
    assert matcher.is_finished
    matcher.rollback(1)
    other = copy.copy(matcher)
    other.advance(97)
    assert (matcher.text, other.text) == (b"abab", b"ababa")
    matcher.reset()
    assert matcher.text == b""


def test_a_stored_vocabulary_comes_back_and_damage_is_an_error(vocabulary: _core.Vocabulary) -> None:
    again = _core.Vocabulary.from_bytes(vocabulary.to_bytes())
    assert again.fingerprint == vocabulary.fingerprint
    assert [again.token_bytes(index) for index in range(262)] == [vocabulary.token_bytes(index) for index in range(262)]
    assert vocabulary.token_bytes(EOS) is None
    assert vocabulary.tokens_bytes([97, EOS, 258, 260]) == "aé".encode()
    for data in (b"", b"rellm", vocabulary.to_bytes()[:-1], vocabulary.to_bytes() + b"x"):
        with pytest.raises(VocabularyError, match="build it from the tokenizer again"):
            _core.Vocabulary.from_bytes(data)
    with pytest.raises(TypeError, match=r"tokens\[1\]: expected bytes, or None for a special token"):
        _core.Vocabulary([b"a", "b"])  # type: ignore[list-item]
    with pytest.raises(VocabularyError, match="there are no tokens"):
        _core.Vocabulary([])


def test_what_cannot_be_compiled_is_a_typed_error(vocabulary: _core.Vocabulary) -> None:
    with pytest.raises(PatternError) as caught:
        compiled("a(b", vocabulary)
    assert caught.value.pattern == "a(b"
    assert caught.value.position is not None
    with pytest.raises(UnsatisfiableError, match="contradicts itself"):
        compiled("a(?!)b", vocabulary)
    with pytest.raises(UnsatisfiableError, match="no token of this vocabulary spells"):
        compiled("b", _core.Vocabulary([b"a"]))
    with pytest.raises(UnsatisfiableError, match="no sequence of this vocabulary's tokens"):
        compiled("a", _core.Vocabulary([b"aa"]))
    limits = _core.Limits(32 << 20, 20_000_000, 500, 2_000_000)
    assert ids(_core.Constraint.choice(["a", "ab", "\ud800"], vocabulary, limits).matcher().mask()) == [97, 257, 261]
    with pytest.raises(UnsatisfiableError):
        _core.Constraint.choice(["\ud800"], vocabulary, limits)


def test_a_limit_reached_names_itself_and_leaves_the_state() -> None:
    words = ["".join(letters).encode() for n in range(1, 11) for letters in itertools.product("ab", repeat=n)]
    vocabulary = _core.Vocabulary(words)
    matcher = compiled("(?:a|b)*a(?:a|b){8}", vocabulary, memory=40_000).matcher()
    matcher.advance_bytes(b"abba")
    for _ in range(2):
        with pytest.raises(LimitExceededError, match="memory_bytes") as caught:
            matcher.mask()
        assert (caught.value.limit, caught.value.allowed) == ("memory_bytes", 40_000)
        assert matcher.text == b"abba"
    assert matcher.allows(0)
    generous = compiled("(?:a|b)*a(?:a|b){8}", vocabulary).matcher()
    generous.advance_bytes(b"abba")
    assert len(ids(generous.mask())) == len(words)
    with pytest.raises(LimitExceededError, match="fuel") as caught:
        compiled("(?:a|b)*a(?:a|b){8}", vocabulary, fuel=1000).matcher().mask()
    assert (caught.value.limit, caught.value.allowed) == ("fuel", 1000)


def test_a_small_memory_is_enough_for_a_long_text(vocabulary: _core.Vocabulary) -> None:
    constraint = compiled(r"(?:[a-y]{1,9}z){0,100000}", vocabulary, memory=300_000)
    matcher = constraint.matcher()
    generous = compiled(r"(?:[a-y]{1,9}z){0,100000}", vocabulary).matcher()
    for step in range(6000):
        token = b"abcz"[step % 4]
        matcher.advance(token)
        generous.advance(token)
        if step % 50 == 0:
            assert (matcher.mask() == generous.mask()).all()
            assert constraint.memory_bytes <= 300_000
    matcher.rollback(3001)
    generous.rollback(3001)
    assert matcher.text == generous.text
    assert (matcher.mask() == generous.mask()).all()


@pytest.mark.parametrize(
    ("pattern", "letters"),
    [
        (r"(?:\b\w+\b ?)*(?<!xy)", "ab xc"),
        (r"(?:(?<=a)b|[ac])*", "abcab"),
        (r"(?:(\w)\1)*", "aabb"),
        (r"(?:(?>a|ab)c|b)*", "acb"),
    ],
)
def test_states_meet_again_however_long_the_text_is(vocabulary: _core.Vocabulary, pattern: str, letters: str) -> None:
    constraint = compiled(pattern, vocabulary)
    matcher = constraint.matcher()

    def write(count: int) -> int:
        for _ in range(count):
            for letter in letters:
                matcher.advance(ord(letter))
                matcher.mask()
        return constraint.memory_bytes

    assert write(40) == write(400)


def test_threads_share_a_constraint(vocabulary: _core.Vocabulary) -> None:
    constraint = compiled(r"(\w+|[0-9]{2,5}:)( \w+){0,50}", vocabulary)
    expected = {}
    for word in ("ab", "12", "a b"):
        matcher = constraint.matcher()
        matcher.advance_bytes(word.encode())
        expected[word] = ids(matcher.mask())
    failures: list[str] = []

    def work() -> None:
        for _ in range(200):
            for word, mask in expected.items():
                matcher = constraint.matcher()
                matcher.advance_bytes(word.encode())
                if ids(matcher.mask()) != mask or not matcher.allows(mask[0]):
                    failures.append(word)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
