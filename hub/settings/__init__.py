"""What the admin wrote: `config/hub.toml` and HUB_* variables in, one frozen, checked `Settings` out.

Secrets come by reference only and are read when a connection is used. Every mistake ends in one ConfigError
that names file, line, column, field, what was found and the fix. Imports pydantic, and `hub.api` only when
something is wrong.
"""

from hub.settings.model import (
    MASK,
    Capture,
    Connection,
    Contacts,
    Hub,
    Identity,
    Inbox,
    Own,
    Scheduling,
    Settings,
    SystemOfRecord,
)  # fmt: skip
from hub.settings.problems import Problem, Source
from hub.settings.reading import connector_settings, find_problems, load
from hub.settings.schedule import Cron, Schedule, parse_cron, parse_span
from hub.settings.words import Refused, did_you_mean

__all__ = [
    "MASK", "Capture", "Connection", "Contacts", "Cron", "Hub", "Identity", "Inbox", "Own", "Problem",
    "Refused", "Schedule", "Scheduling", "Settings", "Source", "SystemOfRecord", "connector_settings",
    "did_you_mean", "find_problems", "load", "parse_cron", "parse_span",
]  # fmt: skip
