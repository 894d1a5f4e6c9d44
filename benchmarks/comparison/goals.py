"""The goals, each a row: what was to be reached, what was, and whether that will do."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any

ALTERNATION = "5,000 words"
COMPETING = ("exact", "near", "forced")


@dataclass(frozen=True)
class Goal:
    """One row."""

    figure: str
    goal: str
    got: str
    met: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def requests(results: dict[str, Any], engine: str) -> dict[str, float]:
    """Microseconds of whole requests, by pattern, of cells that are right and came to an end."""
    cells = results["engines"].get(engine, {}).get("cells", {})
    return {
        name: cell["request"]["median"]
        for name, cell in cells.items()
        if cell.get("status") == "ok" and (engine == "rellm" or cell.get("verdict") in COMPETING)
    }


def ratios(results: dict[str, Any]) -> tuple[dict[str, tuple[str, float]], dict[str, float]]:
    """By pattern the fastest peer and how many times as long it takes; by peer the geometric mean over its patterns."""
    ours = requests(results, "rellm")
    peers = {e: requests(results, e) for e in results["engines"] if e != "rellm"}
    fastest: dict[str, tuple[str, float]] = {}
    for name, own in ours.items():
        others = [(times[name] / own, engine) for engine, times in peers.items() if name in times]
        if others:
            ratio, engine = min(others)
            fastest[name] = (engine, ratio)
    means = {}
    for engine, times in peers.items():
        shared = [times[name] / ours[name] for name in times if name in ours]
        if shared:
            means[engine] = statistics.geometric_mean(shared)
    return fastest, means


def judge(results: dict[str, Any]) -> list[Goal]:
    """Every goal that this run has figures for."""
    cells = results["engines"]["rellm"]["cells"]
    done = {name: cell for name, cell in cells.items() if cell.get("status") == "ok"}
    goals = [
        Goal(
            "masks equal to the oracle's",
            "all patterns",
            f"{sum(c.get('verdict') == 'exact' for c in cells.values())} of {len(cells)}",
            all(c.get("verdict") == "exact" for c in cells.values()),
        )
    ]
    if done:
        goals += _steps(done)
        fastest, means = ratios(results)
        if means:
            best = min(means, key=lambda e: means[e])
            goals.append(
                Goal(
                    "whole request, geometric mean against the best peer",
                    "≥ 3× faster",
                    f"{means[best]:.1f}× ({best})",
                    means[best] >= 3,
                )
            )
            combined = statistics.geometric_mean(r for _, r in fastest.values())
            name = min(fastest, key=lambda n: fastest[n][1])
            engine, ratio = fastest[name]
            goals.append(
                Goal(
                    "whole request, against the fastest peer of each pattern",
                    "≥ 1× on every pattern",
                    f"worst {ratio:.2f}× ({name}, {engine}); geometric mean {combined:.1f}×",
                    ratio >= 1,
                )
            )
    return goals + _figures(results.get("figures", {}))


def _steps(done: dict[str, Any]) -> list[Goal]:
    def worst(key: str, value: str, names: list[str]) -> tuple[float, str]:
        return max((done[n][key][value], n) for n in names if key in done[n])

    names = list(done)
    others = [n for n in names if n != ALTERNATION] or names
    middle = statistics.median(done[n]["compile"]["median"] for n in names)
    compile_worst, compile_name = worst("compile", "median", others)
    goals = [
        Goal("compile, median over patterns", "≤ 0.2 ms", _ms(middle), middle <= 200),
        Goal(
            "compile, worst but the 5,000 words",
            "≤ 1 ms",
            f"{_ms(compile_worst)} ({compile_name})",
            compile_worst <= 1000,
        ),
    ]
    if ALTERNATION in done:
        took = done[ALTERNATION]["compile"]["median"]
        goals.append(Goal("compile, 5,000 words", "≤ 10 ms", _ms(took), took <= 10_000))
    middle = statistics.median(done[n]["first"]["median"] for n in names)
    first_worst, first_name = worst("first", "median", names)
    p50, p50_name = worst("cold", "median", names)
    cold, cold_name = worst("cold", "max", names)
    warm, warm_name = worst("warm", "median", names)
    return [
        *goals,
        Goal("first mask, median over patterns", "≤ 0.05 ms", _ms(middle), middle <= 50),
        Goal("first mask, worst", "≤ 0.5 ms", f"{_ms(first_worst)} ({first_name})", first_worst <= 500),
        Goal("cold step, median, on every pattern", "≤ 5 µs", f"worst {p50:.2f} µs ({p50_name})", p50 <= 5),
        Goal("cold step, worst, on every pattern", "≤ 300 µs", f"{cold:.0f} µs ({cold_name})", cold <= 300),
        Goal("warm step, median, on every pattern", "≤ 1.2 µs", f"worst {warm:.2f} µs ({warm_name})", warm <= 1.2),
    ]


def _figures(figures: dict[str, Any]) -> list[Goal]:
    goals = []
    if "vocabulary" in figures:
        v = figures["vocabulary"]
        goals += [
            Goal(
                "vocabulary of 131,072 tokens, from the tokenizer object",
                "≤ 0.5 s",
                f"{v['build_seconds']:.2f} s",
                v["build_seconds"] <= 0.5,
            ),
            Goal("vocabulary, memory", "≤ 60 MB", f"{v['memory'] / 1e6:.0f} MB", v["memory"] <= 60e6),
            Goal(
                "vocabulary, from the cache on disk",
                "≤ 50 ms",
                f"{v['cached_seconds'] * 1e3:.0f} ms",
                v["cached_seconds"] <= 0.05,
            ),
        ]
    if "memory" in figures:
        name, most = max(figures["memory"].items(), key=lambda item: item[1])
        goals.append(
            Goal(
                "memory above the vocabulary, after any pattern",
                "≤ 32 MB",
                f"{most / 1e6:.1f} MB ({name})",
                most <= 32e6,
            )
        )
    if "batch" in figures:
        b = figures["batch"]
        goals.append(
            Goal(
                f"{b['rows']} constraints, cold, two threads against one (wall)",
                "≥ 1.6×",
                f"{b['ratio']:.2f}× ({b['ratio_with_advance']:.2f}× with `advance`, which one thread calls)",
                b["ratio"] >= 1.6,
            )
        )
    if "logits" in figures:
        r = figures["logits"]["ratio"]
        goals.append(Goal("mask onto logits, against masked_fill_", "≤ 1.5×", f"{r:.2f}×", r <= 1.5))
    if "length" in figures:
        r = figures["length"]["ratio"]
        goals.append(Goal("mask at step 10,000 against step 10", "≤ 1.1×", f"{r:.2f}×", r <= 1.1))
    if "import" in figures:
        i = figures["import"]
        goals.append(
            Goal(
                "import above numpy and regex (wall), no torch",
                "≤ 50 ms",
                f"{i['ms']:.0f} ms" + (", with torch" if i["torch"] else ""),
                i["ms"] <= 50 and not i["torch"],
            )
        )
    if "hostile" in figures:
        slow = max(figures["hostile"], key=lambda h: h["seconds"])
        large = max(figures["hostile"], key=lambda h: h["memory"])
        crashed = [h["name"] for h in figures["hostile"] if h["outcome"].startswith("crash")]
        goals += [
            Goal(
                f"{len(figures['hostile'])} hostile patterns, longest call",
                "≤ 1 s",
                f"{slow['seconds']:.2f} s ({slow['name']})",
                slow["seconds"] <= 1,
            ),
            Goal(
                "hostile patterns, memory",
                "≤ 256 MB",
                f"{large['memory'] / 1e6:.0f} MB ({large['name']})",
                large["memory"] <= 256e6,
            ),
            Goal(
                "hostile patterns, an answer or a typed error",
                "all",
                f"crashed: {', '.join(crashed)}" if crashed else "all",
                not crashed,
            ),
        ]
    return goals


def _ms(microseconds: float) -> str:
    return f"{microseconds / 1e3:.3f} ms"
