"""The capture policy in words: what each setting does today, and what each rule means where it is counted."""

from typing import Any

from hub import settings as config
from hub.settings.words import literal

Row = dict[str, Any]
RULES = {
    "private_label": "marked personal by a label", "marked_private": "marked private in the tool",
    "block_label": "carries a label that is left out", "require_label": "does not carry the label that is asked for",
    "block_address": "names an address of which nothing is kept", "block_domain": "names a domain of which nothing is kept",
    "auto": "an automatic answer or a bounce", "bulk": "a newsletter or other mass mail", "internal": "among your own people only",
    "metadata_only": "who and when only", "metadata_only_domain": "who and when only, for this domain",
}  # fmt: skip
_LEFT_OUT, _KEPT, _ENVELOPE = (
    "is not stored",
    "is stored",
    "is stored without subject, text and files: who and when only",
)
_DOES = {"exclude": _LEFT_OUT, "keep": _KEPT, "metadata": _ENVELOPE}


def rule(name: str) -> str:
    """What a rule that was counted means; its own name for reasons of a connector."""
    return RULES.get(name, name.replace("_", " "))


def in_words(capture: config.Capture, own: config.Own) -> list[Row]:
    """Every setting of the policy, in the order of judging: [{"setting", "value" as TOML, "says", "is_on"}]."""
    ours = _listed(own.domains) or "no domain yet, so that nothing counts as internal"
    return [
        _one(capture, "private_labels", f"Mail with the label {_listed(capture.private_labels)} is personal, and {_LEFT_OUT}.",
             "No label marks mail as personal."),
        _one(capture, "block_labels", f"Mail with the label {_listed(capture.block_labels)} {_LEFT_OUT}.",
             "No label keeps mail out."),
        _one(capture, "require_label", f'Only mail with the label "{capture.require_label}" is stored, and nothing else.',
             "Mail needs no label to be stored."),
        _one(capture, "block_addresses", f"Nothing is kept of {_listed(capture.block_addresses)}: no message, contact or task.",
             "No address is left out."),
        _one(capture, "block_domains", f"Nothing is kept of {_listed(capture.block_domains)} and all domains below.",
             "No domain is left out."),
        _one(capture, "auto", f"An automatic answer or a bounce {_DOES[capture.auto]}."),
        _one(capture, "bulk", f"A newsletter or other mass mail {_DOES[capture.bulk]}; mail of your own lists is conversation."),
        _one(capture, "internal", f"Mail among your own people only {_DOES[capture.internal]}. Yours are {ours}."),
        _one(capture, "metadata_only", f"Everything {_ENVELOPE}.", "Messages are stored with their text."),
        _one(capture, "metadata_only_domains", f"What names {_listed(capture.metadata_only_domains)} {_ENVELOPE}.",
             "No domain is kept to who and when."),
        _one(capture, "keep_failed", "A record that cannot be read is kept in quarantine, as the tool sent it.",
             "Of a record that cannot be read, only its id and the reason are kept."),
    ]  # fmt: skip


def _one(capture: config.Capture, setting: str, on: str, off: str = "") -> Row:
    value = getattr(capture, setting)
    told = f"[{', '.join(literal(v) for v in value)}]" if isinstance(value, tuple) else literal(value)
    is_on = bool(value) if off else value != "keep"
    return {"setting": setting, "value": told, "says": on if value or not off else off, "is_on": is_on}


def _listed(values: tuple[str, ...], most: int = 5) -> str:
    """A, B, C and 4 more."""
    shown = ", ".join(values[:most])
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown
