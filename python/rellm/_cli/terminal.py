"""Printing for people: styles and progress bars by `rich` where it is installed, plain text where it is not."""

from __future__ import annotations

import io
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NARROW = 60
"""The least number of terminal columns for a table; a narrower one would break words."""
PATIENCE = 2.0
"""Seconds after which a long task shows that it is still running."""
INTERRUPTED = 130
"""The exit status after ctrl-C, as shells have it: 128 and the number of the signal."""
EVERY = 10.0
"""Seconds between two lines about a job's progress, where no bar can be drawn."""


def write_what_can_be_written() -> None:
    """Let a character that the terminal's encoding lacks become an escape in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def can_show(text: str) -> bool:
    """Whether stdout's encoding has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def stdin_text() -> str:
    """All of stdin, without the line break at its end, which `echo` adds and nobody means."""
    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"stdin is not {error.encoding} text: byte {error.start} is {error.object[error.start]:#04x}"
        ) from error


class Terminal:
    """stdout for results, stderr for everything else."""

    def __init__(self, color: str = "auto") -> None:
        self._rich = _rich_consoles(color)

    @property
    def columns(self) -> int:
        """How many characters a line of the terminal has; 80 where that is not known."""
        return shutil.get_terminal_size().columns

    def print(self, text: str = "", style: str | None = None, *, end: str = "\n") -> None:
        """Write `text` to stdout as it is, in a style such as "bold" where styles can be shown."""
        if self._rich and style:
            from rich.text import Text

            self._rich[0].print(Text(text, style=style), end=end, soft_wrap=True, highlight=False)
        else:
            # Line by line and unbuffered: a stream is read while it is written.
            sys.stdout.write(text + end)
            sys.stdout.flush()

    def table(self, rows: list[list[tuple[str, str | None]]], heads: list[str]) -> None:
        """Write rows of (text, style) in columns; one below the other where there is no room for columns."""
        if self.columns < NARROW:
            for row in rows:
                for index, (head, (text, style)) in enumerate(zip(heads, row, strict=True)):
                    if text:
                        self.print(f"{'  ' if index else ''}{head}: {text.strip()}", style)
            return
        if self._rich:
            from rich import box
            from rich.table import Table
            from rich.text import Text

            table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
            for head in heads:
                table.add_column(head, overflow="fold")  # an ellipsis would take part of a number away
            for row in rows:
                table.add_row(*(Text(text, style=style or "") for text, style in row))
            self._rich[0].print(table)
            return
        texts = [heads, *([text for text, _ in row] for row in rows)]
        widths = [max(len(row[i]) for row in texts) for i in range(len(heads))]
        for line in texts:
            self.print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())

    def note(self, text: str) -> None:
        """Write a note to stderr, apart from the results."""
        self._tell(text, "dim")

    def error(self, text: str) -> None:
        """Report an error on stderr."""
        self._tell("rellm: " + text, "bold red")

    def _tell(self, text: str, style: str) -> None:
        if self._rich:
            from rich.text import Text

            self._rich[1].print(Text(text, style=style), soft_wrap=True, highlight=False)
        else:
            print(text, file=sys.stderr)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show on stderr that a task of unknown length is running, if it takes longer than two seconds."""
        with self.progress(what, None):
            yield

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Progress]:
        """A bar on stderr, shown once the work has taken two seconds."""
        has_bar = self._rich is not None and self._rich[1].is_terminal
        bar = _RichProgress(self._rich[1], what, total) if self._rich and has_bar else _PlainProgress(what, total)
        try:
            yield bar
        finally:
            bar.close()


class Progress:
    """The progress of a job."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self.started = time.monotonic()
        self.resumed_at = 0
        self._timer = threading.Timer(PATIENCE, self.appear)
        self._timer.daemon = True
        self._timer.start()

    def advance(self, steps: int = 1) -> None:
        """Count `steps` more as done."""
        self.done += steps

    def resume(self, done: int) -> None:
        """Set the number that an earlier run has done: they do not count for the pace."""
        self.done = self.resumed_at = done

    def appear(self) -> None:
        """Draw the progress for the first time; called once, after two seconds."""

    def close(self) -> None:
        """End the progress, whether the work succeeded or failed."""
        self._timer.cancel()


class _PlainProgress(Progress):
    _told = 0.0

    def appear(self) -> None:
        print(f"{self.what} …", file=sys.stderr, flush=True)

    def advance(self, steps: int = 1) -> None:
        super().advance(steps)
        if self.total is None or time.monotonic() - max(self._told, self.started) < EVERY:
            return
        self._told = time.monotonic()
        pace = (self.done - self.resumed_at) / (self._told - self.started)
        left = f", about {(self.total - self.done) / pace:.0f} s left" if pace > 0 else ""
        print(f"{self.what}: {self.done} of {self.total}{left}", file=sys.stderr, flush=True)


class _RichProgress(Progress):
    def __init__(self, console: Any, what: str, total: int | None) -> None:
        self._console = console
        self._bar: Any = None
        self._task: Any = None
        self._lock = threading.Lock()
        self._over = False
        super().__init__(what, total)

    def appear(self) -> None:
        from rich import progress

        with self._lock:
            if self._over:
                return
            columns = [progress.TextColumn("{task.description}"), progress.BarColumn(), progress.TimeElapsedColumn()]
            if self.total is not None:
                columns[2:2] = [progress.MofNCompleteColumn(), progress.TimeRemainingColumn()]
            self._bar = progress.Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(self.what, total=self.total, completed=self.done)
            self._bar.start()

    def advance(self, steps: int = 1) -> None:
        super().advance(steps)
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)

    def close(self) -> None:
        super().close()
        with self._lock:
            self._over = True
            if self._bar is not None:
                self._bar.stop()


def _rich_consoles(color: str) -> tuple[Any, Any] | None:
    """Consoles for stdout and stderr; None where rich is not installed or nothing is to be styled."""
    if color == "never":
        return None
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        return None
    forced = True if color == "always" else None
    return Console(force_terminal=forced), Console(stderr=True, force_terminal=forced)
