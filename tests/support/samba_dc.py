# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway Samba domain controller, which speaks LDAP as Active Directory does: own folder, own address of the loopback net.

It needs root for the ports of LDAP, and Debian's packages samba-ad-dc, samba-ad-provision and python3-samba.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest

from tests.support.slapd import make_certificates

BASE = "DC=lab,DC=test"
PASSWORD = "Adm1n of the lab!"
READY_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0

CONFIG = """[global]
netbios name = DC1
realm = LAB.TEST
workgroup = LAB
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = Yes
binddns dir = {folder}/bind-dns
cache directory = {folder}/cache
lock directory = {folder}
private dir = {folder}/private
state directory = {folder}/state
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
log file = {folder}/log.%m
tls certfile = {folder}/server.pem
tls keyfile = {folder}/server.key
tls cafile = {folder}/ca.pem
"""

# Runs in the system's Python, where Samba's modules are: through the database, not through LDAP, since that is quick.
POPULATE = """
import json, sys
import ldb
from samba import param
from samba.auth import system_session
from samba.samdb import SamDB
lp = param.LoadParm(); lp.load(sys.argv[1])
db = SamDB(url=sys.argv[2], session_info=system_session(), lp=lp)
db.transaction_start()
for step in json.load(sys.stdin):
    kind = step.pop("do")
    if kind == "password":
        asked = "(sAMAccountName=%s)" % step["login"]
        db.setpassword(asked, step["password"])
        db.enable_account(asked)
    elif kind == "add":
        db.add(step)
    elif kind == "replace":
        dn = step.pop("dn")
        message = ldb.Message(ldb.Dn(db, dn))
        for name, value in step.items():
            message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
        db.modify(message)
    elif kind == "delete":
        db.delete(step["dn"])
    elif kind == "rename":
        db.rename(step["dn"], step["to"])
db.transaction_commit()
"""


def why_not() -> str:
    """What is missing to run one here; empty when nothing is."""
    if os.name != "posix" or os.geteuid() != 0:
        return "a domain controller needs root for the ports of LDAP"
    missing = [name for name in ("samba", "samba-tool") if _sbin(name) is None]
    missing += [] if Path("/usr/share/samba/setup").is_dir() else ["samba-ad-provision"]
    return (
        f"{', '.join(missing)} not installed: apt-get install samba-ad-dc samba-ad-provision"
        if missing
        else ""
    )


class SambaDc:
    """One domain of its own; a domain takes some ten seconds to make."""

    def __init__(self, folder: Path) -> None:
        if why := why_not():
            pytest.skip(why)
        self.folder = folder
        number = random.SystemRandom()
        self.address = (
            f"127.{number.randrange(64, 128)}.{number.randrange(256)}.{number.randrange(2, 250)}"
        )
        self._process: subprocess.Popen[bytes] | None = None
        for port in (389, 636):
            with socket.socket() as probe:
                try:
                    probe.bind((self.address, port))
                except OSError:
                    pytest.skip(f"another directory server of this machine holds port {port}")
        self._provision()
        make_certificates(folder, self.address)
        (folder / "server.key").chmod(0o600)
        (folder / "ncalrpc").mkdir(exist_ok=True)
        (folder / "smb.conf").write_text(CONFIG.format(address=self.address, folder=folder))

    def _provision(self) -> None:
        done = subprocess.run(
            [
                _sbin("samba-tool") or "", "domain", "provision", "--realm=LAB.TEST", "--domain=LAB",
                "--server-role=dc", f"--adminpass={PASSWORD}", f"--targetdir={self.folder}",
                "--host-name=dc1", f"--host-ip={self.address}", "--dns-backend=NONE",
                f"--option=interfaces={self.address}", "--option=bind interfaces only=yes",
            ],
            capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://{self.address}"

    def toml(self, more: str = "") -> str:
        """A table for ldapsync.toml that reads this domain as its administrator."""
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(PASSWORD)
        return (
            f'[directory.lab]\nkind = "samba"\nservers = ["{self.ldaps_url}"]\nca_file = "{self.folder}/ca.pem"\n'
            f'base = "{BASE}"\nbind_user = "Administrator@lab.test"\npassword_file = "{password_file}"\n'
            f"poll_every_s = 1\n{more}\n"
        )

    def change(self, *steps: dict[str, object]) -> None:
        """Change the domain; see POPULATE for what a step may be."""
        done = subprocess.run(
            [
                "/usr/bin/python3",
                "-c",
                POPULATE,
                str(self.folder / "smb.conf"),
                str(self.folder / "private" / "sam.ldb"),
            ],
            input=json.dumps(steps).encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def __enter__(self) -> SambaDc:
        with (self.folder / "samba.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    _sbin("samba") or "",
                    "-i",
                    "--no-process-group",
                    "-M",
                    "single",
                    "-s",
                    str(self.folder / "smb.conf"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((self.address, 636), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        self._stop()
        pytest.fail(f"samba does not start: {(self.folder / 'samba.log').read_text()}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _sbin(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
