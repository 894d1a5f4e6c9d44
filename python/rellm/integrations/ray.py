"""Batch jobs with Ray Data: an actor class for `map_batches`.

    import ray, rellm
    from rellm.integrations.ray import CompleteBatches

    rows = ray.data.read_parquet("questions")
    done = rows.map_batches(
        CompleteBatches,
        fn_constructor_kwargs={"model": "smollm2", "prompt": "question", "constraint": r"yes|no", "max_new_tokens": 8},
        compute=ray.data.ActorPoolStrategy(size=2),
        batch_size=16,
    )
    done.write_parquet("answers")

A failed row never fails a block: a column has its error. Ray restarts a worker that dies, and its batch with it. To
resume a job, `remaining` leaves out the rows that the output has.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rellm.batches import COLUMNS, CompleteRows

__all__ = ["COLUMNS", "CompleteBatches", "remaining"]


class CompleteBatches:
    """A callable class for `Dataset.map_batches`: each actor loads a model, and completes batches with it.

    Args:
        model: a folder for transformers, a `.gguf` file, "smollm2", or a function without arguments that makes a
            `rellm.Generator`.
        **settings: arguments of `rellm.batches.CompleteRows`: `prompt`, `constraint` or `constraint_column`, `prefix`,
            `max_new_tokens`, …
    """

    def __init__(self, model: str | Callable[[], Any], **settings: Any) -> None:
        self._complete = CompleteRows(_generator(model), **settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of columns with the columns `text`, `value` (as JSON text), `finish_reason` and `error` added."""
        return {name: _column(values) for name, values in self._complete(batch).items()}


def remaining(dataset: Any, output: str | Path, key: str) -> Any:
    """The rows of a dataset whose key the output does not have yet.

    Args:
        dataset: a `ray.data.Dataset`.
        output: the folder of Parquet files of an earlier run; it need not exist.
        key: the column that identifies rows.

    Returns:
        The dataset, or a filtered one.
    """
    folder = Path(output)
    if not folder.is_dir() or not any(folder.rglob("*.parquet")):
        return dataset
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(str(folder), format="parquet", exclude_invalid_files=True).to_table(columns=[key])
    done = frozenset(table[key].to_pylist())

    def is_left(row: dict[str, Any]) -> bool:
        return row[key] not in done

    return dataset.filter(is_left)


def _generator(model: str | Callable[[], Any]) -> Any:
    if callable(model):
        return model()
    from rellm import Generator

    return Generator.from_pretrained(model)


def _column(values: Any) -> Any:
    """A list as an array of objects, which Ray keeps unchanged: numpy would truncate texts to one width."""
    if not isinstance(values, list):
        return values
    import numpy as np

    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
