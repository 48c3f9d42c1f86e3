# SPDX-License-Identifier: GPL-3.0-or-later
"""`init`: asks a directory what it is, and proposes a configuration with three people as they would arrive."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from ldapsync import proposal, words
from ldapsync.commands import arguments
from ldapsync.commands.arguments import Commands
from ldapsync.config import Access, BindMethod, Kind, Security
from ldapsync.exits import Outcome, UsageError
from ldapsync.failures import ConfigInvalid
from ldapsync.vendors import NAMES
from ldapsync.wanted import Wanted

SERVER = """\
# Made for the machine on which this tool runs. On the Lanyard server itself, `folder` alone is enough.
[server]
# folder = "/var/lib/lanyard"
# address = "lanyard.example.com"
# fingerprint = ""          # lanyard-server run prints it
# login = "ldapsync"        # an account with a role that has admin.people, and admin.roles for roles
# password_file = "server.password"

"""


def add_commands(commands: Commands) -> None:
    """Declare it."""
    parser = arguments.command(
        commands, "init", "ask a directory what it is, and propose ldapsync.toml", init
    )
    parser.add_argument("url", metavar="URL", nargs="+", help="ldaps://HOST, several in order")
    parser.add_argument("--name", default="main", help="what the directory is called here (main)")
    parser.add_argument(
        "--kind", choices=[one.value for one in Kind], help="if it is not found out"
    )
    parser.add_argument("--bind-user", metavar="NAME", default="", help="DN, or user@domain for AD")
    parser.add_argument(
        "--bind-method", choices=[one.value for one in BindMethod], default=BindMethod.SIMPLE.value
    )
    for place, meaning in (("file", "FILE"), ("env", "VARIABLE"), ("keyring", "SERVICE/USER")):
        parser.add_argument(f"--password-{place}", metavar=meaning, default="")
    parser.add_argument("--ca-file", metavar="FILE", default="", help="authorities to trust (PEM)")
    parser.add_argument(
        "--security", choices=[one.value for one in Security], default=Security.CHECKED.value
    )
    parser.add_argument("--out", metavar="FILE", help="write it there; an existing file is kept")


def init(options: argparse.Namespace) -> Outcome:
    """Ask, propose, show."""
    proposed = proposal.propose(
        _access(options), options.name, Kind(options.kind) if options.kind else None
    )
    toml = SERVER + proposed.toml
    people = _people(proposed.samples)
    kind = proposed.vendor.kind
    says = proposed.vendor.says or (NAMES[kind] if kind is not None else "of an unknown kind")
    if options.out:
        _write(Path(options.out), toml)
        next_step = f"{options.out} is written. Fill in [server], then: {arguments.PROGRAM} check"
        text = "\n".join([f"The directory is {says}.", "", *people, "", next_step])
    else:
        comments = [f"# {line}".rstrip() for line in people]
        text = "\n".join([f"# The directory is {says}.", "", toml, *comments])
    data = {
        "says": says,
        "toml": toml,
        "people": [msgspec.to_builtins(one) for one in proposed.samples.people.values()],
    }
    return Outcome(text, data)


def _access(options: argparse.Namespace) -> Access:
    table: dict[str, Any] = {
        "servers": options.url,
        "security": options.security,
        "ca_file": options.ca_file,
        "bind_method": options.bind_method,
        "bind_user": options.bind_user,
        "password_file": options.password_file,
        "password_env": options.password_env,
        "password_keyring": options.password_keyring,
    }
    if options.bind_method == BindMethod.SIMPLE.value and not options.bind_user:
        raise UsageError("Say who reads with --bind-user, or choose another --bind-method.")
    try:
        return msgspec.convert(table, Access)
    except msgspec.ValidationError as error:
        raise UsageError(f"{error}.") from error


def _people(samples: Wanted) -> list[str]:
    lines = ["People as they would arrive:"]
    for one in samples.people.values():
        names = [
            samples.departments[place.department].name
            for place in one.places
            if place.department in samples.departments
        ]
        lines += ["", f"  {words.plain(one.name)} ({words.plain(one.login)})"]
        facts = [
            ("entry", one.dn), ("anchor", one.anchor), ("other name", one.other_name),
            ("mail", one.email), ("phone", one.phone), ("departments", ", ".join(names)),
            ("title", next((place.title for place in one.places if place.title), "")),
            ("access", "none" if one.is_disabled else ""),
        ]  # fmt: skip
        rows = [(name, value) for name, value in facts if value]
        lines += [f"    {line}" for line in words.table(("", ""), rows)[1:]]
    return lines


def _write(path: Path, toml: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(toml)
    except FileExistsError as error:
        raise ConfigInvalid(f"{path} is there already and was not touched.") from error
    except OSError as error:
        raise ConfigInvalid(f"{path} can't be written: {error.strerror}.") from error
