"""Invented people as five tools would hold them, for what is measured without the labelled sets. Seeded; nobody is real.

Names are put together from syllables, the commoner the sooner drawn. Hazards are few and named: a desk's mailbox, the
telephone of a switchboard or a household, somebody of the same name, another first name in the same post.
"""

from collections.abc import Iterator
from itertools import accumulate
from random import Random

Row = dict[str, str]
COLUMNS = ("rid", "source", "first_name", "last_name", "display_name", "email", "phone", "company", "city", "title",
           "truth_person", "truth_org", "trap")  # fmt: skip
MAIL, RECORDS = ("gmail", "calendar"), ("zendesk", "hubspot", "mailchimp")
_GIVEN_WORDS = "Ada Arno Bela Bruno Cleo Dario Edda Emil Fenja Gero Ilka Jonas Kaia Levin Malte Nele Oskar Pia Runa Silas Tilda Udo Vera Wim"
_GIVEN = _GIVEN_WORDS.split()
_START, _MIDDLE, _END = (
    text.split() for text in ("Ahl Bor Dren Fal Gan Hol Ker Lund Mar Nor Ost Pel Rav Stol Tam Ul Ven Wes", "a e i o u",
                              "bach beck dorf feld gaard holm kamp lin mann nes quist rud sen stad ter vik wald")
)  # fmt: skip
_CITIES = [start + end for start in _START[:10] for end in ("burg", "hafen", "by")]
_FREE = ("gmail.com", "outlook.com", "gmx.de", "yahoo.com")
_DESKS = ("info", "support", "billing")
_TRADES = ("Tools", "Foods", "Freight", "Optics", "Print")


class _World:
    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        families = [a + b + c for a in _START for b in _MIDDLE for c in _END]
        self.draw.shuffle(families)
        self.families, self.often = families, list(accumulate(1 / (n + 4) for n in range(len(families))))
        self.people = self.companies = 0

    def family(self) -> str:
        return self.draw.choices(self.families, cum_weights=self.often)[0]

    def phone(self) -> str:
        return f"+4930{self.draw.randrange(10**7, 10**8)}"

    def company(self) -> Row:
        self.companies += 1
        name = f"{self.family()} {self.draw.choice(_TRADES)}"
        domain = f"{name.replace(' ', '').lower()}{self.companies}.example"
        return {
            "id": f"o{self.companies}",
            "name": name,
            "domain": domain,
            "phone": self.phone(),
            "city": self.draw.choice(_CITIES),
        }

    def person(self, company: Row | None, like: Row | None = None) -> Row:
        self.people += 1
        first, last = (like["first"], like["last"]) if like else (self.draw.choice(_GIVEN), self.family())
        local, n = f"{first}.{last}".lower(), self.people
        work = f"{local}{n if like else ''}@{company['domain']}" if company else ""
        return {
            "id": f"p{n}", "first": first, "last": last, "work": work, "home": f"{local}{n}@{self.draw.choice(_FREE)}",
            "phone": self.phone(), "city": company["city"] if company else self.draw.choice(_CITIES),
            "company": company["name"] if company else "", "org": company["id"] if company else "",
            "switch": company["phone"] if company else "", "trap": "namesake" if like else "",
        }  # fmt: skip

    def slip(self, word: str) -> str:
        at = self.draw.randrange(1, max(len(word) - 1, 2))
        return (
            word[:at] + word[at + 1 :]
            if self.draw.random() < 0.5
            else word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
        )

    def record(self, p: Row, source: str) -> Row:
        chance, traps = self.draw.random, [p["trap"]] if p["trap"] else []
        first, last = p["first"], p["last"]
        if chance() < 0.06:
            last = self.slip(last)
        if chance() < 0.04:
            first = first[0]
        email = p["work"] if p["work"] and chance() < 0.75 else p["home"]
        if chance() < 0.05:
            local, _, domain = email.partition("@")
            email = f"{local}+{source}@{domain}"
        phone = p["phone"] if source in ("zendesk", "hubspot") and chance() < 0.7 else ""
        if phone and p["switch"] and chance() < 0.08:
            phone = p["switch"]
            traps.append("switchboard")
        if source in RECORDS and chance() < 0.2:
            email = ""
            phone = phone or p["phone"]
        names = ("", "") if source in MAIL else (first, last)
        shown = f"{first} {last}" if source in MAIL or source == "zendesk" else ""
        if chance() < (0.25 if source in MAIL else 0.03):
            names, shown = ("", ""), ""
        company = p["company"] if source in ("zendesk", "hubspot") and chance() < 0.8 else ""
        values = (source, *names, shown, email, phone, company, p["city"] if source in RECORDS and chance() < 0.6 else "",
                  "", p["id"], p["org"], "+".join(traps))  # fmt: skip
        return dict(zip(COLUMNS[1:], values, strict=True))

    def rows(self) -> Iterator[Row]:
        """A company's records at a time, shuffled by the caller."""
        while True:
            company = self.company() if self.draw.random() < 0.75 else None
            team: list[Row] = []
            for _ in range(min(40, int(self.draw.paretovariate(1.2))) if company else 1):
                team.append(self.person(company))
                if self.draw.random() < 0.03:
                    family = self.person(company) | {
                        "last": team[-1]["last"],
                        "phone": team[-1]["phone"],
                        "trap": "family_phone",
                    }
                    team.append(family)
                if self.draw.random() < 0.015:
                    team.append(self.person(company, like=team[-1]))
            for p in team:
                for source in self.draw.choices((*MAIL, *RECORDS), k=max(1, round(self.draw.gammavariate(1.6, 1.7)))):
                    yield self.record(p, source)
            if company and self.draw.random() < 0.15:
                desk = dict.fromkeys(COLUMNS[1:], "") | {
                    "source": "gmail",
                    "display_name": company["name"],
                    "trap": "role",
                }
                yield desk | {"email": f"{self.draw.choice(_DESKS)}@{company['domain']}", "truth_org": company["id"]}


def rows(n: int, seed: int = 7) -> list[Row]:
    """`n` records; those of one person are not beside each other."""
    world, found = _World(seed), list[Row]()
    for row in world.rows():
        found.append(row)
        if len(found) == n:
            break
    world.draw.shuffle(found)
    return [{"rid": f"r{i}", **row} for i, row in enumerate(found)]
