"""What a report is: one definition, from which the page, the CSV file, the JSON rows and the chart are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.seen import Seen, everything

Kind = Literal[
    "text", "whole", "number", "money", "share", "seconds", "days", "instant", "date", "week", "flag", "id", "url",
]  # fmt: skip


class BadParameter(ValueError):
    """A value a report does not take. name: the parameter's; the message says what it takes instead."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


@dataclass(frozen=True)
class Parameter:
    """Something a report can be asked with. default: of a date, days before today; of anything else the value itself.

    least, most: bounds of whole numbers; of text, of its length. `kind` "customer": a public id of a person or a company.
    """

    name: str
    title: str
    kind: Literal["whole", "date", "choice", "zone", "customer"]
    sentence: str
    default: Any
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()

    def read(self, given: Any, today: date) -> Any:
        """The value, typed. given: text as it came from outside, a value of the right type, or None for the default.

        Raises BadParameter.
        """
        if given is None or given == "":
            return today - timedelta(days=self.default) if self.kind == "date" else self.default
        if self.kind == "whole":
            return self._whole(given)
        if self.kind == "date":
            return self._date(given)
        if not isinstance(given, str) or len(given) > 64:
            raise BadParameter(self.name, "a short text is wanted")
        if self.kind == "choice" and given not in self.choices:
            raise BadParameter(self.name, f"one of {', '.join(self.choices)} is wanted")
        if self.kind == "zone":
            return zone_of(given, self.name)
        return given

    def _whole(self, given: Any) -> int:
        text = given if isinstance(given, str) else str(given) if type(given) is int else ""
        if not (text.isascii() and text.isdecimal() and len(text) <= 9 and self.least <= int(text) <= self.most):
            raise BadParameter(self.name, f"a whole number from {self.least} to {self.most} is wanted")
        return int(text)

    def _date(self, given: Any) -> date:
        try:
            found = given if type(given) is date else date.fromisoformat(given)
        except (TypeError, ValueError) as exc:
            raise BadParameter(self.name, "a date is wanted, such as 2026-01-31") from exc
        if not 1990 <= found.year <= 2100:
            raise BadParameter(self.name, "a year from 1990 to 2100 is wanted")
        return found

    def schema(self) -> dict[str, Any]:
        """As JSON Schema, for OpenAPI and tool descriptions."""
        found: dict[str, Any] = {"title": self.title, "description": self.sentence}
        if self.kind == "whole":
            return found | {"type": "integer", "minimum": self.least, "maximum": self.most, "default": self.default}
        found["type"] = "string"
        if self.kind == "date":
            return found | {"format": "date"}
        if self.kind == "choice":
            return found | {"enum": list(self.choices), "default": self.default}
        return found | {"maxLength": 64}


@lru_cache(maxsize=256)
def zone_of(name: str, parameter: str = "zone") -> ZoneInfo:
    """Raises BadParameter."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as exc:  # no such zone; and what odd names do
        raise BadParameter(parameter, "a time zone is wanted, such as Europe/Berlin") from exc


ZONE = Parameter("zone", "Time zone", "zone", "whose days and weeks are meant; else the hub's own", None)


@dataclass(frozen=True)
class Column:
    """kind: what its values are: "seconds" and "days" are spans, "share" is from 0 to 1, "money" a decimal number as text.

    is_told: a text some source gave, such as a name: never to be taken for words of ours. about: the column whose id the
    text stands for. of: what an "id" names, "customer" or "entry". unit: for whoever reads the bare number.
    """

    name: str
    title: str
    kind: Kind
    unit: str = ""
    is_told: bool = False
    about: str = ""
    of: Literal["", "customer", "entry"] = ""


@dataclass(frozen=True)
class Chart:
    """shape: "columns" stand side by side and their parts upon each other, "bars" lie: one below the other.

    is_stacked: parts add up; else each is a bar of its own. kind: what the values are. title: of the values.
    """

    shape: Literal["columns", "bars"]
    title: str
    kind: Kind
    is_stacked: bool = True


@dataclass(frozen=True)
class Figure:
    """One number above the table. `value` None: it cannot be told."""

    name: str
    title: str
    value: Any
    kind: Kind


@dataclass(frozen=True)
class Asked:
    """One question: the values are typed and complete. now: aware UTC."""

    c: Connection
    now: datetime
    zone: tzinfo
    values: Mapping[str, Any]
    seen: Seen = everything

    @property
    def sees_all(self) -> bool:
        """Then figures kept for all rows together hold."""
        return self.seen is everything

    def visible(self, *tables: sa.FromClause) -> "list[sa.ColumnElement[bool]]":
        """Conditions that leave the rows of these tables which the asker sees."""
        return [] if self.sees_all else [self.seen(table) for table in tables]

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()


@dataclass(frozen=True)
class Found:
    """rows: a value for each column. total: rows there are, which may be more. bars: (label, part -> value), in order."""

    rows: list[dict[str, Any]]
    figures: list[Figure]
    total: int
    bars: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """version: raised whenever the same rows would give another figure. left_out: what a reader might think is in it.

    empty: what to do when there is nothing to show. beside: the report that is shown with it.
    """

    name: str
    title: str
    sentence: str
    version: int
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    query: Callable[[Asked], Found]
    chart: Chart
    left_out: tuple[str, ...]
    empty: str
    beside: str = ""

    def read(self, given: Mapping[str, Any], now: datetime, zone: tzinfo) -> dict[str, Any]:
        """Every parameter's value. Raises BadParameter, also for a parameter the report has not."""
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                takes = f"takes {', '.join(known)}" if known else "takes none"
                raise BadParameter(str(name)[:64], f"the report {self.name} has no such parameter: it {takes}")
        values: dict[str, Any] = {}
        if "zone" in known:
            values["zone"] = zone = known["zone"].read(given.get("zone"), now.date()) or zone
        today = now.astimezone(zone).date()
        return values | {p.name: p.read(given.get(p.name), today) for p in self.parameters if p.name != "zone"}
