"""`rellm batch`: a file of rows in, the same rows with texts out."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Any

from rellm._batch.row_files import count_rows, format_of
from rellm._batch.run_batch import BatchJob, run_batch
from rellm._cli.model import constraint_of, find_model, generation_arguments, load_generator
from rellm._cli.terminal import Terminal
from rellm._constraints.base import Constraint
from rellm._errors import RellmError

_COLUMNS = ("regex", "schema", "grammar", "choice", "constraint")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    source, target = Path(arguments.source), Path(arguments.target)
    format_of(target)
    if not source.is_file():
        raise RellmError(f"there is no file {source}")
    columns = [(kind, name) for kind in _COLUMNS if (name := getattr(arguments, f"{kind}_column")) is not None]
    if len(columns) > 1:
        raise RellmError(
            "give one column of constraints, not " + " and ".join(f"--{kind}-column" for kind, _ in columns)
        )
    constraint: Constraint | None = None
    if columns:
        given = [n for n in ("regex", "grammar", "template", "schema", "type") if getattr(arguments, n) is not None]
        if given:
            raise RellmError(f"give --{given[0]} or --{columns[0][0]}-column, not both")
    else:
        constraint = constraint_of(arguments)
    template = arguments.prompt_template
    needed = [name for _, name in columns]
    needed += [arguments.prompt] if template is None else _fields(template)
    settings: dict[str, Any] = {
        "prompt": arguments.prompt,
        "prompt_template": template,
        "is_chat": arguments.chat,
        "prefix": arguments.prefix,
        **({"constraint_column": columns[0][1], "constraint_kind": columns[0][0]} if columns else {}),
        **generation_arguments(arguments),
    }
    find_model(arguments.model, terminal)
    job = BatchJob(
        source=source,
        target=target,
        factory=partial(complete_rows, arguments.model, constraint, settings, arguments.seed),
        needed=tuple(needed),
        prefix=arguments.prefix,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        retries_errors=arguments.retry_errors,
    )
    with terminated_as_interrupted(), terminal.progress(source.name, count_rows(source)) as progress:
        done = run_batch(job, progress, terminal.note)
    pace = f", {done.done / done.seconds:.2f} rows a second" if done.done and done.seconds else ""
    before = f" ({done.before} were done before)" if done.before else ""
    terminal.note(f"{target}: {done.before + done.done} rows{before}, {done.errors} with an error{pace}")
    return 1 if done.errors else 0


def complete_rows(model: str, constraint: Constraint | None, settings: dict[str, Any], seed: int | None = None) -> Any:
    """A `CompleteRows` for a model, made in the process that runs it."""
    from rellm.batches import CompleteRows

    if seed is not None:
        import torch

        torch.manual_seed(seed)

    generator = load_generator(model, Terminal(color="never"))
    return CompleteRows(generator, constraint=constraint, **settings)


def _fields(template: str) -> list[str]:
    try:
        return [name.split(".")[0].split("[")[0] for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise RellmError(f"--prompt-template: {error}") from None


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM (`kill`) end the job as ctrl-C does: completed rows are kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
