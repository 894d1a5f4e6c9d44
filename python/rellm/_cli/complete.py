"""`rellm complete`: a text that matches, shown while it is written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any

from rellm._cli.model import constraint_of, generation_arguments, load_generator, prompt_of
from rellm._cli.terminal import INTERRUPTED, Terminal
from rellm._errors import DeadEndError, IncompleteError, ValueRejectedError


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    constraint = constraint_of(arguments)
    prompt = prompt_of(arguments)
    generator = load_generator(arguments.model, terminal)
    stream = generator.stream(prompt, constraint, stop=arguments.stop, **generation_arguments(arguments))
    written: list[str] = []

    def put(piece: str) -> None:
        written.append(piece)
        if not arguments.json:
            terminal.print(piece, end="")

    def end(status: int, reason: str, message: str | None, value: Any = None, **more: Any) -> int:
        if arguments.json:
            answer = {"text": "".join(written), "value": value, "is_complete": status == 0, "finish_reason": reason}
            error = {} if message is None else {"error": message}
            terminal.print(json.dumps({**answer, **more, **error}, ensure_ascii=False))
        else:
            terminal.print()
        if message is not None:
            terminal.error(message)
        return status

    try:
        completion = show(stream, put)
    except (DeadEndError, IncompleteError) as error:
        return end(1, "stop", f"incomplete: {error}")
    except KeyboardInterrupt:
        stream.close()
        return end(INTERRUPTED, "interrupted", "interrupted: what was written so far is incomplete")
    written[:] = [completion.text]
    reason, tokens = completion.finish_reason, len(completion.token_ids)
    if not completion.is_complete:
        cut = "a stop string" if reason == "stop" else "the budget (--max-new-tokens)"
        return end(1, reason, f"incomplete: {cut} cut the text off before it matched", tokens=tokens)
    if not arguments.json:
        return end(0, reason, None)
    from rellm.batches import as_json_data

    try:
        return end(0, reason, None, as_json_data(completion.value), tokens=tokens)
    except ValueRejectedError as error:
        return end(1, reason, str(error), tokens=tokens)


def show(pieces: Iterator[str], put: Callable[[str], None]) -> Any:
    """Pass each piece of a stream to `put` as it comes, and return the `Completion`."""
    while True:
        try:
            put(next(pieces))
        except StopIteration as end:
            return end.value
