"""The message an interaction becomes: from the account's own address, with our key in a header of its own."""

from email.message import EmailMessage

from hub.api import Interaction, RecordRejected
from hub.api.mail import compose as composed
from hub.api.mail import mailbox
from hub_imap.mapping import KEY_HEADER


def compose(key: str, interaction: Interaction, sender: str, own: frozenset[str]) -> EmailMessage:
    """The message, from the account's own address or, where the interaction says so, one of its aliases.

    Raises RecordRejected for a recipient that is no address, or a key that would break its header.
    """
    if not (key.isascii() and key.isprintable()) or len(key) > 200:
        raise RecordRejected("the key cannot stand in a header")
    mail = composed(key, interaction)
    wanted = [p for p in interaction.participants if p.role == "from" and p.identifier.value.lower() in own]
    mail["From"] = mailbox(wanted[0].identifier.value, wanted[0].name) if wanted else mailbox(sender, "")
    mail[KEY_HEADER] = key
    if interaction.occurred_at is not None:
        mail["Date"] = interaction.occurred_at
    return mail
