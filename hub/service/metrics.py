"""How the hub is doing, in figures for a monitor (Prometheus' kinds of them)."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from hub import hooks, reports
from hub.access.roles import HEALTH_READ
from hub.reports import issues, metrics
from hub.service.desk import Desk

Labels = dict[str, str]
PLANS = ("draft", "held", "approved", "applying", "partly", "applied", "undone", "rejected", "superseded")
CHANGES = ("due", "sent", "done", "failed", "skipped")


class Family(NamedTuple):
    """kind: "gauge", or "counter" for what only rises; its name ends with _total then."""

    name: str
    kind: str
    help: str
    values: list[tuple[Labels, float]]


def families(desk: Desk) -> list[Family]:
    """All figures. Labels are names of connections and streams, and words of few values: nobody's name, no address."""
    with desk.reading(HEALTH_READ) as (c, _):
        found = reports.health(c, list(desk.engine.settings.connections), desk.now)
        counted = metrics.figures(c)
    streams = [
        ({"connection": x["connection"], "stream": s["stream"]}, s) for x in found["connections"] for s in x["streams"]
    ]
    weights = Counter(issues.advised(i)["weight"] for i in found["issues"])
    return [
        _gauge("stream_lag_seconds", "Seconds since everything of a stream was in; a stream never read to its end has none.",
               ((of, (desk.now - s["last_good_at"]).total_seconds()) for of, s in streams if s["last_good_at"])),
        _gauge("stream_status", "1 for the status a stream is in.", (({**of, "status": s["status"]}, 1) for of, s in streams)),
        _gauge("records", "Records of a stream, by what became of them last.",
               (({**of, "disposition": d}, n) for of, s in streams for d, n in sorted(s["records"].items()))),
        _gauge("quarantined_records", "Records that could not be taken in.", ((of, s["quarantined"]) for of, s in streams)),
        _gauge("missing_records", "Records the tool counted that were not held, at the last count.",
               ((of, s["census"]["missing"]) for of, s in streams if s["census"])),
        _gauge("issues_open", "Open issues, by whether something stands still until somebody acts.",
               (({"weight": w}, weights[w]) for w in issues.WEIGHTS)),
        _gauge("holds_open", "Decisions that the brake waits for.", [({}, len(found["holds"]))]),
        _gauge("plans", "Plans, by status; draft and held ones wait for a person.", _each("status", PLANS, counted["plans"])),
        _gauge("changes", "Changes of plans that are not over, by state.", _each("state", CHANGES, counted["changes"])),
        _gauge("hook_deliveries", "Webhooks, by state.", _each("state", hooks.STATES, counted["deliveries"])),
        _counter("runs", "Runs that ended, by how.",
                 (({"connection": n, "kind": kind, "status": s}, count) for n, kind, s, count in counted["runs"])),
        _counter("records_read", "Records that tools gave.", (({"connection": n}, seen or 0) for n, seen, _ in counted["read"])),
        _counter("requests", "Requests to tools that read.", (({"connection": n}, asked or 0) for n, _, asked in counted["read"])),
        _counter("records_written", "Changes sent to tools, by outcome.",
                 (({"connection": n, "outcome": o}, count) for n, o, count in counted["written"])),
    ]  # fmt: skip


def _gauge(name: str, help: str, values: Iterable[tuple[Labels, float]]) -> Family:
    return Family(f"ihub_{name}", "gauge", help, list(values))


def _counter(name: str, help: str, values: Iterable[tuple[Labels, float]]) -> Family:
    return Family(f"ihub_{name}_total", "counter", help, list(values))


def _each(label: str, words: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> list[tuple[Labels, float]]:
    """Every word, 0 where there is none: a figure that comes and goes cannot be watched."""
    counted = {word: n for word, n in rows}
    return [({label: word}, counted.get(word, 0)) for word in (*words, *sorted(set(counted) - set(words)))]
