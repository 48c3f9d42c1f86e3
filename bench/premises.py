# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample office on the disk: made by `init` and `import` like any other, with a device of everybody that may return by token.

Ten thousand passwords would cost half an hour of hashing that no server pays when its clients reconnect. So the devices are noted
by the store's own functions, as a sign-in does it, before the server starts.
"""

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.failures import BenchFailed
from protocol import limits
from protocol.ids import DeviceId, UserId
from server import config_file
from server.config import CertificateSection, Config, ListenSection, LogSection
from server.organisation import FolderLock, Organisation
from server.store import people as people_store
from server.store import sign_ins
from server.store.database import Database
from server.store.devices import DeviceRow
from tests.support.company import company, write_csv

ADDRESS: Final = "127.0.0.1"
PASSWORD: Final = "a pass phrase of some length"
"""Of the one person who signs in with a password."""
SPARE_CONNECTIONS: Final = 1_000
"""Above those that are measured: for who comes back before the server has noticed that they left."""
COMMAND_TIMEOUT_S: Final = 300.0
TOKEN_DAYS: Final = 1
_UNBOUNDED: Final = 1_000_000


class Seat(Struct, frozen=True):
    """A person at their device."""

    login: str
    user: UserId
    device: DeviceId
    token: bytes


class Premises(Struct, frozen=True):
    """An organisation's folder, and everybody in it."""

    folder: Path
    seats: tuple[Seat, ...]
    """Of those who stay."""
    traveller: Seat
    """Who has a password, too."""

    @property
    def organisation(self) -> Organisation:
        """Its paths."""
        return Organisation(self.folder)


def furnish(folder: Path, people: int) -> Premises:
    """Make an office of so many people, and one who travels. Raises BenchFailed."""
    command("init", folder, "--names", ADDRESS, "--port", "0", "--name", "Bench")
    organisation = Organisation(folder)
    _configure(organisation, people + 1)
    file = folder.with_suffix(".csv")
    whole = company(people + 1)
    write_csv(whole, file)
    command("import", "--dir", folder, file)
    # The one who comes back with the real client has to begin with a password.
    traveller = whole.people[-1].login
    command(
        *("user", "password", traveller, "--dir", folder, "--permanent", "--password-file", "-"),
        stdin=PASSWORD,
    )
    seats = _place_devices(organisation)
    return Premises(folder, seats[:-1], seats[-1])


def command(*words: str | Path, stdin: str = "") -> str:
    """Run a command of lanyard-server; what it printed. Raises BenchFailed."""
    done = subprocess.run(
        [sys.executable, "-m", "server.main", *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise BenchFailed(f"lanyard-server {words[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _configure(organisation: Organisation, people: int) -> None:
    """All connections come from this machine, and few users post what many would: no limit for either."""
    config = config_file.load(organisation.config_file)
    limited = msgspec.structs.replace(
        config.limits,
        connections=people + SPARE_CONNECTIONS,
        connections_per_address=_UNBOUNDED,
        posts_per_s=_UNBOUNDED,
        posts_at_once=_UNBOUNDED,
    )
    changed = Config(
        organisation=config.organisation,
        listen=ListenSection(addresses=(ADDRESS,), port=0, announce=False),
        certificate=CertificateSection(names=(ADDRESS,)),
        limits=limited,
        log=LogSection(),
    )
    organisation.config_file.write_text(config_file.render(changed), encoding="utf-8")


def _place_devices(organisation: Organisation) -> tuple[Seat, ...]:
    """Give each person but the administrator, who comes first, a device with a token."""
    seats = []
    now_ms = time.time_ns() // 1_000_000
    until_ms = now_ms + TOKEN_DAYS * 24 * 60 * 60 * 1000
    lock = FolderLock(organisation)
    lock.acquire()
    database = Database(f"sqlite:{organisation.database(organisation.load_config())}")
    try:
        db = database.for_writing
        everybody = people_store.load(db).people[1:]
        with db.atomic():
            for row in everybody:
                person = row.person
                device = hashlib.blake2b(person.id, digest_size=16).digest()
                token = hashlib.sha256(person.id).digest()
                seats.append(Seat(person.login, person.id, device, token))
                noted = DeviceRow(
                    device,
                    "bench",
                    "desktop",
                    token_hash=hashlib.sha256(token).digest(),
                    token_until_ms=until_ms,
                )
                most = limits.MAX_DEVICES_PER_USER
                sign_ins.admit(db, row.key, noted, most, now_ms, "", must_change=False)
    finally:
        database.close()
        lock.release()
    return tuple(seats)
