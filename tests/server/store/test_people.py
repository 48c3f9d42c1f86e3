# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory in the store: written change by change and read whole; devices, settings and single values beside it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import peewee
import pytest

from protocol.ids import department_conversation_id
from protocol.messages.admin import Effect, Permission, Role, RoleGrant, VisibilityRule
from protocol.messages.people import Department, Person, Place
from server.store import admin, devices, meta, people, presence, sign_ins
from server.store.devices import DeviceRow, Sighting, TooManyDevices
from server.store.directory import (
    AnchorTaken,
    GrantRow,
    PasswordRow,
    Saving,
    StaleVersion,
    save,
)
from server.store.migrate import migrate
from server.store.people import Account, DepartmentRow, PersonRow
from server.store.presence import SettingRow

A, B, C, D = (bytes([number]) * 16 for number in range(1, 5))
KEEPER = b"role" * 4


@pytest.fixture
def db(tmp_path: Path) -> Iterator[peewee.Database]:
    """A database with the schema, used the way the writer uses it."""
    path = tmp_path / "lanyard.db"
    migrate(path)
    database = peewee.SqliteDatabase(str(path), pragmas={"foreign_keys": 1})
    database.connect()
    yield database
    database.close()


def write(db: peewee.Database, saving: Saving) -> None:
    with db.atomic():
        save(db, saving)


def person(
    key: int, login: str, *, anchor: str = "", version: int = 2, **fields: object
) -> PersonRow:
    record = Person(id=bytes([key]) * 16, login=login, name=login.title(), **fields)  # type: ignore[arg-type]
    return PersonRow(
        key,
        record,
        "ldap" if anchor else "",
        anchor,
        version,
        version,
        version,
        is_closed_here=record.is_disabled,
    )


def saving(version: int, **parts: object) -> Saving:
    rows = parts.get("people", ())
    logins = [row.person.login for row in rows]  # type: ignore[attr-defined]
    return Saving(version - 1, version, 1, login_keys=logins, **parts)  # type: ignore[arg-type]


def department(id: bytes, parent: bytes | None = None, *, talks: bool = False) -> DepartmentRow:
    conversation = department_conversation_id(id) if talks else None
    return DepartmentRow(Department(id, "d", parent, "other", 7, conversation), "", "", 2)


def test_an_empty_organisation(db: peewee.Database) -> None:
    stored = people.load(db)
    assert (stored.version, stored.rules_version) == (1, 1)
    assert [role.name for role in stored.roles] == ["Administrator", "Everyone"]
    assert stored.roles[1].permissions == (Permission.CREATE_GROUPS,)
    assert (stored.people, stored.departments, stored.grants, stored.rules) == ([], [], [], ())


def test_what_is_written_is_read(db: peewee.Database) -> None:
    departments = [department(A, talks=True), department(B, A)]
    places = (Place(B, "Head", 3, is_head=True), Place(A))
    rows = [
        person(1, "tia", places=places, custom={"room": "12"}, email="t@x", other_name="蒂亚"),
        person(2, "tom", is_disabled=True, is_bot=True, anchor="17"),
    ]
    rule = VisibilityRule(A, KEEPER, None, KEEPER, Effect.SEE_ONLY, spares_insiders=False)
    write(
        db,
        saving(
            2,
            departments=departments,
            people=rows,
            roles=[Role(KEEPER, "Keeper", (Permission.ADMIN_PEOPLE, Permission.MENTION_ALL))],
            grants=[GrantRow(1, KEEPER, None), GrantRow(2, KEEPER, B)],
            rules=[rule, VisibilityRule(targets=B)],
            passwords=[PasswordRow(1, "hash", must_change=True)],
        ),
    )
    stored = people.load(db)
    assert stored.departments == departments
    assert stored.people == rows
    assert stored.rules == (rule, VisibilityRule(targets=B))
    ids = {row.key: row.person.id for row in rows}
    assert set(stored.grants) == {RoleGrant(ids[1], KEEPER), RoleGrant(ids[2], KEEPER, B)}
    assert people.account(db, 1) == Account("hash", must_change=True)
    assert people.account(db, 2) == Account("", must_change=False)
    assert people.account(db, 3) is None


def test_what_is_taken_back_is_gone(db: peewee.Database) -> None:
    places = (Place(B),)
    role = Role(KEEPER, "Keeper", is_for_everyone=True)
    first = saving(
        2,
        departments=[department(A), department(B)],
        people=[person(1, "tia", places=places)],
        roles=[role],
        grants=[GrantRow(1, KEEPER, B)],
        rules=[VisibilityRule(targets=A)],
    )
    write(db, first)
    write(
        db,
        saving(
            3,
            people=[person(1, "tia")],
            removed_departments=[B],
            removed_roles=[KEEPER],
            removed_grants=[GrantRow(1, KEEPER, B)],
            rules=[],
        ),
    )
    stored = people.load(db)
    assert [row.department.id for row in stored.departments] == [A]
    assert stored.gone_departments == {B: 3}
    assert stored.people[0].person.places == ()
    assert (len(stored.roles), stored.grants, stored.rules) == (2, [], ())
    write(db, saving(4, departments=[department(B)]))
    assert people.load(db).gone_departments == {}


def test_a_new_record_leaves_the_password_alone(db: peewee.Database) -> None:
    write(db, saving(2, people=[person(1, "tia")], passwords=[PasswordRow(1, "hash", False)]))
    write(db, saving(3, people=[person(1, "tia", phone="1")]))
    assert people.account(db, 1) == Account("hash", must_change=False)


def test_logins_and_anchors_change_hands(db: peewee.Database) -> None:
    write(db, saving(2, people=[person(1, "tia", anchor="1"), person(2, "tom", anchor="2")]))
    write(db, saving(3, people=[person(1, "tom", anchor="2"), person(2, "tia", anchor="1")]))
    assert [row.person.login for row in people.load(db).people] == ["tom", "tia"]
    one, other = department(A), department(B)
    anchored = msgspec.structs.replace
    for version, anchors in ((4, "12"), (5, "21")):
        rows = [anchored(one, anchor=anchors[0]), anchored(other, anchor=anchors[1])]
        write(db, saving(version, departments=rows))
        assert people.load(db).departments == rows


def test_a_change_built_on_another_version_is_refused_whole(db: peewee.Database) -> None:
    write(db, saving(2, people=[person(1, "tia")]))
    with pytest.raises(StaleVersion):
        write(db, saving(2, people=[person(2, "tom")]))
    assert len(people.load(db).people) == 1


def test_two_with_one_anchor_are_refused_whole(db: peewee.Database) -> None:
    with pytest.raises(AnchorTaken):
        write(db, saving(2, people=[person(1, "tia", anchor="1"), person(2, "tom", anchor="1")]))
    assert people.load(db).people == []
    assert people.load(db).version == 1


class TestDevices:
    NOW_MS = 1_000_000

    @pytest.fixture(autouse=True)
    def tia(self, db: peewee.Database) -> None:
        write(db, saving(2, people=[person(1, "tia"), person(2, "tom")]))

    def sign_in(self, db: peewee.Database, id: bytes, key: int = 1, now_ms: int = NOW_MS) -> None:
        row = DeviceRow(id, "desk", "cli", token_hash=b"hash", token_until_ms=now_ms + 500)
        sign_ins.admit(db, key, row, 2, now_ms, "", must_change=False)

    def test_the_most_that_may_be_are(self, db: peewee.Database) -> None:
        self.sign_in(db, A)
        self.sign_in(db, B)
        self.sign_in(db, B)
        with pytest.raises(TooManyDevices):
            self.sign_in(db, C)
        self.sign_in(db, C, key=2)
        # What can't return by itself makes room, unless a certificate still lets it.
        devices.set_certificate(db, 1, A, b"serial", self.NOW_MS + 10_000)
        self.sign_in(db, C, now_ms=self.NOW_MS + 1_000)
        assert {row.id for row in devices.devices_of(db, 1)} == {A, C}

    def test_signing_in_again_keeps_the_certificate(self, db: peewee.Database) -> None:
        self.sign_in(db, A)
        assert devices.set_certificate(db, 1, A, b"first", 5_000_000)
        assert devices.set_certificate(db, 1, A, b"second", 6_000_000)
        self.sign_in(db, A, now_ms=self.NOW_MS + 100)
        row = devices.find(db, 1, A)
        assert row is not None
        assert (row.certificate_serial, row.previous_serial) == (b"second", b"first")
        assert (row.created_ms, row.last_seen_ms) == (self.NOW_MS, self.NOW_MS + 100)
        assert not devices.set_certificate(db, 2, A, b"other", 1)

    def test_revoking_and_removing(self, db: peewee.Database) -> None:
        for id in (A, B):
            self.sign_in(db, id)
        devices.revoke(db, 1, A)
        rows = {row.id: row for row in devices.devices_of(db, 1)}
        assert rows[A].may_return(self.NOW_MS)
        assert not rows[B].may_return(self.NOW_MS)
        assert devices.remove(db, 1, C, None) == []
        assert devices.remove(db, 1, None, A) == [B]
        assert devices.remove(db, 1, A, None) == [A]

    def test_sightings_do_not_bring_back_what_was_revoked(self, db: peewee.Database) -> None:
        self.sign_in(db, A)
        sighting = Sighting(1, A, "new", "Linux", "soft", "192.0.2.1", self.NOW_MS + 5, 9_000_000)
        devices.note_sightings(db, [sighting])
        devices.note_departures(db, [(1, A, self.NOW_MS + 7), (1, B, 1)])
        row = devices.find(db, 1, A)
        assert row is not None
        assert (row.name, row.token_until_ms) == ("new", 9_000_000)
        assert devices.last_seen(db) == {1: self.NOW_MS + 7}
        devices.revoke(db, 1, None)
        devices.note_sightings(db, [sighting])
        row = devices.find(db, 1, A)
        assert row is not None
        assert row.token_until_ms == 0

    def test_what_administrators_see(self, db: peewee.Database) -> None:
        self.sign_in(db, A)
        people.set_password(db, 2, "hash", must_change=True)
        assert admin.facts(db, 1, 2) == {
            1: admin.Facts(False, False, self.NOW_MS, 1),
            2: admin.Facts(True, True, 0, 0),
        }
        assert admin.facts(db, 3, 9) == {}

    def test_a_new_password_spares_one_device_of_one_person(self, db: peewee.Database) -> None:
        for key in (1, 2):
            self.sign_in(db, A, key=key)
        passwords = [PasswordRow(key, "hash", must_change=False) for key in (1, 2)]
        change = msgspec.structs.replace(saving(3), passwords=passwords)
        with db.atomic():
            admin.save(db, lambda: change, (1, A))
        returning = {
            key: row.may_return(self.NOW_MS)
            for key in (1, 2)
            if (row := devices.find(db, key, A)) is not None
        }
        assert returning == {1: True, 2: False}


def test_settings_of_presence(db: peewee.Database) -> None:
    write(db, saving(2, people=[person(1, "tia")]))
    for setting in (SettingRow("busy", "Lunch", 5), SettingRow("", "Lunch")):
        presence.put(db, 1, setting)
        assert presence.load(db) == {1: setting}
    presence.put(db, 1, SettingRow())
    assert presence.load(db) == {}


def test_single_values(db: peewee.Database) -> None:
    assert meta.get(db, "nothing") is None
    assert meta.get_int(db, "nothing") == 0
    meta.put_int(db, "number", 5)
    meta.put_int(db, "number", 6)
    assert meta.get_int(db, "number") == 6
    epoch = meta.epoch(db)
    assert len(epoch) == meta.EPOCH_BYTES
    assert meta.epoch(db) == epoch
    assert meta.renew_epoch(db) != epoch
    assert meta.epoch(db) != epoch
    assert admin.size_bytes(db) >= 4096
