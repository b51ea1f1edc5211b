"""Made-up records with the truth in their ids: "7-2" is the third record of entity 7."""

from random import Random

from hub.identity.match.record import Record, prepare

_GIVEN_WORDS = "Anna Otto Maria Jan Ravi Wei Olga Lars Nuria Pedro Elsa Hugo Tessa Boris Irma Paolo"
_GIVEN = _GIVEN_WORDS.split()
_FAMILY_WORDS = (
    "Berg Maier Novak Costa Patel Lindqvist Okafor Tanaka Moreau Kovacs Silva Brandt Farrow Quist Holm Zeller"
)
_FAMILY = _FAMILY_WORDS.split()
_CITY_WORDS = "Lund Graz Porto Leeds Ghent Split Turin"
_CITY = _CITY_WORDS.split()


def people(entities: int, seed: int = 1) -> list[Record]:
    """Two to four records of each entity, some fields missing, some mistyped."""
    draw, found = Random(seed), []
    for n in range(entities):
        first, last, city = draw.choice(_GIVEN), draw.choice(_FAMILY), draw.choice(_CITY)
        email = f"{first}.{last}{n}@mail{n % 7}.example"
        phone = f"+4420{70000000 + n * 137}"
        born = f"19{draw.randrange(40, 99)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}"
        for k in range(draw.randrange(2, 5)):
            given = {"first_name": first, "last_name": last, "city": city, "email": email, "phone": phone, "born": born}
            for key in draw.sample(sorted(given), 2):
                given[key] = "" if draw.random() < 0.6 else given[key][:2] + given[key][3:]
            found.append(prepare(f"{n}-{k}", given))
    return found


def truth(record_id: str) -> str:
    return record_id.partition("-")[0]
