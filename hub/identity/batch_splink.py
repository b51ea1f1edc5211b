"""The learnt model as a Splink settings file: the same shares, levels, frequencies and keys, run by Splink on DuckDB.

For bases that one process does not hold. `settings` is the file (plain JSON), `row` what a record becomes in the table it
reads; `pairs` runs both here, with the extra `[batch]` installed. What comes back are weighed pairs: joining them stays
ours (`match.batch.Clustering`), because Splink's closure knows neither vetoes nor limits.

Covered exactly, for people and fields of one value: names as written, e-mail, phone, number, birth, city, postcode,
region, occupation, gender, with frequencies, the floor of chance (`Settings.strangest`), and what implies what.
Nearly: swapped names (to half of `ABOUT` bits), a mailbox called after a name, streets with a slip within a word, and
words with letters both swapped and dropped (DuckDB counts one edit less).
Not: several values of one field (the first one speaks), and names of organizations. docs/adr/0013 says why it is made.

Source: Splink 5.0, "Settings dictionary", "Term frequency adjustments", "Blocking rules: arrays_to_explode".
"""

import importlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hub.identity import normal
from hub.identity.match import keys
from hub.identity.match.alike import _short_forms, by_ear
from hub.identity.match.fields import GROUPS, IMPLIED, name_parts
from hub.identity.match.model import Model
from hub.identity.match.record import Record

ABOUT = 0.25  # bits: how wide the steps are where Splink cannot take a frequency as it is
_FILLING = str.maketrans("", "", "0123456789._-")
_DISTANCE = "damerau_levenshtein"


@dataclass(frozen=True, slots=True)
class Level:
    """One way to agree. sql: of the columns a and b (and what is known of each, see `_Sides`).

    by: "" a share among strangers; "same" how often the value occurs; "both" how often the two do.
    """

    name: str
    sql: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class _Sides:
    """The columns of two values, and their frequencies: f of the equal value (a's), s of each as this part."""

    a: str
    b: str
    ears: tuple[str, str] = ("", "")  # how it sounds
    forms: tuple[str, str] = ("", "")  # lists of short forms
    others: tuple[str, str] = ("", "")  # lists of further names
    f: tuple[str, ...] = ()
    s: tuple[str, str] = ("", "")

    def fill(self, sql: str) -> str:
        (ea, eb), (na, nb), (oa, ob) = self.ears, self.forms, self.others
        return sql.format(a=self.a, b=self.b, ea=ea, eb=eb, na=na, nb=nb, oa=oa, ob=ob)


def _straight(part: str) -> _Sides:
    other = "further" if part == "given" else "middles"
    ears, forms, others, f, s = (
        (f"{c}_l", f"{c}_r") for c in (f"{part}_ear", f"{part}_forms", other, f"f_{part}", f"s_{part}")
    )
    return _Sides(f"{part}_l", f"{part}_r", ears, forms, others, f, s)


def _swapped(part: str) -> _Sides:
    """One name against the other with its first and last name the other way round. The first is the one that sorts first,
    as in `Model.reading`."""

    def pick(column: str, other: str) -> tuple[str, str]:
        return _first(f"{column}_l", f"{column}_r"), _first(f"{other}_r", f"{other}_l")

    other = "family" if part == "given" else "given"
    value, own = pick(part, other), _first(f"f_{part}_l", f"f_{part}_r")
    ears, forms = pick(f"{part}_ear", f"{other}_ear"), pick(f"{part}_forms", f"{other}_forms")
    others = pick("further", "beside") if part == "given" else pick("middles", "middles")
    return _Sides(*value, ears, forms, others, (own,), pick(f"s_{part}", f"t_{other}"))


def _first(x: str, y: str) -> str:
    return f"(case when name_l <= name_r then {x} else {y} end)"


_SWAPPED = {part: _swapped(part) for part in ("given", "family")}


def _of(*levels: tuple[str, str] | tuple[str, str, str]) -> list[Level]:
    return [Level(*level) for level in levels]


_SAME = ("same", "{a} = {b}", "same")
_LONGEST = "greatest(length({a}), length({b}))"
_NEAR_1 = f"({_LONGEST} >= 3 and {_DISTANCE}({{a}}, {{b}}) = 1)"
_BY_EAR = f"({_NEAR_1} or {{ea}} = {{eb}})"
_NEAR_2 = f"({_LONGEST} >= 5 and {_DISTANCE}({{a}}, {{b}}) = 2)"
_ONE_SLIP = f"({_DISTANCE}({{a}}, {{b}}) = 1)"
_BEGINS = "(starts_with({a}, {b}) or starts_with({b}, {a}))"
_LETTER = "(length({a}) = 1 or length({b}) = 1)"
_INITIAL = ("initial", f"({_LETTER} and left({{a}}, 1) = left({{b}}, 1))")
_OTHER_LETTER = ("other", _LETTER)
_WORDS = "len(list_intersect(string_split({a}, ' '), string_split({b}, ' ')))"
_MOST_WORDS = "greatest(len(list_distinct(string_split({a}, ' '))), len(list_distinct(string_split({b}, ' '))))"
_AREA = "(case when length({0}) > 5 then left({0}, length({0}) - 3) else left({0}, (length({0}) + 1) // 2) end)"
_AREAS = f"{_AREA.format('{a}')} = {_AREA.format('{b}')}"
_YEAR, _MONTH, _DAY = ("substr({0}, 1, 4)", "substr({0}, 5, 2)", "substr({0}, 7)")


def _both(sql: str) -> str:
    return f"{sql.format('{a}')} = {sql.format('{b}')}"


def _agree(*parts: str) -> str:
    return " + ".join(f"(case when {_both(p)} then 1 else 0 end)" for p in parts)


_LOCAL = "ltrim(case when starts_with({a}, '+') then {b} else {a} end, '0')"
_WHOLE = "case when starts_with({a}, '+') then {a} else {b} end"
_FULL_SLIP = (
    f"(length({{b}}) >= 6 and {_DISTANCE}(handle_full_l[1], {{b}}) = 1"
    f" or length({{a}}) >= 6 and {_DISTANCE}(handle_full_r[1], {{a}}) = 1)"
)
_CROSSED = " and ".join(f"{x.format('{a}')} = {y.format('{b}')}" for x, y in ((_MONTH, _DAY), (_DAY, _MONTH)))
_NATIONAL = (
    f"(starts_with({{a}}, '+') <> starts_with({{b}}, '+') and length({_LOCAL}) >= 7 and ends_with({_WHOLE}, {_LOCAL}))"
)

# NULL where there are no digits, or the provider is none for everybody.
_ONE_BOX = "coalesce(email_digits_l = email_digits_r, true) and coalesce(email_free_l = email_free_r, true)"

LEVELS: dict[str, list[Level]] = {
    "email": _of(_SAME, ("other", "(email_bare_l = email_bare_r)"),
        ("slip", f"{_ONE_BOX} and {_DISTANCE}({{a}}, {{b}}) <= (case when length(least({{a}}, {{b}})) > 20 then 3 else 2 end)", "both"),
        ("local part", "(email_local_l = email_local_r and regexp_matches(email_local_l, '[0-9]'))"),
    ),
    "phone": _of(_SAME, ("national", _NATIONAL, "both"),
        ("slip", f"(length(least({{a}}, {{b}})) >= 6 and {_ONE_SLIP})", "both")),
    "number": _of(_SAME, ("slip", f"(length(least({{a}}, {{b}})) >= 6 and {_ONE_SLIP})", "both")),
    "born": _of(_SAME, ("slip", _ONE_SLIP, "both"),
        ("day and month swapped", f"({_both(_YEAR)} and {_CROSSED})"),
        ("two parts", f"({_agree(_YEAR, _MONTH, _DAY)} = 2)"), ("year", f"({_both(_YEAR)})"),
        ("close", f"(abs(cast({_YEAR.format('{a}')} as integer) - cast({_YEAR.format('{b}')} as integer)) <= 1)"),
    ),
    "city": _of(_SAME, ("slip", _NEAR_1, "both"), ("alike", _NEAR_2, "both"), ("part", f"({_WORDS} > 0)")),
    "postcode": _of(_SAME, ("slip", _ONE_SLIP, "both"), ("area", f"({_AREAS})")),
    "address": _of(_SAME, ("same words", f"({_WORDS} = {_MOST_WORDS})"), ("most", f"({_WORDS} >= 0.6 * {_MOST_WORDS})"),
        ("half", f"({_WORDS} >= 0.4 * {_MOST_WORDS})"), ("part", f"({_WORDS} > 0)"),
    ),
    "region": _of(_SAME),
    "occupation": _of(_SAME, ("part", f"({_WORDS} > 0)")),
    "gender": _of(_SAME),
    "employer": _of(_SAME, ("slip", f"({_NEAR_1} or {_NEAR_2})", "both"),
        ("beginning", f"(least(length({{a}}), length({{b}})) >= 5 and {_BEGINS})")),
    "handle": _of(("full", "(list_contains(handle_full_l, {b}) or list_contains(handle_full_r, {a}))"), _SAME,
        ("initial", "(list_contains(handle_initial_l, {b}) or list_contains(handle_initial_r, {a}))"),
        ("slip", f"(length({{b}}) >= 6 and {_NEAR_1})", "both"), ("slip", _FULL_SLIP),
    ),
    "given": _of(_SAME, _INITIAL, _OTHER_LETTER, ("slip", _NEAR_1, "both"),
        ("nickname", "(list_contains({na}, {b}) or list_contains({nb}, {a}))"),
        ("alike", _NEAR_2, "both"), ("other name", "(list_contains({ob}, {a}) or list_contains({oa}, {b}))"),
        ("beginning", f"(least(length({{a}}), length({{b}})) >= 3 and {_BEGINS})"),
    ),
    "family": _of(_SAME, _INITIAL, _OTHER_LETTER, ("slip", _BY_EAR, "both"), ("alike", _NEAR_2, "both"),
        ("other name", "(list_contains({ob}, {a}) or list_contains({oa}, {b}))"),
        ("part", f"(least(length({{a}}), length({{b}})) >= 4 and ({_BEGINS} or ends_with({{a}}, {{b}}) or ends_with({{b}}, {{a}})))"),
    ),
    "middle": _of(("same", "list_has_any(middles_long_l, middles_r)", "same"),
        ("initial", "(list_has_any(middles_letter_l, middles_first_r) or list_has_any(middles_letter_r, middles_first_l))"),
        ("alike", f"({_NEAR_1} or {_NEAR_2})", "both"),
    ),
}  # fmt: skip
_NO_HANDLES = (
    "(not (handle_l is not null and (handle_r is not null or len(handle_full_r) > 0)"
    " or handle_r is not null and len(handle_full_l) > 0))"
)
_TWO_HANDLES = "(handle_count_l > 1 or handle_count_r > 1)"  # one agreement of two: half the odds
_LISTS = ("keys", "given_forms", "family_forms", "further", "beside", "middles", "middles_long", "middles_letter", "middles_first",
          "handle_full", "handle_initial")  # fmt: skip
_TEXTS = (
    "unique_id",
    "kind",
    "holder",
    "email_local",
    "email_bare",
    "email_digits",
    "email_free",
    "name",
    "given_ear",
    "family_ear",
    *LEVELS,
)
_PLACE = tuple(part for part in LEVELS if GROUPS.get(part) == "place")
_NULL = "({0}_l is null or {0}_r is null)"


class _Settings:
    """Comparisons for one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.swapped = self._is_swapped()

    def comparisons(self) -> Iterator[dict[str, Any]]:
        yield from self._read_swapped()
        for part in LEVELS:
            null = _NULL.format(part)
            if part in ("given", "family"):
                null = f"({null} or {self.swapped})"
            if implied := self._implied(part):
                null = f"({null if part != 'handle' else _NO_HANDLES} or {implied})"
            chosen = [(1.0, "")]  # what an agreement counts, and when
            if part in _PLACE:
                chosen.insert(0, (self.model.settings.agreeing_again, f" and {self._again(part)}"))
            if part == "handle":
                chosen.insert(0, (1.0, f" and {_TWO_HANDLES}"))
            yield _comparison(part, null, list(self._levels(part, chosen)), *self._shares(part, "other"))
            if any(level.by == "both" for level in LEVELS[part]):
                yield _comparison(f"{part}_rarer", null, list(self._rarer(part, chosen)), 1.0, 1.0)

    def _levels(self, part: str, chosen: list[tuple[float, str]]) -> Iterator[dict[str, Any]]:
        sides = _straight(part)
        for k, also in chosen:
            for level in LEVELS[part]:
                sql, (m, u) = sides.fill(level.sql) + also, self._shares(part, level.name)
                if also and part == "handle":
                    m /= 2
                if level.by == "same":
                    found = _level(level.name, sql, m**k, 1.0, f"f_{part}", k)
                    yield found | {"tf_minimum_u_value": self.model.settings.strangest}
                    continue
                if level.by == "both":
                    yield _level(level.name, f"{sql} and {_common(sides, u)}", m**k, 1.0, f"s_{part}", k / 2)
                yield _level(level.name, sql, m**k, u**k)

    def _rarer(self, part: str, chosen: list[tuple[float, str]]) -> Iterator[dict[str, Any]]:
        """The other half of a weight by two frequencies: Splink takes the commoner value's, this the rarer's."""
        sides = _straight(part)
        for k, also in chosen:
            for level in LEVELS[part]:
                sql = sides.fill(level.sql) + also
                if level.by == "both":
                    common = _common(sides, self._shares(part, level.name)[1])
                    yield _level(level.name, f"{sql} and {common}", 1.0, 1.0, f"r_{part}", -k / 2)
                yield _level(level.name, sql, 1.0, 1.0)

    def _read_swapped(self) -> Iterator[dict[str, Any]]:
        """First and last name the other way round. Splink knows a frequency by the column it stands in, on both sides, so
        here it is cut into steps."""
        straight = f"(not coalesce({self.swapped}, false))"
        order = _level("swapped", self.swapped, self._shares("order", "swapped")[0], 1.0)
        yield _comparison("order", _NULL.format("name"), [order], 1.0, 1.0)
        for part, sides in _SWAPPED.items():
            levels, steps = [], []
            for level in LEVELS[part]:
                m, u = self._shares(part, level.name)
                levels.append(_level(level.name, sides.fill(level.sql), m, 1.0 if level.by == "same" else u))
            null = f"({straight} or {sides.a} is null or {sides.b} is null)"
            yield _comparison(f"{part}_swapped", null, levels, *self._shares(part, "other"))
            (frequency,) = sides.f
            for n in range(int(-math.log2(self.model.settings.strangest) / ABOUT)):
                at = 2.0 ** -((n + 1) * ABOUT)
                steps.append(_level(f"one in {1 / at:.0f}", f"{frequency} > {at!r}", 1.0, at * 2.0 ** (ABOUT / 2)))
            null = f"({straight} or not coalesce({sides.a} = {sides.b}, false))"
            yield _comparison(f"{part}_swapped_frequency", null, steps, 1.0, self.model.settings.strangest)

    def _is_swapped(self) -> str:
        """Whether two names are more alike with the parts of one swapped."""
        found, order = [], math.log2(self._shares("order", "swapped")[0])
        for part, sides in _SWAPPED.items():
            found += [sides.fill(lv.sql) for lv in LEVELS[part] if lv.name in ("same", "slip")]
        straight, swapped = (
            " + ".join(f"coalesce({self._weight(p, s[p])}, 0)" for p in ("given", "family"))
            for s in ({"given": _straight("given"), "family": _straight("family")}, _SWAPPED)
        )
        return (
            "(not coalesce(given_l = given_r, false) and not coalesce(family_l = family_r, false)"
            f" and ({' or '.join(found)}) and {swapped} + {order!r} > {straight})"
        )

    def _implied(self, part: str) -> str:
        """When this says nothing because another says it (`fields.IMPLIED`)."""
        said = []
        for other, always in IMPLIED.get(part, {}).items():
            if other == "name":
                said.append("(name_l is not null and name_r is not null)")
            else:
                said.append(f"(not {_NULL.format(other)}{'' if always else f' and {self._weight(other)} > 0'})")
        return " or ".join(said)

    def _again(self, part: str) -> str:
        """Whether this agrees, and another part of its group says more already."""
        mine, at = self._weight(part), _PLACE.index(part)
        more = [f"{self._said(other)} {'>=' if n < at else '>'} {mine}" for n, other in enumerate(_PLACE) if n != at]
        return f"({mine} > 0 and ({' or '.join(more)}))"

    def _said(self, part: str) -> str:
        """Its weight; NULL where another says it."""
        implied = self._implied(part)
        return f"(case when {implied} then null else {self._weight(part)} end)" if implied else self._weight(part)

    def _weight(self, part: str, sides: _Sides | None = None) -> str:
        """The weight of a part in SQL; NULL where it is not known of both."""
        sides, cases = sides or _straight(part), []
        for level in LEVELS[part]:
            m, u = self._shares(part, level.name)
            chance = repr(u)
            if level.by == "same":
                chance = f"greatest({', '.join(sides.f)}, {self.model.settings.strangest!r})"
            elif level.by == "both":
                chance = f"greatest({u!r}, sqrt({sides.s[0]} * {sides.s[1]}))"
            cases.append(f"when {sides.fill(level.sql)} then log2({m!r} / {chance})")
        m, u = self._shares(part, "other")
        null = f"({sides.a} is null or {sides.b} is null)"
        return f"(case when {null} then null {' '.join(cases)} else {math.log2(m / u)!r} end)"

    def _shares(self, part: str, level: str) -> tuple[float, float]:
        m = max(self.model.m[part].get(level, 0.0), 1e-4)
        return m, max(self.model.u.get(part, {}).get(level, 0.0), self.model.settings.strangest)


def _common(sides: _Sides, u: float) -> str:
    return f"sqrt({sides.s[0]} * {sides.s[1]}) > {u!r}"


def _comparison(name: str, null: str, levels: list[dict[str, Any]], m: float, u: float) -> dict[str, Any]:
    """m, u: of what fits no level."""
    first = {"sql_condition": null, "label_for_charts": "nothing to compare", "is_null_level": True}
    last = {"sql_condition": "ELSE", "label_for_charts": "other", "m_probability": m, "u_probability": u}
    return {"output_column_name": name, "comparison_description": name, "comparison_levels": [first, *levels, last]}


def _level(name: str, sql: str, m: float, u: float, frequency: str = "", k: float = 0.0) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sql_condition": sql, "label_for_charts": name, "m_probability": m, "u_probability": u,
        "fix_m_probability": True, "fix_u_probability": True,
    }  # fmt: skip
    if frequency:
        found |= {
            "tf_adjustment_column": frequency,
            "tf_adjustment_weight": k,
            "disable_tf_exact_match_detection": True,
        }
    return found


def settings(model: Model) -> dict[str, Any]:
    """The settings file: json.dumps it, or give it to `splink.Linker` as it is. Weights come out as match_weight, in bits."""
    odds = 2.0**model.prior
    apart = "(l.holder is null or r.holder is null or l.holder <> r.holder)"
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": odds / (1 + odds),
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
        "comparisons": list(_Settings(model).comparisons()),
        "blocking_rules_to_generate_predictions": [
            {"blocking_rule": f"l.keys = r.keys and {apart}", "sql_dialect": "duckdb", "arrays_to_explode": ["keys"]}
        ],
    }


def row(record: Record, model: Model) -> dict[str, Any]:
    """What Splink reads of a record: its first value of each field, how often that occurs, and its keys."""
    one = {f: v[0] for f, v in record.fields.items()}
    found: dict[str, Any] = dict.fromkeys((*_TEXTS, "handle_count")) | {c: [] for c in _LISTS}
    found |= {p: one[p] for p in LEVELS if p in one and p != "handle"}
    found |= {"unique_id": record.id, "kind": record.kind, "holder": record.holder or None, "keys": keys.of(record)}
    if "name" in one:
        _name(one["name"], found)
    plain = [h for h in record.fields.get("handle", ()) if " " not in h]
    found["handle"] = plain[0] if plain else None
    found["handle_count"] = len(record.fields.get("handle", ()))
    if "email" in one:
        local, _, domain = one["email"].rpartition("@")
        found |= {
            "email_local": local, "email_bare": f"{local.translate(_FILLING)}@{domain}",
            "email_digits": "".join(ch for ch in local if ch.isdigit()),
            "email_free": domain if domain in normal.free_domains() else None,
        }  # fmt: skip
    return found | _frequencies(found, model)


def _name(key: str, found: dict[str, Any]) -> None:
    given, middle, family = name_parts(key)
    short = _short_forms()
    found |= {
        "name": key, "given": given or None, "family": family or None, "middle": " ".join(middle) or None, "middles": list(middle),
        "given_ear": by_ear(given) or None, "family_ear": by_ear(family) or None,
        "given_forms": sorted(short.get(given, ())), "family_forms": sorted(short.get(family, ())),
        "further": [*middle, *([family] if family else [])], "beside": [*middle, *([given] if given else [])],
        "middles_long": [w for w in middle if len(w) > 1], "middles_letter": [w for w in middle if len(w) == 1],
        "middles_first": [w[0] for w in middle],
    }  # fmt: skip
    if len(given) > 1 and family:
        found["handle_full"] = [given + family, family + given]
        found["handle_initial"] = [given[0] + family, given + family[0], family + given[0]]


def _counted(part: str, value: str) -> list[tuple[str, str]]:
    """What decides how often a stranger has it: names may be swapped; of several middle names the commonest one."""
    if part in ("given", "family"):
        return [("given", value), ("family", value)]
    return [(part, w) for w in value.split()] if part == "middle" else [(part, value)]


def _frequencies(found: dict[str, Any], model: Model) -> dict[str, float | None]:
    """By part: f_ how often a stranger has the value, s_ how often as this very part, r_ one over s_."""
    out: dict[str, float | None] = {}
    for part in LEVELS:
        value = found[part]
        f = s = None
        if value is not None:
            s = model.counts.share(part, value) * model.shared[part]
            f = max(model.counts.share(p, w) for p, w in _counted(part, value)) * model.shared[part]
        out |= {f"f_{part}": f, f"s_{part}": s, f"r_{part}": 1 / s if s else None}
    for part, as_part in (("given", "family"), ("family", "given")):  # how often it is the other name of a stranger
        out[f"t_{part}"] = model.counts.share(as_part, found[part]) * model.shared[as_part] if found[part] else None
    return out


def table(records: Iterable[Record], model: Model) -> list[dict[str, Any]]:
    """The rows of all records; keys that too many share are left out, as in `match.batch.candidates`."""
    rows = [row(r, model) for r in records]
    shared = Counter(k for r in rows for k in r["keys"])
    for r in rows:
        r["keys"] = [k for k in r["keys"] if 1 < shared[k] <= model.settings.block]
    return rows


def unlike(a: Record, b: Record) -> str:
    """What of this pair Splink cannot weigh as we do, in words; "" where it weighs the same."""
    if a.kind != "person":
        return "names of organizations"
    both_named = "name" in a.fields and "name" in b.fields
    for name in a.fields.keys() & b.fields.keys():
        if max(len(a.fields[name]), len(b.fields[name])) > 1 and not (name == "handle" and both_named):
            return f"several values of {name}"
    return ""


def pairs(records: Sequence[Record], model: Model, at: float) -> list[tuple[float, str, str]]:
    """(weight in bits, id, id) of all pairs that Splink weighs at least `at`, ids in order; runs on DuckDB in this process.

    Raises ModuleNotFoundError without the extra `[batch]`.
    """
    splink, duckdb, arrow = (importlib.import_module(name) for name in ("splink", "duckdb", "pyarrow"))
    wanted = settings(model)
    api = splink.DuckDBAPI(connection=duckdb.connect())
    found = arrow.Table.from_pylist(table(records, model), schema=_schema(arrow))
    linker = splink.Linker(api.register(found), wanted, log_level=None, validate_settings=False)
    for column in sorted(_frequency_columns(wanted)):
        known = found.select([column]).group_by(column).aggregate([]).drop_null()
        looked_up = known.append_column(f"tf_{column}", known.column(column))
        linker.table_management.register_term_frequency_lookup(api.register(looked_up), column)
    predicted = linker.inference.predict(threshold_match_weight=at)
    rows = predicted.as_duckdbpyrelation().project("match_weight, unique_id_l, unique_id_r").fetchall()
    return [(weight, *sorted((left, right))) for weight, left, right in rows]


def _frequency_columns(wanted: dict[str, Any]) -> set[str]:
    levels = (lv for c in wanted["comparisons"] for lv in c["comparison_levels"])
    return {lv["tf_adjustment_column"] for lv in levels if "tf_adjustment_column" in lv}


def _schema(arrow: Any) -> Any:
    """Types of all columns, so that one that nobody fills is a column all the same."""
    numbers = [f"{kind}_{part}" for part in LEVELS for kind in "fsr"] + ["t_given", "t_family"]
    return arrow.schema(
        [(c, arrow.string()) for c in _TEXTS] + [(c, arrow.list_(arrow.string())) for c in _LISTS]
        + [("handle_count", arrow.int32())] + [(c, arrow.float64()) for c in numbers]
    )  # fmt: skip
