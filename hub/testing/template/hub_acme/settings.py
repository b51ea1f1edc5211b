"""What an admin sets, and what is known of Acme before any call: scopes, limits, hosts."""

from datetime import timedelta

from hub.api import Budget, ConnectorSettings, Manifest, Scope, SecretStr, Stream

PER_PAGE = 20  # records in one answer; take what your tool allows
PER_MINUTE = 60  # calls Acme allows to one account
OVERLAP = timedelta(minutes=10)  # how late Acme may show a change: so far back every pull reads again
SCOPE = "messages.read"


class AcmeSettings(ConnectorSettings):
    """One account. token: made in Acme's own settings; a `SecretStr`, so that it never shows in a log or an error."""

    base_url: str = "https://tool.example/"
    token: SecretStr


MANIFEST = Manifest(
    name="acme",
    title="Acme",
    channels=("in_app",),
    # "suspected": Acme does not say what was deleted; what a complete reading no longer names is asked for one by one.
    streams=(Stream("messages", deletes="suspected", overlap=OVERLAP, census="ids", needs=(SCOPE,)),),
    auth=("token",),
    scopes=(Scope(SCOPE, "reads the messages and who wrote them"),),
    budgets=(Budget("minute", PER_MINUTE, timedelta(minutes=1)),),
    hosts=("tool.example",),
    docs="README.md",
)
