"""The registry of normalisers, and the built-in ones, which are registered as an outside package registers its own.

Whatever is given, a normaliser answers in bounded time with a value that can be stored and compared, or with "".
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from urllib.parse import urlsplit

from hub.api import ConfigError, Normalised, Normaliser, hookimpl
from hub.identity import normal, phones
from hub.identity.match import names, values
from hub.identity.match.strings import fold
from hub.own import is_no_reply

KINDS = frozenset({"email", "phone", "person_name", "company_name", "social_handle", "domain"})
SHARINGS = frozenset({"", "personal", "role", "no_reply", "free_domain", "disposable", "shared", "public_handle"})
LONGEST = 512  # characters; longer is junk or an attack
NOTHING = Normalised()
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Normalisers:
    """One normaliser for each kind (and, of social handles, for each network). Raises ConfigError for a claim that is no one's to make."""

    def __init__(self, found: Iterable[Normaliser]) -> None:
        self._by: dict[tuple[str, str], Normaliser] = {}
        self._cache: dict[tuple[str, str, str, str], Normalised] = {}
        for each in found:
            self._register(each)

    def _register(self, new: Normaliser) -> None:
        if new.kind not in KINDS:
            raise ConfigError(f'the normaliser {new.name} is for "{new.kind}"; there are {", ".join(sorted(KINDS))}')
        if new.scheme and new.kind != "social_handle":
            raise ConfigError(f"the normaliser {new.name} names a scheme, which only those of social_handle have")
        what = f"{new.kind} {new.scheme}".rstrip()
        held = self._by.get((new.kind, new.scheme))
        if any(new.name == other.name for other in self._by.values()):
            raise ConfigError(f"two normalisers are called {new.name}: names must be unique")
        if held and new.replaces != held.name:
            wanted = f", which names {new.replaces} to replace" if new.replaces else ", which names none to replace"
            raise ConfigError(f"both {held.name} and {new.name}{wanted}, want to normalise {what}: uninstall one")
        if not held and new.replaces:
            raise ConfigError(f"{new.name} replaces {new.replaces}, and no normaliser of {what} is called so")
        self._by[new.kind, new.scheme] = new

    def names(self) -> dict[str, str]:
        """Which normaliser is in use, by kind and network: for whoever asks why two values are the same."""
        return {f"{kind} {scheme}".rstrip(): each.name for (kind, scheme), each in sorted(self._by.items())}

    def is_built_in(self, kind: str) -> bool:
        return self._by[kind, ""].name == f"hub.{kind}"

    def configured(
        self,
        strip_plus: bool = True,
        gmail_dots: bool = True,
        plus_counts_at: frozenset[str] = frozenset(),
        role_localparts: frozenset[str] | None = None,
        free_domains: frozenset[str] | None = None,
    ) -> "Normalisers":
        """The same with the built-in ones for addresses and domains under other settings; one that replaces them stays.

        plus_counts_at: see `normal.email_match`. None: the lists that the hub comes with.
        """
        ours = {
            "hub.email": email(strip_plus, gmail_dots, plus_counts_at, role_localparts), "hub.domain": domain(free_domains),
        }  # fmt: skip
        found = Normalisers(())
        found._by = {k: replace(n, normalise=ours.get(n.name, n.normalise)) for k, n in self._by.items()}
        return found

    def __call__(self, kind: str, given: str, region: str = "", scheme: str = "") -> Normalised:
        """What `given` is compared by. Junk, and what a normaliser fails on, has the value "" and matches nothing.

        Raises KeyError for a kind that does not exist.
        """
        each = self._by.get((kind, scheme)) or self._by[kind, ""]
        if not given or len(given) > LONGEST:
            return NOTHING
        key = (kind, scheme, region, given)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= 20_000:
                self._cache.clear()
            found = self._cache[key] = _guarded(each, given, region)
        return found


def _guarded(each: Normaliser, given: str, region: str) -> Normalised:
    if _CONTROL.search(given):
        return NOTHING
    try:
        found = each.normalise(given, region)
    except Exception:  # whatever an outside normaliser raises on junk: it is junk
        return NOTHING
    if not isinstance(found, Normalised) or not isinstance(found.value, str) or found.sharing not in SHARINGS:
        return NOTHING
    if not found.value or len(found.value) > LONGEST or not found.value.isprintable():
        return NOTHING
    return NOTHING if each.kind == "person_name" and found.value.count("|") != 2 else found


@lru_cache(maxsize=1)
def installed() -> Normalisers:
    """Those of all installed packages. Raises ConfigError when two want the same, or one cannot be loaded."""
    from hub.plugins import load_normalisers  # which reads settings: not needed to import this

    return Normalisers(load_normalisers())


_LOCAL = re.compile(r"[^\s<>]{1,64}")
_DOMAIN = re.compile(r"[^\s<>@]{1,255}")
_LITERAL = re.compile(r"\[[0-9a-f.:]+\]")


@lru_cache(maxsize=20_000)
def _server(domain: str) -> tuple[str, bool, bool]:
    """(host of an address, as it is if it can be none; whether mail can go there; whether it gives addresses to throw away)."""
    if not _DOMAIN.fullmatch(domain):
        return "", False, False
    host = domain if _LITERAL.fullmatch(domain) else normal.host(domain)
    return host or domain, "." in host or ":" in host, normal.is_among(host, normal.disposable_domains())


def email(
    strip_plus: bool = True,
    gmail_dots: bool = True,
    plus_counts_at: frozenset[str] = frozenset(),
    role_localparts: frozenset[str] | None = None,
) -> Callable[[str, str], Normalised]:
    """The normaliser of addresses under these settings (see `normal.email_match`): "Ana <Ana+x@Kestrel.example>" is ana@kestrel.example."""
    roles = normal.role_localparts() if role_localparts is None else role_localparts

    def normalise(given: str, _region: str) -> Normalised:
        text = given.strip()
        if text.endswith(">"):
            text = text[text.rfind("<") + 1 : -1]
        local, _, domain = normal.email(text).removeprefix("mailto:").rpartition("@")
        host, is_reached, is_thrown_away = _server(domain)
        if not (host and _LOCAL.fullmatch(local)):
            return NOTHING
        address = f"{local}@{host}"
        key = normal.email_match(address, strip_plus=strip_plus, gmail_dots=gmail_dots, plus_counts_at=plus_counts_at)
        if is_no_reply(address):
            return Normalised(address, "no_reply")
        if local.partition("+")[0] in roles:
            return Normalised(key, "role")
        if not is_reached or ("@" in local and not local.startswith('"')):
            return Normalised(key)  # no mail can go there; it may be a slip of one that it can
        return Normalised(key, "disposable" if is_thrown_away else "personal")

    return normalise


def phone(given: str, region: str) -> Normalised:
    """E.164; a number that does not say its country keeps its digits. Fewer than six digits are nobody's number."""
    key, _ = phones.match(given[:64], region)
    key = values.phone(key)
    if key.startswith("+"):
        key = phones.match(key, region)[0]
    return Normalised(key) if sum(ch.isdigit() for ch in key) >= 6 else NOTHING


def person_name(given: str, _region: str) -> Normalised:
    parts = given.split("|")
    is_key = len(parts) == 3 and bool(parts[0] or parts[2]) and all(fold(part) == part for part in parts)
    return Normalised(given if is_key else names.split(given).key)


def company_name(given: str, _region: str) -> Normalised:
    return Normalised(values.company(given))


def domain(free_domains: frozenset[str] | None = None) -> Callable[[str, str], Normalised]:
    """The normaliser of domains: the registrable one of a host, an address or a URL."""
    free = normal.free_domains() if free_domains is None else free_domains

    def normalise(given: str, _region: str) -> Normalised:
        host = normal.host(_host_of(given))
        found = normal.registrable_domain(host)
        if not found:
            return NOTHING
        if normal.is_among(host, normal.disposable_domains()):
            return Normalised(found, "disposable")
        return Normalised(found, "free_domain" if normal.is_among(host, free) else "")

    return normalise


def _host_of(given: str) -> str:
    text = given.strip()
    if "//" not in text:
        text = "//" + text.rpartition("@")[2]
    try:
        return urlsplit(text).hostname or ""
    except ValueError:
        return ""


# Network -> its hosts, and what stands before the handle in a path.
_NETWORKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "linkedin": (("linkedin.com",), ("in", "company", "school", "pub")), "x": (("x.com", "twitter.com"), ()),
    "github": (("github.com",), ()), "gitlab": (("gitlab.com",), ()), "instagram": (("instagram.com",), ()),
    "facebook": (("facebook.com", "fb.com"), ()), "youtube": (("youtube.com",), ("c", "user", "channel")),
    "tiktok": (("tiktok.com",), ()), "telegram": (("t.me", "telegram.me"), ()), "bluesky": (("bsky.app",), ("profile",)),
    "xing": (("xing.com",), ("profile",)),
}  # fmt: skip
_HOSTS = {host: network for network, (hosts, _) in _NETWORKS.items() for host in hosts}
_HANDLE = re.compile(r"[\w.%-]{1,100}")


def social_handle(network: str = "") -> Callable[[str, str], Normalised]:
    """The normaliser of one network's handles; of no network in particular, only URLs say whose they are: "linkedin:anna-berg".

    Anybody may write anybody's handle into a profile: it is evidence, and never a key by itself.
    """

    def normalise(given: str, _region: str) -> Normalised:
        text = given.strip().casefold()
        said, _, rest = text.partition(":")
        if said in _NETWORKS and not rest.startswith("/"):
            found, handle = said, rest.lstrip("@")
        elif "/" in text:
            found, handle = _of_url(text)
        else:
            found, handle = network, text.lstrip("@")
        if not found or (network and found != network) or not _HANDLE.fullmatch(handle):
            return NOTHING
        return Normalised(f"{found}:{handle}", "public_handle")

    return normalise


def _of_url(text: str) -> tuple[str, str]:
    try:
        url = urlsplit(text if "//" in text else "//" + text)
        network = _HOSTS.get(normal.registrable_domain(url.hostname or ""), "")
    except ValueError:
        return "", ""
    parts = [part for part in url.path.split("/") if part]
    before = _NETWORKS[network][1] if network else ()
    if parts and parts[0] in before:
        kind, *parts = parts
        return network, f"{kind}.{parts[0]}" if parts and kind in ("company", "school", "channel") else "".join(
            parts[:1]
        )
    return network, parts[0].lstrip("@") if parts and (not before or parts[0].startswith("@")) else ""


@hookimpl
def hub_normalisers() -> list[Normaliser]:
    """What the hub brings itself; found by entry point like everybody's."""
    return [
        Normaliser("hub.email", "email", email()),
        Normaliser("hub.phone", "phone", phone),
        Normaliser("hub.person_name", "person_name", person_name),
        Normaliser("hub.company_name", "company_name", company_name),
        Normaliser("hub.domain", "domain", domain()),
        Normaliser("hub.social_handle", "social_handle", social_handle()),
        *(Normaliser(f"hub.social_handle.{n}", "social_handle", social_handle(n), scheme=n) for n in sorted(_NETWORKS)),
    ]
