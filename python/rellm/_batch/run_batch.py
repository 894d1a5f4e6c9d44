"""Runs a batch job: completed rows are in the file at any time, and a second run does only the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from rellm._batch.row_files import BROKEN, complete_lines, format_of, json_line, read_rows, write_lines, write_rows
from rellm._batch.worker_pool import Numbered, Results, completed
from rellm._errors import RellmError
from rellm.batches import COLUMNS

ROW: Final = "row"
"""The column with the number of the row in the file that was read, from 0."""


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """The description of a batch job.

    Attributes:
        source: the file that is read.
        target: the file that is written; if it is there, the job goes on where it stopped.
        factory: makes a `CompleteRows`; picklable where there are several workers.
        needed: columns that the rows must have.
        prefix: the prefix of the names of the added columns.
        batch_size: rows of one call of the model.
        workers: processes, each with a model.
        retries_errors: whether rows that ended with an error are done again.
    """

    source: Path
    target: Path
    factory: Callable[[], Any]
    needed: tuple[str, ...] = ()
    prefix: str = ""
    batch_size: int = 8
    workers: int = 1
    retries_errors: bool = False


@dataclass
class BatchSummary:
    """The result of a batch job, in numbers.

    Attributes:
        before: rows that an earlier run had done.
        done: rows of this run, those with an error included.
        errors: rows with an error, of all.
        seconds: how long this run took.
    """

    before: int = 0
    done: int = 0
    errors: int = 0
    seconds: float = 0.0


class Silent:
    """A progress without output."""

    def resume(self, done: int) -> None:
        """Set the number of rows that an earlier run has done."""

    def advance(self, steps: int = 1) -> None:
        """Count `steps` more rows as done."""


def run_batch(job: BatchJob, progress: Any = None, told: Callable[[str], None] = print) -> BatchSummary:
    """Run a job, or the rest of it.

    Args:
        job: the job.
        progress: receives the numbers of rows by `resume` and `advance`, as `Silent` does.
        told: called with each message that is not a result.

    Raises:
        RellmError: the files do not fit together, or no worker can start.
        KeyboardInterrupt: it was interrupted; completed rows are kept.
    """
    if job.source.resolve() == job.target.resolve():
        raise RellmError("the file that is written is the one that is read: name another")
    progress = progress or Silent()
    started = time.monotonic()
    is_lines = format_of(job.target) == "jsonl"
    # JSON Lines files are appended to; files of other formats are made at the end from a journal of JSON lines.
    journal = job.target if is_lines else job.target.with_name(job.target.name + ".part")
    names = {name: job.prefix + name for name in (ROW, *COLUMNS)}
    _check_columns(job, names)
    with _alone(journal):
        kept = _kept_rows(job, journal, names)
        summary = BatchSummary(before=len(kept))
        progress.resume(len(kept))
        if not is_lines and not journal.exists():
            write_lines(journal, kept.values())
        broken: Results = []
        try:
            with journal.open("a", encoding="utf-8") as file:
                done = completed(_batches(job, kept, names, broken), job.factory, job.workers, told)
                for results in chain(done, iter(lambda: _taken(broken), [])):
                    for number, row, added in results:
                        line = _line(number, row, added, names)
                        file.write(json_line(line))
                        kept[number] = line
                    file.flush()
                    summary.done += len(results)
                    progress.advance(len(results))
        except BaseException:
            _finish(job, journal, kept, names, is_whole=False)
            raise
        _finish(job, journal, kept, names, is_whole=True)
    summary.errors = sum(row.get(names["error"]) is not None for row in kept.values())
    summary.seconds = time.monotonic() - started
    return summary


def _taken(broken: Results) -> Results:
    """Takes all of them out of the list."""
    taken = broken.copy()
    broken.clear()
    return taken


def _line(number: int, row: Mapping[str, Any], added: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    # A round trip through JSON, so that new rows equal those read from an earlier run.
    line: dict[str, Any] = json.loads(json_line({names[ROW]: number, **row, **{names[n]: added[n] for n in COLUMNS}}))
    return line


def _check_columns(job: BatchJob, names: Mapping[str, str]) -> None:
    first = next((row for row in read_rows(job.source) if BROKEN not in row), None)
    if first is None:
        return
    for name in names.values():
        if name in first:
            raise RellmError(
                f"{job.source.name} has a column {name!r} already: give --prefix for the columns that are added"
            )
    for name in job.needed:
        if name not in first:
            raise RellmError(f"{job.source.name} has no column {name!r}, only {', '.join(map(repr, first))}")


def _kept_rows(job: BatchJob, journal: Path, names: Mapping[str, str]) -> dict[int, dict[str, Any]]:
    """The rows that an earlier run has completed, by row number."""
    if journal.exists():
        rows: Any = complete_lines(journal)
    elif job.target.exists():
        rows = [_from_file(row, names) for row in read_rows(job.target)]
    else:
        return {}
    kept: dict[int, dict[str, Any]] = {}
    for row in rows:
        number = row.get(names[ROW])
        if not isinstance(number, int) or names["error"] not in row:
            raise RellmError(
                f"{journal.name} was not written by a batch job with these columns: remove it, or name another file"
            )
        kept[number] = row
    if job.retries_errors:
        kept = {number: row for number, row in kept.items() if row[names["error"]] is None}
    return kept


def _from_file(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A row of a finished file as it was in the journal: CSV turns numbers and null into text, and values are text."""
    found = dict(row)
    for name in names.values():
        if found.get(name) == "":
            found[name] = None
    number, value = found.get(names[ROW]), found.get(names["value"])
    if isinstance(number, str) and number.isdigit():
        found[names[ROW]] = int(number)
    if isinstance(value, str):
        try:
            found[names["value"]] = json.loads(value)
        except ValueError:
            pass
    if names["text"] in found and found[names["text"]] is None and found.get(names["finish_reason"]):
        found[names["text"]] = ""
    return found


def _batches(
    job: BatchJob, kept: Mapping[int, Mapping[str, Any]], names: Mapping[str, str], broken: Results
) -> Iterator[Numbered]:
    """Batches of the rows that are not done yet; rows that cannot be read go to `broken` with their error."""
    batch: Numbered = []
    added = set(names.values())
    done = set(kept)  # the rows that were done at the start
    count = 0
    for number, row in enumerate(read_rows(job.source)):
        count += 1
        if number in done:
            _check_same(job, number, row, {n: v for n, v in kept[number].items() if n not in added})
            continue
        if BROKEN in row:
            failed = {"text": None, "value": None, "finish_reason": None, "error": f"RowError: {row[BROKEN]}"}
            broken.append((number, {}, failed))
            continue
        batch.append((number, row))
        if len(batch) == job.batch_size:
            yield batch
            batch = []
    if done and max(done) >= count:
        raise RellmError(
            f"{job.target.name} has row {max(done)}, and {job.source.name} only {count} rows: it is another job's"
        )
    if batch:
        yield batch


def _check_same(job: BatchJob, number: int, row: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    own = {name: value for name, value in json.loads(json_line(row)).items() if name != BROKEN}
    if format_of(job.target) == "jsonl":
        same = own == kept
    else:  # a finished CSV or Parquet file may hold numbers and objects as text
        same = all(_as_text(own.get(name)) == _as_text(kept.get(name)) for name in own)
    if not same:
        raise RellmError(
            f"row {number} of {job.source.name} is not the one that {job.target.name} was written from: "
            "name another file, or remove it"
        )


def _as_text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _finish(
    job: BatchJob, journal: Path, kept: Mapping[int, dict[str, Any]], names: Mapping[str, str], *, is_whole: bool
) -> None:
    """Writes the final file: every row once, in their order."""
    rows = [kept[number] for number in sorted(kept)]
    is_lines = journal == job.target
    if not is_whole and is_lines:
        return  # the journal is the file
    added = list(names.values())
    columns = list(dict.fromkeys([*(name for row in rows for name in row if name not in added), *added]))
    columns = [names[ROW], *(name for name in columns if name != names[ROW])]
    if not is_lines:  # each column of a table has a single type
        value = names["value"]
        rows = [
            row if row.get(value) is None else {**row, value: json.dumps(row[value], ensure_ascii=False)}
            for row in rows
        ]
    if rows or is_whole:
        write_rows(job.target, rows, columns)
    if is_whole and not is_lines:
        journal.unlink(missing_ok=True)


@contextmanager
def _alone(journal: Path) -> Iterator[None]:
    """Locks the journal, so that two jobs do not write into one file at the same time."""
    try:
        import fcntl
    except ImportError:  # on Windows
        yield
        return
    path = journal.with_name(f".{journal.name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RellmError(f"another job is writing {journal.name}") from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
