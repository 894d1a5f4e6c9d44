"""Batch jobs: every row once, nothing lost, a second run does only the rest, a bad row is a row with an error."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import date
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rellm
from rellm import testing
from rellm._batch.row_files import count_rows, read_rows, write_rows
from rellm._batch.run_batch import BatchJob, run_batch
from rellm._cli import main
from rellm.batches import COLUMNS, CompleteRows, as_json_data

SAYS = "yes, it is"


def scripted(says: str = SAYS, dies_at: str | None = None, mark: str | None = None, **settings: Any) -> CompleteRows:
    """With `dies_at`, the process dies when it is to answer this prompt; with `mark`, only where no such file is."""
    settings.setdefault("constraint", r"yes|no|\d{1,3}")
    complete = CompleteRows(testing.scripted_generator(says), **{"max_new_tokens": 8, **settings})
    if dies_at is None:
        return complete
    rows = complete.rows

    def dying(batch: Any) -> Any:
        if any(row["prompt"] == dies_at for row in batch) and (mark is None or not Path(mark).exists()):
            if mark is not None:
                Path(mark).touch()
            os._exit(9)
        return rows(batch)

    complete.rows = dying  # type: ignore[method-assign]
    return complete


def job(folder: Path, rows: list[Any], target: str = "out.jsonl", **given: Any) -> BatchJob:
    source = folder / "in.jsonl"
    source.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return BatchJob(source=source, target=folder / target, **{"factory": scripted, "batch_size": 3, **given})


def prompts(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"question {number}: "} for number in range(count)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# one batch


def test_a_batch_gets_four_columns() -> None:
    done = scripted()({"prompt": ["a", "b"], "id": [1, 2]})
    assert done == {
        "prompt": ["a", "b"], "id": [1, 2], "text": ["yes", "yes"], "value": ['"yes"', '"yes"'],
        "finish_reason": ["complete", "complete"], "error": [None, None],
    }  # fmt: skip


def test_each_row_may_have_a_constraint_of_its_own() -> None:
    cases = {
        "regex": ["yes|no", r"\d+"],
        "schema": ['{"const": "yes"}', {"type": "integer", "minimum": 1}],
        "choice": [["yes", "no"], '["1", "22"]'],
        "grammar": ['start: "yes"', "start: /[0-9]/"],
        "constraint": [rellm.Choice(["yes"]).to_json(), rellm.Regex("[0-9]").to_json()],
    }
    for kind, column in cases.items():
        complete = scripted(constraint=None, constraint_column="c", constraint_kind=kind)
        done = complete({"prompt": ["a", "b"], "c": column})
        assert done["error"] == [None, None], kind
        assert done["text"][0] in ("yes", '"yes"')
        assert done["text"][1].isdigit()


def test_a_row_that_fails_costs_no_other_row_its_text() -> None:
    complete = scripted(constraint=None, constraint_column="c")
    done = complete({"prompt": ["a", "b", None, "d", "e"], "c": ["yes|no", "(a", "yes", None, "yes{90}"]})
    assert done["text"] == ["yes", None, None, None, None]
    errors = done["error"]
    assert errors[0] is None
    assert errors[1].startswith("PatternError: unbalanced parenthesis at position 2 of '(a'")
    assert errors[2] == "TypeError: the prompt is missing: a text or a list of messages was expected"
    assert errors[3] == "ValueError: there is no constraint in the column 'c'"
    assert errors[4].startswith("BudgetError: no match fits into max_new_tokens=8")


def test_where_the_model_itself_fails_each_row_is_tried_alone() -> None:
    complete = scripted()
    generator, calls = complete.generator, []

    class Failing:
        vocabulary = generator.vocabulary

        def __call__(self, prompts: Any, constraints: Any, **given: Any) -> Any:
            calls.append(len(prompts))
            if "bad" in prompts:
                raise RuntimeError("out of memory")
            return generator(prompts, constraints, **given)

    complete.generator = Failing()
    done = complete({"prompt": ["a", "bad", "c"]})
    assert done["text"] == ["yes", None, "yes"]
    assert done["error"][1] == "RuntimeError: out of memory"
    assert calls == [3, 1, 1, 1]


def test_prompts_are_texts_messages_or_a_template_over_columns() -> None:
    asked: list[Any] = []
    complete = scripted(prompt=None, prompt_template="{a} and {b}?")
    generator = complete.generator

    class Asked:
        vocabulary = generator.vocabulary

        def __call__(self, prompts: Any, constraints: Any, **given: Any) -> Any:
            asked.extend(prompts)
            return generator(prompts, constraints, **given)

    for made in (complete, scripted(), scripted(is_chat=True)):
        made.generator = Asked()
        done = made(
            {
                "prompt": ["hi", [{"role": "user", "content": "x"}], '[{"role": "user", "content": "y"}]'],
                "a": [1, 2, 3],
                "b": ["x", "y", "z"],
            }
        )
        assert done["error"] == [None] * 3
    user = [[{"role": "user", "content": text}] for text in ("hi", "x", "y")]
    assert asked == ["1 and x?", "2 and y?", "3 and z?", "hi", user[1], user[2], *user]


def test_a_column_that_is_there_already_asks_for_a_prefix() -> None:
    with pytest.raises(ValueError, match="have a column 'text' already: give a prefix"):
        scripted()({"prompt": ["a"], "text": ["b"]})
    done = scripted(prefix="rellm_")({"prompt": ["a"], "text": ["b"]})
    assert done["text"] == ["b"]
    assert done["rellm_text"] == ["yes"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"constraint": None}, "exactly one of the two"),
        ({"constraint_column": "c"}, "exactly one of the two"),
        ({"constraint": None, "constraint_column": "c", "constraint_kind": "pcre"}, "constraint_kind is one of"),
        ({"prompt": None}, "give the column of the prompts"),
        ({"constraint": "(a"}, "unbalanced parenthesis"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused_at_once(given: dict[str, Any], error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        scripted(**given)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(KeyError, match="no column 'prompt', only 'question'"):
        scripted()({"question": ["a"]})


def test_values_are_plain_json_data() -> None:
    class Color(Enum):
        RED = "red"

    assert as_json_data({"d": date(2026, 11, 28), 1: (Color.RED, float("inf"), None)}) == {
        "d": "2026-11-28",
        "1": ["red", "inf", None],
    }


# files


@pytest.mark.parametrize("end", ["jsonl", "csv", "tsv", "parquet"])
def test_a_job_writes_every_row_once_in_the_order_of_the_file(tmp_path: Path, end: str) -> None:
    if end == "parquet":
        pytest.importorskip("pyarrow")
    summary = run_batch(job(tmp_path, prompts(10), f"out.{end}"))
    assert (summary.before, summary.done, summary.errors) == (0, 10, 0)
    done = list(read_rows(tmp_path / f"out.{end}"))
    assert [int(row["row"]) for row in done] == list(range(10))
    assert [row["prompt"] for row in done] == [row["prompt"] for row in prompts(10)]
    assert {row["text"] for row in done} == {"yes"}
    assert {row["value"] for row in done} == {"yes" if end == "jsonl" else '"yes"'}
    assert not (tmp_path / f"out.{end}.part").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", f"out.{end}"]


@pytest.mark.parametrize("end", ["jsonl", "csv", "parquet"])
def test_a_second_run_does_only_the_rest(tmp_path: Path, end: str) -> None:
    if end == "parquet":
        pytest.importorskip("pyarrow")
    stops = iter(range(100))

    class Stopping:
        def resume(self, done: int) -> None: ...
        def advance(self, steps: int = 1) -> None:
            if next(stops) == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(job(tmp_path, prompts(10), f"out.{end}"), Stopping())
    assert count_rows(tmp_path / f"out.{end}") == 6, "what is done is there"
    seen: list[int] = []

    def counting() -> Any:
        complete = scripted()
        rows = complete.rows
        complete.rows = lambda batch: (seen.append(len(batch)), rows(batch))[1]  # type: ignore[method-assign]
        return complete

    summary = run_batch(job(tmp_path, prompts(10), f"out.{end}", factory=counting))
    assert (summary.before, summary.done, sum(seen)) == (6, 4, 4)
    again = run_batch(job(tmp_path, prompts(10), f"out.{end}", factory=counting))
    assert (again.before, again.done, sum(seen)) == (10, 0, 4)
    assert [int(row["row"]) for row in read_rows(tmp_path / f"out.{end}")] == list(range(10))
    more = run_batch(job(tmp_path, prompts(12), f"out.{end}", factory=counting))
    assert (more.before, more.done) == (10, 2), "rows that were added to the file since"


def test_what_a_kill_has_left_of_a_line_is_done_again(tmp_path: Path) -> None:
    run_batch(job(tmp_path, prompts(4)))
    out = tmp_path / "out.jsonl"
    out.write_bytes(out.read_bytes()[:-20])
    summary = run_batch(job(tmp_path, prompts(4)))
    assert (summary.before, summary.done) == (3, 1)
    assert [row["row"] for row in lines(out)] == [0, 1, 2, 3]


def test_rows_with_an_error_are_done_again_on_request(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "c": "yes"}, {"prompt": "b", "c": "yes{9}"}]
    column = {"constraint": None, "constraint_column": "c"}
    assert run_batch(job(tmp_path, rows, factory=partial(scripted, **column))).errors == 1
    larger = partial(scripted, max_new_tokens=40, **column)
    assert run_batch(job(tmp_path, rows, factory=larger)).done == 0
    summary = run_batch(job(tmp_path, rows, factory=larger, retries_errors=True))
    assert (summary.before, summary.done, summary.errors) == (1, 1, 0)
    assert [row["text"] for row in lines(tmp_path / "out.jsonl")] == ["yes", "yesssssssss"]


def test_rows_that_cannot_be_read_are_rows_with_an_error(tmp_path: Path) -> None:
    summary = run_batch(job(tmp_path, [{"prompt": "a"}, "{broken\n", "[1]\n", "\n", {"prompt": "b"}]))
    assert (summary.done, summary.errors) == (4, 2)
    done = lines(tmp_path / "out.jsonl")
    assert [row["row"] for row in done] == [0, 1, 2, 3]
    assert done[1]["error"].startswith("RowError: line 2 is no JSON:")
    assert done[2]["error"] == "RowError: line 3 is no JSON object, but list"
    assert done[3]["text"] == "yes"
    assert run_batch(job(tmp_path, [{"prompt": "a"}, "{broken\n", "[1]\n", "\n", {"prompt": "b"}])).done == 0


def test_a_row_of_csv_with_too_many_fields_is_a_row_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('prompt,id\n"a, ""b""\nc",1\nx,2,3\ny,4\n', encoding="utf-8-sig")
    run_batch(BatchJob(source=tmp_path / "in.csv", target=tmp_path / "out.csv", factory=scripted))
    with (tmp_path / "out.csv").open(newline="") as file:
        done = list(csv.DictReader(file))
    assert [row["error"] for row in done] == ["", "RowError: line 4 has more fields than the head of the file", ""]
    assert done[0]["prompt"] == 'a, "b"\nc'
    assert run_batch(BatchJob(source=tmp_path / "in.csv", target=tmp_path / "out.csv", factory=scripted)).done == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [{"prompt": "other"}, *rows[1:]], "row 0 of in.jsonl is not the one"),
        (lambda rows: rows[:2], "has row 3, and in.jsonl only 2 rows"),
        (lambda rows: [{**row, "error": 1} for row in rows], "column 'error' already: give --prefix"),
        (lambda rows: [{"question": "x"}], "has no column 'prompt', only 'question'"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    run_batch(job(tmp_path, prompts(4)))
    before = (tmp_path / "out.jsonl").read_bytes()
    with pytest.raises(rellm.RellmError, match=message):
        run_batch(job(tmp_path, change(prompts(4)), needed=("prompt",)))
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_a_file_of_somebody_else_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text('{"mine": 1}\n')
    with pytest.raises(rellm.RellmError, match="was not written by a batch job"):
        run_batch(job(tmp_path, prompts(2)))
    assert (tmp_path / "out.jsonl").read_text() == '{"mine": 1}\n'


def test_one_file_is_not_read_and_written(tmp_path: Path) -> None:
    with pytest.raises(rellm.RellmError, match="the one that is read"):
        run_batch(job(tmp_path, prompts(2), "in.jsonl"))


def test_two_jobs_do_not_write_one_file(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")

    def inner() -> Any:
        with pytest.raises(rellm.RellmError, match="another job is writing"):
            run_batch(job(tmp_path, prompts(2)))
        return scripted()

    assert run_batch(job(tmp_path, prompts(2), factory=inner)).done == 2


def test_parquet_keeps_types_and_lists(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "in.parquet"
    rows = [{"prompt": "a", "n": 1, "tags": ["x"]}, {"prompt": "b", "n": 2, "tags": []}]
    write_rows(path, rows, ["prompt", "n", "tags"])
    one = BatchJob(source=path, target=tmp_path / "out.parquet", factory=scripted)
    run_batch(one)
    done = list(read_rows(tmp_path / "out.parquet"))
    assert [(row["n"], row["tags"]) for row in done] == [(1, ["x"]), (2, [])]
    assert run_batch(one).done == 0


# workers


@pytest.mark.slow
def test_a_worker_that_dies_costs_no_row(tmp_path: Path) -> None:
    told: list[str] = []
    factory = partial(scripted, dies_at="question 4: ", mark=str(tmp_path / "died"))
    summary = run_batch(job(tmp_path, prompts(12), workers=2, factory=factory), told=told.append)
    assert (summary.done, summary.errors) == (12, 0)
    assert [row["row"] for row in lines(tmp_path / "out.jsonl")] == list(range(12))
    assert told == ["a worker has died (exit code 9); another takes its place"]


@pytest.mark.slow
def test_a_row_that_kills_its_worker_twice_is_a_row_with_an_error(tmp_path: Path) -> None:
    factory = partial(scripted, dies_at="question 1: ")
    summary = run_batch(job(tmp_path, prompts(4), workers=2, factory=factory), told=lambda text: None)
    assert (summary.done, summary.errors) == (4, 1)
    assert lines(tmp_path / "out.jsonl")[1]["error"] == "WorkerDied: the worker died twice with this row (exit code 9)"


@pytest.mark.slow
def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(rellm.RellmError, match="a worker cannot start: PatternError: unbalanced parenthesis"):
        run_batch(job(tmp_path, prompts(2), workers=2, factory=partial(scripted, constraint="(a")))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_is_killed_leaves_what_is_done(tmp_path: Path, number: int) -> None:
    one = job(tmp_path, prompts(120), batch_size=2)
    code = f"""
        import sys; sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
        from pathlib import Path
        from test_batches import scripted
        from rellm._batch.run_batch import BatchJob, run_batch
        from rellm._cli.batch import terminated_as_interrupted
        with terminated_as_interrupted():
            run_batch(BatchJob(source=Path({str(one.source)!r}), target=Path({str(one.target)!r}), factory=scripted))
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while process.poll() is None and not (one.target.exists() and one.target.stat().st_size > 600):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it was killed"
    process.send_signal(number)
    process.wait()
    summary = run_batch(one)
    assert summary.before > 0
    assert summary.before + summary.done == 120
    assert [row["row"] for row in lines(one.target)] == list(range(120))


# the command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: Any, capsys: Any) -> Any:
    """`rellm batch in.jsonl out.jsonl …` on a scripted model."""
    import rellm._cli.batch as command

    monkeypatch.setattr(command, "find_model", lambda name, terminal: Path(name))
    monkeypatch.setattr(command, "load_generator", lambda name, terminal: testing.scripted_generator(SAYS))

    def run(*arguments: str, rows: list[Any] | None = None) -> tuple[int, str, str]:
        source = tmp_path / "in.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in (prompts(3) if rows is None else rows)))
        try:
            status = main(["batch", str(source), str(tmp_path / "out.jsonl"), "--model", "m", *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return (status, *capsys.readouterr())

    return run


def test_the_command_completes_a_file(command: Any, tmp_path: Path) -> None:
    status, out, err = command("--regex", "yes|no", "--batch-size", "2")
    assert (status, out) == (0, "")
    assert "out.jsonl: 3 rows, 0 with an error" in err.replace("\n", "")
    assert [row["text"] for row in lines(tmp_path / "out.jsonl")] == ["yes"] * 3
    status, _, err = command("--regex", "yes|no")
    assert status == 0
    assert "3 rows (3 were done before), 0 with an error" in err.replace("\n", "")


def test_the_command_takes_a_column_of_constraints_and_a_template(command: Any, tmp_path: Path) -> None:
    rows = [{"t": "a", "c": "yes"}, {"t": "b", "c": "("}]
    status, _, err = command("--regex-column", "c", "--prompt-template", "Is {t} so? ", rows=rows)
    assert status == 1, "a row has an error"
    assert "2 rows, 1 with an error" in err.replace("\n", "")
    assert [row["text"] for row in lines(tmp_path / "out.jsonl")] == ["yes", None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--regex", "(a"], "unbalanced parenthesis"),
        ([], "give one of --regex"),
        (["--regex", "a", "--regex-column", "c"], "give --regex or --regex-column, not both"),
        (["--schema-column", "s", "--regex-column", "c"], "give one column of constraints"),
        (["--regex", "a", "--prompt", "question"], "no column 'question', only 'prompt'"),
        (["--regex", "a", "--prompt-template", "{x"], "--prompt-template"),
        (["--regex", "a", "--prompt-template", "{x}"], "no column 'x'"),
    ],
)
def test_what_is_wrong_with_the_command_is_told_before_a_model_is_loaded(
    command: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    status, _, err = command(*arguments)
    assert status == 2
    assert message in err.replace("\n", " ")
    assert not (tmp_path / "out.jsonl").exists()


def test_the_format_of_a_file_is_told_by_its_name(tmp_path: Path, capsys: Any) -> None:
    assert main(["batch", "in.jsonl", "out.txt", "--model", "m", "--regex", "a"]) == 2
    assert "out.txt: rows are read from and written to .jsonl" in capsys.readouterr().err.replace("\n", " ")


def test_the_added_columns_are_documented() -> None:
    assert COLUMNS == ("text", "value", "finish_reason", "error")
