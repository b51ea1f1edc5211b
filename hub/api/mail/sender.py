"""Who really wrote a message that a mailing list sent on under its own address (DMARC rewriting)."""

import re
from typing import NamedTuple

from hub.api.mail.headers import addresses, decoded
from hub.api.mail.message import Mail

_BRACKETED = re.compile(r"<\s*(?:mailto:)?([^<>\s?]{3,320})", re.I)
_VIA = re.compile(r"\s+via\s+\S.*$", re.I)
_WRITER_HEADERS = ("reply-to", "x-mailfrom", "x-original-from", "cc")


class Sender(NamedTuple):
    """The writer: address in lower case ("" when From names none), display name, whether From was rewritten."""

    address: str
    name: str
    is_rewritten: bool


def list_addresses(mail: Mail) -> tuple[str, ...]:
    """Posting addresses of the mailing lists this message went through, lower case.

    From List-Post and X-BeenThere; from List-Id ("name.host" is name@host) only where neither stands.
    """
    found: list[str] = []
    for value in mail.get_all("list-post"):
        found.extend(m.lower() for m in _BRACKETED.findall(value) if m.count("@") == 1)
    for name in ("x-beenthere", "x-mailing-list"):
        found.extend(address.lower() for _, address in addresses(mail.get_all(name)[:5], 5))
    if not found:
        found.extend(_from_list_id(mail))
    return tuple(dict.fromkeys(found))


def _from_list_id(mail: Mail) -> list[str]:
    """The address a List-Id stands for, where the message's own From, To or Cc uses it: else it is a guess."""
    match = _BRACKETED.search(mail.get("list-id"))
    if match is None:
        return []
    local, dot, host = match.group(1).lower().partition(".")
    if not dot or "." not in host:
        return []
    guess = f"{local}@{host}"
    used = addresses([*mail.get_all("to"), *mail.get_all("cc")], 200)
    if any(address.lower() == guess for _, address in used):
        return [guess]
    return [guess] if _VIA.search(decoded(mail.get("from"))) and guess in mail.get("from").lower() else []


def true_sender(mail: Mail, lists: tuple[str, ...]) -> Sender:
    """The first From address, or the person behind it where From is a list address.

    Then the writer is the first address that is no list's of Reply-To, X-MailFrom, X-Original-From, Cc; where none is
    left the list address stands. "Jane via Sales" is rewritten too when its address also is a recipient's.
    """
    writers = addresses(mail.get_all("from")[:1], 5)
    if not writers:
        return Sender("", "", False)
    name, address = writers[0][0], writers[0][1].lower()
    via = _VIA.search(name)
    if address not in lists:
        if via is None or not _is_recipient(mail, address):
            return Sender(address, name, False)
        lists = (*lists, address)
    plain = name[: via.start()].strip(" '\"") if via else name
    for header in _WRITER_HEADERS:
        for shown, other in addresses(mail.get_all(header), 50):
            if other.lower() not in lists:
                return Sender(other.lower(), shown or plain, True)
    return Sender(address, plain, False)


def _is_recipient(mail: Mail, address: str) -> bool:
    return any(a.lower() == address for _, a in addresses([*mail.get_all("to"), *mail.get_all("cc")], 500))
