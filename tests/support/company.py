# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample organisation of any size, the same for the same arguments, and its files for `import`."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.names import Names

DOMAIN = "tonghe.example"
NAME = ("同合科技", "Tonghe Technologies")

# Division: its titles for staff, and its departments.
_DIVISIONS: list[tuple[tuple[str, str], tuple[str, str], list[tuple[str, str]]]] = [
    (
        ("研发中心", "Research and Development"),
        ("软件工程师", "Software Engineer"),
        [
            ("平台研发部", "Platform"),
            ("应用研发部", "Applications"),
            ("质量保障部", "Quality"),
            ("算法研究部", "Algorithms"),
        ],
    ),
    (
        ("市场与销售中心", "Marketing and Sales"),
        ("客户经理", "Account Manager"),
        [
            ("大客户部", "Key Accounts"),
            ("渠道部", "Partners"),
            ("市场部", "Marketing"),
            ("售前支持部", "Presales"),
        ],
    ),
    (
        ("生产制造中心", "Manufacturing"),
        ("工艺工程师", "Process Engineer"),
        [
            ("生产计划部", "Planning"),
            ("总装车间", "Assembly"),
            ("设备部", "Equipment"),
            ("品质检验部", "Inspection"),
        ],
    ),
    (
        ("信息技术中心", "Information Technology"),
        ("系统管理员", "Systems Administrator"),
        [
            ("桌面支持部", "Service Desk"),
            ("网络运维部", "Networks"),
            ("信息安全部", "Security"),
            ("业务系统部", "Business Systems"),
        ],
    ),
    (
        ("财务中心", "Finance"),
        ("会计", "Accountant"),
        [("会计部", "Accounting"), ("税务部", "Tax"), ("资金部", "Treasury"), ("内审部", "Audit")],
    ),
    (
        ("人力资源中心", "Human Resources"),
        ("人事专员", "People Partner"),
        [
            ("招聘部", "Recruiting"),
            ("培训部", "Training"),
            ("薪酬部", "Compensation"),
            ("员工关系部", "Employee Relations"),
        ],
    ),
    (
        ("供应链中心", "Supply Chain"),
        ("采购专员", "Buyer"),
        [
            ("采购部", "Purchasing"),
            ("物流部", "Logistics"),
            ("仓储部", "Warehouses"),
            ("关务部", "Customs"),
        ],
    ),
    (
        ("国际业务中心", "International"),
        ("业务专员", "Business Officer"),
        [
            ("欧洲区", "Europe"),
            ("东南亚区", "South-East Asia"),
            ("美洲区", "Americas"),
            ("中东与非洲区", "Middle East and Africa"),
        ],
    ),
]

_SITES = [
    ("北京", "Beijing"),
    ("上海", "Shanghai"),
    ("深圳", "Shenzhen"),
    ("成都", "Chengdu"),
    ("西安", "Xi'an"),
    ("武汉", "Wuhan"),
    ("杭州", "Hangzhou"),
    ("乌鲁木齐", "Urumqi"),
    ("法兰克福", "Frankfurt"),
    ("新加坡", "Singapore"),
]

_NUMERALS = "一二三四五六七八九"

# Titles of heads by the depth of their department: company, division, department, site, team.
_COMPANY, _DIVISION, _DEPARTMENT, _SITE, _TEAM = range(5)
_HEADS = [
    ("总经理", "Managing Director"),
    ("副总裁", "Vice President"),
    ("部门经理", "Department Manager"),
    ("区域负责人", "Site Lead"),
    ("组长", "Team Lead"),
]
_SENIORITY = [("", ""), ("", ""), ("助理", "Junior "), ("高级", "Senior "), ("资深", "Principal ")]

PEOPLE_PER_DEPARTMENT = 14
PEOPLE_PER_TEAM = 7
SECOND_PLACE_SHARE = 0.04


@dataclass(frozen=True, slots=True)
class Department:
    """One node of the tree; `key` is its name in files, `parent` is None for the company alone."""

    key: str
    parent: str | None
    name: str
    other_name: str
    order: int


@dataclass(frozen=True, slots=True)
class Place:
    """One person's seat in one department."""

    department: str
    title: str
    order: int
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """One employee; the first of `places` is the main one."""

    login: str
    name: str
    other_name: str
    sort_key: str
    email: str
    phone: str
    employee_number: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """The whole organisation; departments stand after their parents."""

    departments: tuple[Department, ...]
    people: tuple[Person, ...]

    def path_of(self, key: str) -> str:
        """A department's names from the company down, joined by slashes as in CSV files."""
        departments = {department.key: department for department in self.departments}
        names = []
        step: str | None = key
        while step is not None:
            names.append(departments[step].name)
            step = departments[step].parent
        return "/".join(reversed(names))

    def head_of(self, key: str) -> Person:
        """Who leads the department."""
        return next(
            person
            for person in self.people
            for place in person.places
            if place.department == key and place.is_head
        )


@dataclass(slots=True)
class _Branch:
    """A department while the tree grows."""

    department: Department
    level: int
    staff_title: tuple[str, str]
    children: list[_Branch] = field(default_factory=list)

    def grow(
        self, slug: str, name: tuple[str, str], level: int, title: tuple[str, str] | None = None
    ) -> _Branch:
        key = slug if self.level == _COMPANY else f"{self.department.key}.{slug}"
        order = len(self.children) + 1
        child = Department(key, self.department.key, name[0], name[1], order)
        self.children.append(_Branch(child, level, title or self.staff_title))
        return self.children[-1]

    def walk(self) -> Iterator[_Branch]:
        yield self
        for child in self.children:
            yield from child.walk()


def company(people: int = 200, seed: int = 1) -> Company:
    """An organisation of so many people; the same arguments give the same organisation."""
    if people < 1:
        raise ValueError("a company needs somebody")
    source = random.Random(seed)
    branches = list(_tree(people).walk())
    seats = _seats(branches, people, source)
    return Company(
        departments=tuple(branch.department for branch in branches),
        people=tuple(_people(seats, source)),
    )


def _tree(people: int) -> _Branch:
    root = _Branch(Department("company", None, *NAME, order=0), _COMPANY, _HEADS[_COMPANY])
    most = sum(len(departments) for _name, _title, departments in _DIVISIONS)
    count = min(max(people // PEOPLE_PER_DEPARTMENT, 1), most)
    teams = people // PEOPLE_PER_TEAM // count
    # First one department in each division, then the second in each: a small company is broad.
    width = len(_DIVISIONS)
    for index in range(count):
        name, title, departments = _DIVISIONS[index % width]
        if index < width:
            root.grow(_slug(name), name, _DIVISION, title)
        department_name = departments[index // width]
        division = root.children[index % width]
        _staff(division.grow(_slug(department_name), department_name, _DEPARTMENT), teams)
    return root


def _staff(department: _Branch, teams: int) -> None:
    """Divide a department into teams, and into sites first when there are too many for one list."""
    if teams < 2:
        return
    if teams <= len(_NUMERALS):
        _form_teams(department, teams)
        return
    sites = min(-(-teams // len(_NUMERALS)), len(_SITES))
    for name, other_name in _SITES[:sites]:
        here = (
            f"{department.department.name}{name}分部",
            f"{department.department.other_name} {other_name}",
        )
        site = department.grow(_slug((name, other_name)), here, _SITE)
        _form_teams(site, max(teams // sites, 2))


def _form_teams(parent: _Branch, count: int) -> None:
    for number in range(1, count + 1):
        numeral = _NUMERALS[number - 1] if number <= len(_NUMERALS) else str(number)
        name = f"{parent.department.name}{numeral}组"
        parent.grow(
            f"team-{number}", (name, f"{parent.department.other_name} Team {number}"), _TEAM
        )


def _slug(name: tuple[str, str]) -> str:
    return name[1].lower().replace(" ", "-").replace("'", "")


@dataclass(frozen=True, slots=True)
class _Seat:
    """A place before it is known whether its holder has titles in Chinese or in English."""

    department: str
    title: tuple[str, str]
    order: int
    is_head: bool = False


def _seats(branches: list[_Branch], people: int, source: random.Random) -> list[list[_Seat]]:
    """For each person the places, main place first: heads from the top, then staff in the leaves."""
    seats: list[list[_Seat]] = []
    by_head: dict[str, list[_Seat]] = {}
    for branch in branches:
        department = branch.department
        seat = _Seat(department.key, _HEADS[branch.level], 0, is_head=True)
        # A vice president leads the division's first department, too. Where there are more
        # departments than people, everybody leads several.
        if branch.level == _DEPARTMENT and department.order == 1 and department.parent in by_head:
            holder = by_head[department.parent]
            holder.append(seat)
        elif len(seats) < people:
            holder = [seat]
            seats.append(holder)
        else:
            holder = seats[len(by_head) % people]
            holder.append(seat)
        by_head[department.key] = holder
    leaves = [branch for branch in branches if not branch.children]
    orders: Counter[str] = Counter()

    def take_seat(branch: _Branch) -> _Seat:
        key = branch.department.key
        orders[key] += 1
        level, title = source.choice(_SENIORITY), branch.staff_title
        return _Seat(key, (level[0] + title[0], level[1] + title[1]), 10 * orders[key])

    for number in range(people - len(seats)):
        home = leaves[number % len(leaves)]
        places = [take_seat(home)]
        if source.random() < SECOND_PLACE_SHARE and len(leaves) > 1:
            step = source.randrange(1, len(leaves))
            places.append(take_seat(leaves[(number + step) % len(leaves)]))
        seats.append(places)
    return seats


def _people(seats: list[list[_Seat]], source: random.Random) -> Iterator[Person]:
    names = Names(source)
    bearers: Counter[str] = Counter()
    for number, places in enumerate(seats, start=1):
        name = names.next()
        bearers[name.login] += 1
        login = name.login if bearers[name.login] == 1 else f"{name.login}{bearers[name.login]}"
        language = 0 if name.is_chinese else 1
        yield Person(
            login=login,
            name=name.name,
            other_name=name.other_name,
            sort_key=name.sort_key,
            email=f"{login}@{DOMAIN}",
            phone=f"+86 10 5550 {number:05d}",
            employee_number=f"TH{number:06d}",
            places=tuple(
                Place(seat.department, seat.title[language], seat.order, seat.is_head)
                for seat in places
            ),
        )


def write_json(whole: Company, path: Path, passwords: Mapping[str, str] | None = None) -> None:
    """Write the file that `lanyard-server import` reads; `passwords` are by login."""
    departments = [
        {
            "key": department.key,
            "parent": department.parent,
            "name": department.name,
            "other_name": department.other_name,
            "order": department.order,
        }
        for department in whole.departments
    ]
    people = [_json_person(person, (passwords or {}).get(person.login)) for person in whole.people]
    text = json.dumps({"departments": departments, "people": people}, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def _json_person(person: Person, password: str | None) -> dict[str, object]:
    record: dict[str, object] = {
        "login": person.login,
        "name": person.name,
        "other_name": person.other_name,
        "sort_key": person.sort_key,
        "email": person.email,
        "phone": person.phone,
        "custom": {"employee_number": person.employee_number},
        "departments": [
            {
                "key": place.department,
                "title": place.title,
                "order": place.order,
                "is_head": place.is_head,
            }
            for place in person.places
        ],
    }
    if password is not None:
        record["password"] = password
    return record


def write_csv(whole: Company, path: Path) -> None:
    """Write people as a table for `lanyard-server import`, each with the main place only."""
    paths = {department.key: whole.path_of(department.key) for department in whole.departments}
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["login", "name", "email", "phone", "department", "title"])
        for person in whole.people:
            place = person.places[0]
            where = paths[place.department]
            table.writerow(
                [person.login, person.name, person.email, person.phone, where, place.title]
            )
