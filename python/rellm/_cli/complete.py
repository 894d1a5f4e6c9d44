"""`rellm complete`: a text that matches, shown while it is written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from rellm._cli.model import constraint_of, generation_arguments, load_generator, prompt_of
from rellm._cli.terminal import Terminal
from rellm._errors import DeadEndError, IncompleteError


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    constraint = constraint_of(arguments)
    prompt = prompt_of(arguments)
    generator = load_generator(arguments.model, terminal)
    pieces = generator.stream(prompt, constraint, stop=arguments.stop, **generation_arguments(arguments))
    try:
        completion = show(pieces, terminal)
    except (DeadEndError, IncompleteError) as error:
        terminal.print()
        terminal.error(f"incomplete: {error}")
        return 1
    terminal.print()
    if completion.is_complete:
        return 0
    cut = "a stop string" if completion.finish_reason == "stop" else "the budget (--max-new-tokens)"
    terminal.error(f"incomplete: {cut} cut the text off before it matched")
    return 1


def show(pieces: Iterator[str], terminal: Terminal, style: str | None = None) -> Any:
    """Print a stream's pieces as they come; its `Completion` is returned."""
    while True:
        try:
            terminal.print(next(pieces), style, end="")
        except StopIteration as end:
            return end.value
