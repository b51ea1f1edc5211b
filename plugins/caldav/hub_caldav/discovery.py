"""From an address to calendars: principal, home, and what is in it. Source: RFC 6764, RFC 5397, RFC 4791 section 6.2.1."""

from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from hub.api import ConfigError, Conflict, ContractBroken, Gone, HubError, RecordRejected
from hub_caldav.dav import Dav
from hub_caldav.xml import Node, path_of, tag

WELL_KNOWN = "/.well-known/caldav"
ABOUT = (
    "d:resourcetype", "d:displayname", "c:supported-calendar-component-set", "cs:getctag", "d:sync-token",
    "d:current-user-privilege-set",
)  # fmt: skip
# What lets somebody put a new object into a calendar; "all" and "write" hold the others.
MAY_WRITE = {tag(f"d:{name}") for name in ("all", "write", "bind")}
MAY_READ = {tag(f"d:{name}") for name in ("all", "read")}


@dataclass(frozen=True)
class Calendar:
    """One calendar as the server describes it. may_*: None where the server does not say (no privilege set)."""

    href: str
    name: str
    ctag: str
    sync_token: str
    may_read: bool | None
    may_write: bool | None


@dataclass(frozen=True)
class Account:
    """The signed-in principal: its address, name, the address of its calendars, and the mail addresses it has."""

    principal: str
    name: str
    home: str
    addresses: tuple[str, ...] = field(default=())


async def account(dav: Dav, base_url: str) -> Account:
    """Raises ConfigError when the address leads to no calendar home."""
    start = urlsplit(base_url).path
    principal, home = "", ""
    for url in dict.fromkeys((start, WELL_KNOWN)):
        try:
            found = await dav.propfind(url, 0, "d:current-user-principal", "c:calendar-home-set")
        except (Gone, RecordRejected, Conflict, ContractBroken) as exc:
            if isinstance(exc, ContractBroken) and exc.status is None:
                raise _explained(exc) from exc
            continue
        for node in found.nodes:
            principal = principal or next(iter(node.hrefs("d:current-user-principal")), "")
            home = home or next(iter(node.hrefs("c:calendar-home-set")), "")
        if principal or home:
            break
    if not principal and not home:
        raise ConfigError("base_url: no CalDAV account is found there; give the server's CalDAV address")
    name, addresses = "", []
    if principal:
        about = await dav.propfind(principal, 0, "d:displayname", "c:calendar-home-set", "c:calendar-user-address-set")
        for node in about.nodes:
            home = next(iter(node.hrefs("c:calendar-home-set")), home)
            name = name or node.text("d:displayname")
            addresses += [a[7:] for a in node.hrefs("c:calendar-user-address-set") if a.lower().startswith("mailto:")]
    if not home:
        raise ConfigError("base_url: the account there has no calendar home")
    own = tuple(sorted({a.strip().lower() for a in addresses if "@" in a}))
    return Account(path_of(principal or home), name, _at(base_url, home), own)


def _at(base_url: str, home: str) -> str:
    """The home's path; refused when it lies on another host, where no password may go unasked."""
    there = urlsplit(urljoin(base_url, home))
    if there.hostname != urlsplit(base_url).hostname:
        raise ConfigError(f"base_url: this account's calendars are at {there.hostname}; set base_url to that host")
    return path_of(home)


def _explained(exc: ContractBroken) -> HubError:
    if "refusing to call host" in exc.message:
        return ConfigError(f"base_url: the server redirects to another host ({exc.message}); set base_url to that host")
    return exc


async def calendars(dav: Dav, home: str) -> list[Calendar]:
    """Every collection in the home that holds events, by address."""
    found = await dav.propfind(home, 1, *ABOUT)
    return sorted((c for node in found.nodes if (c := _calendar(node))), key=lambda c: c.href)


def _calendar(node: Node) -> Calendar | None:
    if node.status not in {0, 200} or tag("c:calendar") not in node.names("d:resourcetype"):
        return None
    components = node.props.get(tag("c:supported-calendar-component-set"))
    if components is not None:
        names = {str(c.get("name", "")).upper() for c in components.iter(tag("c:comp"))}
        if names and "VEVENT" not in names:
            return None
    rights = node.names("d:current-user-privilege-set") if tag("d:current-user-privilege-set") in node.props else None
    return Calendar(
        href=node.href if node.href.endswith("/") else node.href + "/",
        name=node.text("d:displayname"),
        ctag=node.text("cs:getctag"),
        sync_token=node.text("d:sync-token"),
        may_read=None if rights is None else bool(rights & MAY_READ),
        may_write=None if rights is None else bool(rights & MAY_WRITE),
    )


def named(wanted: str, calendar: Calendar) -> bool:
    """Whether a setting names this calendar: by display name, or by address."""
    return wanted == calendar.name or path_of(wanted).rstrip("/") == calendar.href.rstrip("/")
