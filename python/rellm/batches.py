"""Columns of prompts in, columns of texts out: for `datasets.map`, for Ray Data, and for `rellm batch`.

    complete = CompleteRows(generator, "question", r"yes|no", max_new_tokens=8)
    dataset.map(complete, batched=True, batch_size=16)

A row that fails is a row with an error: no exception of a row leaves the call, and no row costs another its text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias
from typing import Literal as OneOf

from rellm._constraints import Choice, Constraint, Regex, as_constraint
from rellm._engines.compile import compile
from rellm._generate.token_budget import check_budget

__all__ = ["COLUMNS", "CompleteRows"]

COLUMNS: Final = ("text", "value", "finish_reason", "error")
"""The added columns: the text; its value as JSON text, null if there is none; "complete", "stop" or "length", null if
no text was written; the error, null if there is none."""

ConstraintKind: TypeAlias = OneOf["regex", "schema", "grammar", "choice", "constraint"]
Columns: TypeAlias = Mapping[str, Sequence[Any]]


class CompleteRows:
    """A function from a batch of rows to the same batch with four more columns, `COLUMNS`.

    Args:
        generator: a `rellm.Generator`.
        prompt: the column of the prompts: text, chat messages, or these as JSON text that begins with `[`.
        constraint: one for all rows, or None where `constraint_column` names a column of them.
        prompt_template: text with the names of columns in braces, `"Who wrote {title}?"`, in place of the column.
        constraint_column: the column of the constraints.
        constraint_kind: the kind of its values: "regex" (patterns), "schema" (JSON Schemas as JSON text or objects),
            "grammar" (in Lark's format), "choice" (lists of strings, or these as JSON text), or "constraint" (what
            `Constraint.to_json` wrote).
        is_chat: whether a prompt of text is a user's message, for the model's chat template.
        prefix: the prefix of the names of the added columns.
        **generation: arguments of the generator's call, `max_new_tokens` among them.

    Raises:
        TypeError, ValueError: arguments contradict each other.
        RellmError: the constraint is wrong.
    """

    def __init__(
        self,
        generator: Any,
        prompt: str | None = "prompt",
        constraint: Any = None,
        *,
        prompt_template: str | None = None,
        constraint_column: str | None = None,
        constraint_kind: ConstraintKind = "regex",
        is_chat: bool = False,
        prefix: str = "",
        **generation: Any,
    ) -> None:
        if (constraint is None) == (constraint_column is None):
            raise TypeError("give one constraint for all rows, or constraint_column=: exactly one of the two")
        if constraint_kind not in _KINDS:
            raise ValueError(f"constraint_kind is one of {', '.join(map(repr, _KINDS))}, not {constraint_kind!r}")
        if prompt_template is None and prompt is None:
            raise TypeError("give the column of the prompts, or prompt_template=")
        self.generator = generator
        self.prefix = prefix
        self._prompt = prompt
        self._template = prompt_template
        self._constraint = None if constraint is None else as_constraint(constraint)
        self._column = constraint_column
        self._kind = constraint_kind
        self._is_chat = is_chat
        self._generation = generation
        if self._constraint is not None:  # fail now: an error of the common constraint is one of every row
            compile(self._constraint, generator.vocabulary)

    @property
    def added(self) -> tuple[str, ...]:
        """The names of the columns that are added."""
        return tuple(self.prefix + name for name in COLUMNS)

    def __call__(self, batch: Columns) -> dict[str, Any]:
        """Complete a batch.

        Args:
            batch: the columns, by their names, all of one length; lists or arrays.

        Returns:
            The columns with those that are added.

        Raises:
            ValueError: a column that would be added is there already; give a `prefix`.
            KeyError: a column that is asked for is missing.
        """
        taken = [name for name in self.added if name in batch]
        if taken:
            raise ValueError(
                f"the rows have a column {taken[0]!r} already: give a prefix for the columns that are added"
            )
        for name in (self._prompt if self._template is None else None, self._column):
            if name is not None and name not in batch:
                raise KeyError(f"the rows have no column {name!r}, only {', '.join(map(repr, batch))}")
        count = len(next(iter(batch.values()))) if batch else 0
        done = self.rows([{name: _plain(column[i]) for name, column in batch.items()} for i in range(count)])
        added: dict[str, Any] = {name: [] for name in self.added}
        for row in done:
            for name in COLUMNS:
                value = row[name]
                if name == "value" and value is not None:
                    value = json.dumps(value, ensure_ascii=False)
                added[self.prefix + name].append(value)
        return {**batch, **added}

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The added columns of each of these rows, without the prefix; the value as plain JSON data."""
        found: list[dict[str, Any] | None] = [None] * len(rows)
        ready: list[tuple[int, Any, Any]] = []
        for number, row in enumerate(rows):
            try:
                ready.append((number, self._prompt_of(row), self._compiled(row)))
            except Exception as error:
                found[number] = _failed(error)
        # Texts and chats cannot stand in one call.
        for group in ([r for r in ready if isinstance(r[1], str)], [r for r in ready if not isinstance(r[1], str)]):
            for number, done in zip([r[0] for r in group], self._written(group), strict=True):
                found[number] = done
        return [row for row in found if row is not None]

    def _written(self, group: list[tuple[int, Any, Any]]) -> list[dict[str, Any]]:
        if not group:
            return []
        try:
            done = self.generator([r[1] for r in group], [r[2] for r in group], **self._generation)
        except Exception as error:
            if len(group) == 1:
                return [_failed(error)]
            # The failure of one row must not fail the others: write each of them alone.
            return [row for one in group for row in self._written([one])]
        return [_row_of(completion) for completion in done]

    def _prompt_of(self, row: Mapping[str, Any]) -> Any:
        if self._template is not None:
            prompt: Any = self._template.format_map(row)
        else:
            prompt = row.get(self._prompt or "")
            if isinstance(prompt, str) and prompt.lstrip().startswith("[{"):
                try:
                    prompt = json.loads(prompt)
                except ValueError:
                    pass  # a text that only looks like messages
        if isinstance(prompt, str):
            return [{"role": "user", "content": prompt}] if self._is_chat else prompt
        if isinstance(prompt, (list, tuple)) and prompt and all(isinstance(message, Mapping) for message in prompt):
            return [dict(message) for message in prompt]
        raise TypeError(f"the prompt is {_shown(prompt)}: a text or a list of messages was expected")

    def _compiled(self, row: Mapping[str, Any]) -> Any:
        constraint = self._constraint
        if self._column is not None:
            given = row.get(self._column)
            if given is None or given == "":
                raise ValueError(f"there is no constraint in the column {self._column!r}")
            text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            constraint = _constraint_of(self._kind, text)
        compiled = compile(constraint, self.generator.vocabulary)
        most = self._generation.get("max_new_tokens")
        if most is not None:
            check_budget(compiled.matcher(), most, "max_new_tokens")
        return compiled


@lru_cache(maxsize=1024)
def _constraint_of(kind: ConstraintKind, text: str) -> Constraint:
    constraint: Constraint = _KINDS[kind](text)
    return constraint


def _schema(text: str) -> Constraint:
    from rellm._constraints.json_schema import JsonSchema

    return JsonSchema(text, on_unsupported="report")


def _grammar(text: str) -> Constraint:
    from rellm._constraints.grammar.context_free import Grammar

    return Grammar(text)


_KINDS: Final[Mapping[str, Any]] = {
    "regex": Regex,
    "schema": _schema,
    "grammar": _grammar,
    "choice": lambda text: Choice(json.loads(text)),
    "constraint": Constraint.from_json,
}


def _row_of(completion: Any) -> dict[str, Any]:
    value, error = None, None
    try:
        value = as_json_data(completion.value)
    except Exception as refused:
        error = _told(refused)
    return {"text": completion.text, "value": value, "finish_reason": completion.finish_reason, "error": error}


def _failed(error: BaseException) -> dict[str, Any]:
    return {"text": getattr(error, "text", None) or None, "value": None, "finish_reason": None, "error": _told(error)}


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:2000]


def _shown(value: Any) -> str:
    return "missing" if value is None else f"{type(value).__name__} {value!r:.60}"


def _plain(value: Any) -> Any:
    """Of an array of numpy or pyarrow, what Python has for it."""
    if hasattr(value, "as_py"):
        value = value.as_py()
    if hasattr(value, "tolist"):
        value = value.tolist()
    return value


def as_json_data(value: Any) -> Any:
    """A value as plain JSON data: models as objects, dates and decimals as text."""
    import dataclasses
    import enum
    import math

    if isinstance(value, enum.Enum):
        return as_json_data(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): as_json_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json_data(item) for item in value]
    return str(value)
