"""Fields and permissions kept equal over the made-up company's five tools: settled, then again and again with nobody editing.

    python -m benchmarks.evidence.two_way [--cycles 100]

HubSpot owns the telephone number, which Zendesk and Mailchimp are told; job titles go by precedence; city by what changed; an
opt-out at Mailchimp reaches HubSpot.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from hub import settings as config
from hub.cli import stage
from hub.demo import Company
from hub.engine import Engine, push
from hub.reports import state_hash
from tests.e2e.checks import Figure, show

RULES = """
[consent]
write_to = ["hubspot", "mailchimp"]

[fields.person.phone]
owner = "hubspot"
write_to = ["zendesk", "mailchimp"]

[fields.person.first_name]
precedence = ["hubspot", "mailchimp"]
write_to = ["hubspot", "mailchimp"]
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cycles", type=int, default=100)
    options = parser.parse_args()
    began = time.monotonic()
    company = Company.build(end=datetime.now(UTC).replace(minute=0, second=0, microsecond=0))
    with tempfile.TemporaryDirectory() as folder, stage.tools(company) as running:
        path = stage.configure(Path(folder), company, {name: r.url.rstrip("/") for name, r in running.items()})
        path.write_text(path.read_text(encoding="utf-8").replace(stage.TOLD, RULES), encoding="utf-8")
        engine = Engine.open(config.load(path))
        rounds = settle(engine)
        print(f"{sum(sum(r.values()) for r in rounds)} changes in {len(rounds)} rounds: {rounds}")
        states, changes = set(), 0
        for _ in range(options.cycles):
            changes += sum(cycle(engine).values())
            with engine.store.read() as c:
                states.add(state_hash(c))
        conflicts = len(push.conflicts(engine))
        engine.close()
    print(f"{options.cycles} cycles in {time.monotonic() - began:.0f} s")
    figures = [
        Figure("connections written to", len(rounds[0]), 3),
        Figure("changes planned after settling", changes, 0),
        Figure("distinct states", len(states), 1),
        Figure("fields in conflict", conflicts, 0),
    ]
    return 0 if show(figures, title="two ways, nobody edits") else 1


def settle(engine: Engine, most: int = 6) -> list[dict[str, int]]:
    """Cycles until one changes nothing; what each changed by connection."""
    rounds = []
    for _ in range(most):
        rounds.append(cycle(engine))
        if not any(rounds[-1].values()):
            return rounds
    raise SystemExit(f"not settled after {most} rounds: {rounds}")


def cycle(engine: Engine) -> dict[str, int]:
    """Everything pulled, everything due written; changes by connection."""
    for name in engine.names():
        result = asyncio.run(engine.sync(name))
        if result.exit_code:
            raise SystemExit(f"{name}: {result.status}: {result.detail}")
    done = {}
    for name in push.destinations(engine):
        plan = push.plan(engine, name)
        done[name] = plan.changes
        if plan.id:
            push.approve(engine, plan.id, "the evidence")
            applied = asyncio.run(push.apply(engine, plan.id)).applied
            if applied.failures:
                raise SystemExit(f"{name}: {applied.failures[:3]}")
    return done


if __name__ == "__main__":
    sys.exit(main())
