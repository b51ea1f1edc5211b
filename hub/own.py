"""Who "we" are: own domains, own addresses and mailing lists, as the configuration and the tools say."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

Side = Literal["own", "list", "external"]
_NO_REPLY = re.compile(
    r"(^|[._+-])(no|do[._-]?not|donot)[._-]?reply|^(mailer-?daemon|bounces?|devnull|nobody)([._+=-]|$)"
)


_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_DOTS = str.maketrans("。．｡", "...")  # what stands for the dot in other scripts


@lru_cache(maxsize=20_000)
def host(name: str) -> str:
    """A host name as DNS knows it: lower case, ASCII ("xn--"), without the dot at its end; "" for what can be none."""
    if len(name) > 1000:
        return ""
    plain = unicodedata.normalize("NFKC", name.strip().translate(_DOTS)).lower()
    try:
        labels = [_label(label) for label in plain.removesuffix(".").split(".")]
    except UnicodeError:
        return ""
    found = ".".join(labels)
    return found if len(found) <= 253 and all(map(_LABEL.fullmatch, labels)) else ""


def _label(label: str) -> str:
    return label if label.isascii() else "xn--" + unicodedata.normalize("NFC", label).encode("punycode").decode("ascii")


@lru_cache(maxsize=20_000)
def _written(address: str) -> str:
    """An address in one spelling, with its host as DNS knows it."""
    local, at, domain = address.strip().lower().rpartition("@")
    return f"{local}{at}{host(domain) or domain}"


@dataclass(frozen=True)
class Own:
    """domains: each with everything below it. addresses: own people elsewhere, and aliases. lists: mailing lists
    whose mail is conversation with customers. In any spelling: München.example, xn--mnchen-3ya.example. are one."""

    domains: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    @cached_property
    def hosts(self) -> frozenset[str]:
        """`domains` as DNS knows them."""
        return frozenset(host(d) or d for d in self.domains)

    @cached_property
    def _known(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(map(_written, self.lists)), frozenset(map(_written, self.addresses))

    def side(self, address: str) -> Side:
        """On which side of the table an address sits. A list is neither own nor a customer."""
        address, (lists, addresses) = _written(address), self._known
        if address in lists:
            return "list"
        if address in addresses or self.has_domain(address.rpartition("@")[2]):
            return "own"
        return "external"

    def has_domain(self, domain: str) -> bool:
        """True for an own domain and every domain below one; whole labels only."""
        domain = host(domain) or domain.lower()
        while domain:
            if domain in self.hosts:
                return True
            domain = domain.partition(".")[2]
        return False

    def plus(self, addresses: frozenset[str]) -> "Own":
        """With further own addresses, such as the send-as aliases of connected mailboxes."""
        return Own(self.domains, self.addresses | addresses, self.lists)


_LIST_HOSTS = ("lists.", "list.", "mailman.", "listserv.")
_LIST_SERVICES = frozenset({"googlegroups.com", "groups.io", "freelists.org", "yahoogroups.com"})


def is_list(address: str) -> bool:
    """True for addresses whose host says that it is a mailing list's, or a room's or another calendar's."""
    host = address.rpartition("@")[2].lower()
    return host.endswith(".calendar.google.com") or host.startswith(_LIST_HOSTS) or host in _LIST_SERVICES


def is_no_reply(address: str) -> bool:
    """True for addresses that nobody reads: no-reply, bounces, mailer-daemon."""
    return bool(_NO_REPLY.search(address.partition("@")[0].lower()))
