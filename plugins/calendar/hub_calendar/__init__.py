"""Google Calendar: meetings in, meetings out.

In: the calendars of one account over the Calendar API v3, series as their occurrences, and what Google says is
deleted. Out: meetings written into one calendar, without invitations unless asked for. Source: Calendar API v3 discovery
document (revision 20261030) and developers.google.com/workspace/calendar/api/guides: "sync", "push", "errors", "quota".
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from hub.api import (
    Budget,
    Census,
    Change,
    ConfigError,
    Connector,
    Entity,
    Estimate,
    Found,
    Gone,
    HttpProfile,
    HubError,
    JournalEntry,
    Manifest,
    Notice,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    Receipt,
    RecordRejected,
    Response,
    Scope,
    ScopeError,
    Stream,
    WebhookRequest,
    Window,
    hookimpl,
)
from hub.api.google import SIGN_IN_HOST, connect
from hub_calendar import lookup, watch
from hub_calendar.errors import explain
from hub_calendar.mapping import to_entities
from hub_calendar.outbound import event_id
from hub_calendar.pull import Reader
from hub_calendar.push import Writer
from hub_calendar.settings import API_HOST, PER_MINUTE, READ_SCOPE, WRITE_SCOPE, CalendarSettings, budget
from hub_calendar.wire import events_path, list_page

__all__ = ["Calendar", "CalendarSettings", "connect"]

ROLES = {"owner", "writer", "reader"}  # freeBusyReader sees times and nothing else


class Calendar(Connector[CalendarSettings]):
    """One account's calendars. Stream `events`: every meeting, each occurrence of a series for itself."""

    manifest = Manifest(
        name="calendar",
        title="Google Calendar",
        channels=("calendar", "video", "in_person", "phone"),
        streams=(Stream("events", deletes="confirmed", census="ids", needs=(READ_SCOPE,)),),
        auth=("oauth", "service_account"),
        scopes=(
            Scope(READ_SCOPE, "reads events of the calendars named in the settings; cannot change anything"),
            Scope(WRITE_SCOPE, "writes meetings into one calendar; asked for only with push_calendar", False),
        ),
        budgets=(budget(PER_MINUTE),),
        hosts=(API_HOST, SIGN_IN_HOST),
        pushes=("interaction",),
        can_undo=True,
        webhooks=True,
        vendor_api="calendar v3 (20261030)",
        docs="plugins/calendar/README.md",
    )
    settings_model = CalendarSettings

    def budgets(self) -> tuple[Budget, ...]:
        """Projects from before May 2026 keep their own quota, which only the settings know."""
        return (budget(self.settings.queries_per_minute),)

    def http_profile(self) -> HttpProfile:
        token = self.settings.sign_in(self.token_name, self.settings.account)
        return HttpProfile(base_url=self.settings.base_url, token=token, explain=self._explain)

    def _explain(self, response: Response) -> HubError | None:
        return explain(response, self.services.clock)

    @property
    def token_name(self) -> str:
        """Where the hub's token store keeps this account's tokens."""
        return f"calendar:{self.settings.account}"

    @property
    def _channels(self) -> watch.Channels:
        return watch.Channels(self.http, self.settings, self.services)

    async def forget(self) -> None:
        await self._channels.stop()
        self.services.tokens.put(self.token_name, {})

    # -- what may we do, and what will it cost ------------------------------------------------------

    async def check(self) -> PermissionMatrix:
        """Read one event of each calendar; ask to delete one that does not exist. A dead sign-in raises."""
        rows = [await self._may_read(calendar) for calendar in self.settings.calendar_ids]
        if self.settings.push_id:
            rows.append(await self._may_write(self.settings.push_id))
        account = self.settings.account
        return PermissionMatrix(account, account, tuple(rows), (account,))

    async def _may_read(self, calendar: str) -> Permission:
        what = f"events.list of {calendar}"
        try:
            listing = await list_page(self.http, calendar, {"maxResults": 1})
        except ScopeError as exc:
            return Permission("events", "read", False, f"{what}: {exc.message}", READ_SCOPE)
        except Gone as exc:
            raise ConfigError(
                f"calendars: {calendar} is not there or not shared with {self.settings.account}",
                connector="calendar",
                status=exc.status,
            ) from exc
        if listing.accessRole not in ROLES:
            detail = f'{what}: shared as free/busy only; share it with "See all event details"'
            return Permission("events", "read", False, detail, READ_SCOPE)
        if calendar == self.settings.account and listing.accessRole != "owner":
            raise ConfigError(
                f"account: the sign-in is not for {calendar}; connect the right account or mend the setting",
                connector="calendar",
            )
        return Permission("events", "read", True, what, READ_SCOPE)

    async def _may_write(self, calendar: str) -> Permission:
        """Deleting what was never there needs the right to write and changes nothing."""
        what = f"events.delete in {calendar}"
        try:
            path = events_path(calendar, event_id("never-written"))
            await self.http.request("DELETE", path, params={"sendUpdates": "none"}, cost="events.delete")
        except (ScopeError, RecordRejected) as exc:
            return Permission("events", "write", False, f"{what}: {exc.message}", WRITE_SCOPE)
        except Gone:
            pass
        return Permission("events", "write", True, what, WRITE_SCOPE)

    async def estimate(self, stream: str, window: Window) -> Estimate:
        """Exact: Google gives no count, but ids alone come 2,500 at a call."""
        now = self.services.clock.now()
        records = len(await lookup.ids(self.http, self.settings, window, now))
        units = records // self.settings.page_size + len(self.settings.calendar_ids)
        return Estimate(records, units, units / self.settings.queries_per_minute * 60, True)

    # -- in -----------------------------------------------------------------------------------------

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        self.manifest.stream(pull.stream)
        async for page in Reader(self.http, self.settings, pull, self.services.clock.now()).pages():
            yield page
        await self._channels.renew()

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        return await lookup.fetch(self.http, external_ids)

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        return to_entities(raw, self.settings.private)

    async def census(self, stream: str, period: Window) -> Census:
        """All meetings of the period by time, which shares nothing with the change feed."""
        found = await lookup.ids(self.http, self.settings, period, self.services.clock.now())
        return Census(stream, period, frozenset(found), len(found))

    # -- out ----------------------------------------------------------------------------------------

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return await self._writer(*(change.kind for change in changes)).push(changes)

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        return await self._writer(kind).find(keys)

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        return await self._writer(*(entry.change.kind for entry in entries)).undo(entries)

    def _writer(self, *kinds: str) -> Writer:
        if not self.settings.push_id:
            raise ConfigError(
                "push_calendar is not set: name the calendar meetings are written to", connector="calendar"
            )
        if unknown := set(kinds) - set(self.manifest.pushes):
            raise ConfigError(f"calendar takes no {', '.join(sorted(unknown))}", connector="calendar")
        return Writer(self.http, self.settings)

    # -- doorbell -----------------------------------------------------------------------------------

    def verify_webhook(self, request: WebhookRequest) -> None:
        watch.verify(request, self.settings)

    def parse_webhook(self, request: WebhookRequest) -> Iterator[Notice]:
        return watch.parse(request)


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [Calendar]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"calendar": "hub_calendar.emulator:CalendarEmulator"}
