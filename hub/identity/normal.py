"""Match keys: how two spellings of one identifier are recognised; the spelling as given is kept for sending."""

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tldextract import TLDExtract

_GMAIL = frozenset({"gmail.com", "googlemail.com"})


@lru_cache(maxsize=1)
def _suffixes() -> "TLDExtract":
    """The public suffix list that came with the package; nothing is fetched. Costly to import, so on first use."""
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@lru_cache(maxsize=1)
def free_domains() -> frozenset[str]:
    return frozenset(_words("free_domains.txt"))


@lru_cache(maxsize=1)
def role_localparts() -> frozenset[str]:
    return frozenset(_words("role_localparts.txt"))


def _words(name: str) -> list[str]:
    return (files("hub.identity") / "data" / name).read_text("utf-8").split()


def email(value: str) -> str:
    """The address as one row: trimmed and lower case; everything else as given."""
    return value.strip().lower()


def email_match(address: str, *, strip_plus: bool = True, gmail_dots: bool = True) -> str:
    """The match key of a normalised address: +tag dropped, dots ignored at gmail.com, googlemail = gmail."""
    local, at, domain = address.rpartition("@")
    if not at:
        return address
    if strip_plus and "+" in local[1:]:
        local = local[0] + local[1:].partition("+")[0]
    if domain in _GMAIL:
        domain = "gmail.com"
        if gmail_dots:
            local = local.replace(".", "") or local
    return f"{local}@{domain}"


@lru_cache(maxsize=20_000)
def registrable_domain(host: str) -> str:
    """The part of a host name somebody registered ("mail.example.co.uk" -> "example.co.uk"); "" if there is none."""
    if not host or len(host) > 253 or "." not in host or host.startswith("["):
        return ""
    found = _suffixes()(host)
    if found.domain and found.suffix:
        return f"{found.domain}.{found.suffix}"
    parts = host.rsplit(".", 2)
    return ".".join(parts[-2:]) if not found.suffix and not found.ipv4 else ""
