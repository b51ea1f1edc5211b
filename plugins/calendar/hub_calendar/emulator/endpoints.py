"""The methods of the API this emulator carries out, as the discovery document describes them."""

from hub_calendar.emulator import api, channels, reads, writes

_APP = "calendar calendar.app.created calendar.events calendar.events.owned"
_READ = (
    f"{_APP} calendar.events.freebusy calendar.events.owned.readonly calendar.events.public.readonly "
    "calendar.events.readonly calendar.readonly"
)
_PAGES = "maxResults pageToken timeMax timeMin timeZone showDeleted alwaysIncludeEmail maxAttendees"
_LIST = (
    f"{_PAGES} eventTypes iCalUID orderBy privateExtendedProperty q sharedExtendedProperty showHiddenInvitations "
    "singleEvents syncToken updatedMin"
)
_WRITE = "conferenceDataVersion eventLabelVersion maxAttendees sendNotifications sendUpdates supportsAttachments"
_EVENT = "calendars/{calendarId}/events/{eventId}"
_STOP = (
    f"{_READ} calendar.acls calendar.acls.readonly calendar.calendarlist calendar.calendarlist.readonly "
    "calendar.settings calendar.settings.readonly"
)

# fmt: off
ENDPOINTS = (
    api.endpoint("calendarList.list", "GET", "users/me/calendarList",
                 "calendar calendar.calendarlist calendar.calendarlist.readonly calendar.readonly", reads.calendar_list,
                 "maxResults minAccessRole pageToken showDeleted showHidden showOwnOrganizationOnly syncToken"),
    api.endpoint("calendars.get", "GET", "calendars/{calendarId}",
                 "calendar calendar.app.created calendar.calendars calendar.calendars.readonly calendar.readonly",
                 reads.calendar_get),
    api.endpoint("events.list", "GET", "calendars/{calendarId}/events", _READ, reads.events_list, _LIST),
    api.endpoint("events.insert", "POST", "calendars/{calendarId}/events", _APP, writes.insert, _WRITE),
    api.endpoint("events.import", "POST", "calendars/{calendarId}/events/import", _APP, writes.import_,
                 "conferenceDataVersion eventLabelVersion supportsAttachments"),
    api.endpoint("events.watch", "POST", "calendars/{calendarId}/events/watch", _READ, channels.watch, _LIST),
    api.endpoint("events.get", "GET", _EVENT, _READ, reads.event_get, "alwaysIncludeEmail maxAttendees timeZone"),
    api.endpoint("events.patch", "PATCH", _EVENT, _APP, writes.patch, _WRITE + " alwaysIncludeEmail"),
    api.endpoint("events.update", "PUT", _EVENT, _APP, writes.update, _WRITE + " alwaysIncludeEmail"),
    api.endpoint("events.delete", "DELETE", _EVENT, _APP, writes.delete, "sendNotifications sendUpdates"),
    api.endpoint("events.instances", "GET", _EVENT + "/instances", _READ, reads.instances, _PAGES + " originalStart"),
    api.endpoint("channels.stop", "POST", "channels/stop", _STOP, channels.stop),
)
# fmt: on
