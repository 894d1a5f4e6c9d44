"""Reports of a constraint: an entry for each rule that is enforced, approximated or not enforced, or looks wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from typing import Literal as OneOf

Status: TypeAlias = OneOf["enforced", "approximated", "not enforced", "annotation", "suspicious"]
Direction: TypeAlias = OneOf["wider", "narrower"]

STATUSES: Final[tuple[Status, ...]] = ("enforced", "approximated", "not enforced", "annotation", "suspicious")


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """One rule of a constraint, and whether it is enforced.

    Attributes:
        pointer: its place: a JSON pointer into a schema, or into the tree of a combined constraint (`/parts/0`); the
            empty string is the constraint itself.
        keyword: the keyword of a schema, or the construct of a pattern.
        status: "enforced"; "approximated": another language is enforced; "not enforced"; "annotation": it constrains
            nothing; "suspicious": it is enforced as written, and probably something else was meant.
        why: the reason, in a sentence.
        remedy: what to do about it, or None.
        direction: of an approximation: "wider" allows more than was asked for, "narrower" less.
        position: its position in the text of a pattern or grammar, in code points, or None.
    """

    pointer: str
    keyword: str
    status: Status
    why: str = ""
    remedy: str | None = None
    direction: Direction | None = None
    position: int | None = None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status is one of {', '.join(STATUSES)}, not {self.status!r}")

    def __str__(self) -> str:
        where = self.pointer or "the constraint"
        if self.position is not None:
            where += f", position {self.position}"
        status = self.status if self.direction is None else f"{self.status} ({self.direction})"
        words = f"{where}: {self.keyword}: {status}"
        if self.why:
            words += f": {self.why}"
        return f"{words}; {self.remedy}" if self.remedy else words


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `Constraint.report`: a sequence of `ReportEntry`.

    Attributes:
        entries: the entries, in the order of the constraint.
    """

    entries: tuple[ReportEntry, ...] = ()

    def __init__(self, entries: Iterable[ReportEntry] = ()) -> None:
        object.__setattr__(self, "entries", tuple(entries))

    @property
    def is_exact(self) -> bool:
        """Whether every rule is enforced exactly: none is approximated, none left out."""
        return not any(entry.status in ("approximated", "not enforced") for entry in self.entries)

    def under(self, pointer: str) -> Report:
        """The same entries, for a part at this pointer."""
        return Report(replace(entry, pointer=pointer + entry.pointer) for entry in self.entries)

    def to_json(self) -> str:
        """The report as JSON text: `{"is_exact": …, "entries": [{"pointer": …, "keyword": …, …}]}`."""
        import json

        entries = [{name: getattr(entry, name) for name in ReportEntry.__slots__} for entry in self.entries]
        return json.dumps({"is_exact": self.is_exact, "entries": entries})

    def __iter__(self) -> Iterator[ReportEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries)) or "nothing to report: exactly this is enforced"
