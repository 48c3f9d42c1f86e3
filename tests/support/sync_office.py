# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory server, a Lanyard server, and the tool between them, as an administrator has them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from ldapsync.main import main
from ldapsync.wanted import Anchor
from protocol.identity import certificate_from_pem, fingerprint, fingerprint_hex
from protocol.messages.admin import AdminDirectory, GetAdminDirectory, PutPerson
from tests.support.ldap_company import GROUPS, PEOPLE, group_dn
from tests.support.server_process import ADMIN, PASSWORD, Caller, ServerProcess
from tests.support.slapd import Slapd

SOURCE: Final = "main"
MAPPING: Final = f"""
[people]
bases = ["{PEOPLE}"]
photo = "jpegPhoto"
[people.custom]
"Employee number" = ["employeeNumber"]
[groups]
bases = ["{GROUPS}"]
filter = "(cn=team-*)"
[[roles]]
group = "{group_dn("admins")}"
role = "helpdesk"
"""
GUARDS: Final = """
[guards]
disable = { count = 5, percent = 2.0 }
"""


class Said(Struct, frozen=True):
    """What the tool printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What --json printed."""
        return json.loads(self.out)


class SyncOffice:
    """One directory, one server, one ldapsync.toml."""

    def __init__(self, folder: Path, slapd: Slapd, server: ServerProcess) -> None:
        self.folder = folder
        self.slapd = slapd
        self.server = server
        self.config = folder / "ldapsync.toml"
        self.configure()

    def configure(
        self,
        mapping: str = MAPPING,
        *,
        guards: str = GUARDS,
        slapd: Slapd | None = None,
        url: str = "",
        password_file: Path | None = None,
        port: int = 0,
    ) -> None:
        """Write ldapsync.toml, for the usual directory server or another, and for the server's folder or a port that leads to it."""
        directory = (slapd or self.slapd).toml(mapping, urls=repr(url) if url else "")
        if password_file is not None:
            directory = directory.replace(str(self.slapd.password_file), str(password_file))
        line = f'[server]\nfolder = "{self.server.organisation.folder}"\n'
        if port:
            password = self.folder / "admin-password"
            password.touch(mode=0o600)
            password.write_text(PASSWORD)
            authority = self.server.organisation.authority_certificate.read_bytes()
            digits = fingerprint_hex(fingerprint(certificate_from_pem(authority)))
            line = f'[server]\naddress = "127.0.0.1:{port}"\nfingerprint = "{digits}"\n'
            line += f'login = "{ADMIN}"\npassword_file = "{password}"\n'
        self.config.write_text(f"{line}{guards}\n{directory}", encoding="utf-8")
        self.config.chmod(0o600)

    def run(self, *words: str | Path, code: int | None = None) -> Said:
        """Run a command of the tool in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            exit_code = main([*map(str, words), "--config", str(self.config)])
        said = Said(exit_code, out.getvalue(), err.getvalue())
        assert code is None or exit_code == code, said
        return said

    def start(self, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command of the tool as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "ldapsync.main", *map(str, words), "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def directory(self) -> AdminDirectory:
        """What the server has, in one page."""
        with Caller(self.server) as caller:
            caller.sign_in()
            page = caller.ask(GetAdminDirectory(None, 10_000))
        assert page.after is None
        return page

    def people(self) -> dict[Anchor, PutPerson]:
        """People of the source by anchor."""
        return {
            one.person.anchor: one.person
            for one in self.directory().people
            if one.person.source == SOURCE
        }
