"""The matrix of clauses and connectors, and each connector's level, computed from results and never typed in.

As a pytest plugin (`-p hub.testing.matrix`) it prints the matrix after the tests, and lets the run fail when a connector
ships other results than these. As a command it runs the conformance tests of some paths and prints nothing else; with
`--write` it puts the results into the connectors' packages, where `ihub connectors` finds them:

    python -m hub.testing.matrix plugins/*/tests/test_conformance.py --write
"""

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from hub.testing.badge import FILE, stale, to_json, write
from hub.testing.suite import CYCLES, PROPERTY
from hub.testing.suite_result import CLAUSES, Result, level, merged

SIGNS = {"passed": "yes", "exempt": "-", "open": "open", "failed": "NO"}


def render(results: Iterable[Result], *, is_full: bool = True) -> str:
    """One row per connector, one column per clause; below it what is not simply kept, in words.

    is_full: clauses nobody ran count as failed; else (some tests deselected) they are left blank.
    """
    given = list(results)
    names = sorted({r.connector for r in given})
    width = max([len(n) for n in names] + [9])
    head = " " * width + "  " + " ".join(f"{c.id:>4}" for c in CLAUSES)
    lines, words = [head + "  level"], []
    for name in names:
        run = {r.clause for r in given if r.connector == name}
        rows = {r.clause: r for r in merged(name, given) if is_full or r.clause in run}
        signs = (f"{SIGNS[rows[c.id].outcome] if c.id in rows else '':>4}" for c in CLAUSES)
        exempt = sum(row.outcome == "exempt" for row in rows.values())
        reached = (level(list(rows.values())) or "none") + (f" ({exempt} exempt)" if exempt else "")
        lines.append(f"{name:<{width}}  {' '.join(signs)}  {reached}")
        for clause in CLAUSES:
            row = rows.get(clause.id)
            if row is None or (row.outcome == "passed" and not row.notes):
                continue
            said = [f"{row.outcome}: {row.detail}"] if row.outcome != "passed" else []
            words.append(f"{name} {clause.id} {clause.name}: {'; '.join((*said, *row.notes))}")
    return "\n".join([*lines, *([""] if words else []), *words])


# As a pytest plugin


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput") or not _is_whole(session.config, reporter):
        return
    if stale(_reported(reporter.stats)) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    results = _reported(terminalreporter.stats)
    if not results:
        return
    is_full = _is_whole(terminalreporter.config, terminalreporter)
    terminalreporter.section("connector conformance")
    terminalreporter.write_line(render(results, is_full=is_full))
    for name in stale(results) if is_full else ():
        text = f"hub_{name}/{FILE} says something else: `python -m hub.testing.matrix ... --write` renews it"
        terminalreporter.write_line(text, red=True, bold=True)


def _is_whole(config: pytest.Config, reporter: Any) -> bool:
    """Whether connectors' tests ran as files, with none picked out or left out."""
    return not reporter.stats.get("deselected") and not any("::" in arg for arg in config.args)


def _reported(stats: dict[str, Sequence[Any]]) -> list[Result]:
    """The results out of the test reports, which travel through xdist as well."""
    reports = [r for rows in stats.values() for r in rows if getattr(r, "when", "") == "call"]
    return [Result.of(value) for r in reports for key, value in r.user_properties if key == PROPERTY]


# As a command


class _Collector:
    def __init__(self) -> None:
        self.results: list[Result] = []
        self.errors: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            self.results += [Result.of(value) for key, value in report.user_properties if key == PROPERTY]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.errors.append(str(report.longreprtext))


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when no clause failed, 1 when one did, 2 when nothing could be run."""
    parser = argparse.ArgumentParser(prog="python -m hub.testing.matrix", description="the connectors' conformance")
    parser.add_argument("paths", nargs="+", help="test files or folders with conformance tests")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--write", action="store_true", help=f"put them into the connectors' packages as {FILE}")
    parser.add_argument(
        "--cycles", type=int, metavar="N", help="of pull and push in W7 (25, where a suite says no other)"
    )
    args = parser.parse_args(argv)
    if args.cycles:
        os.environ[CYCLES] = str(args.cycles)
    collector = _Collector()
    with contextlib.redirect_stdout(io.StringIO()):
        quietly = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
        pytest.main([*quietly, "-k", "test_clause", *args.paths], plugins=[collector])
    if collector.errors or not collector.results:
        print("\n".join(collector.errors) or "no conformance tests found", file=sys.stderr)
        return 2
    results = collector.results
    for path in write(results) if args.write else ():
        print(f"written: {path}", file=sys.stderr)
    print(json.dumps(to_json(results), indent=1, sort_keys=True) if args.json else render(results))
    return int(any(r.outcome == "failed" for r in results))


if __name__ == "__main__":
    sys.exit(main())
