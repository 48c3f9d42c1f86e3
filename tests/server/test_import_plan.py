# SPDX-License-Identifier: GPL-3.0-or-later
"""What an import would change: matched by login and key, nothing lost that the file does not mention, nothing done twice."""

from __future__ import annotations

import itertools

import pytest

from protocol.messages.admin import AdminPerson, PutDepartment, PutPerson, SetPassword
from protocol.messages.people import Place
from server import people_file
from server.failures import Exit, Failure
from server.import_plan import Plan, plan
from server.people_file import FileDepartment, FilePerson, FilePlace, PeopleFile

CSV = """login,name,email,department,title,password
li.wei,李伟,wei@example.com,Sales/North,Head,first-time
ann,Ann,,Sales;Board,Clerk;Member,
"""


class Directory:
    """A directory that carries out plans."""

    def __init__(self) -> None:
        self.departments: dict[bytes, PutDepartment] = {}
        self.people: dict[bytes, PutPerson] = {}
        self.passwords: dict[bytes, str] = {}
        self._numbers = itertools.count(1)

    def plan(self, file: PeopleFile) -> Plan:
        admins = [AdminPerson(person) for person in self.people.values()]
        return plan(file, tuple(self.departments.values()), admins, self._new_id)

    def carry_out(self, made: Plan) -> None:
        for change in made.changes:
            if isinstance(change, PutDepartment):
                assert change.parent is None or change.parent in self.departments
                self.departments[change.id] = change
            elif isinstance(change, PutPerson):
                assert {place.department for place in change.places} <= set(self.departments)
                self.people[change.id] = change
            elif isinstance(change, SetPassword):
                assert change.must_change
                self.passwords[change.user] = change.password

    def person(self, login: str) -> PutPerson:
        return next(person for person in self.people.values() if person.login == login)

    def _new_id(self) -> bytes:
        return next(self._numbers).to_bytes(16, "big")


def test_an_import_into_an_empty_directory_makes_everything() -> None:
    directory = Directory()
    made = directory.plan(people_file.parse_csv(CSV, "x.csv"))
    assert (made.new_departments, made.new_people) == (3, 2)
    assert "+ department Sales/North" in made.lines
    directory.carry_out(made)
    assert {department.name for department in directory.departments.values()} == {
        "Sales",
        "North",
        "Board",
    }
    wei = directory.person("li.wei")
    assert wei.places[0].title == "Head"
    assert directory.passwords == {wei.id: "first-time"}


def test_the_same_file_again_changes_nothing() -> None:
    directory = Directory()
    file = people_file.parse_csv(CSV, "x.csv")
    directory.carry_out(directory.plan(file))
    again = directory.plan(file)
    assert again.changes == ()
    assert again.unchanged_people == 2


def test_what_the_file_does_not_mention_stays() -> None:
    directory = Directory()
    directory.carry_out(directory.plan(people_file.parse_csv(CSV, "x.csv")))
    changed = directory.plan(people_file.parse_csv("login,name\nLI.WEI,Li Wei\n", "x.csv"))
    assert changed.lines == ("~ person LI.WEI: name",)
    directory.carry_out(changed)
    wei = directory.person("li.wei")
    assert (wei.name, wei.email) == ("Li Wei", "wei@example.com")
    assert wei.places
    assert len(directory.people) == 2


def test_a_department_with_a_key_is_renamed_and_moved_not_doubled() -> None:
    directory = Directory()
    before = PeopleFile(
        (FileDepartment("1", "Sales"), FileDepartment("2", "North", "1")),
        (FilePerson("ann", "Ann", departments=(FilePlace("2"),)),),
        has_keys=True,
    )
    directory.carry_out(directory.plan(before))
    after = PeopleFile(
        (FileDepartment("1", "Selling"), FileDepartment("2", "Far North")), (), has_keys=True
    )
    moved = directory.plan(after)
    assert moved.lines == ("~ department 1: name", "~ department 2: name, parent")
    directory.carry_out(moved)
    assert len(directory.departments) == 2


def test_a_department_made_by_hand_is_taken_over_by_its_name() -> None:
    directory = Directory()
    hand_made = PutDepartment(b"h" * 16, "Sales", has_conversation=True)
    directory.departments[hand_made.id] = hand_made
    file = PeopleFile((FileDepartment("1", "Sales"),), (), has_keys=True)
    directory.carry_out(directory.plan(file))
    (only,) = directory.departments.values()
    assert (only.id, only.anchor, only.has_conversation) == (hand_made.id, "1", True)


def test_who_comes_from_a_directory_service_is_not_touched() -> None:
    directory = Directory()
    kept = PutPerson(b"k" * 16, "ann", "Ann", source="ldap", places=(Place(b"d" * 16),))
    directory.people[kept.id] = kept
    file = PeopleFile((), (FilePerson("ann", "Anna"),), has_keys=False)
    with pytest.raises(Failure, match="person ann is kept by ldap") as caught:
        directory.plan(file)
    assert caught.value.exit_code == Exit.BAD_DATA
    same = PeopleFile((), (FilePerson("ann", "Ann"),), has_keys=False)
    assert directory.plan(same).changes == ()


def test_a_known_person_keeps_the_password() -> None:
    directory = Directory()
    file = people_file.parse_csv(CSV, "x.csv")
    directory.carry_out(directory.plan(file))
    directory.passwords.clear()
    directory.carry_out(directory.plan(people_file.parse_csv(CSV.replace("Head", "Chief"), "x")))
    assert directory.passwords == {}
