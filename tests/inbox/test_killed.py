"""The process dies without a word: whatever it had acknowledged is in the database."""

import subprocess
import sys
import threading
from pathlib import Path

import sqlalchemy as sa
from ringing import send, signed

from hub.api import Clock
from hub.store import Store
from hub.store import tables as t

PROGRAM = """
import sys, threading
sys.path[:0] = sys.argv[2:]
from ringing import Ringing, connector
from hub.api import Clock
from hub.inbox import create_app, serving
from hub.store import Store
clock = Clock()
made = connector(Ringing, "box", clock)
app = create_app(lambda name: made, Store.open(sys.argv[1]), clock)
with serving(app, "127.0.0.1", 0) as url:
    print(url, flush=True)
    threading.Event().wait()
"""


def test_what_was_acknowledged_survives_a_kill(database_url: str) -> None:
    Store.open(database_url).close()
    here = Path(__file__).parent
    program = [sys.executable, "-c", PROGRAM, database_url, str(here), str(here.parent / "support")]
    acknowledged: list[str] = []
    enough = threading.Event()

    def ring(url: str, line: int) -> None:
        for n in range(1000):
            name = f"m{line}-{n}"
            body = f'[["mail", "{name}", "e-{name}"]]'.encode()
            try:
                answer = send(url, "/hooks/box", body, signed("box", body, Clock().now()))
            except OSError:
                return
            assert answer.status == 200
            acknowledged.append(name)
            if len(acknowledged) >= 30:
                enough.set()

    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        lines = [threading.Thread(target=ring, args=(url, n)) for n in range(4)]
        for line in lines:
            line.start()
        assert enough.wait(60)
        server.kill()
        for line in lines:
            line.join(60)
    store = Store.open(database_url)
    with store.read() as c:
        kept = set(c.execute(sa.select(t.notice.c.external_id).where(t.notice.c.due_at.is_not(None))).scalars())
    store.close()
    assert len(acknowledged) >= 30
    assert set(acknowledged) <= kept
    assert len(kept) - len(acknowledged) <= 4, "at most one call a line was kept and not yet answered"
