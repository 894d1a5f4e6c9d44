"""`rellm demo`: shows constraints at work on one page: a pattern, a form, a tool call, a chat."""

from __future__ import annotations

import argparse
import inspect
import json
import time
from collections.abc import Iterator
from typing import Any

import rellm
from rellm import _demo_model
from rellm._cli.complete import show
from rellm._cli.model import find_model, load_generator
from rellm._cli.terminal import Terminal

_BUDGET = 200
_FREE_BUDGET = 25
_SHOWN_OF_PROMPT = 5


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if arguments.folder:
        terminal.print(str(find_model(arguments.model, terminal)))
        return 0
    generator = load_generator(arguments.model, terminal)
    status = _pattern(generator, terminal)
    _form(generator, terminal)
    _tool(generator, terminal)
    _chat(generator, terminal)
    return status


def _pattern(generator: rellm.Generator, terminal: Terminal) -> int:
    """The seeds' prompt, first free, then constrained."""
    # Both `re` and `regex` read this pattern alike; the seeds compile it with `regex`.
    constraint = rellm.Regex(_demo_model.PATTERN, dialect="regex")
    lines = _demo_model.PROMPT.splitlines()
    terminal.print(f"1. A pattern. The prompt has {len(lines)} lines, the last of them:", "bold")
    terminal.print("\n".join(lines[-_SHOWN_OF_PROMPT:]), "dim")
    terminal.print(f"The model alone, the first {_FREE_BUDGET} tokens:", "bold")
    free = generator.stream(_demo_model.PROMPT, None, max_new_tokens=_FREE_BUDGET, do_sample=False)
    show(free, lambda piece: terminal.print(piece, "yellow", end=""))
    terminal.print("\nConstrained by the pattern", "bold")
    terminal.print(_demo_model.PATTERN, "dim")
    completion = _written(generator, terminal, _demo_model.PROMPT, constraint)
    answer = completion.text.removesuffix(_demo_model.STOP)
    try:
        value = json.loads(answer)
    except ValueError as error:
        # The pattern also matches texts that are not JSON, such as {not json}.
        terminal.error(f"the answer is not JSON: {error}")
        return 1
    terminal.print(f"Less {_demo_model.STOP!r}, json.loads reads it as {value!r}.", "bold")
    return 0


def _form(generator: rellm.Generator, terminal: Terminal) -> None:
    """The same model fills a form, a class of pydantic's."""
    try:
        from rellm import _demo_form
    except ImportError:
        terminal.note("without pydantic there is no form to fill: install this package with its extra [types]")
        return
    terminal.print("\n2. A form: a class of pydantic's, and a prompt", "bold")
    terminal.print(inspect.getsource(_demo_form.City), "dim", end="")
    terminal.print(_demo_form.PROMPT, "dim")
    completion = _written(generator, terminal, _demo_form.PROMPT, _demo_form.City)
    terminal.print(f"completion.value is {completion.value!r}.", "bold")


def _tool(generator: rellm.Generator, terminal: Terminal) -> None:
    """The same model calls a function."""
    terminal.print("\n3. A tool: a function, and a message", "bold")
    terminal.print(inspect.getsource(_demo_model.weather), "dim", end="")
    terminal.print(_demo_model.TOOL_MESSAGE, "dim")
    try:
        calls = rellm.ToolCalls([_demo_model.weather], choice="required", parallel=False)
        completion = _written(generator, terminal, _message(_demo_model.TOOL_MESSAGE), calls)
    except rellm.UnsupportedError as error:  # a template with a format of its own
        terminal.note(f"this model's chat template has no format of calls that is known: {error}")
        return
    for call in completion.value.tool_calls:
        terminal.print(f"{call.name}(**{call.args!r}) returns {_demo_model.weather(**call.args)!r}.", "bold")


def _chat(generator: rellm.Generator, terminal: Terminal) -> None:
    """The same model answers a message."""
    terminal.print("\n4. A chat, in the model's own template, under the pattern", "bold")
    terminal.print(_demo_model.CHAT_PATTERN, "dim")
    terminal.print(_demo_model.CHAT_MESSAGE, "dim")
    _written(generator, terminal, _message(_demo_model.CHAT_MESSAGE), rellm.Regex(_demo_model.CHAT_PATTERN))


def _message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _written(generator: rellm.Generator, terminal: Terminal, prompt: Any, constraint: Any) -> Any:
    """Show a text while it is written, then its tokens and time; returns its `Completion`."""
    started = time.perf_counter()
    stream: Iterator[str] = generator.stream(prompt, constraint, max_new_tokens=_BUDGET, do_sample=False)
    completion = show(stream, lambda piece: terminal.print(piece, "green", end=""))
    seconds = time.perf_counter() - started
    terminal.print(f"\n(matches in full, {len(completion.token_ids)} tokens in {seconds:.1f} s)", "dim")
    return completion
