# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server init DIR`: a new organisation, whole or not at all."""

import argparse
import secrets
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from protocol import identity
from protocol.errors import RequestRefused
from protocol.ids import format_id, uuid7
from protocol.limits import MAX_LOGIN_CHARS, MAX_NAME_CHARS
from protocol.messages.admin import (
    ChangeDirectory,
    DirectoryChange,
    GrantRole,
    PutPerson,
    RoleGrant,
    SetPassword,
)
from protocol.version import DEFAULT_PORT
from server import authority, config_file
from server.authority import read_certificate_file
from server.commands import passwords
from server.commands.arguments import Commands, UsageError
from server.commands.outcome import Outcome
from server.config import (
    CertificateSection,
    Config,
    ListenSection,
    OrganisationSection,
)
from server.failures import Exit, Failure
from server.organisation import FOLDER_MODE, Organisation, write_private
from server.services.organisation import ADMINISTRATOR


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.command("init", "make a new organisation in an empty folder", _init)
    parser.add_argument("dir", metavar="DIR", help="a folder that is empty or does not exist yet")
    parser.add_argument("--name", default="Lanyard", help="the organisation's name")
    parser.add_argument(
        "--names",
        metavar="NAME,...",
        help="all host names and IP addresses under which clients reach the server "
        "(otherwise those that this machine knows of itself)",
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument(
        "--admin", metavar="LOGIN", default="admin", help="the first administrator (admin)"
    )
    passwords.add_arguments(parser)


def _init(arguments: argparse.Namespace) -> Outcome:
    folder = Path(arguments.dir).absolute()
    _require_empty(folder)
    _check_names(arguments)
    password = passwords.given(arguments)
    names = _split(arguments.names) or names_of_this_machine()
    config = Config(
        organisation=OrganisationSection(name=arguments.name),
        listen=ListenSection(port=arguments.port),
        certificate=CertificateSection(names=tuple(names)),
    )
    text = config_file.render(config)
    config_file.parse(text)  # what was given on the command line is checked as the file is
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.init-"))
    except OSError as error:
        raise Failure(f"{folder} can't be made: {error.strerror}.", Exit.CANT_CREATE) from error
    try:
        made = Organisation(scratch)
        admin = _fill(made, config, text, arguments, password)
        scratch.chmod(FOLDER_MODE)
        scratch.rename(folder)  # onto an empty folder, or where none is
    except OSError as error:
        raise Failure(f"{folder} can't be made: {error.strerror}.", Exit.CANT_CREATE) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _described(Organisation(folder), config, arguments, admin, password)


def _require_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise Failure(
            f"{folder} is not empty; a new organisation needs a folder of its own. Nothing was changed.",
            Exit.CANT_CREATE,
        )


def _check_names(arguments: argparse.Namespace) -> None:
    if not 0 < len(arguments.admin) <= MAX_LOGIN_CHARS:
        raise UsageError("--admin needs a login.")
    if not 0 < len(arguments.name) <= MAX_NAME_CHARS:
        raise UsageError(f"--name needs 1 to {MAX_NAME_CHARS} characters.")


def _fill(
    made: Organisation,
    config: Config,
    text: str,
    arguments: argparse.Namespace,
    password: passwords.GivenPassword,
) -> PutPerson:
    """Keys, configuration, database and the first administrator."""
    now_ms = time.time_ns() // 1_000_000
    authority.create(made, arguments.name, config.certificate, now_ms)
    write_private(made.config_file, text.encode())
    admin = PutPerson(uuid7(now_ms, secrets.token_bytes(10)), arguments.admin, arguments.admin)
    changes: tuple[DirectoryChange, ...] = (
        admin,
        SetPassword(admin.id, password.text, must_change=not arguments.permanent),
        GrantRole(RoleGrant(admin.id, ADMINISTRATOR)),
    )
    from server.idle import IdleServer  # the whole server: only this command needs it here

    with IdleServer(made, config) as idle:
        try:
            idle.ask(ChangeDirectory(changes))
        except RequestRefused as error:
            raise Failure(f"{error.sentence} Nothing was changed.", Exit.BAD_DATA) from error
    made.lock_file.unlink()
    return admin


def _described(
    organisation: Organisation,
    config: Config,
    arguments: argparse.Namespace,
    admin: PutPerson,
    password: passwords.GivenPassword,
) -> Outcome:
    certificate = read_certificate_file(organisation.authority_certificate)
    fingerprint = identity.fingerprint(certificate)
    words = identity.fingerprint_words(fingerprint)
    data: dict[str, Any] = {
        "folder": str(organisation.folder),
        "organisation": config.organisation.name,
        "organisation_id": fingerprint.hex(),
        "fingerprint_words": words,
        "names": list(config.certificate.names),
        "port": config.listen.port,
        "admin": admin.login,
        "admin_id": format_id(admin.id),
    }
    lines = [
        f"The organisation {config.organisation.name} is ready in {organisation.folder}.",
        f"Reached as:    {', '.join(config.certificate.names)}, port {config.listen.port}",
        "Fingerprint, which clients show at their first connection:",
        f"    {identity.fingerprint_hex(fingerprint)}",
        f"    {words}",
        f"Administrator: {admin.login}",
    ]
    if password.is_made_up:
        data["password"] = password.text
        lines.append(f"One-time password (shown only now): {password.text}")
    lines.append(f"Next: lanyard-server run {organisation.folder}")
    return Outcome("\n".join(lines), data)


def names_of_this_machine() -> list[str]:
    """The host names and addresses under which this machine is likely to be reached."""
    from p2p.mdns import local_addresses  # takes a quarter of a second: only who needs it waits

    host = socket.gethostname()
    names = [host] if host else []
    try:
        answers = socket.getaddrinfo(host, None, flags=socket.AI_CANONNAME, type=socket.SOCK_STREAM)
    except OSError:
        answers = []
    names += [canonical for _, _, _, canonical, _ in answers if canonical]
    names += local_addresses()
    names += ["localhost", "127.0.0.1", "::1"]
    return list(dict.fromkeys(names))


def _split(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]
