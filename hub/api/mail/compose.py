"""An interaction to a message of ours: what mail connectors put among the drafts.

Its Message-ID is made from the hub's key, so that it can be looked up before it is written a second time. Text from
outside ends no header: control characters become spaces.
"""

import hashlib
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from hub.api.canonical import Interaction
from hub.api.errors import RecordRejected

OWN_DOMAIN = "interaction-hub.invalid"

_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ADDRESS = re.compile(r"""[^\s@<>(),;:"\\\[\]\x00-\x20\x7f]+@[^\s@<>(),;:"\\\[\]\x00-\x20\x7f]+""")
_MESSAGE_ID = re.compile(r"<[^\s<>\x00-\x20\x7f]+@[^\s<>\x00-\x20\x7f]+>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")


def own_message_id(key: str) -> str:
    """Our Message-ID for a hub key, without the angle brackets; keys with odd characters are hashed."""
    name = key if _PLAIN_KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
    return f"{name}@{OWN_DOMAIN}"


def compose(key: str, interaction: Interaction) -> EmailMessage:
    """The message: recipients, subject, what it answers, text. From and Date are the connector's.

    Raises RecordRejected for a recipient that is no address.
    """
    mail = EmailMessage(policy=SMTP)
    for role in ("to", "cc", "bcc"):
        people = [p for p in interaction.participants if p.role == role and p.identifier.scheme == "email"]
        if people:
            mail[role.title()] = [mailbox(p.identifier.value, p.name) for p in people]
    mail["Subject"] = _one_line(interaction.subject)
    mail["Message-ID"] = f"<{own_message_id(key)}>"
    answered = []
    for ref in interaction.thread_refs:
        scheme, _, value = ref.partition(":")
        wrapped = f"<{value.strip('<>')}>"
        if scheme == "message-id" and ref not in interaction.dedup_keys and _MESSAGE_ID.fullmatch(wrapped):
            answered.append(wrapped)
    if answered:
        mail["In-Reply-To"] = answered[-1]
        mail["References"] = " ".join(answered[-20:])
    mail.set_content(interaction.body or interaction.text)
    return mail


def mailbox(address: str, name: str) -> Address:
    """A name and an address for a header. Raises RecordRejected for what is no plain ASCII address."""
    address = address.strip()
    if not _ADDRESS.fullmatch(address) or not address.isascii():
        raise RecordRejected("a recipient is not an e-mail address")
    user, _, domain = address.rpartition("@")
    return Address(_one_line(name), user, domain)


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()
