"""RESULTS.md."""

from typing import Any

from comparison import goals

_MARKS = {"exact": "", "near": " ≈", "forced": " ᶠ", "wrong": " ✗"}


def markdown(results: dict[str, Any]) -> str:
    m = results["machine"]
    versions = ", ".join(f"{e.replace('_', '-')} {f.get('version', '?')}" for e, f in results["engines"].items())
    lines = [
        "# Results",
        "",
        f"Made by `python benchmarks/compare.py` on {m['date']}, commit {m['commit']}, "
        f"in {results.get('minutes', '?')} minutes.",
        "",
        f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, Python {m['python']}, "
        f"rustc {m['rustc']}; load {m.get('load', '?')} at the start. {versions}.",
        "",
        "The Tekken vocabulary of `mistral-common`, 131,072 tokens; one sample text a pattern, replayed "
        f"token by token. CPU time, medians of up to {results['repeats']} repeats; a cell that takes more "
        f"than {results['limit_seconds']:g} s is stopped. "
        "For every repeat rellm gets a new vocabulary object, so that nothing is left of the last one.",
        "",
    ]
    kept = {e: f["measured"] for e, f in results["engines"].items() if "measured" in f}
    if kept:
        names = ", ".join(f"{e.replace('_', '-')} ({date})" for e, date in kept.items())
        lines += [f"Not measured again, but kept from an earlier run on the same machine: {names}.", ""]
    if results.get("goals"):
        lines += ["## Goals", "", "| figure | goal | got | |", "|---|---|---|---|"]
        lines += [
            f"| {g['figure']} | {g['goal']} | {g['got']} | {'met' if g['met'] else '**missed**'} |"
            for g in results["goals"]
        ]
        lines.append("")
    lines += _requests(results) + _steps(results) + _masks(results) + _hostile(results)
    lines += ["## Patterns", "", "| name | pattern | sample | tokens |", "|---|---|---|---|"]
    lines += [
        f"| {c['name']} | {_code(c['pattern'])} | {_code(c['sample'])} | {c['tokens']} |" for c in results["cases"]
    ]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    text = text if len(text) <= 160 else text[:150] + f"… ({len(text):,} characters)"
    return "`` " + text.replace("\n", "\\n").replace("|", "\\|") + " ``"


def _time(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.3g} µs"
    if microseconds < 1e6:
        return f"{microseconds / 1e3:.3g} ms"
    return f"{microseconds / 1e6:.3g} s"


def _table(results: dict[str, Any], cell: Any) -> list[str]:
    engines = list(results["engines"])
    lines = [
        "| pattern | " + " | ".join(e.replace("_", "-") for e in engines) + " |",
        "|---" * (len(engines) + 1) + "|",
    ]
    for case in results["cases"]:
        row = [cell(results["engines"][e]["cells"].get(case["name"], {}), e, case["name"]) for e in engines]
        lines.append(f"| {case['name']} | " + " | ".join(row) + " |")
    return lines


def _outcome(found: dict[str, Any]) -> str:
    status = found.get("status", "not run")
    return {"refused": "refused", "failed": f"fails after {found.get('step')} tokens"}.get(status, status)


def _requests(results: dict[str, Any]) -> list[str]:
    fastest, means = goals.ratios(results) if "rellm" in results["engines"] else ({}, {})

    def cell(found: dict[str, Any], engine: str, name: str) -> str:
        if found.get("status") != "ok":
            return _outcome(found) + _MARKS.get(found.get("verdict", ""), "")
        text = _time(found["request"]["median"]) + _MARKS[found["verdict"]]
        return f"**{text}**" if fastest.get(name, ("",))[0] == engine else text

    lines = [
        "## One whole request: compile, and every mask of the sample",
        "",
        "The fastest peer whose masks are right is bold. ✗: masks are wrong, the time does not count. ≈: they differ "
        "in tokens outside printable ASCII only (the classes of another Unicode version or dialect), or leave the end "
        "to their caller. ᶠ: where text is forced, only one spelling of it is allowed.",
        "",
        *_table(results, cell),
        "",
    ]
    if means:
        lines += ["| peer | rellm is faster by (geometric mean over the patterns that it gets right) |", "|---|---|"]
        lines += [f"| {e.replace('_', '-')} | {r:.1f}× |" for e, r in sorted(means.items(), key=lambda item: item[1])]
        lines.append("")
    return lines


def _steps(results: dict[str, Any]) -> list[str]:
    def cell(found: dict[str, Any], _engine: str, _name: str) -> str:
        if found.get("status") != "ok":
            return _outcome(found)
        warm = f"{found['warm']['median']:.3g}" if "warm" in found else "–"
        cold = found["cold"]
        return (
            f"{found['compile']['median'] / 1e3:.3g} / {found['first']['median'] / 1e3:.3g} / "
            f"{cold['median']:.3g} / {cold['max']:.3g} / {warm}" + _MARKS[found["verdict"]]
        )

    return [
        "## Step by step",
        "",
        "compile ms / first mask ms / next mask and advance, first time: median µs / worst µs / the same, second time: "
        "median µs",
        "",
        *_table(results, cell),
        "",
        "How much the repeats of rellm differ:",
        "",
        "| pattern | compile, µs: min / median / max | first mask | whole request | repeats |",
        "|---|---|---|---|---|",
        *[
            f"| {name} | "
            + " | ".join(
                f"{c[k]['min']:.3g} / {c[k]['median']:.3g} / {c[k]['max']:.3g}" for k in ("compile", "first", "request")
            )
            + f" | {c['repeats']} |"
            for name, c in results["engines"].get("rellm", {}).get("cells", {}).items()
            if c.get("status") == "ok"
        ],
        "",
    ]


def _masks(results: dict[str, Any]) -> list[str]:
    lines = [
        "## Where masks differ from the oracle's",
        "",
        "The oracle is partial matching by the `regex` library, token by token: exact, since no pattern looks around.",
        "",
        "| engine | pattern | wrong masks | missing | extra | for instance |",
        "|---|---|---|---|---|---|",
    ]
    for engine, found in results["engines"].items():
        for name, c in found["cells"].items():
            if c.get("verdict", "exact") != "exact":
                example = c.get("example", "").replace("|", "\\|")
                lines.append(
                    f"| {engine.replace('_', '-')} | {name} | {c['steps']} | {c['missing']:,} | {c['extra']:,} "
                    f"| `` {example} `` |"
                )
            elif c.get("error"):
                error = c["error"].splitlines()[0][:160].replace("|", "\\|")
                lines.append(f"| {engine.replace('_', '-')} | {name} | | | | {error} |")
    return [*lines, ""]


def _hostile(results: dict[str, Any]) -> list[str]:
    hostile = results.get("figures", {}).get("hostile")
    if not hostile:
        return []
    return [
        "## Hostile patterns under default limits",
        "",
        "Compile, and 30 random steps; the longest single call (compile and first mask together), and memory above the "
        "vocabulary.",
        "",
        "| pattern | outcome | longest call, s | MB |",
        "|---|---|---|---|",
        *[
            f"| {_code(h['name'])} | {h['outcome'].replace('|', chr(92) + '|')} "
            f"| {h['seconds']:.3f} | {h['memory'] / 1e6:.0f} |"
            for h in hostile
        ],
        "",
    ]
