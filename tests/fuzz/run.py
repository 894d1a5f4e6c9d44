"""Runs a fuzz target for as long as it is told: random and mutated inputs, whatever is found kept in a file.

    python -m tests.fuzz.run --list
    python -m tests.fuzz.run pattern --seconds 600 --seed 1
    python -m tests.fuzz.run pattern --input build/fuzz/pattern-3f2a…    # once more, what was found

The inputs that ended in something new (another error, a text that was written) are kept and mutated further.
A call that takes more than `SLOW` seconds is found as well. It needs no nightly compiler and no instrumented build.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import random
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz import targets

FOUND = Path(__file__).resolve().parents[2] / "build" / "fuzz"
SLOW = 5.0
_MOST_KEPT = 2_000


def mutated(chance: random.Random, kept: list[bytes]) -> bytes:
    """A new input: random, or one that was kept with some bytes changed, or two of them joined."""
    if not kept or chance.random() < 0.2:
        return chance.randbytes(chance.randrange(1, 120))
    data = bytearray(chance.choice(kept))
    if chance.random() < 0.2:
        data += chance.choice(kept)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        act = chance.randrange(3)
        if act == 0:
            data[at : at + 1] = chance.randbytes(1)
        elif act == 1:
            data[at:at] = chance.randbytes(chance.randrange(1, 8))
        else:
            del data[at : at + chance.randrange(1, 8)]
    return bytes(data[:400])


def fuzz(name: str, seconds: float, seed: int) -> int:
    """How many inputs broke a promise."""
    chance = random.Random(seed)
    kept: list[bytes] = []
    seen: set[tuple[str, int]] = set()
    ends: Counter[str] = Counter()
    broken: dict[str, bytes] = {}
    slowest = 0.0
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        data = mutated(chance, kept)
        faulthandler.dump_traceback_later(60, exit=True)
        begun = time.process_time()
        try:
            end = targets.run(name, data)
        except Exception as error:  # whatever it is, it is no RellmError
            where = traceback.extract_tb(error.__traceback__)[-1]
            end = f"BROKEN {type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
            if end not in broken:
                broken[end] = data
                keep(name, data)
                traceback.print_exc()
        took = time.process_time() - begun
        if took > SLOW and "slow" not in broken:
            broken["slow"] = data
            keep(name, data)
            print(f"slow: {took:.1f} s of CPU", file=sys.stderr)
        slowest = max(slowest, took)
        ends[end] += 1
        sign = (end, len(data) // 16)
        if sign not in seen and len(kept) < _MOST_KEPT:
            seen.add(sign)
            kept.append(data)
    faulthandler.cancel_dump_traceback_later()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name}: {sum(ends.values()):,} inputs in {seconds:.0f} s, seed {seed}; slowest {slowest:.2f} s of CPU; "
        f"{memory:.0f} MB; {len(broken)} broken"
    )
    for end, count in ends.most_common():
        print(f"  {count:>9,}  {end}")
    return len(broken)


def keep(name: str, data: bytes) -> None:
    FOUND.mkdir(parents=True, exist_ok=True)
    file = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    file.write_bytes(data)
    print(f"kept as {file}", file=sys.stderr)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("target", nargs="?", choices=list(targets.TARGETS))
    arguments.add_argument("--list", action="store_true", help="the targets")
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--input", type=Path, help="one input, in place of random ones")
    given = arguments.parse_args()
    if given.list or given.target is None:
        for name, target in targets.TARGETS.items():
            print(f"{name:<16}{(target.__doc__ or '').splitlines()[0]}")
        return 0
    if given.input:
        print(targets.run(given.target, given.input.read_bytes()))
        return 0
    return 1 if fuzz(given.target, given.seconds, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
