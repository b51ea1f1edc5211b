"""Who is in the made-up world: the vendor Brindlepost, its customers and the odd strangers who write to it.

Every name is invented and every address lies under `.example` (RFC 2606), phone numbers under ranges kept free for
fiction (+44 1632 960xxx, +49 30 23125xxx). Brindlepost sells route planning to firms that deliver things.
"""

from dataclasses import dataclass
from typing import Literal

Client = Literal["webmail", "plain", "classic", "outlook", "html", "phone"]
Language = Literal["en", "de"]

NAME = "Brindlepost"
DOMAIN = "brindlepost.example"
SUPPORT = f"support@{DOMAIN}"
SUPPORT_NAME = "Brindlepost Support"
FREEMAIL = "freemail.example"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes mail.

    client: the habits of the mail program (quote form, HTML, signature; "classic" answers below the quote).
    salutation: how German mail greets the person ("Herr Pohl"). aliases: further addresses of the same person.
    signs: what stands under a mail instead of the name; set for mailboxes that are not one person.
    """

    name: str
    address: str
    title: str = ""
    organization: str = ""
    phone: str = ""
    client: Client = "webmail"
    language: Language = "en"
    salutation: str = ""
    aliases: tuple[str, ...] = ()
    signs: str = ""

    @property
    def first(self) -> str:
        return self.name.split()[0]

    @property
    def last(self) -> str:
        return self.name.split()[-1]

    @property
    def mailbox(self) -> str:
        """The address as a header shows it before encoding: `Name <address>`."""
        return f"{self.name} <{self.address}>"


Stage = Literal["hero", "new", "customer", "renewing", "quiet"]


@dataclass(frozen=True, slots=True)
class Organization:
    """A customer. sites: its depots; vans: size of its fleet; stage: which kind of story its mail tells."""

    key: str
    name: str
    domain: str
    industry: str
    sites: tuple[str, str]
    vans: int
    stage: Stage
    people: tuple[Person, ...]
    language: Language = "en"


INES = Person(
    "Ines Karlow", f"ines@{DOMAIN}", "Account Manager", NAME, "+44 1632 960110", "webmail",
    salutation="Frau Karlow", aliases=(f"ines.karlow@{DOMAIN}",),
)  # fmt: skip
TOMAS = Person(
    "Tomás Reyer", f"tomas@{DOMAIN}", "Head of Support", NAME, "+44 1632 960120", "plain",
    salutation="Herr Reyer", aliases=(f"tomas.reyer@{DOMAIN}",),
)  # fmt: skip
NADIA = Person(
    "Nadia Brock", f"nadia@{DOMAIN}", "Founder", NAME, "+44 1632 960101", "webmail",
    salutation="Frau Brock", aliases=(f"nadia.brock@{DOMAIN}",),
)  # fmt: skip
OWN = (INES, TOMAS, NADIA)


_PHONE_BLOCKS = (
    "halden", "osterfeld", "pinewharf", "corvane", "tillbrook", "vantry", "mosswell", "quillon", "weidenau", "saltmere",
)  # fmt: skip


def _org(
    key: str, name: str, domain: str, industry: str, sites: tuple[str, str], vans: int, stage: Stage,
    *rows: tuple[str, str, str, Client, str], language: Language = "en",
) -> Organization:  # fmt: skip
    """rows: name, local part or whole address, title, client, salutation."""
    people = []
    for position, (person, local, title, client, salutation) in enumerate(rows):
        address = local if "@" in local else f"{local}@{domain}"
        code = _PHONE_BLOCKS.index(key) * 4 + position
        phone = f"+49 30 23125{100 + code}" if language == "de" else f"+44 1632 960{200 + code}"
        people.append(Person(person, address, title, name, phone, client, language, salutation))
    return Organization(key, name, domain, industry, sites, vans, stage, tuple(people), language)


def organizations(freemail: str = FREEMAIL) -> tuple[Organization, ...]:
    """The ten customers. `freemail` is the domain of the one contact who writes from a private address."""
    # fmt: off
    return (
        _org("halden", "Halden Bakeries", "haldenbakeries.example", "Food production", ("Milton Yard", "Arvenby"), 34,
             "hero",
             ("Marta Lindqvist", "marta.lindqvist", "Head of Distribution", "outlook", ""),
             ("Priya Nair", "priya.nair", "Dispatcher", "webmail", ""),
             ("Henrik Solberg", "henrik.solberg", "Purchasing and Legal", "outlook", "")),
        _org("osterfeld", "Osterfeld Getränke", "osterfeld-getraenke.example", "Beverages", ("Osterfeld", "Wiesental"),
             52, "customer",
             ("Jürgen Pohl", "j.pohl", "Leiter Logistik", "outlook", "Herr Pohl"),
             ("Anna Weber", "a.weber", "Disposition", "classic", "Frau Weber"),
             ("Sabine Kröger", "s.kroeger", "Buchhaltung", "outlook", "Frau Kröger"), language="de"),
        _org("pinewharf", "Pinewharf Seafood", "pinewharf.example", "Food wholesale", ("Quay Street", "Northgate"), 18,
             "customer",
             ("Callum Reid", "callum", "Operations Manager", "phone", ""),
             ("Isla Fenwick", "isla", "Transport Planner", "webmail", ""),
             ("Dougal Marsh", "dougal", "IT", "classic", "")),
        _org("corvane", "Corvane Medical Supplies", "corvane.example", "Medical supplies", ("Eastfield", "Harrow Lane"),
             41, "renewing",
             ("Clara Voss", "clara.voss", "Fleet Coordinator", "classic", ""),
             ("Samuel Okoro", "samuel.okoro", "Chief Operating Officer", "outlook", ""),
             ("Beatrix Lund", "beatrix.lund", "IT Security", "outlook", "")),
        _org("tillbrook", "Tillbrook Dairy", "tillbrook.example", "Dairy", ("Tillbrook Farm", "Low Mill"), 23,
             "customer",
             ("Owen Pritchard", "owen.pritchard", "Transport Manager", "webmail", ""),
             ("Gareth Lowe", "gareth.lowe", "Early Shift Lead", "phone", ""),
             ("Hazel Tenby", "accounts", "Accounts Payable", "outlook", ""),
             ("Piet Moran", f"piet.moran@{freemail}", "Driver, Low Mill", "phone", "")),
        _org("vantry", "Vantry Linen Services", "vantrylinen.example", "Laundry services", ("Canal Works", "Southside"),
             29, "quiet",
             ("Lorraine Duval", "lorraine.duval", "Managing Director", "outlook", ""),
             ("Marcus Thewlis", "marcus.thewlis", "Operations", "webmail", ""),
             ("Yusuf Demir", "yusuf.demir", "Depot Manager", "webmail", "")),
        _org("mosswell", "Mosswell Garden Centres", "mosswell.example", "Retail", ("Mosswell Cross", "Ferrers End"), 12,
             "new",
             ("Teresa Quigley", "teresa", "Operations Director", "webmail", ""),
             ("Ben Aldous", "ben", "Delivery Team Lead", "phone", ""),
             ("Imogen Hart", "imogen", "Finance", "webmail", "")),
        _org("quillon", "Quillon Office Supply", "quillon.example", "Office supplies", ("Unit 7", "Castle Road"), 16,
             "renewing",
             ("Jonas Adler", "jonas.adler", "Head of Logistics", "webmail", ""),
             ("Rachel Stein", "rachel.stein", "Customer Service Lead", "outlook", ""),
             ("Victor Amadi", "victor.amadi", "Finance and Data", "classic", "")),
        _org("weidenau", "Brauerei Weidenau", "weidenau-brauerei.example", "Brewery", ("Weidenau", "Altenried"), 14,
             "new",
             ("Anna Weber", "anna.weber", "Vertriebsleitung", "webmail", "Frau Weber"),
             ("Matthias Brandl", "brandl", "Fuhrpark", "phone", "Herr Brandl"),
             ("Lukas Heim", "lukas.heim", "Verwaltung", "classic", "Herr Heim"), language="de"),
        _org("saltmere", "Saltmere Hotels", "saltmere.example", "Hospitality", ("Harbour House", "The Links"), 9,
             "customer",
             ("Zoë Carmichael", "zoe.carmichael", "Purchasing", "html", ""),
             ("Philip Nance", "philip.nance", "Food and Beverage Logistics", "outlook", "")),
    )
    # fmt: on


DESK = Person(SUPPORT_NAME, SUPPORT, organization=NAME, client="plain", signs="The Brindlepost support team")
"""The shared mailbox, as it signs its own answers."""

ROLE_SENDER = Person(
    "Saltmere Hotels", "info@saltmere.example", organization="Saltmere Hotels", client="outlook",
    signs="Front office, Saltmere Hotels",
)  # fmt: skip
PLUS_TAG = "jonas.adler+orders@quillon.example"
FORMER = "greta.holm@corvane.example"
"""A contact who left: mail to her bounces."""

PARTNER = Person(
    "Felix Arden", "felix.arden@roadbeam.example", "Integration Engineer", "Roadbeam Telematics",
    "+44 1632 960310", "classic",
)  # fmt: skip
LIST_MEMBER = Person("Rhea Sandoval", "rhea@greypeak.example", "", "Greypeak Couriers", client="classic")
LIST_ADDRESS = "fleet-users@lists.roadbeam.example"
LIST_SUFFIX = " via fleet-users"
ADVISER = Person("Konrad Bell", "konrad@bellandco.example", "Accountant", "Bell & Co", "+44 1632 960320", "outlook")
NEWSLETTER = Person("The Loading Dock", "news@loadingdock.example")
BILLING = Person("Paperbox Billing", "no-reply@paperbox.example")
FRIEND = Person("Joan Brock", "joan.brock@homestead.example", client="phone")
"""Family of the founder: her mail is private and must never leave the mailbox."""


def applicant(freemail: str = FREEMAIL) -> Person:
    """Somebody outside every customer who happens to use the same free-mail host."""
    return Person("Minh Castellan", f"minh.castellan@{freemail}", client="webmail")


NEWCOMER = Person(
    "Oskar Brandt", "oskar.brandt@haldenbakeries.example", "Depot Lead, Arvenby", "Halden Bakeries",
    "+44 1632 960290", "webmail",
)  # fmt: skip
"""Writes for the first time on the second day."""
