"""What forced text saves on a real model: forward passes and time, side by side in one run.

    python benchmarks/generate.py            # SmolLM2; about two minutes on two cores
    python benchmarks/generate.py --quick    # one repeat

Each case is written constrained, with forced text off, verified and forced; and as many tokens are written without a
constraint. Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pydantic
import rellm
import torch
import transformers
from rellm import _demo_model
from rellm.integrations.transformers import ConstraintLogitsProcessor
from transformers import AutoModelForCausalLM, AutoTokenizer

FORM_PROMPT = """Fill in the form.
Text: Ada Lovelace, born in London in 1815, was a mathematician. She died in 1852.
Form:
"""
FORM = (
    r"Full name of the person: [A-Z][a-z]+ [A-Z][a-z]+\n"
    r"Place where the person was born: [A-Z][a-z]+\n"
    r"Year in which the person was born: [0-9]{4}\n"
    r"Year in which the person died: [0-9]{4}\n"
    r"Is the person a scientist\? \(yes or no\): (yes|no)\n"
    r"End of the form, thank you for filling it in\."
)


JSON_PROMPT = """Ada Lovelace, born in London in 1815, was a mathematician. She died in 1852.
The same as JSON: """


class Person(pydantic.BaseModel):
    """A form whose keys come in the order in which they are declared."""

    full_name: str
    place_of_birth: str
    year_of_birth: int
    year_of_death: int
    is_still_alive: bool
    main_occupation: Literal["mathematician", "engineer", "writer"]


@dataclass(frozen=True)
class Task:
    """A prompt, a constraint, and by how much forced text must pay."""

    name: str
    prompt: str
    constraint: Any
    stop: str | None
    fewer_passes: float
    less_time: float


TASKS = [
    Task("the seeds' pattern", _demo_model.PROMPT, _demo_model.PATTERN, _demo_model.STOP, 1.5, 1.4),
    Task("a form of labels", FORM_PROMPT, FORM, None, 2.5, 2.0),
    Task("a pydantic form", JSON_PROMPT, Person, None, 2.5, 2.0),
]


@dataclass
class Measured:
    """Medians of one way of writing."""

    passes: int
    wall: float
    cpu: float
    tokens: int
    text: str


class Passes:
    """Counts the forward passes of a model."""

    def __init__(self, model: Any) -> None:
        self.count = 0
        model.register_forward_pre_hook(self)

    def __call__(self, *_: Any) -> None:
        self.count += 1


def measure(write: Callable[[], Any], passes: Passes, repeats: int) -> Measured:
    walls, cpus, result, count = [], [], None, 0
    for _ in range(repeats):
        passes.count = 0
        wall, cpu = time.perf_counter(), time.process_time()
        result = write()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        count = passes.count
    assert result is not None
    return Measured(count, min(walls), min(cpus), count, result.text)


def run(task: Task, generator: rellm.Generator, passes: Passes, repeats: int) -> bool:
    """Print the ratios of one task; whether the goals are met."""
    kwargs: dict[str, Any] = {"max_new_tokens": 200, "stop": task.stop, "do_sample": False}
    ways = {
        mode: measure(
            lambda mode=mode: generator(task.prompt, task.constraint, forced_text=mode, **kwargs), passes, repeats
        )
        for mode in ("off", "verified", "forced")
    }
    tokens = ways["off"].passes  # one pass a token
    free = measure(
        lambda: generator(task.prompt, None, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False),
        passes,
        repeats,
    )
    print(f"\n{task.name}: {tokens} tokens")
    print(f"  {'':13}{'passes':>8}{'fewer':>8}{'wall s':>9}{'shorter':>9}{'CPU s':>9}{'less':>8}")
    met = True
    for name, way in {"unconstrained": free, **ways}.items():
        fewer, shorter, less = free.passes / way.passes, free.wall / way.wall, free.cpu / way.cpu
        print(f"  {name:13}{way.passes:8}{fewer:7.2f}×{way.wall:9.2f}{shorter:8.2f}×{way.cpu:9.2f}{less:7.2f}×")
        if name in ("verified", "forced"):
            met &= fewer >= task.fewer_passes and shorter >= task.less_time
    goal = "met" if met else "MISSED"
    print(f"  goal          {'':6}{task.fewer_passes:7.2f}×{'':9}{task.less_time:8.2f}×{'':17}{goal}")
    same = ways["verified"].text == ways["off"].text
    print(f"  verified text is the text without: {same}")
    return met and same


def overhead(generator: rellm.Generator, repeats: int) -> bool:
    """The processor's own CPU time where nothing is forced, against the model's."""
    tokenizer, model = generator.tokenizer, generator.model
    prompt = tokenizer("Once upon a time", return_tensors="pt")
    spent: list[float] = []

    class Timed:
        def __init__(self, processor: Any) -> None:
            self.processor = processor

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            start = time.process_time()
            scores = self.processor(input_ids, scores)
            spent.append(time.process_time() - start)
            return scores

    def share(pattern: str, budget: int) -> tuple[float, float]:
        shares = []
        for _ in range(repeats):
            spent.clear()
            processor = ConstraintLogitsProcessor(pattern, generator.vocabulary, max_new_tokens=budget)
            start = time.process_time()
            model.generate(**prompt, logits_processor=[Timed(processor)], max_new_tokens=40, do_sample=False)
            shares.append(sum(spent) / (time.process_time() - start - sum(spent)))
        return statistics.median(spent) * 1e6, statistics.median(shares)

    each, part = share(r"[\w ,.']{0,400}", 200)
    print(f"\nprocessor, nothing forced: {each:.0f} µs of CPU a token (median), {part:.2%} of the rest; goal 2 %")
    near, near_part = share(r"[\w ,.']{200,400}", 120)
    print(f"processor, where the budget decides at every token: {near:.0f} µs, {near_part:.2%}")
    return part <= 0.02


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repeat, and no failure where a goal is missed")
    parser.add_argument("--threads", type=int, help="threads for torch")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    folder = _demo_model.model_folder()
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    generator = rellm.Generator(model, AutoTokenizer.from_pretrained(folder))
    passes = Passes(model)
    load = os.getloadavg()[0]
    print(
        f"rellm {rellm.__version__}, transformers {transformers.__version__}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}, load {load:.1f}"
    )
    repeats = 1 if arguments.quick else 3
    generator("warm", "up", 4)
    met = [run(task, generator, passes, repeats) for task in TASKS]
    met.append(overhead(generator, repeats))
    return 0 if all(met) or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
