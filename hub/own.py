"""Who "we" are: own domains, own addresses and mailing lists, as the configuration and the tools say."""

import re
from dataclasses import dataclass
from typing import Literal

Side = Literal["own", "list", "external"]
_NO_REPLY = re.compile(
    r"(^|[._+-])(no|do[._-]?not|donot)[._-]?reply|^(mailer-?daemon|bounces?|devnull|nobody)([._+=-]|$)"
)


@dataclass(frozen=True)
class Own:
    """domains: each with everything below it. addresses: own people elsewhere, and aliases. lists: mailing lists
    whose mail is conversation with customers. All lower case."""

    domains: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    def side(self, address: str) -> Side:
        """On which side of the table an address sits. A list is neither own nor a customer."""
        address = address.lower()
        if address in self.lists:
            return "list"
        if address in self.addresses or self.has_domain(address.rpartition("@")[2]):
            return "own"
        return "external"

    def has_domain(self, domain: str) -> bool:
        """True for an own domain and every domain below one; whole labels only."""
        while domain:
            if domain in self.domains:
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
