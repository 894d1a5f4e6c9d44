"""`rellm.integrations.ray` without Ray: what an actor does with a batch, and which rows a second run leaves out."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rellm
from rellm import testing
from rellm._batch.row_files import write_rows
from rellm.batches import CompleteRows
from rellm.integrations.ray import COLUMNS, CompleteBatches, remaining


def generator() -> Any:
    return testing.scripted_generator("yes, it is")


def test_an_actor_adds_columns_that_ray_keeps_as_they_are() -> None:
    actor = CompleteBatches(generator, constraint_column="c", max_new_tokens=8)
    batch = {"prompt": np.array(["a", "b", "c"]), "c": np.array(["yes|no", "(a", "yes, it"]), "id": np.arange(3)}
    done = actor(batch)
    assert list(done) == ["prompt", "c", "id", *COLUMNS]
    assert done["text"].dtype == object
    assert done["text"].tolist() == ["yes", None, "yes, it"]
    assert done["value"].tolist() == ['"yes"', None, '"yes, it"']
    assert done["error"][1].startswith("PatternError: unbalanced parenthesis")
    assert [type(done[name]) for name in ("prompt", "c", "id")] == [np.ndarray] * 3


def test_what_an_actor_is_made_of_crosses_processes() -> None:
    settings = {"model": generator, "constraint": rellm.Regex("yes|no"), "max_new_tokens": 8}
    assert pickle.loads(pickle.dumps(settings))["constraint"] == rellm.Regex("yes|no")
    assert pickle.loads(pickle.dumps(CompleteBatches)) is CompleteBatches


class Dataset:
    """As much of a `ray.data.Dataset` as `remaining` uses."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def filter(self, keep: Any) -> Dataset:
        return Dataset([row for row in self.rows if keep(row)])


def test_a_second_run_leaves_out_the_rows_that_the_output_has(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = Dataset([{"id": number} for number in range(5)])
    output = tmp_path / "answers"
    assert remaining(rows, output, "id") is rows
    output.mkdir()
    assert remaining(rows, output, "id") is rows
    write_rows(output / "part-0.parquet", [{"id": 1}, {"id": 3}], ["id"])
    assert remaining(rows, output, "id").rows == [{"id": 0}, {"id": 2}, {"id": 4}]


def test_the_same_function_serves_datasets_map() -> None:
    datasets = pytest.importorskip("datasets")
    complete = CompleteRows(generator(), "q", "yes|no", max_new_tokens=8)
    done = datasets.Dataset.from_dict({"q": ["a", "b"]}).map(complete, batched=True)
    assert done["text"] == ["yes", "yes"]
