"""What is written: drafts for a person to send, or mail sent at once; each exactly once.

A message carries our Message-ID and our key in a header of its own, by which it is found again: IMAP searches what is
there, no index lags. Messages never change in IMAP; an edited draft is a new message, so a draft under its first UID is
untouched. What is to be sent stands in the drafts folder while it is being handed over: should the outcome stay
unknown, it is still there, and nobody sends it a second time.
"""

import asyncio
from collections.abc import Sequence

from hub.api import (
    Change,
    ConfigError,
    Found,
    Gone,
    HubError,
    Interaction,
    JournalEntry,
    Receipt,
    RecordRejected,
    Transient,
)
from hub.api.mail import own_message_id
from hub_imap import folders as choice
from hub_imap import smtp
from hub_imap.compose import compose
from hub_imap.places import external_id, folder_key, parse_id
from hub_imap.settings import ImapSettings
from hub_imap.wire import Listed, Session

SENT = "sent:"  # remote ids of what has left the house
NO_UID = "the draft was written, and the server does not say where"
UNKNOWN = "handed to the SMTP server, which never answered: look whether it arrived, then send or delete the draft"


class Desk:
    """Writing over one line."""

    def __init__(self, session: Session, settings: ImapSettings, token: str) -> None:
        self.session = session
        self.line = session.line
        self.settings = settings
        self.token = token
        self._drafts: Listed | None = None
        self._sent: Listed | None = None

    async def folders(self) -> Listed:
        """The drafts folder; finds the sent folder on the way. Raises ConfigError where there is none for drafts."""
        if self._drafts is None:
            listed = await self.session.do(self.line.folders)
            self._drafts, self._sent = choice.drafts(listed, self.settings), choice.sent(listed, self.settings)
            if self._drafts is None:
                raise ConfigError("drafts_folder: the mailbox has no folder for drafts; name one", connector="imap")
        return self._drafts

    async def can_write(self) -> bool:
        """Open the drafts folder for writing, and write nothing."""
        folder = await self.folders()
        rights = await self.session.do(self.line.rights, folder.name)
        if rights is not None and not set("it") <= set(rights):
            return False
        return (await self.session.do(self.line.select, folder.name, to_write=True)).can_write

    # -- what is there ------------------------------------------------------------------------------

    async def find(self, keys: Sequence[str]) -> list[Found]:
        """Messages under our Message-IDs among the sent ones and the drafts."""
        await self.folders()
        found: dict[str, Found] = {}
        for folder in (self._sent, self._drafts):
            left = [key for key in keys if key not in found]
            if folder is None or not left:
                continue
            now = await self.session.do(self.line.select, folder.name)
            for key in left:
                uids = await self._search(key) if now.count else []
                if uids:
                    name = external_id(folder.name, now.validity, max(uids))
                    is_sent = folder is self._sent
                    found[key] = Found(key=key, remote_id=f"{SENT}{name}" if is_sent else name, version=name)
        return [found[key] for key in keys if key in found]

    async def _search(self, key: str) -> list[int]:
        return await self.session.do(
            self.line.search, ["UNDELETED", "HEADER", "Message-ID", f"<{own_message_id(key)}>"]
        )

    async def _is_there(self, remote_id: str) -> bool:
        """Whether the draft still stands under the UID it was written under."""
        place, folder = parse_id(remote_id), await self.folders()
        if place is None or place[0] != folder_key(folder.name):
            return False
        now = await self.session.do(self.line.select, folder.name, to_write=True)
        if now.validity != place[1]:
            return False
        flags = await self.session.do(self.line.flags, [place[2]])
        return "\\Deleted" not in flags.get(place[2], ("\\Deleted",))

    # -- writing ------------------------------------------------------------------------------------

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        """One message per change. What is there already is left as it is: a person may work on it."""
        known = {f.key: f for f in await self.find([c.key for c in changes])}
        receipts = []
        for change in changes:
            try:
                receipts.append(await self._one(change, known.get(change.key)))
            except (RecordRejected, Gone) as exc:
                text = exc.message
                receipts.append(Receipt(key=change.key, outcome="failed", remote_id=change.remote_id, error=text))
        return receipts

    async def _one(self, change: Change, there: Found | None) -> Receipt:
        if change.op == "delete":
            return await self._delete(change.key, change.remote_id, there)
        if there is not None:
            if self.settings.push == "send" and not there.remote_id.startswith(SENT):
                return Receipt(key=change.key, outcome="failed", remote_id=there.remote_id, error=UNKNOWN)
            return Receipt(key=change.key, outcome="unchanged", remote_id=there.remote_id, version=there.version)
        if change.remote_id.startswith(SENT):  # filed nowhere, or cleared away since
            return Receipt(key=change.key, outcome="unchanged", remote_id=change.remote_id)
        if change.remote_id:
            raise Gone("sent or discarded by a person: it is not made a second time")
        if not isinstance(change.entity, Interaction):
            raise RecordRejected("only an interaction can become mail")
        if self.settings.push == "send":
            return await self._send(change.key, change.entity)
        return await self._draft(change.key, change.entity)

    async def _draft(self, key: str, interaction: Interaction) -> Receipt:
        own = frozenset({self.settings.address, *(a.lower() for a in self.settings.aliases)})
        mail = compose(key, interaction, self.settings.address, own)
        folder = await self.folders()
        await self.session.pay(0)
        spot = await self.session.do(self.line.append, folder.name, mail.as_bytes(), ("\\Draft", "\\Seen"), None)
        if spot is not None:
            name = external_id(folder.name, *spot)
        else:  # a server without UIDPLUS: look where it went
            found = await self.find([key])
            if not found:
                raise Transient(NO_UID, connector="imap", is_unknown=True)
            name = found[0].remote_id
        return Receipt(key=key, outcome="created", remote_id=name, version=name)

    async def _send(self, key: str, interaction: Interaction) -> Receipt:
        """Draft, hand over, file under sent, remove the draft."""
        own = frozenset({self.settings.address, *(a.lower() for a in self.settings.aliases)})
        mail = compose(key, interaction, self.settings.address, own)
        to = [address.addr_spec for role in ("To", "Cc", "Bcc") if mail[role] for address in mail[role].addresses]
        if not to:
            raise RecordRejected("nobody to send it to")
        draft = await self._draft(key, interaction)
        try:
            await asyncio.to_thread(smtp.send, self.settings, self.token, mail, to)
        except Transient as exc:
            if exc.is_unknown:
                return Receipt(key=key, outcome="failed", remote_id=draft.remote_id, error=UNKNOWN)
            await self._remove(draft.remote_id)
            raise
        except HubError as exc:
            await self._remove(draft.remote_id)
            if isinstance(exc, RecordRejected):
                return Receipt(key=key, outcome="failed", error=exc.message)
            raise
        name = f"{SENT}{draft.remote_id}"
        if self.settings.save_sent and self._sent is not None:
            del mail["Bcc"]
            spot = await self.session.do(self.line.append, self._sent.name, mail.as_bytes(), ("\\Seen",), None)
            if spot is not None:
                name = f"{SENT}{external_id(self._sent.name, *spot)}"
        await self._remove(draft.remote_id)
        return Receipt(key=key, outcome="created", remote_id=name, version=name.removeprefix(SENT))

    async def _remove(self, remote_id: str) -> bool:
        """Delete the draft that stands under this id; False when none does."""
        place = parse_id(remote_id)
        if place is None or not await self._is_there(remote_id):
            return False
        await self.session.do(self.line.delete, place[2], commands=2)
        return True

    # -- taking back --------------------------------------------------------------------------------

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        """Delete the drafts these entries created, unless a person has sent them or worked on them."""
        there = {f.key: f for f in await self.find([e.change.key for e in entries])}
        receipts = []
        for entry in entries:
            made, key = entry.receipt, entry.change.key
            if made.outcome == "created":
                receipts.append(await self._delete(key, made.remote_id, there.get(key)))
            else:
                receipts.append(Receipt(key=key, outcome="unchanged", remote_id=made.remote_id))
        return receipts

    async def _delete(self, key: str, remote_id: str, there: Found | None) -> Receipt:
        if remote_id.startswith(SENT) or (there is not None and there.remote_id.startswith(SENT)):
            return Receipt(key=key, outcome="failed", remote_id=remote_id, error="sent: it cannot be taken back")
        if there is None:
            return Receipt(key=key, outcome="unchanged", remote_id=remote_id)
        if remote_id and there.remote_id != remote_id:
            error = "edited by a person since: delete it by hand if it is not wanted"
            return Receipt(key=key, outcome="failed", remote_id=there.remote_id, version=there.version, error=error)
        was_there = await self._remove(there.remote_id)
        return Receipt(key=key, outcome="deleted" if was_there else "unchanged", remote_id=remote_id)
