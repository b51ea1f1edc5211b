"""Match keys: how two spellings of one identifier are recognised; the spelling as given is kept for sending."""

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from hub.own import host as host  # known here by that name, too

if TYPE_CHECKING:
    from tldextract import TLDExtract

_GMAIL = frozenset({"gmail.com", "googlemail.com"})


@lru_cache(maxsize=1)
def _suffixes() -> "TLDExtract":
    """The public suffix list that came with the package; nothing is fetched. Costly to import, so on first use.

    With its private part: what lies below github.io or uk.com belongs to strangers, as below co.uk.
    """
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


@lru_cache(maxsize=1)
def free_domains() -> frozenset[str]:
    return frozenset(_words("free_domains.txt"))


@lru_cache(maxsize=1)
def role_localparts() -> frozenset[str]:
    return frozenset(_words("role_localparts.txt"))


@lru_cache(maxsize=1)
def disposable_domains() -> frozenset[str]:
    return frozenset(_words("disposable_domains.txt"))


def _words(name: str) -> list[str]:
    return (files("hub.identity") / "data" / name).read_text("utf-8").split()


def email(value: str) -> str:
    """The address as one row: trimmed and lower case; everything else as given."""
    return value.strip().lower()


def email_match(
    address: str, *, strip_plus: bool = True, gmail_dots: bool = True, plus_counts_at: frozenset[str] = frozenset()
) -> str:
    """The match key of a normalised address: +tag dropped, dots ignored at gmail.com, googlemail = gmail.

    plus_counts_at: domains, each with everything below it, where ana+news@ is another mailbox than ana@, whatever
    `strip_plus` says.
    """
    local, at, domain = address.rpartition("@")
    if not at:
        return address
    if not domain.isascii() or domain.endswith("."):
        domain = host(domain) or domain
    if strip_plus and "+" in local[1:] and not is_among(domain, plus_counts_at):
        local = local[0] + local[1:].partition("+")[0]
    if domain in _GMAIL:
        domain = "gmail.com"
        if gmail_dots:
            local = local.replace(".", "") or local
    return f"{local}@{domain}"


def written_out(label: str) -> str:
    """One label of a host name as people write it: "xn--mnchen-3ya" -> "münchen"; as it is where that cannot be told."""
    try:
        return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label
    except UnicodeError:
        return label


@lru_cache(maxsize=20_000)
def registrable_domain(name: str) -> str:
    """The part of a host name somebody registered ("mail.example.co.uk" -> "example.co.uk"); "" if there is none."""
    known = host(name)
    if "." not in known:
        return ""
    found = _suffixes()(known)
    if found.domain and found.suffix:
        return f"{found.domain}.{found.suffix}"
    return ".".join(known.rsplit(".", 2)[-2:]) if not found.suffix and not found.ipv4 else ""


def is_among(name: str, domains: frozenset[str]) -> bool:
    """Whether a host is one of these domains or below one; whole labels only."""
    while name:
        if name in domains:
            return True
        name = name.partition(".")[2]
    return False
