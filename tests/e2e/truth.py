"""What raw mails say, by the standard library's e-mail package and a few lines of our own: an independent witness.

It shares no code with the hub. Rules as the facts of the mail sets state them (`rules` of FACTS.json).
"""

import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from itertools import islice
from pathlib import Path
from typing import Any

import tldextract

_suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)
_NO_REPLY = re.compile(r"(no|do[._-]?not)[._-]?reply|mailer-daemon|^bounces?\b|^nobody$|^devnull$")

_LIST_HOSTS = {"lists", "list", "mailman", "listserv"}
_LIST_SERVICES = {"googlegroups.com", "groups.io", "freelists.org", "yahoogroups.com"}

_NEWER_FREE_MAIL = {"proton.me", "pm.me", "tutanota.com", "tuta.io", "mailbox.org", "posteo.de"}
"""Free-mail services that the shared list does not know yet."""


@dataclass(frozen=True)
class Mail:
    """message_id: the text inside <...>; people: (role, address) with the true sender as "from".

    lists: mailing lists the mail says it went through.
    """

    message_id: str
    people: frozenset[tuple[str, str]]
    lists: frozenset[str]


@dataclass(frozen=True)
class Wanted:
    """Where a mail must hang at the system of record: match keys of contacts, domains of companies."""

    contacts: frozenset[str]
    companies: frozenset[str]
    people: frozenset[tuple[str, str]]


def raw_mails(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """Messages of a tar archive in its order."""
    with tarfile.open(path) as archive:
        members = (m for m in archive if m.isfile())
        for member in islice(members, limit):
            content = archive.extractfile(member)
            if content is not None:
                yield content.read()


def read(raws: Iterable[bytes], lists: Iterable[str]) -> list[Mail]:
    """Distinct mails by Message-ID, the first of each."""
    found: dict[str, Mail] = {}
    taken = frozenset(a.lower() for a in lists)
    for raw in raws:
        mail = _read(BytesHeaderParser().parsebytes(raw), taken)
        found.setdefault(mail.message_id, mail)
    return list(found.values())


def _read(m: Message, lists: frozenset[str]) -> Mail:
    flat = re.sub(r"\s+", "", str(m.get("Message-ID") or ""))
    inside = re.search(r"<([^<>]+)>", flat)
    sender = next(iter(_addresses(m, "From")), "")
    if sender in lists:
        written = (a for h in ("Reply-To", "X-MailFrom", "X-Original-From", "Cc") for a in _addresses(m, h))
        sender = next((a for a in written if a not in lists), sender)
    people = {("from", sender)} if sender else set()
    people |= {(role, a) for role in ("to", "cc", "bcc") for a in _addresses(m, role)}
    posts = (str(v) for v in m.get_all("List-Post") or [])
    through = {a.lower() for v in posts for a in re.findall(r"mailto:([^<>\s?]+)", v)}
    through |= {a for h in ("X-BeenThere", "X-Mailing-List") for a in _addresses(m, h)}
    return Mail(inside[1] if inside else flat.strip("<>"), frozenset(people), frozenset(through))


def _addresses(m: Message, name: str) -> list[str]:
    values = [str(v).replace("\n", " ").replace("\r", " ") for v in m.get_all(name) or []]
    found = (a.strip().lower() for _, a in getaddresses(values))
    return [a for a in found if a.count("@") == 1 and not re.search(r"[\s<>,]", a)]


@dataclass(frozen=True)
class Policy:
    """Who is ours, what is nobody's own address, what is nobody's own domain."""

    domains: frozenset[str]
    lists: frozenset[str]
    role_words: frozenset[str] = frozenset()
    free_domains: frozenset[str] = frozenset()
    _cache: dict[str, str] = field(default_factory=dict, compare=False, hash=False, repr=False)

    @classmethod
    def of(cls, facts: Mapping[str, Any], words: Path) -> "Policy":
        """From a mail set's facts and the folder of the shared policy lists."""
        return cls(
            frozenset(facts["direction"]["vendor_domains"]), frozenset(facts["list_addresses_left_out"]),
            _words(words / "role_localparts.txt"),
            _words(words / "freemail_domains.txt") | _words(words / "disposable_domains.txt") | _NEWER_FREE_MAIL,
        )  # fmt: skip

    def due(self, mails: Sequence[Mail]) -> dict[str, Wanted]:
        """message id -> where it must hang; mails with nobody to hang on are not due."""
        found = {}
        lists = self.lists.union(*(m.lists for m in mails))
        for mail in mails:
            outside = [a for _, a in mail.people if not self._is_ours(a) and a not in lists and not _is_list(a)]
            named = [a for a in outside if not _NO_REPLY.search(a.partition("@")[0])]
            personal = [a for a in named if re.split("[@+]", a)[0] not in self.role_words]
            contacts = frozenset(self.key(a) for a in personal)
            companies = frozenset(d for a in named if (d := self._firm(a.rpartition("@")[2])))
            if contacts or companies:
                found[mail.message_id] = Wanted(contacts, companies, mail.people)
        return found

    def _is_ours(self, address: str) -> bool:
        host = address.rpartition("@")[2]
        return any(host == d or host.endswith("." + d) for d in self.domains)

    def key(self, address: str) -> str:
        """Two spellings of one address: tags, and Gmail's dots."""
        local, _, host = address.strip().lower().rpartition("@")
        local = local[:1] + local[1:].split("+")[0]
        if host in {"gmail.com", "googlemail.com"}:
            local, host = local.replace(".", ""), "gmail.com"
        return f"{local}@{host}"

    def _firm(self, host: str) -> str:
        if host not in self._cache:
            cut = _suffixes(host)
            domain = f"{cut.domain}.{cut.suffix}" if cut.domain and cut.suffix else ""
            is_free = domain in self.free_domains or host in self.free_domains
            self._cache[host] = "" if is_free else domain
        return self._cache[host]


def _is_list(address: str) -> bool:
    """By its host alone: "lists.example.org" and the public list services serve lists, not people."""
    host = address.rpartition("@")[2]
    return host.split(".")[0] in _LIST_HOSTS or host in _LIST_SERVICES


def _words(path: Path) -> frozenset[str]:
    lines = path.read_text("utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
