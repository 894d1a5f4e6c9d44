"""The masks of one step of vLLM's engine: rellm, xgrammar, guidance, through vLLM's own classes, in one process.

ENV/bin/python benchmarks/serving_steps.py --model FOLDER      prints tables; --json FILE and --plot FILE.svg write them

Rows of a batch write different texts under one pattern: in each step every row takes a random token that all backends
allow, so all walk the same texts. Time is CPU time of the process over `fill_bitmask` of all rows, as vLLM calls it.
The second table compiles 64 different schemas, and makes the first mask of each: what 64 requests at once wait for.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

CASES = {
    "date": r"(?:[1-9]|[12]\d|3[01]) [A-Z][a-z]{2,8} \d{4}",
    "json": r'\{"wet": (?:true|false), "why": "[A-Za-z ,]{5,40}"\}',
    "email": r"[a-z0-9._]{1,20}@[a-z0-9]{1,20}\.(?:com|org|net)",
    "words": r"[a-z]{3,12}(?: [a-z]{3,12}){3,12}\.",
}
ROWS = (1, 8, 32)
NAMES = ("rellm", "xgrammar", "guidance")


def backends(model: str) -> dict[str, Any]:
    """vLLM's backends over one tokenizer, with what they read of its configuration."""
    from rellm.integrations.vllm.backend import RellmBackend
    from transformers import AutoConfig, AutoTokenizer
    from vllm.v1.structured_output.backend_guidance import GuidanceBackend
    from vllm.v1.structured_output.backend_xgrammar import XgrammarBackend

    tokenizer = AutoTokenizer.from_pretrained(model)
    size = AutoConfig.from_pretrained(model).vocab_size
    config = SimpleNamespace(
        structured_outputs_config=SimpleNamespace(disable_any_whitespace=False, disable_additional_properties=False),
        speculative_config=None,
        num_speculative_tokens=0,
        model_config=SimpleNamespace(
            hf_config=SimpleNamespace(model_type="llama"),
            get_vocab_size=lambda: size,
            try_get_generation_config=dict,
            max_model_len=8192,
        ),
    )
    classes = {"rellm": RellmBackend, "xgrammar": XgrammarBackend, "guidance": GuidanceBackend}
    return {name: classes[name](config, tokenizer=tokenizer, vocab_size=size) for name in NAMES}


def bits(mask: Any, row: int) -> np.ndarray:
    return np.unpackbits(mask[row].numpy().view(np.uint8), bitorder="little").astype(bool)


def steps(made: dict[str, Any], kind: Any, spec: str, rows: int, count: int, seed: int) -> dict[str, list[float]]:
    """Microseconds of CPU a step, by backend."""
    choose = random.Random(seed)
    grammars = {name: [backend.compile_grammar(kind, spec) for _ in range(rows)] for name, backend in made.items()}
    masks = {name: backend.allocate_token_bitmask(rows) for name, backend in made.items()}
    size = min(backend.vocab_size for backend in made.values())
    live = list(range(rows))
    times: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(count):
        if not live:
            break
        for name in choose.sample(sorted(made), len(made)):
            begun = time.process_time_ns()
            for row in live:
                grammars[name][row].fill_bitmask(masks[name], row)
            times[name].append((time.process_time_ns() - begun) / 1e3 / len(live) * rows)
        for row in live.copy():
            allowed = np.logical_and.reduce([bits(masks[name], row)[:size] for name in made])
            options = np.flatnonzero(allowed)
            if not len(options):
                live.remove(row)
                continue
            token = int(choose.choice(options.tolist()))
            taken = [grammars[name][row].accept_tokens("r", [token]) for name in made]
            if not all(taken) or any(grammars[name][row].is_terminated() for name in made):
                live.remove(row)
    return times


def schema(number: int) -> str:
    """One of many different schemas."""
    choose = random.Random(number)
    kinds = [{"type": "integer"}, {"type": "string", "maxLength": 20}, {"type": "boolean"}, {"enum": ["a", "b", "c"]}]
    names = [f"field_{number}_{i}" for i in range(choose.randint(3, 8))]
    properties = {name: choose.choice(kinds) for name in names}
    return json.dumps({"type": "object", "properties": properties, "required": names, "additionalProperties": False})


def first_masks(made: dict[str, Any], kind: Any, count: int) -> dict[str, list[float]]:
    """Milliseconds of CPU to compile a schema and make its first mask, by backend."""
    times: dict[str, list[float]] = {name: [] for name in made}
    for number in range(count):
        for name, backend in made.items():
            mask = backend.allocate_token_bitmask(1)
            begun = time.process_time_ns()
            backend.compile_grammar(kind, schema(number)).fill_bitmask(mask, 0)
            times[name].append((time.process_time_ns() - begun) / 1e6)
    return times


def plot(found: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "rellm", "font.size": 8})
    figure, grid = plt.subplots(1, len(CASES), figsize=(3 * len(CASES), 3), sharey=True)
    for axes, case in zip(grid, CASES, strict=True):
        for name in NAMES:
            axes.plot(ROWS, [found["steps"][case][str(rows)][name] for rows in ROWS], marker="o", label=name)
        axes.set(title=case, xlabel="requests", xscale="log", yscale="log")
        axes.set_xticks(ROWS, [str(rows) for rows in ROWS])
    grid[0].set_ylabel("µs of CPU a step (median)")
    grid[0].legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the folder of a model; only its tokenizer and config are read")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--schemas", type=int, default=64)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    from vllm.v1.structured_output.backend_types import StructuredOutputOptions as Kind

    made = backends(arguments.model)
    found: dict[str, Any] = {"steps": {}, "first masks": {}}
    print(
        f"{'pattern':8} {'requests':>8}  " + "  ".join(f"{name:>22}" for name in NAMES) + "   µs a step: median, worst"
    )
    for case, pattern in CASES.items():
        found["steps"][case] = {}
        for rows in ROWS:
            times = steps(made, Kind.REGEX, pattern, rows, arguments.steps, seed=rows)
            found["steps"][case][str(rows)] = {name: round(statistics.median(t), 1) for name, t in times.items()}
            shown = "  ".join(f"{statistics.median(times[n]):>12.0f} {max(times[n]):>9.0f}" for n in NAMES)
            print(f"{case:8} {rows:>8}  {shown}", flush=True)
    times = first_masks(made, Kind.JSON, arguments.schemas)
    print(f"{arguments.schemas} different schemas, compile and first mask, ms: median, worst, all together")
    for name in NAMES:
        t = times[name]
        found["first masks"][name] = {"median": statistics.median(t), "worst": max(t), "sum": sum(t)}
        print(f"  {name:10} {statistics.median(t):8.2f} {max(t):8.2f} {sum(t):9.1f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.plot:
        plot(found, arguments.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
