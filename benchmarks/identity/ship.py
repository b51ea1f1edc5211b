"""`python -m benchmarks.identity.ship`: learns the model that ships (hub/identity/match/data/model.json) and writes it.

Run it again after a change of `fields.PARTS`, of how a field compares, or of what is learnt; a test says when it is due.
"""

import json
from pathlib import Path
from random import Random

import hub.identity.match
from benchmarks.identity.sets import generated
from hub.identity.match.batch import batch
from hub.identity.match.learn import strangers
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.record import Record, prepare

RECORDS = 20_000
_STREETS_WORDS = "high station park mill church king queen lake forest garden bridge market river spring hill castle"
_STREETS = _STREETS_WORDS.split()


def spread(n: int) -> list[Record]:
    """Records with the fields that the generated ones lack, values drawn evenly: made to see how strangers agree in them."""
    draw, found = Random(7), []
    for i in range(n):
        given = {
            "born": f"{draw.randrange(1930, 2011)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}",
            "number": str(draw.randrange(10**8, 10**9)),
            "postcode": str(draw.randrange(10_000, 100_000)),
            "address": f"{draw.randrange(1, 200)} {draw.choice(_STREETS)} {draw.choice(('street', 'road', 'lane'))}",
            "region": f"region {draw.randrange(16)}",
            "gender": draw.choice(("f", "m")),
        }
        found.append(prepare(f"s{i}", given))
    return found


def shipped() -> dict[str, object]:
    """The state to ship, numbers cut to four digits: half of what was learnt and half of `fields.PARTS`, because invented
    people are no real ones. Middle names disagree among strangers as first names do."""
    people, organizations, settings = generated(RECORDS), generated(RECORDS, organizations=True), Settings()
    model, before = batch(people.records, settings)[1], Model(settings, Counts())
    others = Model(settings, Counts())
    strangers(others, [*spread(RECORDS), *organizations.records])
    u = others.u | model.u
    given = u["given"]
    u["middle"] = {"same": given["same"], "initial": given["initial"], "alike": given["slip"] + given["nickname"]}
    u["middle"]["other"] = 1 - sum(u["middle"].values())
    m = {p: {lv: (share + before.m[p][lv]) / 2 for lv, share in levels.items()} for p, levels in model.m.items()}
    state = {"m": m, "u": u, "shared": {p: (share + before.shared[p]) / 2 for p, share in model.shared.items()}}
    return {
        **{k: {p: _short(v) for p, v in sorted(parts.items())} for k, parts in state.items()},
        "partners": float(f"{(model.partners + before.partners) / 2:.3g}"),
    }


def _short(value: float | dict[str, float]) -> object:
    return {k: float(f"{v:.4g}") for k, v in value.items()} if isinstance(value, dict) else float(f"{value:.4g}")


def main() -> None:
    path = Path(hub.identity.match.__file__).parent / "data" / "model.json"
    path.write_text(json.dumps(shipped(), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
