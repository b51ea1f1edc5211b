"""Each measurement as a function that gives rows of the table. Sizes are in `Sizes`, targets beside each row."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import PEER, Pairs, Row, Used, paired, peer_python, run, run_command, served

ABSENT = "peer not installed"


@dataclass(frozen=True)
class Sizes:
    """Records per run, pairs per comparison. million: whether the memory of a million records is measured too."""

    tickets: int = 20_000
    contacts: int = 30_000
    mails: int = 3_000
    small: int = 10_000
    large: int = 100_000
    pushed: int = 1_000
    pairs: int = 3
    starts: int = 15
    million: bool = True


QUICK = Sizes(
    tickets=5_000, contacts=3_000, mails=1_000, small=2_000, large=20_000, pushed=200, pairs=1, starts=5, million=False
)  # fmt: skip


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        yield Path(name)


def pipeline(kind: str, url: str, total: int) -> Used:
    with folder() as to:
        return run("benchmarks.pipeline", kind, url, total, to)


def fetch(kind: str, url: str, total: int) -> Used:
    return run("benchmarks.fetch", kind, url, total)


def peer(python: str, kind: str, url: str, total: int) -> Used:
    with folder() as to:
        script = Path(__file__).with_name("peer_dlt.py")
        return run_command([python, str(script), kind, url, str(total), str(to)])


def throughput(sizes: Sizes) -> Iterator[Row]:
    """P1, P2, P3 and the same for mail: our whole pipeline against dlt's load and against fetch + decode."""
    python = peer_python()
    for kind, total, what, against, rate in (
        ("desk", sizes.tickets, "ticket", "P1", "P3"),
        ("hubspot", sizes.contacts, "contact", "P2", ""),
        ("gmail", sizes.mails, "message", "", ""),
    ):
        with served(kind, total) as url:
            yield from _rate(kind, url, total, what, rate, sizes)
            yield from _peer(kind, url, total, what, against, sizes, python)


def _rate(kind: str, url: str, total: int, what: str, target: str, sizes: Sizes) -> Iterator[Row]:
    pairs = paired(lambda: fetch(kind, url, total), lambda: pipeline(kind, url, total), sizes.pairs)
    ratio = pairs.ratio(lambda u: u.net_us)
    detail = _detail("fetch + decode", "pipeline", pairs, lambda u: u.net_us, total)
    name = f"{what}: rate of the whole pipeline ÷ fetch + decode"
    yield Row(target, name, f"{ratio:.2f}", "≥ 0.5" if target else "", ratio >= 0.5 if target else None, detail)


def _peer(kind: str, url: str, total: int, what: str, target: str, sizes: Sizes, python: str | None) -> Iterator[Row]:
    limits = {"P1": 0.25, "P2": 0.33}
    goal = f"≤ {limits[target]}" if target else ""
    name = f"{what}: CPU of the whole pipeline ÷ dlt load only"
    if python is None:
        yield Row(target, name, ABSENT, goal, None, [f"set {PEER} to a Python with dlt[duckdb] and pyarrow"])
        return
    pairs = paired(lambda: pipeline(kind, url, total), lambda: peer(python, kind, url, total), sizes.pairs)
    ratio = pairs.ratio(lambda u: u.us)
    detail = _detail("pipeline", "dlt", pairs, lambda u: u.us, total)
    detail.append(f"without start-up and imports: {pairs.ratio(lambda u: u.net_us):.2f}")
    yield Row(target, name, f"{ratio:.2f}", goal, ratio <= limits[target] if target else None, detail)


def _detail(left: str, right: str, pairs: Pairs, value: Callable[[Used], float], total: int) -> list[str]:
    mine = statistics.median(value(u) for u in pairs.left)
    theirs = statistics.median(value(u) for u in pairs.right)
    return [
        f"{left} {mine:.0f} µs, {right} {theirs:.0f} µs of CPU a record; {total} records; ratios {pairs.spread(value)}"
    ]


def memory(sizes: Sizes) -> Iterator[Row]:
    """P13: peak memory of a sync, and of one ten (and a hundred) times as large. Also P7's page on the larger hub."""
    peaks = {}
    with folder() as kept:
        for total in (sizes.small, sizes.large):
            with served("desk", total) as url, folder() as other:
                to = kept if total == sizes.large else other
                peaks[total] = float(run("benchmarks.pipeline", "desk", url, total, to).said["peak_mb"])
        small, large = peaks[sizes.small], peaks[sizes.large]
        shown = f"{large:.0f} MB, {large / small:.2f}"
        is_met = large < 200 and large / small <= 1.3
        name = f"peak memory of {sizes.large:,} tickets; ÷ that of {sizes.small:,}"
        yield Row("P13", name, shown, "< 200 MB, ≤ 1.3", is_met, [f"{small:.0f} MB at {sizes.small:,}"])
        yield from looking(kept)
    if sizes.million:
        with served("desk", 1_000_000) as url, folder() as to:
            used = run("benchmarks.pipeline", "desk", url, 1_000_000, to)
        peak = float(used.said["peak_mb"])
        is_met = peak < 200 and peak / small <= 1.3
        name, shown = f"the same, 1,000,000 ÷ {sizes.small:,}", f"{peak:.0f} MB, {peak / small:.2f}"
        detail = [f"{used.wall_s:.0f} s, {used.net_us:.0f} µs of CPU a record"]
        yield Row("P13", name, shown, "< 200 MB, ≤ 1.3", is_met, detail)


def looking(kept: Path) -> Iterator[Row]:
    """Reading what the large sync stored."""
    said = run("benchmarks.look", kept, "desk").said
    ms = said["ms"]
    for what in ("page", "brief"):
        p50, p99 = ms[f"{what}, typical"]
        hot = ms[f"{what}, busiest"]
        title = "timeline page of 50" if what == "page" else "four answers"
        detail = [
            f"{p50:.1f} ms CPU, p99 {p99:.1f}; look-up {ms['bare'][0]:.3f}, p99 {ms['bare'][1]:.3f}",
            f"look-up by sqlite3 alone {ms['sqlite3'][0]:.3f} ms",
            f"busiest party {hot[0]:.1f} ms, p99 {hot[1]:.1f}: {hot[0] / p50:.2f} of a typical one",
        ]
        figure = f"{p50 / ms['bare'][0]:.0f}, p99 {p99 / ms['bare'][1]:.0f}"
        yield Row("", f"{title} ÷ look-up by key, {said['records']:,} interactions", figure, detail=detail)
    for what, title in (("search", "entries by their words"), ("find", "people by name or address")):
        p50, p99 = ms[what]
        yield Row("", f"{title}, {said['records']:,} interactions", f"{p50:.1f} ms CPU, p99 {p99:.1f}")


def start(sizes: Sizes) -> Iterator[Row]:
    """P14: the shortest commands against Python doing nothing, in turn; medians."""
    hub = str(Path(sys.executable).with_name("ihub"))
    with folder() as to:
        run_command([hub, "health", "--data-dir", str(to)], wants_json=False, allowed=(0, 1, 2, 3, 5))
        with served("desk", 1000) as url:
            run("benchmarks.pipeline", "desk", url, 1000, to)
        commands = {
            "bare": [sys.executable, "-c", "pass"],
            "help": [hub, "--help"],
            "health": [hub, "health", "--data-dir", str(to)],
        }
        spent: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(sizes.starts):
            for name, command in commands.items():
                spent[name].append(run_command(command, wants_json=False, allowed=(0, 1, 3, 5)).cpu_s * 1000)
    bare = statistics.median(spent["bare"])
    for name, limit in (("help", 3.0), ("health", 6.0)):
        ratios = [a / b for a, b in zip(spent[name], spent["bare"], strict=True)]
        ratio = statistics.median(ratios)
        detail = [f"{statistics.median(spent[name]):.0f} ms against {bare:.0f} ms of CPU; {sizes.starts} starts each"]
        shown = "--help" if name == "help" else name
        yield Row("P14", f"ihub {shown} ÷ bare Python", f"{ratio:.1f}", f"≤ {limit:.0f}", ratio <= limit, detail)


def push(sizes: Sizes) -> Iterator[Row]:
    """Plan and apply to the system of record."""
    with served("gmail", sizes.pushed) as gmail, served("hubspot", 0) as hubspot, folder() as to:
        said = run("benchmarks.push", gmail, hubspot, sizes.pushed, to).said
    per = 1000 / said["records"]
    written = ", ".join(f"{count} {kind}s" for kind, count in said["changes"].items())
    detail = [f"{written}; {said['plan_cpu_s'] / said['cpu_s']:.0%} of the CPU is the plan"]
    figure = f"{said['cpu_s'] * per:.2f} s, {said['requests'] * per:.0f} requests"
    yield Row("", "plan and apply: CPU and requests per 1,000 engagements", figure, detail=detail)


CASES: dict[str, Callable[[Sizes], Iterator[Row]]] = {
    "start": start, "throughput": throughput, "memory": memory, "push": push,
}  # fmt: skip
