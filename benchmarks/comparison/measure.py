"""Runs the measured processes, and stops those that take too long."""

import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from comparison import cases as shared_cases

_BENCHMARKS = Path(__file__).resolve().parent.parent
_MEMORY_LIMIT = 6 << 30
_ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false"}


def prepare(python: Path, data: Path, names: list[str] | None, quick: bool) -> list[dict[str, Any]]:
    """Makes vocabulary, token ids and oracle; returns the cases to run."""
    chosen = names or (list(shared_cases.QUICK) if quick else [])
    print("vocabulary, samples and oracle", file=sys.stderr)
    _run(python, "comparison.prepare", str(data), *chosen)
    every = json.loads((data / "cases.json").read_text())
    unknown = set(chosen) - {c["name"] for c in every}
    if unknown:
        raise SystemExit(
            f"no case named {', '.join(sorted(unknown))}; there are: {', '.join(c['name'] for c in every)}"
        )
    return [c for c in every if not chosen or c["name"] in chosen]


def engine(python: Path, name: str, data: Path, names: list[str], repeats: int, limit: float) -> dict[str, Any]:
    """All cells of one engine. A cell that takes too long ends its process; the rest go on in a new one."""
    found: dict[str, Any] = {"cells": {}}
    left = list(names)
    while left:
        process = subprocess.Popen(
            [str(python), "-m", "comparison.worker", name, str(data), str(repeats), *left],
            cwd=_BENCHMARKS,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_ENVIRONMENT,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        errors: list[str] = []
        threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
        threading.Thread(target=lambda p=process, e=errors: e.extend(p.stderr.read().splitlines()), daemon=True).start()
        current, verdict = None, None
        cpu_at_begin = wall_at_begin = 0.0
        while True:
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                if current is None:
                    continue
                verdict = _too_much(process.pid, cpu_at_begin, wall_at_begin, limit)
                if verdict:
                    process.kill()
                    break
                continue
            if line is None:
                break
            event = json.loads(line)
            kind = event.pop("event")
            if kind == "loaded":
                found.setdefault("version", event["version"])
                found.setdefault("load_seconds", event["seconds"])
                found.setdefault("load_memory", event["memory"])
            elif kind == "begin":
                current = event["case"]
                cpu_at_begin, wall_at_begin = _cpu_seconds(process.pid), time.monotonic()
                print(f"{name}: {current}", file=sys.stderr)
            elif kind != "end":
                cell = found["cells"].setdefault(event.pop("case"), {})
                if kind == "timed":
                    cell.update(summary(event))
                    cell["status"] = "ok"
                elif kind == "checked":
                    cell.update(event)
                else:
                    cell.update(event, status=kind)
        process.wait()
        if verdict is None and process.returncode == 0:
            return found
        if current is None:
            raise SystemExit(f"{name} did not start:\n" + "\n".join(errors[-20:]))
        cell = found["cells"].setdefault(current, {})
        cell.setdefault("status", verdict or f"crashed ({process.returncode})")
        if verdict is None:
            cell["error"] = "\n".join(errors[-3:])[:400]
        left = left[left.index(current) + 1 :]
    return found


def _pump(process: subprocess.Popen[str], lines: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            lines.put(line)
    lines.put(None)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _too_much(pid: int, cpu: float, wall: float, limit: float) -> str | None:
    try:
        if _cpu_seconds(pid) - cpu > limit or time.monotonic() - wall > 4 * limit:
            return f"> {limit:g} s"
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return None
    return f"> {_MEMORY_LIMIT >> 30} GiB" if resident > _MEMORY_LIMIT else None


def spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def summary(event: dict[str, Any]) -> dict[str, Any]:
    """Microseconds, over repeats; of steps, the medians over repeats at each position are what is looked at."""
    runs = event["runs"]
    cold = [statistics.median(position) / 1e3 for position in zip(*(r["steps"] for r in runs), strict=True)]
    found = {
        "repeats": len(runs),
        "compile": spread([r["compile"] / 1e3 for r in runs]),
        "first": spread([r["first"] / 1e3 for r in runs]),
        "cold": spread(cold),
        "request": spread([r / 1e3 for r in event["requests"]]),
    }
    if event["warm"]:
        found["warm"] = spread([statistics.median(position) / 1e3 for position in zip(*event["warm"], strict=True)])
    return found


def figures(python: Path, data: Path, quick: bool) -> dict[str, Any]:
    """What is measured of rellm alone."""
    print("rellm: figures of its own", file=sys.stderr)
    return json.loads(_run(python, "comparison.figures", str(data), *(["--quick"] if quick else [])))


def plot(python: Path, out: Path) -> None:
    _run(python, "comparison.plot", str(out))


def _run(python: Path, module: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(python), "-m", module, *arguments],
        cwd=_BENCHMARKS,
        stdout=subprocess.PIPE,
        text=True,
        env=_ENVIRONMENT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{module} failed with exit code {done.returncode}")
    return done.stdout
