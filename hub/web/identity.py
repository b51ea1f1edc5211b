"""Who is who: what a person is asked, what somebody is made of, and acts, each shown before it is made and taken back after."""

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from hub.access import Invalid
from hub.access.roles import IDENTITY_DECIDE
from hub.identity import NotPossible
from hub.service import NotFound, customers, who
from hub.web.page import Ask, act, show
from hub.web.plans import mark
from hub.web.words import url_of

Row = dict[str, Any]
_QUESTIONS, _ACTS, _FOUND = 8, 30, 8  # of one page
_LONGEST_WHY = 500
_NUMBERED = ("undo", "accept", "reject")
ACTS = {  # act: how it asks, its button, what it does
    "merge": ("Are these two one?", "Join them", "Everything known of either is of one from then on. It can be undone."),
    "different": ("Hold these two apart?", "Hold them apart", "They are two from then on, whatever evidence comes, until this is undone."),
    "split": ("Take these out?", "Take them out", "What you chose is somebody else's from then on. It can be undone."),
    "undo": ("Take this back?", "Take it back", "What it had changed is as it was before, but for what happened since."),
    "accept": ("Are these two one?", "They are one", "Everything known of either is of one from then on. It can be undone."),
    "reject": ("Are these two different?", "They are two", "They are two from then on, whatever evidence comes, until this is undone."),
}  # fmt: skip
VERDICTS = {
    "same": "joined",
    "different": "held apart",
    "none": "took back",
    "several": "changed",
    "unsure": "asked about",
}
KINDS = {"human": "a person said so", "tool": "the tool itself", "rule": "a rule", "model": "weighed"}
FIELDS = {"email": "address", "handle": "name before the @", "born": "birth date", "prior": "to begin with"}
WITHOUT = {"same": "they would be joined", "review": "a person would be asked", "apart": "they would be two"}


# --- what a person is asked -------------------------------------------------------------------------------------------


def queue(ask: Ask) -> Response:
    rule, after = ask.query("rule"), mark(ask, "after")
    found = who.queue(ask.desk, _QUESTIONS, after, rule)
    questions: list[Row] = found["questions"]
    last = questions[-1]["review"] if questions else None
    has_more = last is not None and bool(who.queue(ask.desk, 1, last, rule)["questions"])
    act_done = mark(ask, "done")
    done = who.act(ask.desk, act_done) if act_done else None
    return ask.page(
        "identity.html", title="Who is who", questions=questions, total=found["total"], withheld=found["withheld"], rule=rule,
        rules=who.asked_by_rule(ask.desk), more=url_of("/identity", rule=rule, after=last) if has_more else "", after=after,
        done=done, **_words(ask, [done["actor"]] if done else ()),
    )  # fmt: skip


def question(ask: Ask) -> Response:
    found = who.question(ask.desk, ask.number("number"))
    follows = [
        (verb, *_expected(ask, verb, (found["review"],))) for verb in ("accept", "reject") if ask.may(IDENTITY_DECIDE)
    ]
    return ask.page("review.html", title="Are these two one?", question=found, follows=follows, **_words(ask))


# --- somebody, and two ------------------------------------------------------------------------------------------------


def party(ask: Ask) -> Response:
    found = who.party(ask.desk, str(ask.path["public_id"]))
    text, me = ask.query("find"), found["party"]["public_id"]
    others = [p for p in customers.search(ask.desk, text, _FOUND) if p["public_id"] != me] if text else []
    acts = {d["act"] for d in found["decisions"] if d["revoked_at"] is None and d["verdict"] in {"same", "different"}}
    name = found["party"]["name"] or next((a["text"] for a in found["addresses"]), me)
    return ask.page(
        "party.html", title=name, found=found, me=me, others=others, text=text, live=acts,
        **_words(ask, [d["actor"] for d in found["decisions"]]),
    )  # fmt: skip


def why(ask: Ask) -> Response:
    a, b = ask.query("a"), ask.query("b")
    same: Row = {}
    apart: Row = {}
    problem: NotFound | None = None
    if a and b:
        try:
            same = who.why_same(ask.desk, a, b)
            apart = {} if same["is_same"] else who.why_not(ask.desk, a, b)
        except NotFound as exc:
            problem = exc
    actors = [x["actor"] for x in (*same.get("edges", ()), *apart.get("because", ()))]
    return ask.page(
        "identity_why.html", title="Why one, why two", status=404 if problem else 200, a=a, b=b, same=same, apart=apart,
        problem=problem, **_words(ask, actors),
    )  # fmt: skip


# --- acts -------------------------------------------------------------------------------------------------------------


def preview(ask: Ask) -> Response:
    return _preview(ask, ask.query("act"), ask.query_all("what"))


def _preview(ask: Ask, verb: str, what: list[str], reason: str = "", problem: Exception | None = None) -> Response:
    """What an act would change, and the button that makes it. problem: why it was not made."""
    if verb not in ACTS:
        raise NotFound("there is no such act")
    given = _given(verb, what)
    expected, refused = (None, problem) if problem else _expected(ask, verb, given)
    about: Row = {"act": None, "question": None, "parties": [], "parts": ()}
    if not isinstance(refused, Invalid):
        about |= _about(ask, verb, given)
    status = 200 if refused is None else 422 if isinstance(refused, Invalid) else 409
    return ask.page(
        "identity_preview.html", title=ACTS[verb][0], status=status, verb=verb, what=what, reason=reason, expected=expected,
        problem=refused, about=about, **_words(ask, [about["act"]["actor"]] if about["act"] else ()),
    )  # fmt: skip


def _about(ask: Ask, verb: str, given: tuple[Any, ...]) -> Row:
    """What an act is about: {"act"}, {"question"}, {"parties"} or {"parts"}; {} for a question that waits no more."""
    if verb == "undo":
        return {"act": who.act(ask.desk, given[0])}
    if verb == "split":
        return {"parts": given}
    if verb in _NUMBERED:
        try:
            return {"question": who.question(ask.desk, given[0])}
        except NotFound:  # what the act is refused with says so
            return {}
    return {"parties": [who.party(ask.desk, one)["party"] for one in given]}


def decide(ask: Ask) -> Response:
    verb, what, reason = ask.form("act"), ask.form_all("what"), ask.form("why").strip()[:_LONGEST_WHY]
    try:
        done = who.perform(ask.desk, verb, *_given(verb, what), why=reason)
    except (Invalid, NotPossible) as exc:
        return _preview(ask, verb, what, reason, exc)
    if ask.form("then") == "queue":
        return ask.back(url_of("/identity", rule=ask.form("rule"), after=ask.form("after"), done=done["act"]))
    if not done["act"]:
        return ask.back("/identity/acts", "There was nothing to do.")
    return ask.back(f"/identity/acts/{done['act']}", "Done.")


def acts(ask: Ask) -> Response:
    with_the_hubs = bool(ask.query("all"))
    rows = who.history(ask.desk, _ACTS, mark(ask, "before"), with_the_hubs)
    more = url_of("/identity/acts", all=ask.query("all"), before=rows[-1]["act"]) if len(rows) == _ACTS else ""
    return ask.page(
        "acts.html", title="Who decided what", acts=rows, more=more, with_the_hubs=with_the_hubs,
        **_words(ask, [a["actor"] for a in rows]),
    )  # fmt: skip


def one_act(ask: Ask) -> Response:
    found = who.act(ask.desk, ask.number("number"))
    sides = [pair[side] for pair in found["pairs"] for side in ("left", "right")]
    people = {side["party"]: side["name"] or side["text"] for side in sides if side["party"]}
    return ask.page(
        "acts_one.html", title=f"Act {found['act']}", act=found, people=people, **_words(ask, [found["actor"]])
    )


# --- words ------------------------------------------------------------------------------------------------------------


def _given(verb: str, what: list[str]) -> tuple[Any, ...]:
    if verb not in _NUMBERED:
        return tuple(what)
    return tuple(int(w) if w.isascii() and w.isdecimal() and len(w) <= 15 else w for w in what)


def _expected(ask: Ask, verb: str, given: tuple[Any, ...]) -> tuple[Row | None, Exception | None]:
    """(what would change, why it cannot be made)."""
    try:
        return who.expected(ask.desk, verb, *given), None
    except (Invalid, NotPossible) as exc:
        return None, exc


def _words(ask: Ask, actors: Iterable[str] = ()) -> Row:
    """What all templates of this module tell things with."""
    names = who.names(ask.desk, {a for a in actors if a})

    def by(actor: str) -> str:
        if actor in {"hub", ""}:
            return "the hub"
        return names.get(actor) or actor.removeprefix("local:")

    def said(text: str) -> str:
        """The text with names for the ids of accounts."""
        for actor, name in names.items():
            text = text.replace(actor, name)
        return text

    return {
        "by": by, "said_by": said, "acts_told": ACTS, "verdicts": VERDICTS, "kinds": KINDS, "field_names": FIELDS,
        "without_told": WITHOUT, "beside": beside, "waterfall": waterfall, "plain": plain, "may_decide": ask.may(IDENTITY_DECIDE),
    }  # fmt: skip


def beside(left: Row, right: Row) -> list[Row]:
    """Two sides field by field: [{"title", "left", "right": lists of text, "word": how they compare}]."""
    rows = [("Name", "name"), ("Kind", "kind"), ("Addresses", "addresses"), ("Ids in tools", "ids")]
    return [{"title": title, **_compared(left[key], right[key])} for title, key in rows if left[key] or right[key]]


def _compared(left: Any, right: Any) -> Row:
    sides = [[x] if isinstance(x, str) and x else list(x) for x in (left, right)]
    both = {x.casefold() for x in sides[0]} & {x.casefold() for x in sides[1]}
    is_all = len(both) == len(sides[0]) == len(sides[1])
    word = "the same" if is_all else "in part the same" if both else "differs" if all(sides) else "one side only"
    return {"left": sides[0], "right": sides[1], "word": word}


def plain(value: str) -> str:
    """What is compared, without the signs that part it."""
    return " ".join(value.replace("|", " ").split())


def waterfall(lines: list[Row]) -> Row:
    """Where each line's bar begins and ends, from 0 to 100 of the whole width: {"steps": [{line, "at", "wide", "word"}], "zero",
    "total": bits}."""
    total, ends = 0.0, [0.0]
    for line in lines:
        total += line["counts"]
        ends.append(total)
    low, high = min(ends), max(ends)
    scale = 100 / ((high - low) or 1)
    steps = [
        {
            **line, "at": round((min(a, b) - low) * scale, 1), "wide": max(round(abs(b - a) * scale, 1), 0.8),
            "word": "for" if line["counts"] > 0 else "against" if line["counts"] < 0 else "counts nothing",
        }
        for line, a, b in zip(lines, ends[:-1], ends[1:], strict=True)
    ]  # fmt: skip
    return {"steps": steps, "zero": round(-low * scale, 1), "total": round(total, 1)}


routes = [
    show("/identity", queue),
    show("/identity/questions/{number:int}", question),
    show("/identity/parties/{public_id}", party),
    show("/identity/why", why),
    show("/identity/preview", preview),
    act("/identity/decide", decide),
    show("/identity/acts", acts),
    show("/identity/acts/{number:int}", one_act),
]
