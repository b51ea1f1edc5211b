"""The text of a new `config/hub.toml`, written by `ihub init`; `config/hub.example.toml` is the same text."""

HUB_TOML = """\
# interaction-hub settings.
#
# - Lines that begin with "# " and a key are examples: remove the "# " to use them. Values shown are the defaults
#   unless the comment says otherwise.
# - Secrets never stand in this file. Give them by reference, from the environment or from a file:
#       token = { env = "HUBSPOT_TOKEN" }        token = { file = "/run/secrets/hubspot_token" }
# - Every setting can also come from the environment, which wins over this file: HUB_, the section, two underscores,
#   the key. Lists are separated by commas. With _FILE at the end, the value is read from the file named:
#       HUB_OWN__DOMAINS=acme.example,acme.example.org
#       HUB_CONNECTIONS__HUBSPOT__SETTINGS__TOKEN_FILE=/run/secrets/hubspot_token
# - Relative paths count from this file's folder, or from the one above it if that folder is called "config".
# - `ihub check` reads this file, names every mistake with line and field, and tries each connection.

[hub]
# Everything the hub keeps: database, keys, scheduler. Back this folder up.
# data_dir = "data"
# SQLite needs nothing. For PostgreSQL, put the whole URL with its password into an environment variable:
# database = { env = "HUB_DATABASE_URL" }
# debug, info, warning or error.
# log_level = "info"
# For times on screen and for cron lines below; stored times are UTC.
# timezone = "UTC"

[own]
# Who "we" are. Decides what is inbound, outbound or internal, and who is never a customer. Fill this in first.
# Your mail domains, each with everything below it.
# domains = ["acme.example"]
# Own people's addresses at other domains, and shared addresses there.
# addresses = ["founder@mail.example"]
# Mailing lists whose mail is conversation with customers; without this it counts as bulk mail.
# lists = ["users@lists.acme.example"]
# Names of own people, where mail does not show them.
# people = { "ana@acme.example" = "Ana Silva" }

[capture]
# What is stored at all. Decided before anything is written; what is left out is counted with its rule.
# Mail among own people only: "exclude" or "keep".
# internal = "exclude"
# Newsletters and other mass mail, by its standard headers: "exclude", "keep" or "metadata" (who and when only).
# bulk = "exclude"
# Automatic answers and bounces: "exclude" or "keep".
# auto = "exclude"
# Never stored: these addresses, these domains with everything below them, mail with these labels.
# block_addresses = ["doctor@clinic.example"]
# block_domains = ["bank.example"]
# block_labels = ["legal"]
# Mail with one of these labels is personal: never stored, counted as private.
# private_labels = ["private", "personal"]
# Store who and when, never the text: for everybody, or for some domains.
# metadata_only = false
# metadata_only_domains = ["lawyers.example"]
# Opt-in: store only mail with this label.
# require_label = "crm"
# A record that cannot be read cannot be judged either. Keep its raw form in quarantine, or only its id and the reason.
# keep_failed = true

[identity]
# Added to the built-in lists: domains that give mailboxes to anybody (never a company), and names in front of the @
# that are a desk and not a person.
# free_domains_extra = ["city-mail.example"]
# role_localparts_extra = ["front-desk"]
# ana+news@... is ana@...; at Gmail, a.na@ is ana@. Except at domains (with all below them) where the part behind the plus
# makes another mailbox. A change counts for an address when it is read again.
# strip_plus = true
# plus_counts_at = ["kestrel.example"]
# gmail_dots = true
# The country of telephone numbers that do not say theirs: 030 23125100 is +49 30 23125100. Without it only numbers written
# with their country's code are told apart for sure; one read earlier counts anew when its record is read again.
# default_region = "DE"
# Every night everybody is weighed against everybody: "apply" joins and parts what the model decides (never what a person
# did; a change of very many parties waits for one), "propose" only shows it (`ihub identity audit`), "off".
# audit = "apply"
# audit_at = "0 3 * * *"

[contacts]
# Who becomes a contact at the system of record: "all" is every external person with an interaction, "replied_to"
# only people somebody of yours has written to, "none" creates nobody and files under existing contacts only.
# create = "all"

[system_of_record]
# The connection that holds the one timeline; without it nothing is pushed.
# connection = "hubspot"
# Push nothing older than a date or a span. Without it, everything.
# push_since = "365 days"
# What to push, out of "person", "organization", "interaction" and "task".
# push = ["person", "organization", "interaction"]
# "manual": `ihub plan` shows the changes and `ihub apply` makes them. "auto": after every sync, up to the brake.
# approve = "manual"
# The brake: a plan that changes more than this share of what is there, or more than this many, waits for a person.
# brake_percent = 5
# brake_count = 50

[fields]
# Fields of people and companies that several tools hold. Without a rule the newest value is shown and nothing is written.
# owner: its value counts, an emptied field too. precedence: the first that has a value. write_to: kept at the value that
# counts. docs/fields.md has the names and the rules; `ihub fields WHO` shows who says what.
# person = { phone = { owner = "hubspot", write_to = ["zendesk"] }, job_title = { precedence = ["hubspot", "zendesk"] } }
# organization = { website = { owner = "hubspot" } }

[consent]
# Connections that are told when somebody opts out of e-mail in any tool. Nobody is ever opted in.
# write_to = ["mailchimp"]

[meetings]
# Calendars that get the meetings to come which stand in another tool (the CRM, say) and in no calendar. Nobody is invited.
# write_to = ["calendar"]

[inbox]
# Webhooks: `ihub serve` listens there for "look again" at /hooks/NAME; without a port, polling alone does it.
# port = 8787
# host = "127.0.0.1"
# How vendors reach it, through your proxy or tunnel.
# public_url = "https://hub.acme.example"

[web]
# `ihub serve` answers programs there: REST under /api/v1, assistants at /mcp; `ihub token create` makes the tokens.
# port = 8080
# host = "127.0.0.1"
# public_url = "https://hub.acme.example"

[hooks]
# Webhooks out: other programs are told of what changes; `ihub hook add URL` (docs/webhooks.md). How long events are kept:
# keep_days = 30
# For development: endpoints on this machine, and without TLS.
# allow_loopback = true

[sign_in]
# People sign in with a password (`ihub user add`), and through the company's own provider (OpenID Connect); docs/access.md.
# [sign_in.providers.company]
# title = "Acme ID"
# issuer = "https://id.acme.example"
# client_id = "interaction-hub"
# client_secret = { env = "SIGN_IN_SECRET" }
# scopes = ["openid", "email", "profile"]
# The claim with somebody's groups, and which roles a group has here; without any, roles are given by `ihub user role`.
# groups = "groups"
# roles = { "sales" = ["agent"], "it" = ["operator", "admin"] }
# default_roles = ["viewer"]
# Make accounts for newcomers; take an account that has the same address; believe a provider that says `email_verified` of nobody.
# creates = true
# link_by_email = false
# trusts_email = false

[schedule]
# For connections without their own: "30 seconds", "5 minutes", "2 hours", "1 day" ...
# every = "5 minutes"
# ... or, instead, five cron fields: minute, hour, day of month, month, day of week.
# cron = "*/15 7-19 * * mon-fri"
# Connections synced at the same time.
# concurrency = 4

# Connections: one section for each account, under a name of your choice (lower-case letters, digits, underscores).
# All of them take:
#   connector   which connector; `ihub connectors` lists them
#   enabled     false switches it off and keeps what was stored
#   every, cron its own schedule
#   since       how far back the first sync reads: a date or a span; everything if left out
#   streams     only these of its streams; all if left out
#   merge_duplicates  true lets the tool merge its own duplicates, by plans that a person approves; that cannot be undone
#   private     true: what only this connection shows is seen by its owner alone; owner: the address they sign in with
# and, under settings, what the connector itself needs (its README has the steps).

# Gmail, one mailbox, with an OAuth client of your own.
# [connections.gmail]
# connector = "gmail"
# every = "5 minutes"
# since = "365 days"
# private = true
# owner = "sales@acme.example"
# [connections.gmail.settings]
# mailbox = "sales@acme.example"
# client_id = "1234567890-abc.apps.example"
# client_secret = { env = "GMAIL_CLIENT_SECRET" }
# refresh_token = { env = "GMAIL_REFRESH_TOKEN" }

# Google Calendar, one account, with the same kind of client.
# [connections.calendar]
# connector = "calendar"
# [connections.calendar.settings]
# account = "sales@acme.example"
# client_id = "1234567890-abc.apps.example"
# client_secret = { env = "CALENDAR_CLIENT_SECRET" }
# refresh_token = { env = "CALENDAR_REFRESH_TOKEN" }

# Zendesk, with an OAuth client of the account.
# [connections.zendesk]
# connector = "zendesk"
# [connections.zendesk.settings]
# subdomain = "acme"
# client_id = "interaction_hub"
# client_secret = { env = "ZENDESK_CLIENT_SECRET" }

# Mailchimp, with an API key.
# [connections.mailchimp]
# connector = "mailchimp"
# [connections.mailchimp.settings]
# api_key = { env = "MAILCHIMP_API_KEY" }

# HubSpot, with a service key or the token of a private app.
# [connections.hubspot]
# connector = "hubspot"
# every = "10 minutes"
# merge_duplicates = false
# [connections.hubspot.settings]
# token = { env = "HUBSPOT_TOKEN" }

# A mailbox file or folder: mbox, Maildir or a Takeout archive. `ihub import mail FILE` needs no section here.
# [connections.archive]
# connector = "mailfile"
# enabled = true
# cron = "0 6 * * *"
# [connections.archive.settings]
# path = "mail/archive.mbox"
"""
