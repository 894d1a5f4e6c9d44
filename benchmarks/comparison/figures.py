"""What is measured of rellm alone; one JSON object on standard output.

python -m comparison.figures DATA [--quick]
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rellm
from rellm._engines import compile as engine

from comparison import vocabularies
from comparison.worker import clock_cost, resident

clock = time.process_time_ns
DIALECT = "regex"

HOSTILE = {
    "(a|b)*a(a|b){20}": "(a|b)*a(a|b){20}",
    "[ab]*a[ab]{18}": "[ab]*a[ab]{18}",
    "((a{1,100}){1,100}){1,100}": "((a{1,100}){1,100}){1,100}",
    "a{1,2147483647}": "a{1,2147483647}",
    ".{0,100000}": ".{0,100000}",
    "30,000 unclosed (": "(" * 30_000,
    "5,000 nested groups": "(" * 5000 + "a" + ")" * 5000,
    r"\w{1,500}": r"\w{1,500}",
    "50,000 words": "|".join(f"word{i * 7919 % 50_000:05d}x" for i in range(50_000)),
    "60,000 literals": [f"{i * 104729 % 1_000_003:06d} item" for i in range(60_000)],
    r"[^\s\S]": r"[^\s\S]",
    "(?!)": "(?!)",
    "a(?!)b": "a(?!)b",
    "$a": "$a",
    "(a?){200}a{200}": "(a?){200}a{200}",
    "((a+)+)+b": "((a+)+)+b",
    "12 lookaheads": "".join(f"(?=.*{c})" for c in "abcdefghijkl") + ".*",
    r"(\w+) \1": r"(\w{1,200}) \1",
    "(?i) 200 long words": "(?i)"
    + "|".join("".join(chr(0x3B1 + (i * 7 + k * 3) % 24) for k in range(40)) for i in range(200)),
    r"\p{L}{1,300}": r"\p{L}{1,300}",
    "1 MB of text": "abcdefghij" * 100_000,
    "1 MB of classes": "[a-f][0-9]x?" * 83_000,
}


def vocabulary_figures(repeats: int) -> dict[str, float]:
    """From the tokenizer object, and again from the cache on disk."""
    from comparison.prepare import tekken

    # One object a reading: what was read is kept with its tokenizer.
    rellm.Vocabulary.from_tokenizer(tekken())
    built, cached = [], []
    memory = 0
    for _ in range(repeats):
        first, second = tekken(), tekken()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            before = resident()
            began = clock()
            vocabulary = rellm.Vocabulary.from_tokenizer(first)
            built.append((clock() - began) / 1e9)
            memory = max(memory, resident() - before, vocabulary.memory_bytes)
            began = clock()
            again = rellm.Vocabulary.from_tokenizer(second)
            cached.append((clock() - began) / 1e9)
            assert again == vocabulary
            assert len(vocabulary) == 131_072
    del os.environ["XDG_CACHE_HOME"]
    return {"build_seconds": statistics.median(built), "cached_seconds": statistics.median(cached), "memory": memory}


def in_child(work: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """What `work` returns in a fork of this process, or how the fork ended; and the memory that it took."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            # A fork begins with the memory of its parent as its peak.
            Path("/proc/self/clear_refs").write_text("5")
            at_first = resident()
            found = work()
            peak = next(int(x.split()[1]) for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
            found["memory"] = max(peak * 1024 - at_first, 0)
            os.write(writer, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(reader)
            return {"outcome": f"crash: not done in {seconds:g} s", "seconds": seconds, "memory": 0}
        time.sleep(0.005)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    return json.loads(answer) if answer else {"outcome": f"crash: status {status}", "seconds": 0.0, "memory": 0}


def wander(matcher: Any, size: int, steps: int, seed: int, each: Callable[[float], None]) -> None:
    """Writes allowed tokens at random; `each` is told the CPU seconds of every mask and advance."""
    row = np.zeros((size + 31) // 32, dtype=np.uint32)
    choose = random.Random(seed)
    token = None
    for _ in range(steps + 1):
        began = clock()
        try:
            if token is not None:
                matcher.advance(token)
            matcher.fill_mask(row)
        finally:
            each((clock() - began) / 1e9)
        allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little"))
        text = allowed[allowed != vocabularies.TEKKEN_EOS]
        if not len(text):
            break
        token = int(choose.choice(text))


def memory_figures(vocabulary: Any, cases: list[dict[str, Any]], walks: int) -> dict[str, int]:
    """Peak memory of a process above the vocabulary: the sample and random walks, on one pattern each."""

    def work(case: dict[str, Any]) -> dict[str, Any]:
        compiled = rellm.compile(rellm.Regex(case["pattern"], dialect=DIALECT), vocabulary)
        for seed in range(walks):
            wander(compiled.matcher(), len(vocabulary), 60, seed, lambda _: None)
        return {}

    return {case["name"]: in_child(lambda case=case: work(case), 120)["memory"] for case in cases}


def hostile_figures(vocabulary: Any) -> list[dict[str, Any]]:
    """Compile and 30 random steps; every call is bounded, so the longest one is what counts."""

    def work(pattern: str | list[str]) -> dict[str, Any]:
        calls: list[float] = []
        try:
            constraint = rellm.Choice(pattern) if isinstance(pattern, list) else rellm.Regex(pattern, dialect=DIALECT)
            began = clock()
            try:
                compiled = rellm.compile(constraint, vocabulary)
            finally:
                calls.append((clock() - began) / 1e9)
            wander(compiled.matcher(), len(vocabulary), 30, 1, calls.append)
            if len(calls) > 1:
                calls[:2] = [calls[0] + calls[1]]
            outcome = f"answers ({compiled.engine})"
        except rellm.RellmError as error:
            message = str(error)
            outcome = (
                f"{type(error).__name__}: {message if len(message) < 120 else message[:60] + ' … ' + message[-50:]}"
            )
        return {"outcome": outcome, "seconds": max(calls, default=0.0)}

    return [{"name": name, **in_child(lambda p=pattern: work(p), 30)} for name, pattern in HOSTILE.items()]


def batch_figures(tokens: list[bytes | None], cases: list[dict[str, Any]], rows: int, repeats: int) -> dict[str, Any]:
    """Different constraints, every mask for the first time, one call a step: wall time on one thread and on two.

    Masks may be made while the texts go on, before they are asked for: what is between the calls is timed, too.
    """
    steps = 25
    usable = [c for c in cases if len(c["ids"]) >= steps]
    out = np.zeros((rows, (len(tokens) + 31) // 32), dtype=np.uint32)

    def run(threads: int) -> list[tuple[float, float]]:
        engine._cache.clear()
        vocabulary = rellm.Vocabulary(tokens, eos_token_ids=[vocabularies.TEKKEN_EOS])
        matchers, ids = [], []
        for i in range(rows):
            case = usable[i % len(usable)]
            # Another ending makes every state another language, so that no two rows can share a mask.
            constraint = rellm.Regex(f"(?:{case['pattern']}) {i}", dialect=DIALECT)
            matchers.append(rellm.compile(constraint, vocabulary).matcher())
            ids.append(case["ids"])
        took = []
        for step in range(steps):
            began = time.perf_counter()
            rellm.fill_masks(matchers, out, threads=threads)
            filled = time.perf_counter()
            for matcher, sequence in zip(matchers, ids, strict=True):
                matcher.advance(sequence[step])
            took.append((filled - began, time.perf_counter() - began))
        return took

    # Wall time, so what else the machine does counts: of each step, the fastest of the repeats is taken.
    runs: dict[int, list[list[tuple[float, float]]]] = {1: [], 2: []}
    for _ in range(repeats):
        for threads in runs:
            runs[threads].append(run(threads))

    def total(threads: int, part: int) -> float:
        return 1e3 * sum(min(times[part] for times in step) for step in zip(*runs[threads], strict=True))

    one, two, one_whole, two_whole = (total(threads, part) for part in (0, 1) for threads in (1, 2))
    return {
        "rows": rows,
        "steps": steps,
        "one_ms": one,
        "two_ms": two,
        "ratio": one / two,
        "one_with_advance_ms": one_whole,
        "two_with_advance_ms": two_whole,
        "ratio_with_advance": one_whole / two_whole,
    }


def length_figures(vocabulary: Any, tokens: list[bytes | None], repeats: int) -> dict[str, float]:
    """A mask after 10,000 tokens against one after 10."""
    token = next(i for i, t in enumerate(tokens) if t == b" the")
    compiled = rellm.compile(rellm.Regex(r"[^\n]*\n", dialect=DIALECT), vocabulary)
    row = np.zeros((len(tokens) + 31) // 32, dtype=np.uint32)
    cost = clock_cost()
    early, late = [], []
    for _ in range(repeats):
        matcher = compiled.matcher()
        for step in range(10_020):
            if 10 <= step < 30 or step >= 10_000:
                began = clock()
                for _ in range(20):
                    matcher.fill_mask(row)
                (early if step < 30 else late).append((clock() - began - cost) / 20)
            matcher.advance(token)
    return {
        "early_ns": statistics.median(early),
        "late_ns": statistics.median(late),
        "ratio": statistics.median(late) / statistics.median(early),
    }


def import_figures(repeats: int) -> dict[str, Any]:
    """Wall time above numpy and regex, in fresh processes."""
    code = (
        "import sys, time, numpy, regex; began = time.perf_counter(); import rellm; "
        "print((time.perf_counter() - began) * 1e3, 'torch' in sys.modules)"
    )
    runs = []
    for _ in range(repeats):
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        runs.append((float(answer[0]), answer[1] == "True"))
    return {"ms": statistics.median(r[0] for r in runs), "torch": any(r[1] for r in runs)}


def logits_figures(vocabulary: Any, repeats: int) -> dict[str, float]:
    """A packed row put onto logits, against `masked_fill_` with a ready boolean mask on the same tensor."""
    import torch
    from rellm._generate.apply_mask import masked_scores

    torch.set_num_threads(1)
    matcher = rellm.compile(rellm.Regex(r"\w{1,64}( \w{1,64}){0,9}", dialect=DIALECT), vocabulary).matcher()
    packed = np.zeros((1, (len(vocabulary) + 31) // 32), dtype=np.uint32)
    matcher.fill_mask(packed)
    bits = np.unpackbits(packed.view(np.uint8), bitorder="little")[: len(vocabulary)]
    refused = torch.from_numpy(bits == 0)[None]
    scores = torch.randn(1, len(vocabulary))
    assert torch.equal(masked_scores(scores, packed), scores.masked_fill(refused, float("-inf")))

    ready, ours = [], []
    for _ in range(repeats):
        for runs, call in (
            (ready, lambda: scores.masked_fill_(refused, float("-inf"))),
            (ours, lambda: masked_scores(scores, packed)),
        ):
            began = clock()
            for _ in range(20):
                call()
            runs.append((clock() - began) / 20)
    return {
        "masked_fill_us": statistics.median(ready) / 1e3,
        "rellm_us": statistics.median(ours) / 1e3,
        "ratio": statistics.median(ours) / statistics.median(ready),
    }


def main() -> None:
    data, quick = Path(sys.argv[1]), "--quick" in sys.argv
    tokens = vocabularies.read(data / "tekken.tokens")
    cases = json.loads((data / "cases.json").read_text())
    found: dict[str, Any] = {"import": import_figures(2 if quick else 9)}
    found["vocabulary"] = vocabulary_figures(1 if quick else 3)
    vocabulary = rellm.Vocabulary(tokens, eos_token_ids=[vocabularies.TEKKEN_EOS])
    rellm.compile(rellm.Regex("a", dialect=DIALECT), vocabulary)
    found["length"] = length_figures(vocabulary, tokens, 1 if quick else 3)
    found["batch"] = batch_figures(tokens, cases, 64, 1 if quick else 9)
    found["hostile"] = hostile_figures(vocabulary)
    if not quick:
        found["memory"] = memory_figures(vocabulary, cases, 40)
        found["logits"] = logits_figures(vocabulary, 50)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
