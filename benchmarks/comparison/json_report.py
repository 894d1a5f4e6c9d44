"""Tables and goals of `benchmarks/json_schema.py`."""

import math
from typing import Any

REQUEST_TOKENS = 200
PEER = "llguidance"


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else math.nan


def batch_cases(results: dict[str, Any], cases: list[dict], most: int, steps: int) -> list[int]:
    """The schemas that every engine compiles, whose first instance each of them writes for so many steps."""
    found = []
    for index, case in enumerate(cases):
        rows = [engine["rows"][index] for engine in results["engines"].values()]
        long_enough = bool(case["texts"]) and len(case["texts"][0]) > steps
        if long_enough and all(
            len(row.get("steps") or [[]]) and len((row.get("steps") or [[]])[0]) > steps for row in rows
        ):
            found.append(index)
    return found[:most]


def request(row: dict[str, Any]) -> float | None:
    """Milliseconds to the first mask and `REQUEST_TOKENS` steps, at the mean of its instances' steps."""
    steps = [step for text in row.get("steps", ()) for step in text]
    if not steps or row["rejected"]:
        return None
    return (row["first"] + REQUEST_TOKENS * sum(steps) / len(steps)) / 1e6


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """The figures of each engine, in milliseconds (first mask, request), microseconds (steps) and bytes."""
    engines = {}
    for name, engine in results["engines"].items():
        rows = engine["rows"]
        firsts = [row["first"] / 1e6 for row in rows if "first" in row]
        steps = [step / 1e3 for row in rows for text in row.get("steps", ()) for step in text]
        batch = [step / 1e6 for step in engine["batch"].get("batch", ())]
        engines[name] = {
            "version": engine["version"],
            "compiled": len(firsts),
            "instances": sum(row.get("texts", 0) for row in rows),
            "rejected": sum(row.get("rejected", 0) for row in rows),
            "first": {
                "p50": quantile(firsts, 0.5),
                "p95": quantile(firsts, 0.95),
                "max": max(firsts, default=math.nan),
            },
            "step": {
                "mean": sum(steps) / len(steps) if steps else math.nan,
                "p50": quantile(steps, 0.5),
                "p99": quantile(steps, 0.99),
                "max": max(steps, default=math.nan),
            },
            "request": {row["name"]: cost for row in rows if "first" in row and (cost := request(row)) is not None},
            "peak": max((row["peak"] for row in rows if "peak" in row), default=0),
            "own_memory": max((row["memory"] for row in rows if "memory" in row), default=None),
            "batch": sum(batch) / len(batch) if batch else None,
        }
    return {key: value for key, value in results.items() if key != "engines"} | {"engines": engines}


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The geometric mean of theirs over ours."""
    return math.exp(sum(math.log(b / a) for a, b in zip(ours, theirs, strict=True)) / len(ours)) if ours else math.nan


def common(results: dict[str, Any], peer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """rellm's and the peer's figures on the schemas that both compile, and the texts that both write."""
    ours, theirs = (results["engines"][name]["rows"] for name in ("rellm", peer))
    figures = []
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if "first" in a and "first" in b]
    for side in (0, 1):
        firsts = [pair[side]["first"] / 1e6 for pair in pairs]
        steps = [
            step / 1e3
            for pair in pairs
            for texts in zip(pair[0]["steps"], pair[1]["steps"], strict=True)
            if len(texts[0]) == len(texts[1])
            for step in texts[side]
        ]
        figures.append(
            {
                "first p50": quantile(firsts, 0.5),
                "first p95": quantile(firsts, 0.95),
                "step mean": sum(steps) / max(len(steps), 1),
                "step p99": quantile(steps, 0.99),
            }
        )
    return figures[0], figures[1]


def goals(results: dict[str, Any], figures: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Each goal with what was reached."""
    judged = []
    engines = figures["engines"]
    peers = [name for name in engines if name != "rellm"]
    if PEER in engines:
        ours, theirs = common(results, PEER)
        for key, most in (("first p50", 0.45), ("first p95", 0.95), ("step mean", 0.25), ("step p99", 0.25)):
            got = ours[key] / theirs[key]
            judged.append((f"{key}, against {PEER}", f"≤ {most}×", f"{got:.2f}×", got <= most))
    requests = engines["rellm"]["request"]
    for peer in peers:
        both = [name for name in requests if name in engines[peer]["request"]]
        got = ratio([requests[name] for name in both], [engines[peer]["request"][name] for name in both])
        judged.append((f"whole request, against {peer} ({len(both)} schemas)", "ahead", f"{got:.1f}× as fast", got > 1))
    slower = [
        name
        for name, cost in requests.items()
        if any(engines[peer]["request"].get(name, math.inf) < cost for peer in peers)
    ]
    share = len(slower) / max(len(requests), 1)
    judged.append(("schemas slower than the fastest", "≤ 2 %", f"{100 * share:.1f} %", share <= 0.02))
    rejected = engines["rellm"]["rejected"]
    judged.append(("valid instances rejected", "0", str(rejected), rejected == 0))
    share = engines["rellm"]["compiled"] / figures["schemas"]
    judged.append(("schemas compiled", "≥ 98 %", f"{100 * share:.1f} %", share >= 0.98))
    memory = (engines["rellm"]["own_memory"] or 0) / 2**20
    judged.append(("memory of a schema", "≤ 32 MB", f"{memory:.1f} MB", memory <= 32))
    return judged


def markdown(results: dict[str, Any]) -> tuple[str, list[str]]:
    """The page of results, and the goals that are missed."""
    figures = summary(results)
    machine, engines = results["machine"], figures["engines"]
    judged = goals(results, figures) if "rellm" in engines else []
    lines = [
        "# JSON Schema",
        "",
        f"Made by `python benchmarks/json_schema.py` on {machine['date']}, commit {machine['commit']}, "
        f"in {results['minutes']} minutes.",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}; load {machine['load']} at the end. "
        + ", ".join(f"{name} {engine['version']}" for name, engine in engines.items())
        + ".",
        "",
        f"{results['schemas']} real schemas and their valid instances, written as `json.dumps` writes them, on "
        "Tekken's 131,072 tokens. CPU time; every engine gets twenty schemas before any gets the next; the best of "
        f"{results['passes']} passes, each with new processes (one pass where a schema took over a second). A "
        f"whole request is the first mask, all that comes before it included, and {REQUEST_TOKENS} steps (mask and "
        "advance) at the mean of the schema's instances, seen for the first time. It counts where the engine writes "
        "all instances.",
        "",
    ]
    if judged:
        lines += ["| figure | goal | got | |", "|---|---|---|---|"]
        lines += [f"| {figure} | {goal} | {got} | {'met' if met else 'missed'} |" for figure, goal, got, met in judged]
        lines.append("")
    lines += [
        "| engine | compiled | instances written / rejected | first mask, ms: p50 / p95 / max "
        "| mask + advance, µs: mean / p50 / p99 / max | peak memory above the vocabulary, MB "
        f"| {next(iter(results['engines'].values()))['batch'].get('schemas', 0)} schemas at once, ms a step |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, engine in engines.items():
        first, step = engine["first"], engine["step"]
        batch = "–" if engine["batch"] is None else f"{engine['batch']:.2f}"
        lines.append(
            f"| {name} | {engine['compiled']} | {engine['instances']} / {engine['rejected']} "
            f"| {first['p50']:.2f} / {first['p95']:.2f} / {first['max']:.1f} "
            f"| {step['mean']:.1f} / {step['p50']:.1f} / {step['p99']:.0f} / {step['max']:.0f} "
            f"| {engine['peak'] / 2**20:.0f} | {batch} |"
        )
    lines += ["", "![Time to the first mask](json_first.svg)", "", "![Whole requests](json_requests.svg)", ""]
    missed = [f"{figure}: {got}, goal {goal}" for figure, goal, got, met in judged if not met]
    return "\n".join(lines), missed
