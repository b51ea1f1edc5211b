"""The rows of the table: what is measured, what it is held against, and what the peers gave.

Figures of peers "elsewhere" were measured once on two shared cores (Splink 5.0, dedupe 3.0.3, goldenmatch 3.22.0, nomenklatura
4.17.4); those "here" ran in the same run as ours. A floor is what must be met, a moonshot what would be new.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.identity import names as name_pairs
from benchmarks.identity import peers
from benchmarks.measure import run
from hub.identity.match.model import Settings

Said = dict[str, Any]
HASH = Settings().hash
SLOW = ("febrl4", "historical_50k")
SIZE = {True: 1_500, False: 20_000}  # records in the store, quick or not


@dataclass(frozen=True)
class Options:
    is_quick: bool = False
    is_large: bool = False
    peers: str = "splink"
    may_install: bool = True


@dataclass
class Line:
    number: int
    what: str
    figure: str
    floor: str = ""
    moonshot: str = ""
    peer: str = ""
    verdict: str = ""
    detail: list[str] = field(default_factory=list)


def judged(value: float, floor: float, moonshot: float, less: bool = False) -> str:
    """less: the smaller the better."""
    sign = -1 if less else 1
    return "moonshot" if sign * value >= sign * moonshot else "floor" if sign * value >= sign * floor else "MISSED"


def worst(*verdicts: str) -> str:
    return max(verdicts, key=("moonshot", "floor", "MISSED").index)


class Runs:
    """Each measurement is made once, whatever rows ask for it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._done: dict[tuple[object, ...], Said | RuntimeError] = {}

    def __call__(self, module: str, *args: object, python: str = sys.executable) -> Said:
        return self._once((module, *args), lambda: run(f"benchmarks.identity.{module}", *args, python=python).said)

    def set(self, name: str) -> Said:
        return self("one", name)

    def peer(self, name: str, set_name: str) -> Said | str:
        """What a peer gave, or why it gave nothing."""
        if self.options.peers == "none" or (self.options.peers == "splink" and name != "splink"):
            return "not asked for"
        if not Path(__file__).with_name(f"peer_{name}.py").exists():
            return "not run here"
        try:
            return self._once(
                (name, set_name), lambda: peers.measured(name, set_name, self.options.may_install)
            )  # fmt: skip
        except peers.NotInstalled as exc:
            return str(exc)
        except RuntimeError as exc:  # a peer that fails is a figure of its own, not ours
            return "failed: " + (str(exc).strip().splitlines() or [""])[-1]

    def _once(self, key: tuple[object, ...], measure: Callable[[], Said]) -> Said:
        if key not in self._done:
            print(f"  {' '.join(map(str, key))}", file=sys.stderr, flush=True)
            try:
                self._done[key] = measure()
            except RuntimeError as exc:
                self._done[key] = exc
        found = self._done[key]
        if isinstance(found, RuntimeError):
            raise found
        if (ran := found.get("settings", HASH)) != HASH:
            raise RuntimeError(f"ran under configuration {ran}, not {HASH}")
        return found

    @property
    def generated(self) -> str:
        return "generated_10k" if self.options.is_quick else "generated_100k"


def beside(runs: Runs, set_name: str, elsewhere: str, names: tuple[str, ...] = ("splink",)) -> str:
    """The peers' figures, those of this run first."""
    here = []
    for name in names:
        said = runs.peer(name, set_name)
        if isinstance(said, str):
            here.append(f"{name} {said}")
        else:
            at = f" (P {said['p']:.3f}, largest {said['largest']}, at its best threshold)" if "at" in said else ""
            here.append(f"{name} {said['f1']:.4f}{at} here")
    return "; ".join(here) + f"; elsewhere {elsewhere}"


def _set_row(
    number: int, name: str, floor: float, moonshot: float, elsewhere: str, most: tuple[int, int] | None = None,
    names: tuple[str, ...] = ("splink",),
) -> Callable[[Runs], Iterator[Line]]:  # fmt: skip
    def row(runs: Runs) -> Iterator[Line]:
        if runs.options.is_quick and name in SLOW:
            raise RuntimeError("not with --quick")
        said = runs.set(name)
        every, auto = said["all"], said["auto"]
        verdict = judged(every["f1"], floor, moonshot)
        if most:
            verdict = worst(verdict, judged(every["largest"], *most, less=True))
        size = f", largest {every['largest']} (true {every['largest_true']})"
        detail = [
            f"P {every['p']:.4f} R {every['r']:.4f}{size}; automatic alone: P {auto['p']:.4f} R {auto['r']:.4f} F1 {auto['f1']:.4f}",
            f"{said['records'] / said['batch_cpu_s']:,.0f} records per CPU second, learning included",
        ]
        low, high = (
            f"{aim:.4g}" + (f", largest <= {n}" if n else "")
            for aim, n in zip((floor, moonshot), most or (0, 0), strict=True)
        )
        yield Line(number, f"{name}: F1 of final clusters", f"{every['f1']:.4f}", low, high, beside(runs, name, elsewhere, names),
                   verdict, detail)  # fmt: skip

    row.__doc__ = f"{name}: F1 of final clusters."
    return row


def names(_: Runs) -> Iterator[Line]:
    """Names of people and organizations told apart, best F1."""
    said = {kind.title: name_pairs.measured(kind) for kind in name_pairs.KINDS}
    for title, floor, moonshot in (("organizations", 0.87, 0.92), ("persons", 0.74, 0.82)):
        found = said[title]
        speed = found["again_s"]
        both = (judged(found[part], floor, moonshot) for part in ("f1", "held_out"))  # half of the pairs was worked on
        verdict = worst(*both, judged(speed, 20_000, 50_000))
        detail = [f"half held out: {found['held_out']:.4f}; names never seen: {found['first_s']:,.0f} pairs/s"]
        yield Line(6, f"names of {title}: best F1, pairs/s", f"{found['f1']:.4f}, {speed / 1000:,.0f}k", f"{floor} at 20k",
                   f"{moonshot} at 50k", f"nomenklatura elsewhere {'.891' if title == 'organizations' else '.756'} at 2-2.5k", verdict,
                   detail)  # fmt: skip


def automatic(runs: Runs) -> Iterator[Line]:
    """Recall of the pairs at precision .999."""
    for name, floor, moonshot in (
        ("febrl3", 0.995, 0.997),
        ("fake_1000", 0.676, 0.80),
        ("historical_50k", 0.349, 0.50),
    ):
        if name == "historical_50k" and runs.options.is_quick:
            continue
        found, peer = runs.set(name)["recall_at_999"], runs.peer("splink", name)
        here = f"splink {peer['recall_at_999']:.3f} here" if isinstance(peer, dict) else f"splink {peer}"
        yield Line(10, f"{name}: recall at precision >= .999", f"{found:.3f}", f"{floor}", f"{moonshot}",
                   f"{here}; elsewhere {floor}", judged(found, floor, moonshot))  # fmt: skip


def generated(runs: Runs) -> Iterator[Line]:
    """Generated records, automatic joins alone: F1."""
    said = runs.set(runs.generated)
    auto = said["auto"]
    verdict = judged(auto["f1"], 0.85, 0.93)
    verdict = worst(verdict, judged(auto["p"], 0.99, 0.995))
    size = runs.generated.rpartition("_")[2]
    yield Line(11, f"generated {size}, automatic: F1, P", f"{auto['f1']:.4f}, P {auto['p']:.4f}", ".85 at P .99", ".93 at P .995",
               beside(runs, runs.generated, "100k: splink .746, keys and veto .784"), verdict,
               [f"R {auto['r']:.4f}, largest {auto['largest']} (true {auto['largest_true']})"])  # fmt: skip


def decay(runs: Runs) -> Iterator[Line]:
    """No decay with size: F1 of final clusters, of the larger base less that of 10k; and of what is joined without asking."""
    if runs.options.is_quick:
        raise RuntimeError("not with --quick: needs 100k records at least")
    large = "generated_1m" if runs.options.is_large else "generated_100k"
    note = "" if runs.options.is_large else "; 1M with --large only, so this is the first decade of two"
    small, found = runs.set("generated_10k"), runs.set(large)
    change, alone = (found[part]["f1"] - small[part]["f1"] for part in ("all", "auto"))
    most = found["all"]["largest"]
    verdict = worst(judged(change, -0.03, -0.01), judged(most, 40, 15, less=True))
    yield Line(12, f"{large} less generated_10k, F1", f"{change:+.4f}", "-.03", "-.01, largest <= 15",
               "elsewhere, 1M less 10k: splink -.17 at the best weight, -.039 at +8", verdict,
               [f"final clusters {small['all']['f1']:.4f} -> {found['all']['f1']:.4f}, largest {most} (true 12){note}",
                (f"joined without asking alone: {alone:+.4f}, {small['auto']['f1']:.4f} -> {found['auto']['f1']:.4f} "
                 f"(P {found['auto']['p']:.4f} R {found['auto']['r']:.4f}), largest {found['auto']['largest']}")])  # fmt: skip


def hazards(runs: Runs) -> Iterator[Line]:
    """False joins by what people share."""
    said = runs.set(runs.generated)
    wrong, precision = said["false_joins"], said["auto"]["p"]
    verdict = worst(judged(wrong["role"], 0, 0, less=True), judged(precision, 0.99, 0.999))
    shared = ", ".join(f"{trap} {n}" for trap, n in wrong.items())
    yield Line(13, f"{runs.generated}: role joins; P of all joins", f"{wrong['role']}; {precision:.4f}", "0; .99", "0; .999",
               "elsewhere: keys of e-mail and phone P .900", verdict,
               [f"wrong pairs by hazard: {shared}"])  # fmt: skip


def _stored(runs: Runs) -> Iterator[Said]:
    sizes = [SIZE[runs.options.is_quick]] + ([100_000, 1_000_000] if runs.options.is_large else [])
    for n in sizes:
        yield runs("stored", "--records", n, *(("--unweighed",) if n >= 1_000_000 else ()))


def _disk(said: Said) -> str:
    return f"a transaction of one row takes {said['commit_ms']['p50']:.1f} ms here (p99 {said['commit_ms']['p99']:.1f})"


def online(runs: Runs) -> Iterator[Line]:
    """One record into the store, its decision and reasons written: p99."""
    for said in _stored(runs):
        found, cpu, n = said["online_ms"], said["online_cpu_ms"], said["records"]
        floor, moonshot = (10.0, 2.0) if n >= 1_000_000 else (5.0, 1.0)
        verdict = judged(found["p99"], floor, moonshot, less=True)
        if verdict == "moonshot" and found["p999"] > 10:
            verdict = "floor"
        detail = [
            f"p50 {found['p50']:.1f}, p99.9 {found['p999']:.1f} ms; of CPU: p50 {cpu['p50']:.1f}, p99 {cpu['p99']:.1f}; {_disk(said)}",
            f"decided: {', '.join(f'{v} {k}' for k, v in said['decided'].items())}",
        ]
        yield Line(14, f"online at {n:,} records: p99", f"{found['p99']:.1f} ms", f"{floor:g} ms", f"{moonshot:g} ms, p99.9 < 10",
                   "elsewhere, p50, nothing written: splink 157 / 193 / 355 ms at 10k / 100k / 1M", verdict, detail)  # fmt: skip


def throughput(runs: Runs) -> Iterator[Line]:
    """Records a second into the store, one process."""
    for said in _stored(runs):
        if not said["is_weighed"]:
            continue
        fill = said["fill"]
        yield Line(15, f"throughput to {said['records']:,}, pages of 200", f"{fill['rec_cpu_s']:,.0f} rec/CPU s", "2k", "6k",
                   "elsewhere: splink 5 rec/s", judged(fill["rec_cpu_s"], 2000, 6000),
                   [f"{fill['rec_s']:,.0f} rec/s of wall time; one by one, each on disk: {said['online_rec_s']:,.0f} rec/s"])  # fmt: skip


def bulk(runs: Runs) -> Iterator[Line]:
    """Many records at once, from what was given to clusters."""
    name = "generated_1m" if runs.options.is_large else runs.generated
    said, peer = runs.set(name), runs.peer("splink", name)
    rate, peak = said["records"] / said["batch_wall_s"], said["peak_mb"]
    here = ""
    if isinstance(peer, dict):
        here = f"splink, normalised before, {peer['records'] / peer['wall_s']:,.0f} rec/s here; "
    verdict = worst(judged(rate, 12_000, 40_000), judged(peak, 3000, 2000, less=True))
    detail = [
        (f"{said['records'] / said['batch_cpu_s']:,.0f} records per CPU second, {said['cores']} cores; of the time normalising took "
        f"{said['ready_wall_s'] / said['batch_wall_s']:.0%}; learning included, which a second run does not need")
    ]  # fmt: skip
    if not runs.options.is_large:
        detail.append("1M with --large only")
    yield Line(16, f"batch, {said['records']:,} records: rec/s of wall time, peak", f"{rate:,.0f}, {peak:,.0f} MB", "12k, 3 GB", "40k, 2 GB",
               f"{here}elsewhere 1M: splink 24.6k rec/s, 2.3 GB", verdict, detail)  # fmt: skip


def undo(runs: Runs) -> Iterator[Line]:
    """A merge taken back: p50, and whether all is as it was."""
    for said in _stored(runs):
        found = said["undo"]
        cpu, ms = found["undo_cpu_ms"], found["undo_ms"]
        verdict = judged(ms["p50"], 10, 3, less=True) if found["is_same"] else "MISSED"
        same = "all derived rows byte-equal" if found["is_same"] else "NOT the same rows as before"
        yield Line(17, f"undo with {said['entities']:,} entities: p50", f"{ms['p50']:.1f} ms", "10 ms, flat", "3 ms, flat, byte-equal",
                   "elsewhere: nomenklatura 32 ms at 2k clusters, 134 ms at 10k, linear", verdict,
                   [(f"{same} after {found['acts']} merges and undos; of CPU p50 {cpu['p50']:.1f} ms; the merge itself p50 "
                    f"{found['merge_ms']['p50']:.1f} ms; {_disk(said)}")])  # fmt: skip


def explain(runs: Runs) -> Iterator[Line]:
    """Why two are one, with what would have happened without each field."""
    for said in _stored(runs):
        found = said["explain"]
        whole = (
            found["looked_at"]
            and found["with_waterfall"] == found["looked_at"]
            and not said["decided"]["model without reasons"]
        )
        verdict = ("moonshot" if found["same_cpu_ms"]["p50"] < 2 else "floor") if whole else "MISSED"
        yield Line(18, f"explain a link at {said['records']:,}: p50", f"{found['same_ms']['p50']:.1f} ms", "every link", "< 2 ms, counterfactual",
                   "splink: waterfall in a batch run; nomenklatura keeps no reasons", verdict,
                   [f"waterfall on {found['with_waterfall']} of {found['looked_at']} links, counterfactuals on {found['with_counterfactual']}",
                    (f"of CPU: p50 {found['same_cpu_ms']['p50']:.1f}, p99 {found['same_cpu_ms']['p99']:.1f} ms; why not: p50 "
                    f"{found['not_ms']['p50']:.1f} ms (judged on CPU: the machine is shared)")])  # fmt: skip


def labels(runs: Runs) -> Iterator[Line]:
    """Answers of people needed to reach dedupe's F1 on fake_1000; and what answers change, by themselves and in the weights."""
    found, low, high = runs.set("fake_1000")["all"]["f1"], 0.953, 0.970
    whole = runs("taught", "fake_1000", "--share", 1, "--seeds", 1, "--aim", low)["runs"][0]
    asked = 0 if found >= low else whole["needed"]
    figure = "not reached" if asked is None else str(asked)
    verdict = "MISSED" if asked is None else judged(asked, 100, 30, less=True)
    detail = [
        (f"final clusters: {found:.4f} without any; dedupe's best run of three is {'reached' if found >= high else 'not reached'}. Joined "
        f"without asking alone: {whole['none']['f1']:.4f}, and as good after {whole['needed'] or 'more than'} of {whole['questions']} questions")
    ]  # fmt: skip
    detail += _taught("all of fake_1000", [whole])
    tried = ["fake_1000"]
    if os.environ.get("HUB_IDENTITY_GENERATOR") and not runs.options.is_quick:
        tried.append("generated_10k")
    for name in tried:
        detail += _taught(f"nine tenths of {name}", runs("taught", name)["runs"])
    yield Line(19, "labels to reach dedupe's F1 on fake_1000", figure, "100", "30", f"dedupe, 100 labels: {low}-{high:.3f} by run",
               verdict, detail)  # fmt: skip


def _taught(name: str, runs: list[Said]) -> Iterator[str]:
    """F1 of what is joined without asking, the mean of several draws."""

    def mean(*keys: Any) -> float:
        return sum(_at(run, keys) for run in runs) / len(runs)

    least = min(f["p"] for run in runs for step in run["steps"] for f in (step["with"], step["weights_alone"]))
    first = "learnt without labels" if runs[0]["is_learnt"] else "too few to learn from without labels"
    draws = f" ({len(runs)} draws, {first})" if len(runs) > 1 else f" ({first})"
    yield f"{name}{draws}, automatic: {mean('none', 'f1'):.4f} without an answer; P {least:.4f} at least with any"
    for at in range(len(runs[0]["steps"])):
        answers = mean("steps", at, "answers")
        yield (
            f"  {answers:.0f} answers ({mean('steps', at, 'same') / answers:.0%} same): {mean('steps', at, 'with', 'f1'):.4f}; weights not "
            f"taught {mean('steps', at, 'untaught', 'f1'):.4f}; by the weights alone {mean('steps', at, 'weights_alone', 'f1'):.4f}"
        )


def _at(said: Any, keys: tuple[Any, ...]) -> float:
    for key in keys:
        said = said[key]
    return float(said)


def orders(runs: Runs) -> Iterator[Line]:
    """Each set in five orders through the sync path: agreement, before and after the nightly audit."""
    quick, large = runs.options.is_quick, runs.options.is_large
    asked = [("generated", 500 if quick else 10_000)]
    if os.environ.get("HUB_IDENTITY_DATA"):
        named = (
            "fake_1000",
            "Fodors-Zagats",
            *(() if quick else ("febrl3", "febrl4")),
            *(("historical_50k",) if large else ()),
        )
        asked += [(name, 0) for name in named]
    times = 2 if quick else 5
    for name, n in asked:
        said = runs("orders", name, *(("--records", n) if n else ()), "--times", times)
        verdict = "moonshot" if said["is_identical"] else judged(said["ari_before"], 0.99, 2.0)
        same = "identical" if said["is_identical"] else f"ARI {said['ari_after']:.4f}"
        title = f"invented or generated {n:,}" if n else name
        yield Line(20, f"{title}, {times} orders, after the audit", same, "ARI .99", "identical",
                   "not measured on any peer", verdict,
                   [(f"before it ARI {said['ari_before']:.4f}, F1 {said['f1_before']:.4f} at least; after it F1 {said['f1']:.4f}, "
                    "automatic joins of what a tool's record holds")])  # fmt: skip


def footprint(runs: Runs) -> Iterator[Line]:
    """What identity adds to an install and to an import."""
    said = runs("footprint")
    size = said["own_mb"] + sum(said["needs_mb"].values())
    adds = max(said["import_s"]["hub.identity"] - said["import_s"]["hub.store"], 0.0)
    verdict = worst(judged(size, 70, 30, less=True), judged(adds, 0.3, 0.15, less=True))
    try:
        peers.python("splink", install=False)
        here = f"splink {peers.installed_mb('splink'):,.0f} MB here; "
    except peers.NotInstalled:
        here = ""
    yield Line(21, "install, and import beyond the store", f"{size:.1f} MB, {adds:.2f} s", "70 MB, .3 s", "30 MB, .15 s",
               f"{here}elsewhere: splink 278 MB, .25 s; goldenmatch 405 MB, .43 s", verdict,
               [f"own files {said['own_mb']:.1f} MB; import with the store: {said['import_s']['hub.identity']:.2f} CPU s"])  # fmt: skip


def parity(runs: Runs) -> Iterator[Line]:
    """The same model run by Splink on DuckDB: equal links."""
    try:
        interpreter = peers.python("splink", runs.options.may_install and runs.options.peers != "none")
    except peers.NotInstalled as exc:
        raise RuntimeError(str(exc)) from None
    packages = next(Path(interpreter).parents[1].glob("lib/python*/site-packages"))
    asked = ["invented"] if runs.options.is_quick else ["invented", "fake_1000", "febrl3", "generated_10k"]
    for name in asked:
        try:
            said = runs("parity", name, "--records", 1000 if runs.options.is_quick else 4000, "--packages", packages)
        except RuntimeError as exc:
            if "is not set" not in str(exc):
                raise
            continue
        yield Line(22, f"{name}: links equal to Splink's", f"{said['covered_equal']:.3%}", "runs on DuckDB", ">= 99.9 %",
                   "the same file on Spark: not run here", "moonshot" if said["covered_equal"] >= 0.999 else "floor",
                   [(f"{said['covered']:,} of {said['links']:,} links are what the file covers (one value a field); all: {said['equal']:.3%}; "
                    f"weights within .1 bit {said['within_tenth_bit']:.1%}")])  # fmt: skip


ROWS: dict[int, Callable[[Runs], Iterator[Line]]] = {
    1: _set_row(1, "febrl3", 0.998, 0.9995, "goldenmatch .9994, splink .9991", names=("splink", "goldenmatch")),
    2: _set_row(2, "febrl4", 0.999, 0.9998, "splink .9993"),
    3: _set_row(3, "fake_1000", 0.93, 0.97, "splink .921, dedupe with 100 labels .953-.970", (11, 8), ("splink", "goldenmatch")),
    4: _set_row(4, "historical_50k", 0.85, 0.90, "goldenmatch .841, splink .829 (largest 63-78; 5,651 unguarded)", (40, 25)),
    5: _set_row(5, "Fodors-Zagats", 0.96, 0.99, "splink .940, dedupe with labels .982"),
    6: names, 10: automatic, 11: generated, 12: decay, 13: hazards, 14: online, 15: throughput, 16: bulk, 17: undo, 18: explain,
    19: labels, 20: orders, 21: footprint, 22: parity,
}  # fmt: skip
