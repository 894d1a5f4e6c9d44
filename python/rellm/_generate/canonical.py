"""Canonical tokenisation: allows only tokens that the tokenizer itself would write.

A text can be cut into tokens in many ways, and a model has learned one. After the tokens so far, a token is canonical
if the tokenizer cuts their joined text, or some longer text, at the same places; where the constraint leaves one
continuation, that is the longer text. We considered a table of pairs that byte-pair merges leave alone: it is wrong
wherever a pre-tokenizer cuts (digits in threes, white space before a word), and does not hold for other kinds of
tokenizers. So the tokenizer itself encodes the last few tokens with each candidate; candidates are tested in the order
of their scores, as far as the choice needs them.

The theorem behind it: all prefixes of a canonical tokenisation are canonical, and canonical sampling is closer to the
distribution of the training texts ("Canonical Autoregressive Generation", arXiv 2506.06446).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rellm._generate.text_state import Row, text_bytes

if TYPE_CHECKING:
    import torch

_CONTEXT_TOKENS: Final = 6
_COMPARED: Final = 3  # tokens before the candidate that the tokenizer has to reproduce
_MOST_KNOWN: Final = 1 << 16
_ROUNDS: Final = (8, 32, 128, 512, 1368)  # candidates that are encoded together; 2,048 in all
_UNREAD_MASS: Final = 1e-3
# Texts that may follow. Pre-tokenizers look ahead after white space (`\s+(?!\S)`) and digits (threes from the right).
_AFTER_SPACE: Final = ("x", " x")
_AFTER_DIGIT: Final = ("0", "00")


class CanonicalTokens:
    """Removes tokens that the tokenizer would not write after the previous ones.

    If no token would be left, all stay allowed: the constraint may need a text that goes on in the middle of a token.

    Args:
        tokenizer: called with texts, returns `input_ids`.
        vocabulary: its tokens.
        candidates: how many canonical tokens a choice needs at least: one for greedy decoding, two for each beam.
        samples: whether the choice is sampled: then the likeliest tokens with 99.9 % of the probability together are
            tested, at most 2,048, and all others are removed.
    """

    def __init__(self, tokenizer: Any, vocabulary: Any, *, candidates: int = 1, samples: bool = False) -> None:
        self._encode = _batch_encoder(tokenizer)
        self._vocabulary = vocabulary
        self._candidates = candidates
        self._samples = samples
        self._known: OrderedDict[tuple[int, ...], dict[int, bool]] = OrderedDict()

    def restrict(self, scores: torch.Tensor, input_ids: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """`scores` with −inf for tokens that are not canonical.

        Args:
            scores: `(rows, width)`, masked already.
            input_ids: `(rows, length)`, prompts included.
            rows: their states.
        """
        found = scores.clone()
        for i, row in enumerate(rows):
            if row.is_live:
                forced = b"" if row.matcher is None else row.matcher.forced_bytes()
                self._restrict(found[i], input_ids[i, -_CONTEXT_TOKENS:].tolist(), forced)
        return found

    def _restrict(self, scores: torch.Tensor, before: list[int], forced: bytes) -> None:
        import torch

        firsts = self._firsts_of(before, forced)
        most = min(sum(_ROUNDS), scores.shape[-1])
        values, ids = torch.topk(scores, most)
        order, count = ids.tolist(), int(torch.isfinite(values).sum())
        weights = torch.softmax(scores.float(), dim=-1)[ids].cumsum(-1).tolist() if self._samples else []
        good: list[int] = []
        bad: list[int] = []
        early: list[int] = []  # canonical by itself, but not where the text has to go on
        read = 0
        for size in _ROUNDS:
            some = order[read : min(read + size, count)]
            if not some or self._is_enough(len(good), weights, read):
                break
            for token, is_canonical in zip(some, self.are_canonical(before, some), strict=True):
                ends_early = is_canonical and firsts and token not in firsts and self._is_part(token, forced)
                (early if ends_early else good if is_canonical else bad).append(token)
            read += len(some)
        if not good:
            good, early = early, []
        if not good:
            return  # no tested token is canonical: the constraint wins
        bad += early
        if self._samples:
            kept = scores[good].clone()
            scores.fill_(float("-inf"))
            scores[good] = kept
        elif bad:
            scores[bad] = float("-inf")

    def _is_enough(self, good: int, weights: list[float], read: int) -> bool:
        if self._samples:
            return bool(good and read and weights[read - 1] > 1 - _UNREAD_MASS)
        return good >= self._candidates

    def _is_part(self, token: int, forced: bytes) -> bool:
        """Whether a token spells a proper prefix of the forced text."""
        data = text_bytes(self._vocabulary, token)
        return len(data) < len(forced) and forced.startswith(data)

    def _firsts_of(self, before: Sequence[int], forced: bytes) -> set[int]:
        """The first tokens of the forced text, by the tokenizer, before any of several following texts."""
        tail = self._tail(before)
        start = b"".join(text_bytes(self._vocabulary, token) for token in tail)
        text = _text(start + forced)
        if len(forced) < 2 or text is None:
            return set()
        found = set()
        for ids in self._encode([text + probe for probe in ("", *_AFTER_SPACE, "0")]):
            at, size = 0, 0
            while at < len(ids) and size < len(start):
                size += len(text_bytes(self._vocabulary, ids[at]))
                at += 1
            if size == len(start) and at < len(ids):
                found.add(ids[at])
        return found

    def are_canonical(self, before: Sequence[int], candidates: Sequence[int]) -> list[bool]:
        """Whether the tokenizer would write each candidate after the tokens before.

        Special tokens count as canonical: they have no text.
        """
        tail = self._tail(before)
        key = tuple(tail)
        known = self._known.pop(key, None)
        self._known[key] = known = {} if known is None else known
        new = [token for token in candidates if token not in known]
        if new:
            known.update(zip(new, self._asked(tail, new), strict=True))
            while len(self._known) > 1 and sum(map(len, self._known.values())) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return [known[token] for token in candidates]

    def _asked(self, tail: list[int], candidates: Sequence[int]) -> list[bool]:
        start = b"".join(text_bytes(self._vocabulary, token) for token in tail)
        expected = self._reproduced(tail)
        texts: list[str] = []
        owners: list[tuple[int, bytes]] = []
        found = []
        for number, token in enumerate(candidates):
            data = text_bytes(self._vocabulary, token)
            text = _text(start + data)
            # Half a character cannot be tested; it is tested together with the token that completes it.
            found.append(not data or text is None)
            if data and text is not None:
                for probe in _probes(text):
                    texts.append(text + probe)
                    owners.append((number, probe.encode()))
        if texts:
            for (number, probe_bytes), ids in zip(owners, self._encode(texts), strict=True):
                if not found[number]:
                    found[number] = self._ends_so(ids, probe_bytes, [*expected, candidates[number]])
        return found

    def _reproduced(self, tail: list[int]) -> list[int]:
        """The last tokens that the tokenizer reproduces from their text, and has to reproduce before a candidate."""
        whole = len(tail)
        while whole and _text(b"".join(text_bytes(self._vocabulary, token) for token in tail[:whole])) is None:
            whole -= 1
        text = _text(b"".join(text_bytes(self._vocabulary, token) for token in tail[:whole])) or ""
        same = 0
        probes = _probes(text) if text else ()
        for probe, ids in zip(probes, self._encode([text + probe for probe in probes]), strict=True):
            end = self._without(ids, probe.encode())
            cut = [] if end is None else ids[:end]
            common = 0
            while common < min(len(cut), whole, _COMPARED) and cut[-1 - common] == tail[whole - 1 - common]:
                common += 1
            same = max(same, common)
        return tail[whole - same :]

    def _ends_so(self, ids: Sequence[int], probe: bytes, expected: list[int]) -> bool:
        end = self._without(ids, probe)
        return end is not None and list(ids[:end])[-len(expected) :] == expected

    def _without(self, ids: Sequence[int], probe: bytes) -> int | None:
        """The index in `ids` of the tokens that spell exactly `probe` at the end; None if a token spans its start."""
        left, at = len(probe), len(ids)
        while left > 0 and at > 0:
            at -= 1
            data = text_bytes(self._vocabulary, int(ids[at]))
            if not data or not probe[:left].endswith(data):
                return None
            left -= len(data)
        return at if left == 0 else None

    def _tail(self, before: Sequence[int]) -> list[int]:
        """The last tokens that are text and begin at a character boundary."""
        tail: list[int] = []
        for token in reversed(before[-_CONTEXT_TOKENS:]):
            if not text_bytes(self._vocabulary, token):
                break
            tail.insert(0, token)
        while tail and text_bytes(self._vocabulary, tail[0])[0] & 0xC0 == 0x80:
            tail.pop(0)
        return tail


def _batch_encoder(tokenizer: Any) -> Callable[[list[str]], list[list[int]]]:
    """A function that encodes many texts, without adding special tokens."""
    behind = getattr(tokenizer, "backend_tokenizer", None)
    # PERF: 20 µs a text; 120 by the tokenizer's own call, which also makes a model's batch of them.
    batch = getattr(behind, "encode_batch_fast", None) or getattr(behind, "encode_batch", None)
    if batch is not None:
        return lambda texts: [list(one.ids) for one in batch(texts, add_special_tokens=False)]
    return lambda texts: [
        [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]] for text in texts
    ]


def _probes(text: str) -> tuple[str, ...]:
    """Beginnings of texts that may follow, before which some tokenizer may cut the end of the text differently."""
    last = text[-1:]
    return ("", *(_AFTER_SPACE if last.isspace() else _AFTER_DIGIT if last.isdigit() else ()))


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
