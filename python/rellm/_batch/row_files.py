"""Reads and writes files of rows: JSON Lines, CSV and Parquet, by their file extension."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rellm._errors import RellmError

BROKEN: Final = "\0broken"
"""The key of the error message in a row that cannot be read."""

_FORMATS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}


def format_of(path: Path) -> str:
    """The format of a file, by its extension. RellmError: the extension is unknown."""
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise RellmError(
            f"{path.name}: rows are read from and written to {', '.join(_FORMATS)}, by the end of the name"
        )
    return found


def count_rows(path: Path) -> int:
    """How many rows a file has."""
    if format_of(path) == "parquet":
        return int(_parquet().ParquetFile(path).metadata.num_rows)
    if format_of(path) == "jsonl":
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    return sum(1 for _ in read_rows(path))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, one after the other. A row that cannot be read has the key `BROKEN`."""
    kind = format_of(path)
    if kind == "parquet":
        for batch in _parquet().ParquetFile(path).iter_batches(batch_size=256):
            yield from batch.to_pylist()
    elif kind == "jsonl":
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _json_row(line, number)
    else:
        yield from _read_csv(path, "\t" if kind == "tsv" else ",")


def _json_row(line: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {BROKEN: f"line {number} is no JSON: {error}"}
    if not isinstance(row, dict):
        return {BROKEN: f"line {number} is no JSON object, but {type(row).__name__}"}
    return row


def _read_csv(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    # Bytes that are no UTF-8 become surrogates, which no text has: their row is known by them.
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        while True:
            try:
                row: Any = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield {BROKEN: f"line {reader.line_num} is no CSV: {error}"}
                continue
            if None in row:
                yield {BROKEN: f"line {reader.line_num} has more fields than the head of the file"}
            elif any(_is_broken(text) for text in (*row, *row.values()) if text):
                yield {BROKEN: f"line {reader.line_num}, or the head of the file, is no UTF-8 text"}
            else:
                yield row


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a whole file, and replace an existing one atomically.

    Args:
        path: the file; its extension gives the format.
        rows: the rows; a column that a row lacks is null.
        columns: the columns, in their order.
    """
    kind = format_of(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        if kind == "parquet":
            _write_parquet(temporary, list(rows), columns)
        elif kind == "jsonl":
            write_lines(temporary, rows)
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, delimiter="\t" if kind == "tsv" else ",")
                writer.writerow(columns)
                for row in rows:
                    writer.writerow([_cell(row.get(column)) for column in columns])
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a journal of JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json_line(row) for row in rows)


def json_line(row: Mapping[str, Any]) -> str:
    """A row as a line of JSON."""
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _write_parquet(path: Path, rows: list[Mapping[str, Any]], columns: Sequence[str]) -> None:
    import pyarrow as pa

    data = {}
    for column in columns:
        values = [row.get(column) for row in rows]
        try:
            data[column] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types are written as text
            data[column] = pa.array([_cell(value) if value is None else str(_cell(value)) for value in values])
    _parquet().write_table(pa.table(data), path)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise RellmError(
            "Parquet files are read with pyarrow, which is not installed: install this package with its extra [batch]"
        ) from error
    return pyarrow.parquet


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def complete_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a journal of JSON lines; an incomplete last line, left by a kill, is cut off the file."""
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    rows = []
    for line in io.BytesIO(whole):
        row = _json_row(line, 0) if line.strip() else {BROKEN: ""}
        if BROKEN not in row:
            rows.append(row)
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return rows
