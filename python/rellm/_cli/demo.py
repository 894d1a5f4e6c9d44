"""`rellm demo`: the same prompt, first free, then constrained."""

from __future__ import annotations

import argparse
import inspect
import json
import time

import rellm
from rellm import _demo_model
from rellm._cli.complete import show
from rellm._cli.model import find_model, load_generator
from rellm._cli.terminal import Terminal

_BUDGET = 200
_FREE_BUDGET = 40


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if arguments.folder:
        terminal.print(str(find_model(arguments.model, terminal)))
        return 0
    generator = load_generator(arguments.model, terminal)
    # Both `re` and `regex` read this pattern alike; the seeds compile it with `regex`.
    constraint = rellm.Regex(_demo_model.PATTERN, dialect="regex")

    terminal.print("The prompt", "bold")
    terminal.print(_demo_model.PROMPT, "dim")

    terminal.print(f"\nThe model alone (the first {_FREE_BUDGET} tokens)", "bold")
    show(generator.stream(_demo_model.PROMPT, None, max_new_tokens=_FREE_BUDGET, do_sample=False), terminal, "yellow")

    terminal.print("\n\nConstrained by the pattern", "bold")
    terminal.print(_demo_model.PATTERN, "dim")
    terminal.print()
    started = time.perf_counter()
    pieces = generator.stream(_demo_model.PROMPT, constraint, max_new_tokens=_BUDGET, do_sample=False)
    completion = show(pieces, terminal, "green")
    seconds = time.perf_counter() - started

    answer = completion.text.removesuffix(_demo_model.STOP)
    tokens = len(completion.token_ids)
    terminal.print(f"\n\nIt matches in full, after {tokens} tokens in {seconds:.1f} s.", "bold")
    try:
        value = json.loads(answer)
    except ValueError as error:
        # The pattern also fits what is no JSON, such as {not json}.
        terminal.error(f"the answer is not JSON: {error}")
        return 1
    terminal.print(f"Less {_demo_model.STOP!r}, json.loads reads it as {value!r}.", "bold")
    return _fill_form(generator, terminal)


def _fill_form(generator: rellm.Generator, terminal: Terminal) -> int:
    """The same model fills a form, a class of pydantic's."""
    try:
        from rellm import _demo_form
    except ImportError:
        terminal.note("without pydantic there is no form to fill: install this package with its extra [types]")
        return 0
    terminal.print("\nA form: a class of pydantic's, and a prompt", "bold")
    terminal.print(inspect.getsource(_demo_form.City), "dim")
    terminal.print(_demo_form.PROMPT, "dim")
    terminal.print()
    completion = show(
        generator.stream(_demo_form.PROMPT, _demo_form.City, max_new_tokens=_BUDGET, do_sample=False), terminal, "green"
    )
    terminal.print(f"\n\nIts value is {completion.value!r}.", "bold")
    return 0
