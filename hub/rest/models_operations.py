"""What is said of connections, streams, runs, and reports."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from hub.rest.models import Count, Model


class Books(Model):
    """What became of every record of a run: all but `seen` add up to it."""

    seen: Count
    new: Count = 0
    updated: Count = 0
    unchanged: Count = 0
    duplicate: Count = 0
    excluded: Count = 0
    private: Count = 0
    held: Count = 0
    failed: Count = 0
    deleted: Count = 0
    rules: dict[str, Count] = Field(default_factory=dict)
    is_balanced: bool = True


class Census(Model):
    """The tool's own count beside ours."""

    taken_at: datetime
    at_source: Count
    held: Count
    missing: Count
    surplus: Count
    explained: dict[str, Any]


class Stream(Model):
    stream: str
    status: str
    detail: str
    last_good_at: datetime | None
    last_try_at: datetime | None
    waiting_until: datetime | None
    backfilled_at: datetime | None
    books: Books | None = Field(description="of its last run that read anything")
    records: dict[str, Count] = Field(description="as they stand, by what became of them")
    quarantined: Count
    census: Census | None


class Connection(Model):
    connection: str
    connector: str
    label: str
    status: str
    streams: list[Stream]
    next_at: datetime | None


class Issue(Model):
    """Something that waits for a person, or for a tool. connection: or what else it is about."""

    connection: str | None
    stream: str | None
    cause: str
    detail: str
    opened_at: datetime
    last_seen_at: datetime
    times: Count


class Hold(Model):
    hold: int
    kind: str
    connection: str | None
    stream: str | None
    detail: str
    opened_at: datetime
    records: Count


class Outbox(Model):
    """The newest plan, and what of it is done."""

    plan: int
    status: str
    created_at: datetime
    applied_at: datetime | None
    changes: dict[str, Count]


class Health(Model):
    """status: the worst of all. Connections and streams: worst first. balanced: all books add up."""

    status: str
    as_of: datetime
    connections: list[Connection]
    issues: list[Issue]
    holds: list[Hold]
    outbox: Outbox | None
    balanced: bool


class Advised(Issue):
    """weight: stopped (nothing comes in until somebody acts), attention (somebody should look), watch (goes on by itself)."""

    weight: Literal["stopped", "attention", "watch"]
    means: str
    do: str


class Issues(Model):
    issues: list[Advised]


class Quarantined(Model):
    """fix: what would take it in. is_kept: whether its raw form is here."""

    connection: str
    stream: str
    external_id: str
    reason: str
    failed_at: datetime
    first_seen_at: datetime
    attempts: Count
    is_kept: bool
    fix: str


class Quarantine(Model):
    """next: give it as `before` for the page behind this one; empty on the last. by_connection: how many each has in all."""

    records: list[Quarantined]
    next: str
    by_connection: dict[str, Count]


class Released(Model):
    hold: int
    removed: Count


class Standing(Model):
    """A connection of the settings, without its secrets. todo: what a person does next."""

    connection: str
    connector: str
    title: str
    label: str
    state: str
    told: str
    todo: str
    detail: str
    is_private: bool
    owner: str
    last_good_at: datetime | None
    checked_at: datetime | None


class Standings(Model):
    connections: list[Standing]
    system_of_record: str


class ConnectionShown(Standing):
    """settings: as in hub.toml, secrets left out. secrets: where each is kept. allowed: what the hub may do there."""

    settings: dict[str, Any]
    secrets: dict[str, str]
    allowed: dict[str, Any]


class Run(Model):
    """books: what became of its records, those that are not 0. rules: what each rule of the policy, or reason, took of them."""

    run: int
    connection: str
    stream: str
    kind: str
    started_at: datetime
    ended_at: datetime | None
    seconds: float
    status: str
    error: str
    seen: Count
    books: dict[str, Count]
    rules: dict[str, Count]
    is_balanced: bool | None
    pages: Count
    requests: Count
    units: Count


class RunShown(Run):
    """noted: what was written down meanwhile."""

    noted: list[dict[str, Any]]


class Runs(Model):
    runs: list[Run]
    next: int | None


class Week(Model):
    name: str
    monday: date
    is_now: bool


class Cell(Model):
    """covered: the smallest share a count of the week found held. found: records missing at the worst; open: still missing."""

    state: str
    covered: float | None
    found: int
    open: int
    counts: Count


class StreamCovered(Model):
    """cells: one a week, in the order of the weeks."""

    connection: str
    stream: str
    counted_at: datetime | None
    can_be_counted: bool
    cells: list[Cell]


class Coverage(Model):
    """weeks: newest first. earlier, later: the `until` of the pages beside this one, empty where there is none."""

    weeks: list[Week]
    streams: list[StreamCovered]
    as_of: datetime
    earlier: str
    later: str


class StreamReplayed(Books):
    connection: str
    stream: str
    status: str
    detail: str


class StreamSynced(Books):
    stream: str
    status: str
    detail: str
    requests: Count


class Replayed(Model):
    streams: list[StreamReplayed]


class Synced(Model):
    """exit_code: 0 all done, others as in the command line's reference."""

    connection: str
    status: str
    exit_code: Count
    detail: str
    streams: list[StreamSynced]


# Reports.


class Column(Model):
    """kind: what its values are. is_told: texts that come from outside, never to be taken for words of ours."""

    name: str
    title: str
    kind: str
    unit: str
    is_told: bool = False


class ReportAbout(Model):
    """parameters: JSON Schema. left_out: what a reader might think is in it."""

    name: str
    title: str
    sentence: str
    version: int
    left_out: list[str]
    parameters: dict[str, Any]
    columns: list[Column]


class ReportPage(Model):
    reports: list[ReportAbout]


class Fresh(Model):
    connection: str
    as_of: datetime | None


class Report(Model):
    """rows: a value for each column. total: rows there are, which may be more."""

    report: str
    title: str
    sentence: str
    version: int
    asked_at: datetime
    fresh_as_of: datetime | None
    connections: list[Fresh]
    parameters: dict[str, Any]
    figures: dict[str, Any]
    columns: list[Column]
    rows: list[dict[str, Any]]
    total: Count
    notes: list[str]
    left_out: list[str]
