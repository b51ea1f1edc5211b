"""Which folders are read, and which take drafts and sent mail.

By special-use flags (RFC 6154), by settings where a server sets none, by usual names as the last resort. Drafts are
never read: each save of one is a new message. Junk and trash only when wanted. `\\Flagged` and `\\Important` are views of
mail that stands elsewhere.
"""

from collections.abc import Iterable, Sequence

from hub.api import ConfigError
from hub_imap.settings import ImapSettings
from hub_imap.wire import Listed

_USUAL = {
    "\\drafts": {"drafts", "draft", "inbox/drafts", "entwürfe", "brouillons", "borradores", "bozze"},
    "\\sent": {
        "sent", "sent items", "sent messages", "sent mail", "inbox/sent", "gesendet", "gesendete elemente",
        "éléments envoyés", "enviados",
    },
    "\\junk": {"junk", "spam", "junk e-mail", "junk email", "bulk mail", "inbox/junk", "inbox/spam"},
    "\\trash": {
        "trash", "deleted items", "deleted messages", "inbox/trash", "papierkorb", "gelöschte elemente", "corbeille",
        "papelera",
    },
}  # fmt: skip
_VIEWS = {"\\flagged", "\\important"}


def with_use(listed: Sequence[Listed], use: str) -> Listed | None:
    """The folder for a special use: the flagged one, else one with a usual name."""
    for folder in listed:
        if use in folder.flags:
            return folder
    usual = _USUAL.get(use, set())
    return next((folder for folder in listed if folder.path.lower() in usual), None)


def named(listed: Iterable[Listed], path: str, setting: str) -> Listed:
    for folder in listed:
        if path in {folder.path, folder.name}:
            return folder
    raise ConfigError(f"{setting}: there is no folder {path!r}", connector="imap")


def drafts(listed: Sequence[Listed], s: ImapSettings) -> Listed | None:
    return named(listed, s.drafts_folder, "drafts_folder") if s.drafts_folder else with_use(listed, "\\drafts")


def sent(listed: Sequence[Listed], s: ImapSettings) -> Listed | None:
    return named(listed, s.sent_folder, "sent_folder") if s.sent_folder else with_use(listed, "\\sent")


def wanted(listed: Sequence[Listed], s: ImapSettings) -> list[Listed]:
    """The folders to read, INBOX first, a view of everything (`\\All`) last."""
    never = {x.name for x in (drafts(listed, s), *(_unwanted(listed, s))) if x}
    kept = []
    for folder in listed:
        if folder.name in never or folder.flags & _VIEWS:
            continue
        if s.folders and not _is_in(folder, s.folders):
            continue
        if _is_in(folder, s.exclude):
            continue
        kept.append(folder)
    for path in s.folders:
        named(listed, path, "folders")
    return sorted(kept, key=lambda f: ("\\all" in f.flags, f.name.upper() != "INBOX", f.name))


def _unwanted(listed: Sequence[Listed], s: ImapSettings) -> list[Listed | None]:
    return [
        None if s.include_junk else with_use(listed, "\\junk"),
        None if s.include_trash else with_use(listed, "\\trash"),
    ]


def _is_in(folder: Listed, paths: Iterable[str]) -> bool:
    return any(path in {folder.path, folder.name} for path in paths)
