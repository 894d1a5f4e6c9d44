"""JSON Schema beside every peer that reads it: first mask, each step, whole requests, memory, 64 schemas at once.

    python benchmarks/json_schema.py                       500 schemas, three passes; about an hour
    python benchmarks/json_schema.py --count 40 --passes 1 --engines rellm llguidance
    python benchmarks/json_schema.py --rellm-python PATH   an interpreter that has rellm already

The schemas are a file of lines `{"name", "schema", "tests": [{"valid", "data"}]}` (xz). Each engine runs in an
environment and a process of its own. All of them get twenty schemas before any gets the next twenty, so that a busy
machine slows all of them alike; a pass begins with new processes, and the best of the passes counts. Times are CPU
time, on Tekken's 131,072 tokens. Results go to json_schema.md, json_schema.json and two plots in benchmarks/ (those of
a part of the schemas or engines to target/benchmarks/partial). Exit code 1: a goal is missed.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from comparison import environments, json_report, machine

HERE = Path(__file__).resolve().parent
ENGINES = ["rellm", "llguidance", "xgrammar", "glrmask", "maskforge"]
SCHEMAS = next(
    (file for folder in HERE.parents if (file := folder / "shared/data/real_schemas.jsonl.xz").exists()),
    HERE / "real_schemas.jsonl.xz",
)
BATCH, BATCH_STEPS = 64, 40
BLOCK = 20


class Worker:
    """One engine's process; it is begun anew where it takes too long or dies."""

    def __init__(self, python: Path, engine: str, data: Path, limit: float) -> None:
        self._command = [str(python), "-m", "comparison.json_worker", engine, str(data)]
        self._limit = limit
        self._process: subprocess.Popen[str] | None = None
        self.version = "unknown"

    def ask(self, **command: object) -> dict:
        """The answer to one command; `{"refused": …}` where there is none within the limit."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                cwd=HERE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            )
            loaded = self._read(300)
            if "version" not in loaded:
                raise SystemExit(f"{' '.join(self._command)} did not start: {loaded}")
            self.version = loaded["version"]
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read(self._limit)

    def _read(self, seconds: float) -> dict:
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.close()
        return {"refused": "no answer: " + (f"more than {seconds:g} s" if not ready else "the process died")}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def best(runs: list[dict]) -> dict:
    """The least of each time over the passes."""
    done = [run for run in runs if "first" in run]
    if not done:
        return runs[0]
    steps = [
        [min(at) for at in zip(*texts, strict=False)] for texts in zip(*(run["steps"] for run in done), strict=False)
    ]
    return {**done[0], "first": min(run["first"] for run in done), "steps": steps}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="so many of the schemas")
    parser.add_argument("--passes", type=int, default=3, help="an engine that takes over a second a schema gets one")
    parser.add_argument("--limit", type=float, default=60, metavar="SECONDS", help="wall time a schema may take")
    parser.add_argument("--schemas", type=Path, default=SCHEMAS)
    parser.add_argument("--rellm-python", type=Path)
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    parser.add_argument("--out", type=Path, help="where results go")
    options = parser.parse_args()
    whole = options.engines == ENGINES and options.schemas == SCHEMAS
    out = options.out or (HERE if whole else environments.ROOT / "partial")
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    pythons = environments.create(HERE.parent, options.engines, options.rellm_python, with_torch=False)
    data = environments.ROOT / "json_schema"
    data.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [pythons["tools"], "-m", "comparison.json_prepare", data, options.schemas, str(options.count)],
        cwd=HERE,
        check=True,
    )
    cases = [json.loads(line) for line in (data / "schemas.jsonl").read_text().splitlines()]
    workers = {engine: Worker(pythons[engine], engine, data, options.limit) for engine in options.engines}
    runs: dict[str, list[list[dict]]] = {engine: [[] for _ in cases] for engine in workers}
    for number in range(options.passes):
        for worker in workers.values():
            worker.close()
        for start in range(0, len(cases), BLOCK):
            for engine, worker in workers.items():
                for index in range(start, min(start + BLOCK, len(cases))):
                    before = runs[engine][index]
                    if number == 0 or before[0].get("first", 2e9) <= 1e9:
                        before.append(worker.ask(case=index))
            print(f"pass {number + 1}: {min(start + BLOCK, len(cases))} of {len(cases)} schemas", file=sys.stderr)
    results = {
        "machine": machine.describe(HERE.parent),
        "passes": options.passes,
        "schemas": len(cases),
        "limit": options.limit,
        "engines": {},
    }
    for engine, worker in workers.items():
        rows = [best(found) for found in runs[engine]]
        results["engines"][engine] = {
            "version": worker.version,
            "rows": [{"name": case["name"], **row} for case, row in zip(cases, rows, strict=True)],
        }
    batch = json_report.batch_cases(results, cases, BATCH, BATCH_STEPS)
    for engine, worker in workers.items():
        found = worker.ask(batch=batch, steps=BATCH_STEPS) if batch else {}
        results["engines"][engine]["batch"] = {"schemas": len(batch), **found}
        worker.close()
    results["minutes"] = round((time.monotonic() - began) / 60, 1)
    text, missed = json_report.markdown(results)
    (out / "json_schema.json").write_text(json.dumps(json_report.summary(results), indent=1) + "\n")
    (out / "json_schema.md").write_text(text)
    print(text)
    (data / "results.json").write_text(json.dumps(results))
    subprocess.run([pythons["tools"], "-m", "comparison.json_plot", data / "results.json", out], cwd=HERE, check=True)
    print(f"written to {out}", file=sys.stderr)
    for goal in missed:
        print(f"missed: {goal}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
