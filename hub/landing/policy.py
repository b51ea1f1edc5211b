"""The capture policy: what may be stored at all, decided before anything is written.

`judge` looks at one mapped interaction and says keep it, keep its envelope only, or leave it out by which rule.
Order matters: the first rule that applies is the one that is named and counted.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

import msgspec

from hub.api import Identifier, Interaction, Participation
from hub.own import Own

Action = Literal["capture", "metadata", "exclude", "private"]


@dataclass(frozen=True)
class Verdict:
    action: Action
    rule: str = ""


_OUR_PARTS = frozenset({"agent", "author", "organizer", "from"})
CAPTURE = Verdict("capture")


@dataclass(frozen=True)
class CapturePolicy:
    """All lists in lower case but labels, which are compared as given, ignoring case.

    internal: mail among own people only. bulk: newsletters and other mass mail, by the standard headers; mail of a
    list in `own.lists` is conversation. auto: automatic answers and bounces. require_label: opt-in, nothing else
    is captured. metadata_only: envelopes without subject text or body. keep_failed: records that no rule could judge,
    because they cannot be read, are kept raw in quarantine.
    """

    own: Own = field(default_factory=Own)
    internal: Literal["exclude", "keep"] = "exclude"
    bulk: Literal["exclude", "keep", "metadata"] = "exclude"
    auto: Literal["exclude", "keep"] = "exclude"
    block_addresses: frozenset[str] = frozenset()
    block_domains: frozenset[str] = frozenset()
    block_labels: frozenset[str] = frozenset()
    private_labels: frozenset[str] = frozenset()
    require_label: str = ""
    metadata_only: bool = False
    metadata_only_domains: frozenset[str] = frozenset()
    keep_failed: bool = True

    @property
    def blocks_people(self) -> bool:
        return bool(self.block_addresses or self.block_domains)

    def digest(self) -> bytes:
        """Names this policy; a record judged under another one is judged again."""
        plain = asdict(self)
        canonical = msgspec.json.encode(plain, order="sorted", enc_hook=sorted)
        return hashlib.blake2b(canonical, digest_size=8).digest()


def judge(policy: CapturePolicy, interaction: Interaction) -> Verdict:
    """What the policy says about one interaction."""
    labels = _with_parents(interaction.labels)
    if labels and labels & {x.lower() for x in policy.private_labels}:
        return Verdict("private", "private_label")
    if "private" in interaction.signals:
        return Verdict("private", "marked_private")
    if labels and labels & {x.lower() for x in policy.block_labels}:
        return Verdict("exclude", "block_label")
    if policy.require_label and policy.require_label.lower() not in labels:
        return Verdict("exclude", "require_label")
    addresses = [p.identifier.value.strip().lower() for p in interaction.participants if p.identifier.scheme == "email"]
    if policy.block_addresses and any(a in policy.block_addresses for a in addresses):
        return Verdict("exclude", "block_address")
    if policy.block_domains and any(below(_domain(a), policy.block_domains) for a in addresses):
        return Verdict("exclude", "block_domain")
    signals = interaction.signals
    if signals:
        if policy.auto == "exclude" and ("auto" in signals or "bounce" in signals):
            return Verdict("exclude", "auto")
        if "bulk" in signals and policy.bulk != "keep" and not _own_list(policy, signals, addresses):
            return Verdict("metadata" if policy.bulk == "metadata" else "exclude", "bulk")
    if policy.internal == "exclude" and addresses:
        sides = {policy.own.side(a) for a in addresses}
        if sides == {"own"} and not any(_is_customer(p) for p in interaction.participants):
            return Verdict("exclude", "internal")
    if policy.metadata_only:
        return Verdict("metadata", "metadata_only")
    if policy.metadata_only_domains and any(below(_domain(a), policy.metadata_only_domains) for a in addresses):
        return Verdict("metadata", "metadata_only_domain")
    return CAPTURE


def judge_names(policy: CapturePolicy, identifiers: Iterable[Identifier]) -> Verdict:
    """Blocked addresses and domains are never stored: as contact, company or consent no more than as a sender."""
    for identifier in identifiers:
        value = identifier.value.strip().lower()
        if identifier.scheme == "email":
            if value in policy.block_addresses:
                return Verdict("exclude", "block_address")
            value = _domain(value)
        elif identifier.scheme != "domain":
            continue
        if policy.block_domains and below(value, policy.block_domains):
            return Verdict("exclude", "block_domain")
    return CAPTURE


def _is_customer(p: Participation) -> bool:
    """Whether somebody named without an address has a customer's part: by number, or by a tool's id."""
    return p.identifier.scheme == "phone" or (":" in p.identifier.scheme and p.role not in _OUR_PARTS)


def _with_parents(labels: tuple[str, ...]) -> set[str]:
    """Labels in lower case, a nested one ("Private/Family") with all it lies in."""
    found: set[str] = set()
    for label in labels:
        parts = label.lower().split("/")
        found.update("/".join(parts[: n + 1]) for n in range(len(parts)))
    return found


def _own_list(policy: CapturePolicy, signals: tuple[str, ...], addresses: list[str]) -> bool:
    lists = policy.own.lists
    named = (s[5:].lower() for s in signals if s.startswith("list:"))
    return any(a in lists for a in (*named, *addresses))


def below(host: str, domains: frozenset[str]) -> bool:
    """True when `host` is one of `domains` or lies below one; whole labels only."""
    while host:
        if host in domains:
            return True
        host = host.partition(".")[2]
    return False


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def without_content(interaction: Interaction) -> Interaction:
    """The envelope: who, when, how; no subject, text or file names."""
    return msgspec.structs.replace(interaction, subject="", text="", body="", attachments=())
