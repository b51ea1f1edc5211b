"""The tables of the hub, as SQLAlchemy Core metadata; `tables_access` has those of sign-in. Alembic revisions build exactly this.

Integer keys inside; `public_id` where an id is shown outside. Instants are integers: microseconds since 1970 UTC
(one comparable type on both databases, half the size of text). Names: docs/architecture.md.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)  # fmt: skip

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
Micros = BigInteger


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


# --- connections, streams, runs ---------------------------------------------------------------------------------

connection = Table(
    "connection", metadata, _id(),
    Column("name", String(64), nullable=False, unique=True),
    Column("connector", String(64), nullable=False),
    Column("account_id", String(256), nullable=False, server_default=""),
    Column("label", String(256), nullable=False, server_default=""),
    Column("is_paused", Boolean, nullable=False, server_default="0"),
    Column("own_identities", Text, nullable=False, server_default="[]"),
    Column("capabilities", Text, nullable=False, server_default="[]"),
    Column("checked_at", Micros),
    Column("next_at", Micros),
    Column("last_run_at", Micros),
    Column("is_private", Boolean, nullable=False, server_default="0"),  # its owner's alone: hub.access.seeing
    Column("owner", String(254), nullable=False, server_default=""),  # an account's e-mail address
)  # fmt: skip

stream = Table(
    "stream", metadata, _id(),
    Column("connection_id", Id, ForeignKey("connection.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("cursor", Text),
    Column("sweep", Integer, nullable=False, server_default="0"),
    Column("is_sweeping", Boolean, nullable=False, server_default="0"),
    Column("window_since", Micros),
    Column("backfilled_at", Micros),
    Column("last_good_at", Micros),
    Column("last_try_at", Micros),
    Column("status", String(24), nullable=False, server_default="new"),
    Column("detail", Text, nullable=False, server_default=""),
    Column("waiting_until", Micros),
    Column("expired_at", Micros),
    Column("total", BigInteger),
    UniqueConstraint("connection_id", "name"),
)  # fmt: skip

run = Table(
    "run", metadata, _id(),
    Column("connection_id", Id, ForeignKey("connection.id"), nullable=False),
    Column("stream_id", Id, ForeignKey("stream.id")),
    Column("kind", String(16), nullable=False),  # pull, push, census, replay
    Column("started_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Column("status", String(24), nullable=False, server_default="running"),
    Column("seen", BigInteger, nullable=False, server_default="0"),
    Column("books", Text, nullable=False, server_default="{}"),
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("requests", Integer, nullable=False, server_default="0"),
    Column("units", BigInteger, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Index("ix_run_stream", "stream_id", "id"),
    Index("ix_run_connection", "connection_id", "id"),
)  # fmt: skip

# --- landing: what the sources gave ---------------------------------------------------------------------------

record = Table(
    "record", metadata, _id(),
    Column("stream_id", Id, ForeignKey("stream.id"), nullable=False),
    Column("external_id", String(512), nullable=False),
    Column("hash", LargeBinary(16), nullable=False),
    Column("disposition", String(16), nullable=False),  # the last one; see hub.landing.books
    Column("rule", String(64), nullable=False, server_default=""),
    Column("policy", LargeBinary(8)),
    Column("occurred_at", Micros),
    Column("first_seen_at", Micros, nullable=False),
    Column("last_seen_at", Micros, nullable=False),
    Column("sweep", Integer, nullable=False, server_default="0"),
    Column("gone_at", Micros),
    Column("redirect_to", String(512)),
    UniqueConstraint("stream_id", "external_id"),
    Index("ix_record_disposition", "stream_id", "disposition"),
    Index(
        "ix_record_redirect", "stream_id", "redirect_to", sqlite_where=text("redirect_to IS NOT NULL"),
        postgresql_where=text("redirect_to IS NOT NULL"),
    ),
)  # fmt: skip

raw = Table(
    "raw", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("codec", String(8), nullable=False),
    Column("body", LargeBinary, nullable=False),
)  # fmt: skip

quarantine = Table(
    "quarantine", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("failed_at", Micros, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="1"),
)  # fmt: skip

hold = Table(
    "hold", metadata, _id(),
    Column("kind", String(32), nullable=False),  # mass_delete, mass_change, conflict
    Column("stream_id", Id, ForeignKey("stream.id")),
    Column("plan_id", Id),
    Column("opened_at", Micros, nullable=False),
    Column("detail", Text, nullable=False),
    Column("ids", Text, nullable=False, server_default="[]"),
    Column("resolved_at", Micros),
    Column("resolution", String(16)),
)  # fmt: skip

census = Table(
    "census", metadata, _id(),
    Column("stream_id", Id, ForeignKey("stream.id"), nullable=False),
    Column("since", Micros),
    Column("until", Micros),
    Column("taken_at", Micros, nullable=False),
    Column("at_source", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("missing", Text, nullable=False, server_default="[]"),
    Column("surplus", Text, nullable=False, server_default="[]"),
    Column("explained", Text, nullable=False, server_default="{}"),
    Index("ix_census_stream", "stream_id", "taken_at"),
)  # fmt: skip

issue = Table(
    "issue", metadata, _id(),
    Column("connection_id", Id, ForeignKey("connection.id")),  # None: of what `about` names
    Column("stream_id", Id, ForeignKey("stream.id")),
    Column("cause", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("opened_at", Micros, nullable=False),
    Column("last_seen_at", Micros, nullable=False),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("closed_at", Micros),
    Column("about", String(64), nullable=False, server_default=""),
    Index("ix_issue_open", "connection_id", "cause", "closed_at"),
)  # fmt: skip

# --- identity: who is who ---------------------------------------------------------------------------------------

party = Table(
    "party", metadata, _id(),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # person, organization, mailbox, own
    Column("name", String(512), nullable=False, server_default=""),
    Column("name_rank", Integer, nullable=False, server_default="0"),
    Column("organization_id", Id, ForeignKey("party.id")),
    Column("owner_identifier_id", Id),
    Column("created_at", Micros, nullable=False),
    Column("changed_at", Micros, nullable=False),
    Index("ix_party_kind_name", "kind", "name"),
    Index("ix_party_changed", "kind", "changed_at"),
    Index("ix_party_organization", "organization_id"),
)  # fmt: skip

identifier = Table(
    "identifier", metadata, _id(),
    Column("scheme", String(64), nullable=False),
    Column("value", String(512), nullable=False),  # normalised: one row per way of writing that may be sent to
    Column("match_value", String(512), nullable=False),
    Column("sharing", String(16), nullable=False),  # personal, role, list, no_reply, shared, free_domain, own
    Column("party_id", Id, ForeignKey("party.id")),  # whose it is today: derived from evidence and live decisions
    Column("home_id", Id),  # the party made for it; None: it never stood alone
    UniqueConstraint("scheme", "value"),
    Index("ix_identifier_match", "scheme", "match_value"),
    Index("ix_identifier_party", "party_id"),
    Index("ix_identifier_home", "home_id"),
)  # fmt: skip

observation = Table(
    "observation", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("identifier_id", Id, ForeignKey("identifier.id"), primary_key=True, autoincrement=False),
    Column("party_id", Id, ForeignKey("party.id"), nullable=False),
    Column("first_seen_at", Micros, nullable=False),
    Column("last_seen_at", Micros, nullable=False),
    Index("ix_observation_party", "party_id"),
    Index("ix_observation_identifier", "identifier_id"),
)  # fmt: skip

decision = Table(  # append-only; taking one back is another one, and the time of it here
    "decision", metadata, _id(),
    Column("left_identifier_id", Id, ForeignKey("identifier.id"), nullable=False),
    Column("right_identifier_id", Id, ForeignKey("identifier.id"), nullable=False),
    Column("verdict", String(16), nullable=False),  # same, different; unsure: a person is asked; none: it takes back
    Column("kind", String(16), nullable=False),  # human, tool, rule, model
    Column("rule", String(64), nullable=False),
    Column("reasons", Text, nullable=False, server_default="[]"),
    Column("weight", Float),  # bits, where weighed
    Column("records", Integer, nullable=False, server_default="0"),  # source records on both sides when it was made
    Column("version", String(64), nullable=False, server_default=""),  # of the weights
    Column("actor", String(128), nullable=False),
    Column("decided_at", Micros, nullable=False),
    Column("revoked_at", Micros),
    Column("act", BigInteger),  # id of the first decision made in one go; undone together
    Column("revokes", BigInteger),  # the act that this one takes back, the question it answers; of a question: its answer
    Index("ix_decision_left", "left_identifier_id"),
    Index("ix_decision_right", "right_identifier_id"),
    Index("ix_decision_act", "act"),
    Index(
        "ix_decision_revokes", "revokes", sqlite_where=text("revokes IS NOT NULL"),
        postgresql_where=text("revokes IS NOT NULL"),
    ),
    Index("ix_decision_people", "act", sqlite_where=text("kind = 'human'"), postgresql_where=text("kind = 'human'")),
    Index(
        "ix_decision_open", "verdict", sqlite_where=text("verdict = 'unsure' AND revoked_at IS NULL"),
        postgresql_where=text("verdict = 'unsure' AND revoked_at IS NULL"),
    ),
)  # fmt: skip

node = Table(  # what is compared of an identifier that may join others; for a tool's id, what its record says
    "node", metadata,
    Column("identifier_id", Id, ForeignKey("identifier.id"), primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),  # person, organization
    Column("fields", Text, nullable=False),  # JSON: field -> match values (hub.identity.match.record)
    Column("is_own", Boolean, nullable=False, server_default="0"),  # the tool says it is one of us
    Column("owner_identifier_id", Id),
    Column("said_at", Micros, nullable=False),
)  # fmt: skip

match_key = Table(  # where candidates are found; a key that too many share stops growing and is listed in hub_key
    "match_key", metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),  # hash of hub.identity.match.keys
    Column("identifier_id", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)  # fmt: skip

hub_key = Table(
    "hub_key", metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(256), nullable=False),
    Column("skipped", BigInteger, nullable=False, server_default="0"),  # times it would have been looked up
)  # fmt: skip

value_count = Table(  # how often a value occurs among all nodes: what agreement on it is worth
    "value_count", metadata,
    Column("part", String(16), primary_key=True),
    Column("value", String(256), primary_key=True),  # "": all of the part
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip

statement = Table(
    "statement", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("field", String(64), primary_key=True),
    Column("party_id", Id, ForeignKey("party.id"), nullable=False),
    Column("value", Text, nullable=False),
    Column("observed_at", Micros, nullable=False),
    Index("ix_statement_party", "party_id", "field"),
    Index(
        "ix_statement_organization", "value", sqlite_where=text("field = 'organization'"),
        postgresql_where=text("field = 'organization'"),
    ),
)  # fmt: skip

# --- timeline ---------------------------------------------------------------------------------------------------

interaction = Table(
    "interaction", metadata, _id(),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("kind", String(24), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("occurred_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Column("all_day", String(10)),
    Column("all_day_last", String(10)),  # the last of several days
    Column("zone", String(40), nullable=False, server_default=""),
    Column("subject", String(998), nullable=False, server_default=""),
    Column("snippet", String(280), nullable=False, server_default=""),
    Column("status", String(32), nullable=False, server_default=""),
    Column("purpose", String(24)),
    Column("conversation_id", Id),
    Column("owner_identifier_id", Id),
    Column("rank", LargeBinary, nullable=False),
    Column("is_metadata_only", Boolean, nullable=False, server_default="0"),
    Column("files", Integer, nullable=False, server_default="0"),
    Column("hash", LargeBinary(16), nullable=False),
    Column("changed_at", Micros, nullable=False),
    Column("gone_at", Micros),
    Index("ix_interaction_occurred", "occurred_at"),
    Index("ix_interaction_changed", "changed_at"),
    Index("ix_interaction_conversation", "conversation_id", "occurred_at"),
)  # fmt: skip

body = Table(
    "body", metadata,
    Column("interaction_id", Id, ForeignKey("interaction.id"), primary_key=True, autoincrement=False),
    Column("codec", String(8), nullable=False),
    Column("text", LargeBinary, nullable=False),
    Column("full_text", LargeBinary),
)  # fmt: skip

source = Table(
    "source", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("interaction_id", Id, ForeignKey("interaction.id"), nullable=False),
    Column("url", Text, nullable=False, server_default=""),
    Column("rank", LargeBinary, nullable=False),  # lowest wins: the source whose content the timeline shows
    Column("is_echo", Boolean, nullable=False, server_default="0"),
    Index("ix_source_interaction", "interaction_id"),
)  # fmt: skip

dedup_key = Table(
    "dedup_key", metadata,
    Column("key", String(512), primary_key=True),
    Column("interaction_id", Id, ForeignKey("interaction.id"), nullable=False),
    Index("ix_dedup_key_interaction", "interaction_id"),
)  # fmt: skip

participation = Table(  # who took part, as each source says it; the interaction's people are the union
    "participation", metadata,
    Column("interaction_id", Id, ForeignKey("interaction.id"), primary_key=True, autoincrement=False),
    Column("identifier_id", Id, ForeignKey("identifier.id"), primary_key=True, autoincrement=False),
    Column("role", String(12), primary_key=True),
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("name", String(256), nullable=False, server_default=""),
    Column("answer", String(12), nullable=False, server_default=""),
    Index("ix_participation_identifier", "identifier_id", "role"),
    Index("ix_participation_record", "record_id"),
    sqlite_with_rowid=False,
)  # fmt: skip

link = Table(
    "link", metadata,
    Column("party_id", Id, primary_key=True, autoincrement=False),
    Column("occurred_at", Micros, primary_key=True, autoincrement=False),
    Column("interaction_id", Id, primary_key=True, autoincrement=False),
    Column("channel", String(16), nullable=False),
    Column("direction", String(8), nullable=False),
    Index("ix_link_interaction", "interaction_id"),
    sqlite_with_rowid=False,
)  # fmt: skip

conversation = Table(
    "conversation", metadata, _id(),
    Column("created_at", Micros, nullable=False),
)  # fmt: skip

thread_ref = Table(
    "thread_ref", metadata,
    Column("ref", String(512), primary_key=True),
    Column("conversation_id", Id, nullable=False),
    Index("ix_thread_ref_conversation", "conversation_id"),
)  # fmt: skip

attachment = Table(
    "attachment", metadata,
    Column("interaction_id", Id, ForeignKey("interaction.id"), primary_key=True, autoincrement=False),
    Column("external_id", String(256), primary_key=True),
    Column("filename", String(512), nullable=False, server_default=""),
    Column("media_type", String(128), nullable=False, server_default=""),
    Column("size", BigInteger, nullable=False, server_default="0"),
)  # fmt: skip

item = Table(  # deals, tasks, tickets, services, notes, consents: what stands beside the interactions
    "item", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("title", String(998), nullable=False, server_default=""),
    Column("state", String(64), nullable=False, server_default=""),
    Column("is_closed", Boolean, nullable=False, server_default="0"),
    Column("due_at", Micros),
    Column("owner_identifier_id", Id),
    Column("url", Text, nullable=False, server_default=""),
    Column("entity", LargeBinary, nullable=False),
    Column("gone_at", Micros),
    Index("ix_item_kind", "kind", "is_closed", "due_at"),
)  # fmt: skip

item_party = Table(
    "item_party", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("identifier_id", Id, ForeignKey("identifier.id"), primary_key=True, autoincrement=False),
    Index("ix_item_party_identifier", "identifier_id"),
)  # fmt: skip

consent = Table(  # every permission and refusal ever told, none ever dropped; hub.parties.consent reads them as one
    "consent", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("identifier_id", Id, ForeignKey("identifier.id"), primary_key=True, autoincrement=False),
    Column("channel", String(16), primary_key=True),
    Column("state", String(12), primary_key=True),  # opted_in, opted_out, unknown
    Column("at", Micros, primary_key=True, autoincrement=False),
    Column("evidence", Text, nullable=False, server_default=""),
    Column("is_current", Boolean, nullable=False),  # the record says so today
    Index("ix_consent_identifier", "identifier_id", "channel"),
)  # fmt: skip

volume = Table(  # rollup: interactions per party, week and channel, kept in the transaction that moves a link
    "volume", metadata,
    Column("week", Integer, primary_key=True, autoincrement=False),  # days since 1970-01-01 of that week's Monday
    Column("party_id", Id, primary_key=True, autoincrement=False),
    Column("channel", String(16), primary_key=True),
    Column("direction", String(8), primary_key=True),
    Column("count", Integer, nullable=False),
    Index("ix_volume_party", "party_id"),
    sqlite_with_rowid=False,
)  # fmt: skip

# --- inbox: webhooks as they rang ---------------------------------------------------------------------------------

notice = Table(  # "look again": what a vendor's call named, never what it said
    "notice", metadata, _id(),
    Column("connection", String(64), nullable=False),
    Column("stream", String(64), nullable=False),
    Column("external_id", String(512), nullable=False, server_default=""),  # "" is the whole stream
    Column("dedup", LargeBinary(16)),  # of the vendor's id for the event; None where it gives none
    Column("received_at", Micros, nullable=False),
    Column("due_at", Micros),  # when to look; None once that is done
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("done_at", Micros),
    UniqueConstraint("connection", "dedup"),
    Index("ix_notice_due", "due_at", "connection", "stream"),
    Index("ix_notice_received", "received_at"),
)  # fmt: skip

# --- outbox: what we owe, and what we did ----------------------------------------------------------------------

plan = Table(
    "plan", metadata, _id(),
    Column("connection_id", Id, ForeignKey("connection.id"), nullable=False),
    Column("kind", String(8), nullable=False, server_default="push"),  # push, merge: of a tool's own duplicates
    Column("undoes", Id),
    Column("created_at", Micros, nullable=False),
    Column("status", String(16), nullable=False),  # draft, approved, applying, applied, partly, held, superseded, undone
    Column("counts", Text, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("approved_by", String(128)),
    Column("approved_at", Micros),
    Column("applied_at", Micros),
)  # fmt: skip

change = Table(
    "change", metadata, _id(),
    Column("plan_id", Id, ForeignKey("plan.id"), nullable=False),
    Column("phase", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("key", String(64), nullable=False),
    Column("op", String(8), nullable=False),
    Column("effect", String(8), nullable=False),  # create, update, delete, merge: what the plan promised
    Column("payload", LargeBinary, nullable=False),
    Column("hash", LargeBinary(16), nullable=False),
    Column("state", String(12), nullable=False),  # due, sent, done, failed, skipped
    Column("outcome", String(12)),
    Column("receipt", LargeBinary),
    Column("error", Text),
    Index("ix_change_plan", "plan_id", "phase", "state"),
    Index("ix_change_key", "key"),
)  # fmt: skip

journal = Table(
    "journal", metadata, _id(),
    Column("change_id", Id, ForeignKey("change.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sent_at", Micros, nullable=False),
    Column("request_hash", LargeBinary(16), nullable=False),
    Column("answered_at", Micros),
    Column("outcome", String(12)),
    Column("error", Text),
    Index("ix_journal_change", "change_id"),
)  # fmt: skip

remote = Table(  # what we know of our objects at a destination
    "remote", metadata,
    Column("connection_id", Id, ForeignKey("connection.id"), primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("remote_id", String(128), nullable=False),
    Column("hash", LargeBinary(16)),  # of the state we last wrote; None for an adopted object
    Column("version", String(128), nullable=False, server_default=""),
    Column("written_at", Micros),  # `changed_at` of the interaction's state we wrote; another one there: look again
    Column("is_ours", Boolean, nullable=False, server_default="0"),
    Index("ix_remote_id", "connection_id", "kind", "remote_id"),
)  # fmt: skip

agreed = Table(  # a field kept equal at a destination's record: the value both sides had last
    "agreed", metadata,
    Column("record_id", Id, ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("field", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("theirs", Text),  # as it reads there, in the tool's own spelling; None until it was read after our write
    Column("before", Text),  # what stood there when we wrote
    Column("written_at", Micros),  # None: found equal, never written by us
)  # fmt: skip

choice = Table(  # a person decided between values that differ; the newest counts
    "choice", metadata, _id(),
    Column("party_id", Id, ForeignKey("party.id"), nullable=False),
    Column("field", String(64), nullable=False),
    Column("value", Text, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("chosen_at", Micros, nullable=False),
    Column("home_id", Id),  # the party it was made for; a merge shows it with the whole, a split gives it back
    Index("ix_choice_party", "party_id", "field"),
)  # fmt: skip

# --- machinery --------------------------------------------------------------------------------------------------

lease = Table(
    "lease", metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", Micros, nullable=False),
)  # fmt: skip

budget = Table(
    "budget", metadata,
    Column("account", String(256), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("window_start", Micros, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("blocked_until", Micros),
)  # fmt: skip

secret = Table(
    "secret", metadata,
    Column("connection", String(64), primary_key=True),
    Column("field", String(128), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("changed_at", Micros, nullable=False),
)  # fmt: skip

meta = Table(
    "meta", metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip
