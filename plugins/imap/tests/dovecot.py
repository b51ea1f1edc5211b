"""A private Dovecot for tests: its own configuration, one account, a free port on loopback, gone afterwards."""

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BINARY = "/usr/sbin/dovecot"
USER, PASSWORD = "box@example.com", "open-sesame"

CONFIG = """
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
listen = 127.0.0.1
protocols = imap
ssl = yes
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
auth_failure_delay = 0
disable_plaintext_auth = no
default_internal_user = {service}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = {uid}
first_valid_gid = {gid}
mail_location = maildir:~/Maildir
mailbox_list_index = yes
mail_plugins = acl
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
}}
protocol imap {{
  mail_plugins = acl imap_acl
  mail_max_userip_connections = 6
  imap_capability = {capability}
}}
plugin {{
  acl = vfile
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0600
  }}
}}
"""


@dataclass
class Dovecot:
    """A running server. maildir: where the account's mail lies on disk, INBOX in `cur`, other folders in `.Name`."""

    port: int
    tls_port: int
    root: Path
    uid: int
    gid: int

    @property
    def maildir(self) -> Path:
        return self.root / "home" / USER / "Maildir"

    def own(self) -> None:
        """Give what was put on disk to the account."""
        if os.getuid() == 0:
            for path in [self.root / "home", *(self.root / "home").rglob("*")]:
                os.chown(path, self.uid, self.gid)


def missing() -> str:
    """Why there can be no Dovecot here, "" when there can."""
    return "" if os.access(BINARY, os.X_OK) else f"{BINARY} is not installed (Debian: dovecot-imapd)"


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _certify(folder: Path) -> None:
    """A certificate for this machine's loopback address, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip


@contextmanager
def running(capability: str = "") -> Iterator[Dovecot]:
    """capability: what the server says it can, for servers that can less; "" for everything."""
    memory = Path("/dev/shm")  # where there is one, thousands of small files cost little
    folder = Path(tempfile.mkdtemp(prefix="hub-dovecot-", dir=memory if os.access(memory, os.W_OK) else None))
    folder.chmod(0o755)
    process = None
    try:
        is_root = os.getuid() == 0
        account = pwd.getpwnam("mail") if is_root else pwd.getpwuid(os.getuid())
        me = getpass.getuser()
        port, tls_port = _free_ports()
        _certify(folder)
        config = folder / "dovecot.conf"
        config.write_text(CONFIG.format(
            root=folder, port=port, tls_port=tls_port, password=PASSWORD, uid=account.pw_uid, gid=account.pw_gid, capability=capability,
            service="dovecot" if is_root else me, login="dovenull" if is_root else me,
            group="dovecot" if is_root else account.pw_gid,
        ))  # fmt: skip
        (folder / "home" / USER).mkdir(parents=True)
        server = Dovecot(port, tls_port, folder, account.pw_uid, account.pw_gid)
        server.own()
        process = subprocess.Popen([BINARY, "-F", "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        _wait_for(server, process)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()
                process.wait(10)
            if process.stdout:
                process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(server: Dovecot, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stdout.read().decode() if process.stdout else ""
            raise RuntimeError(f"Dovecot did not start: {said}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1) as probe:
            if probe.recv(100).startswith(b"* OK"):
                return
        time.sleep(0.02)
    log = (server.root / "log").read_text() if (server.root / "log").exists() else ""
    raise RuntimeError(f"Dovecot does not answer: {log[-2000:]}")
