"""The message an interaction becomes, under a Message-ID made of our key."""

import hashlib
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from hub.api import Interaction, RecordRejected
from hub_imap.mapping import KEY_HEADER

DOMAIN = "interaction-hub.invalid"

_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ADDRESS = re.compile(r"""[^\s@<>(),;:"\\\[\]\x00-\x20\x7f]+@[^\s@<>(),;:"\\\[\]\x00-\x20\x7f]+""")
_MESSAGE_ID = re.compile(r"<[^\s<>\x00-\x20\x7f]+@[^\s<>\x00-\x20\x7f]+>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")


def message_id(key: str) -> str:
    """Our Message-ID for a hub key, without the angle brackets; keys with odd characters are hashed."""
    name = key if _PLAIN_KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
    return f"{name}@{DOMAIN}"


def compose(key: str, interaction: Interaction, sender: str, own: frozenset[str]) -> EmailMessage:
    """The message, from the account's own address or, where the interaction says so, one of its aliases.

    Raises RecordRejected for a recipient that is no address, or a key that would break its header.
    """
    mail = EmailMessage(policy=SMTP)
    wanted = [p for p in interaction.participants if p.role == "from" and p.identifier.value.lower() in own]
    mail["From"] = _address(wanted[0].identifier.value, wanted[0].name) if wanted else _address(sender, "")
    for role in ("to", "cc", "bcc"):
        people = [p for p in interaction.participants if p.role == role and p.identifier.scheme == "email"]
        if people:
            mail[role.title()] = [_address(p.identifier.value, p.name) for p in people]
    mail["Subject"] = _one_line(interaction.subject)
    mail["Message-ID"] = f"<{message_id(key)}>"
    if _CONTROL.search(key) or len(key) > 200 or not key.isascii():
        raise RecordRejected("the key cannot stand in a header")
    mail[KEY_HEADER] = key
    if interaction.occurred_at is not None:
        mail["Date"] = interaction.occurred_at
    if earlier := _earlier(interaction):
        mail["In-Reply-To"] = earlier[-1]
        mail["References"] = " ".join(earlier[-20:])
    mail.set_content(interaction.body or interaction.text)
    return mail


def _earlier(interaction: Interaction) -> list[str]:
    """The Message-IDs of what this answers."""
    ids = []
    for ref in interaction.thread_refs:
        scheme, _, value = ref.partition(":")
        wrapped = f"<{value.strip('<>')}>"
        if scheme == "message-id" and ref not in interaction.dedup_keys and _MESSAGE_ID.fullmatch(wrapped):
            ids.append(wrapped)
    return ids


def _address(value: str, name: str) -> Address:
    value = value.strip()
    if not _ADDRESS.fullmatch(value) or not value.isascii():
        raise RecordRejected("a recipient is not an e-mail address")
    user, _, domain = value.rpartition("@")
    return Address(_one_line(name), user, domain)


def _one_line(text: str) -> str:
    """Control characters end a header and begin the next one: none may pass."""
    return _CONTROL.sub(" ", text).strip()
