"""The measured process: one engine, some cases, one JSON line a finding on standard output.

    python -m comparison.worker ENGINE DATA REPEATS CASE...

It is run in the environment of the engine, with `benchmarks` as the working directory, and killed by its parent when a
case takes too long.
"""

import gc
import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from engines import Tokenizer

from comparison import vocabularies

clock = time.process_time_ns

WARM_TEXTS = 32
"""Texts that are advanced side by side, so that one reading of the clock covers many warm steps."""
REPEAT_SECONDS = 6.0
"""CPU seconds of one case after which no further repeat is begun."""


def clock_cost() -> int:
    """What two readings of the clock measure of themselves."""
    costs = []
    for _ in range(2000):
        before = clock()
        costs.append(clock() - before)
    return int(statistics.median(costs))


def resident() -> int:
    """Resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def timed(cost: int, call: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    before = clock()
    result = call(*arguments)
    return max(clock() - before - cost, 0), result


def replay(engine: Any, vocabulary: Any, case: dict, cost: int, masks: list | None) -> tuple[dict, Any]:
    """Compiles and writes the sample token by token, every step on the clock."""
    compiling, compiled = timed(cost, engine.compile, vocabulary, case["pattern"])
    before = clock()
    text = engine.start(compiled)
    result = text.fill()
    first = max(clock() - before - cost, 0)
    if masks is not None:
        masks.append(text.packed(result).copy())
    steps = []
    for token in case["ids"]:
        before = clock()
        text.advance(token)
        result = text.fill()
        steps.append(max(clock() - before - cost, 0))
        if masks is not None:
            masks.append(text.packed(result).copy())
    return {"compile": compiling, "first": first, "steps": steps}, compiled


def request(engine: Any, vocabulary: Any, case: dict, cost: int) -> int:
    """The same with one reading of the clock at each end."""
    before = clock()
    text = engine.start(engine.compile(vocabulary, case["pattern"]))
    text.fill()
    for token in case["ids"]:
        text.advance(token)
        text.fill()
    return clock() - before - cost


def warm(engine: Any, compiled: Any, case: dict, cost: int, texts: int) -> list[float]:
    """Nanoseconds of one step at each position of the sample, when every mask has been made before."""
    pairs = []
    for _ in range(texts):
        text = engine.start(compiled)
        text.fill()
        pairs.append((text.advance, text.fill))
    steps = []
    for token in case["ids"]:
        before = clock()
        for advance, fill in pairs:
            advance(token)
            fill()
        steps.append(max(clock() - before - cost, 0) / texts)
    return steps


def count(words: np.ndarray) -> int:
    return int(np.unpackbits(np.ascontiguousarray(words).view(np.uint8)).sum())


def difference(got: list[np.ndarray], want: np.ndarray, tokenizer: Tokenizer) -> dict:
    """How an engine's masks differ from the oracle's."""
    tokens, eos, _ = tokenizer
    words = want.shape[1]
    rows = np.stack([row[:words] for row in got])
    wrong = rows ^ want
    bits = np.bitwise_or.reduce(wrong, axis=0)
    ids = np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))

    def plain(i: int) -> bool:
        """Whether dialects and Unicode versions cannot disagree about this token."""
        token = tokens[i] if i < len(tokens) else None
        if i == eos:  # an engine may leave the end to its caller, but must not end too early
            return bool(((rows & ~want)[:, eos // 32] >> np.uint32(eos % 32) & 1).any())
        return not token or all(0x20 <= b < 0x7F or b == 0x0A for b in token)

    def one_spelling() -> bool:
        """Whether all that is missing are other first tokens of a text that is forced anyway."""
        if (rows & ~want).any():
            return False
        for missing in want & ~rows:
            left_out = [tokens[i] for i in np.flatnonzero(np.unpackbits(missing.view(np.uint8), bitorder="little"))]
            longest = max((t or b"" for t in left_out), key=len, default=b"")
            if not all(t and longest.startswith(t) for t in left_out):
                return False
        return True

    bad = [int(i) for i in ids if plain(int(i))]
    found = {
        "steps": int((wrong.any(axis=1)).sum()),
        "missing": count(want & ~rows),
        "extra": count(rows & ~want),
        "tokens": len(ids),
        "verdict": "exact" if not len(ids) else "near" if not bad else "forced" if one_spelling() else "wrong",
    }
    if len(ids):
        i = bad[0] if bad else int(ids[0])
        step = int(np.flatnonzero(wrong[:, i // 32] >> np.uint32(i % 32) & 1)[0])
        word = int(want[step, i // 32]) >> (i % 32) & 1
        token = tokens[i] if i < len(tokens) else None
        found["example"] = f"{'refuses' if word else 'allows'} {token!r} (token {i}) after {step} tokens"
    return found


def run_case(
    engine: Any, vocabulary: Any, tokenizer: Tokenizer, data: Path, case: dict, repeats: int, cost: int
) -> None:
    say(event="begin", case=case["name"])
    began = clock()
    at_first = resident()
    masks: list[np.ndarray] = []
    try:
        run, compiled = replay(engine, vocabulary, case, cost, masks)
    except Exception as error:
        done = len(masks)
        say(
            event="refused" if not done else "failed",
            case=case["name"],
            error=f"{type(error).__name__}: {error}"[:400],
            step=done,
        )
        return
    memory = max(resident() - at_first - sum(mask.nbytes for mask in masks), 0)
    oracle = np.load(data / "masks" / f"{case['name']}.npy")
    check = difference(masks, oracle, tokenizer)
    del masks
    say(event="checked", case=case["name"], memory=memory, **check)
    took = sum(run["steps"]) + run["compile"] + run["first"]
    runs, requests = [run], []

    def time_left(cost_of_next: int) -> bool:
        return (clock() - began + cost_of_next) / 1e9 < REPEAT_SECONDS

    while len(requests) < repeats and time_left(2 * took):
        if engine.FRESH:
            del compiled
            vocabulary = engine.load(tokenizer)
        run, compiled = replay(engine, vocabulary, case, cost, None)
        runs.append(run)
        if engine.FRESH:
            vocabulary = engine.load(tokenizer)
        requests.append(request(engine, vocabulary, case, cost))
    if len(runs) > 1:
        runs.pop(0)  # the one that copied its masks between the steps
    else:
        requests.append(took)
    texts = WARM_TEXTS if time_left(WARM_TEXTS * took // 2) else 1
    warms = [warm(engine, compiled, case, cost, texts)] if time_left(took) or took < 10e9 else []
    while warms and len(warms) < repeats and time_left(texts * took // 2):
        warms.append(warm(engine, compiled, case, cost, texts))
    say(event="timed", case=case["name"], runs=runs, requests=requests, warm=warms)


def main() -> None:
    name, folder, repeats, *names = sys.argv[1:]
    data = Path(folder)
    tokenizer = Tokenizer(
        vocabularies.read(data / "tekken.tokens"), vocabularies.TEKKEN_EOS, (data / "split.txt").read_text()
    )
    engine = importlib.import_module(f"engines.{name}")
    package = engine.REQUIREMENTS[0].split("==")[0] if name != "rellm" else "rellm-masks"
    cases = {c["name"]: c for c in json.loads((data / "cases.json").read_text())}
    cost = clock_cost()
    at_first = resident()
    building, vocabulary = timed(cost, engine.load, tokenizer)
    say(
        event="loaded",
        version=version(package),
        seconds=building / 1e9,
        memory=max(resident() - at_first, 0),
        clock_ns=cost,
    )
    gc.collect()
    gc.freeze()
    gc.disable()
    for case in names:
        run_case(engine, vocabulary, tokenizer, data, cases[case], int(repeats), cost)
        gc.collect()
    say(event="end", peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
