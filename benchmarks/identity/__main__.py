"""`python -m benchmarks.identity [SET...]`: each labelled set, our figures beside the floor, the moonshot and the best peer."""

import argparse
import json
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.identity.sets import SETS
from benchmarks.measure import busyness, run
from hub.identity.match.model import Settings

QUICK = ("fake_1000", "Fodors-Zagats", "febrl1", "febrl3")
SHUFFLED = frozenset({"fake_1000", "Fodors-Zagats", "febrl1", "febrl3", "generated_10k"})
TIMES = 5


@dataclass(frozen=True)
class Target:
    """F1 of the final clusters: floor, moonshot, best peer. largest: allowed. recall: automatic, floor and moonshot."""

    floor: float = 0.0
    moonshot: float = 0.0
    peer: str = ""
    largest: int = 0
    recall: tuple[float, float] = (0.0, 0.0)


TARGETS = {
    "febrl3": Target(0.998, 0.9995, ".9994 goldenmatch, .9991 splink", recall=(0.995, 0.997)),
    "febrl4": Target(0.999, 0.9998, ".9993 splink"),
    "fake_1000": Target(0.93, 0.97, ".921 splink, .953-.970 dedupe with 100 labels", 8, (0.676, 0.80)),
    "historical_50k": Target(0.85, 0.90, ".841 goldenmatch, .829 splink", 40, (0.349, 0.50)),
    "Fodors-Zagats": Target(0.96, 0.99, ".940 splink, .982 dedupe with labels"),
    "generated_10k": Target(peer=".747 splink"),
    "generated_100k": Target(0.85, 0.93, "automatic: .746 splink, .784 keys and veto, .825 prototype"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__)
    parser.add_argument("set", nargs="*", choices=[[], *SETS], help=f"{', '.join(SETS)}; all if left out")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    options = parser.parse_args()
    before, found = busyness(), {}
    if not options.json:
        print(f"one configuration for all sets: {Settings().hash} (hub/identity/match: Settings and PARTS)\n")
    for name in options.set or (QUICK if options.quick else SETS):
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            said = run("benchmarks.identity.one", name, "--shuffles", TIMES if name in SHUFFLED else 0).said
        except RuntimeError as exc:  # one set that is not there must not hide the others
            print(f"{name}: not measured: {str(exc).splitlines()[-1]}", file=sys.stderr)
            continue
        found[name] = said
        if not options.json:
            print("\n".join(lines(name, said)), flush=True)
    if options.json:
        print(json.dumps({"before": before, "after": busyness(), "sets": found}, indent=2))
    else:
        print(f"\nbefore: {before}\nafter:  {busyness()}")
    return 0


def lines(name: str, said: dict[str, Any]) -> list[str]:
    target, every, auto = TARGETS.get(name, Target()), said["all"], said["auto"]
    shown = auto if name.startswith("generated") else every
    aims = f"floor {target.floor:.4g} · moonshot {target.moonshot:.4g} · " if target.floor else ""
    peer = f"best peer {target.peer}" if target.peer else ""
    out = [
        f"{name:<15} F1 {shown['f1']:.4f}  {verdict(shown['f1'], target.floor, target.moonshot):<9} {aims}{peer}",
        (
            f"    likelier than not: P {every['p']:.4f} R {every['r']:.4f} F1 {every['f1']:.4f}, "
            f"largest {every['largest']} (true {every['largest_true']}{f', allowed {target.largest}' if target.largest else ''})"
        ),
        f"    automatic:         P {auto['p']:.4f} R {auto['r']:.4f} F1 {auto['f1']:.4f}, largest {auto['largest']}",
        (
            f"    pairs: recall {said['recall_at_999']:.3f} at P .999 {verdict(said['recall_at_999'], *target.recall)}, "
            f"{said['recall_at_99']:.3f} at P .99, best F1 {said['best_pairs_f1']:.4f} (at the weight that suits the truth)"
        ),
        f"    {said['records'] / said['batch_cpu_s']:,.0f} records per CPU second, learning included; peak {said['peak_mb']:,.0f} MB",
    ]
    if "ari" in said:
        out.append(
            f"    online, {TIMES} orders: F1 {said['online_f1']:.4f} P {said['online_p']:.4f} at least; "
            f"agreement (ARI) {said['ari']:.4f}; {said['online_rec_s']:,.0f} records per CPU second"
        )
    return out


def verdict(figure: float, floor: float, moonshot: float) -> str:
    if not floor:
        return ""
    return "moonshot" if figure >= moonshot else "floor" if figure >= floor else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
