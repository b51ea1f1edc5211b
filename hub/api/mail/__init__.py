"""The mail toolkit every mail connector shares; part of the public contract.

In: message bytes, or headers and parts as an API split them. Out: a `Mail`, and the canonical `Interaction` it is, the
same for the same message whichever tool it came through.

    mail = parse_mime(data)
    interaction = to_interaction(mail, external_id="...")

A connector whose vendor splits messages itself builds a `Part` tree (`part_from_headers`, then `content` and `size`)
and calls `assemble`. One that writes drafts begins with `compose`.
"""

from hub.api.mail.body import clean_text, html_to_text, unflow
from hub.api.mail.compose import OWN_DOMAIN, compose, mailbox, own_message_id
from hub.api.mail.decode import decode_text, decode_transfer, decode_words, parameters
from hub.api.mail.headers import (
    addresses,
    date,
    date_and_zone,
    decoded,
    is_forward_subject,
    message_id,
    message_ids,
    normal_subject,
)  # fmt: skip
from hub.api.mail.interaction import occurred_at, texts, to_interaction
from hub.api.mail.message import Mail, Part, assemble, part_from_headers, safe_filename
from hub.api.mail.mime import parse_mime
from hub.api.mail.sender import Sender, list_addresses, true_sender
from hub.api.mail.trim import Trimmed, split_reply

__all__ = [
    "OWN_DOMAIN", "Mail", "Part", "Sender", "Trimmed", "addresses", "assemble", "clean_text", "compose", "date",
    "date_and_zone", "decode_text", "decode_transfer", "decode_words", "decoded", "html_to_text", "is_forward_subject",
    "list_addresses", "mailbox", "message_id", "message_ids", "normal_subject", "occurred_at", "own_message_id",
    "parameters", "parse_mime", "part_from_headers", "safe_filename", "split_reply", "texts", "to_interaction", "true_sender", "unflow",
]  # fmt: skip
