# SPDX-License-Identifier: GPL-3.0-or-later
"""`admin user ...`: people and their accounts, devices and sessions."""

from typing import Any, Final

import msgspec

from client.cli import show
from client.cli.admin.directory import AdminDirectory, new_id
from client.cli.admin.made_up import one_time_password
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser, Verbs
from client.cli.records.account import DeviceRecord, DoneRecord
from client.cli.records.admin import GrantRecord, PasswordRecord, SeatRecord, UserRecord
from client.cli.records.record import short_id
from protocol.ids import UserId, format_id
from protocol.messages.admin import (
    AdminPerson,
    DirectoryChange,
    GrantRole,
    PutPerson,
    RoleGrant,
    SetPassword,
)
from protocol.messages.people import Place
from protocol.messages.session import ListDevices, RemoveDevice

TITLE_SEPARATOR: Final = ":"
_FIELDS: Final = ("name", "other_name", "sort_key", "email", "phone")


def declare(verbs: Verbs) -> None:
    """The verbs of ``admin user``."""
    verb = verbs.add("add", add_user, "add a person")
    verb.add_argument("login", metavar="LOGIN", help="what the person signs in with")
    _add_fields(verb, is_new=True)
    verb.add_argument("--role", metavar="NAME", action="append", default=[], help="give this role")
    verb.add_argument("--bot", action="store_true", help="the account is used by a program")
    _add_password(verb)
    verb = verbs.add("list", list_users, "list people")
    verb.add_argument(
        "text", metavar="TEXT", nargs="?", default="", help="with this in login or name"
    )
    verb.add_argument("--dept", metavar="PATH", help="only in this department or below it")
    verb.add_argument("--disabled", action="store_true", help="only closed accounts")
    _login(verbs.add("show", show_user, "all about a person"))
    verb = _login(verbs.add("set", set_user, "change a person; what is not named stays"))
    verb.add_argument("--login", dest="new_login", metavar="LOGIN", help="a new login")
    _add_fields(verb, is_new=False)
    for name, summary, is_disabled in (
        ("disable", "close an account: its sessions end at once", True),
        ("enable", "open a closed account again", False),
    ):
        _login(verbs.add(name, set_disabled, summary)).set_defaults(is_disabled=is_disabled)
    _add_password(_login(verbs.add("password", set_password, "set a new password")))
    _login(verbs.add("sessions", sessions, "a person's devices and sessions"))
    verb = _login(verbs.add("end-sessions", end_sessions, "sign a person's devices out at once"))
    verb.add_argument("--device", metavar="ID", help="only this device")


def _login(parser: Parser) -> Parser:
    parser.add_argument("login", metavar="LOGIN", help="whose")
    return parser


def _add_fields(parser: Parser, *, is_new: bool) -> None:
    add = parser.add_argument
    add("--name", metavar="NAME", required=is_new, help="the name as people write it")
    add("--other-name", metavar="NAME", help="the name in another script or language")
    add(
        "--sort-key",
        metavar="TEXT",
        help="how the name is typed in Latin letters, such as pinyin: li wei",
    )
    add("--email", metavar="ADDRESS", help="mail address")
    add("--phone", metavar="NUMBER", help="telephone number")
    add(
        "--dept",
        action="append",
        metavar="PATH[:TITLE]",
        help="a department, such as Sales/North:Clerk; may be repeated; the first is the main one",
    )


def _add_password(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--password-file",
        metavar="FILE",
        help="first line of a file (- for standard input); without it one is made up",
    )
    add("--permanent", action="store_true", help="it need not be changed at the next sign-in")


# --------------------------------------------------------------------------------------------- showing


async def list_users(desk: Desk) -> None:
    """List people."""
    directory, options = await AdminDirectory.fetch(desk), desk.options
    wanted = options.text.casefold()
    within = directory.subtree(directory.department(options.dept).id) if options.dept else None
    found = [
        one
        for one in directory.people
        if wanted in f"{one.person.login} {one.person.name} {one.person.other_name}".casefold()
        and (within is None or any(place.department in within for place in one.person.places))
        and (one.person.is_disabled or not options.disabled)
    ]
    found.sort(key=lambda one: one.person.login)
    now = desk.now()
    desk.put_table(
        [user_record(directory, one) for one in found],
        [
            show.Column("Login", show.Style.STRONG, shrinks=True),
            show.Column("Name", shrinks=True),
            show.Column("Departments", shrinks=True),
            show.Column("Account"),
            show.Column("Seen"),
        ],
        [
            (
                one.person.login,
                one.person.name,
                "; ".join(directory.path_of(place.department) for place in one.person.places),
                _state(one),
                show.when(one.last_seen_ms, now),
            )
            for one in found
        ],
        nothing="Nobody is found.",
    )


async def show_user(desk: Desk) -> None:
    """Show all about a person."""
    directory = await AdminDirectory.fetch(desk)
    one = directory.person(desk.options.login)
    record = user_record(directory, one)
    seats = [
        f"{seat.path}{f', {seat.title}' if seat.title else ''}{' (head)' if seat.is_head else ''}"
        for seat in record.departments
    ]
    roles = [
        f"{grant.role} over {grant.department}" if grant.department else grant.role
        for grant in record.roles
    ]
    desk.put(
        record,
        show.facts(
            [
                ("Login", record.login + (" (bot)" if record.is_bot else "")),
                ("Name", record.name),
                ("Other name", record.other_name),
                ("Sort key", record.sort_key),
                ("Mail", record.email),
                ("Phone", record.phone),
                *(("Department" if index == 0 else "", seat) for index, seat in enumerate(seats)),
                ("Roles", "; ".join(roles)),
                *sorted(record.custom.items()),
                ("Account", _state(one)),
                ("Kept by", record.source or "hand"),
                ("Seen", show.moment(one.last_seen_ms, desk.now())),
                ("Devices", str(record.device_count)),
                ("Id", record.id),
            ],
            desk.paint,
        ),
    )


def user_record(directory: AdminDirectory, one: AdminPerson) -> UserRecord:
    """The record of a person as administrators see one."""
    person = one.person
    grants = [grant for grant in directory.grants if grant.user == person.id]
    return UserRecord(
        id=format_id(person.id),
        login=person.login,
        name=person.name,
        other_name=person.other_name,
        sort_key=person.sort_key,
        email=person.email,
        phone=person.phone,
        departments=tuple(
            SeatRecord(directory.path_of(place.department), place.title, place.order, place.is_head)
            for place in person.places
        ),
        roles=tuple(
            GrantRecord(
                directory.name_of_role(grant.role) or "", directory.path_or_none(grant.department)
            )
            for grant in grants
        ),
        custom=dict(person.custom),
        source=person.source,
        is_disabled=person.is_disabled,
        is_bot=person.is_bot,
        has_password=one.has_password,
        must_change_password=one.must_change_password,
        last_seen=show.rfc3339(one.last_seen_ms),
        device_count=one.device_count,
    )


def _state(one: AdminPerson) -> str:
    if one.person.is_disabled:
        return "closed"
    if not one.has_password:
        return "no password"
    return "one-time password" if one.must_change_password else "open"


# -------------------------------------------------------------------------------------------- changing


async def add_user(desk: Desk) -> None:
    """Add a person."""
    options = desk.options
    password = await _given(desk)
    directory = await AdminDirectory.fetch(desk)
    if any(one.person.login.casefold() == options.login.casefold() for one in directory.people):
        raise Failure(f"There is a person with the login {options.login!r} already.", Exit.REFUSED)
    user = new_id()
    person = PutPerson(user, options.login, options.name, is_bot=options.bot)
    text = password or one_time_password()
    changes: list[DirectoryChange] = [
        _with_fields(desk, person, directory),
        SetPassword(user, text, must_change=not options.permanent),
    ]
    changes += [GrantRole(RoleGrant(user, directory.role(name).id)) for name in options.role]
    done = await directory.change(*changes)
    directory.put_done("user add", done, f"{options.login} was added.", about=user)
    if password is None:
        _put_made_up(desk, options.login, user, text)


async def set_user(desk: Desk) -> None:
    """Change fields of a person."""
    directory = await AdminDirectory.fetch(desk)
    before = directory.person(desk.options.login).person
    after = _with_fields(desk, before, directory)
    if desk.options.new_login is not None:
        after = msgspec.structs.replace(after, login=desk.options.new_login)
    done = await directory.change(after)
    directory.put_done("user set", done, f"{after.login} was changed.", about=after.id)


async def set_disabled(desk: Desk) -> None:
    """Close or open an account."""
    directory = await AdminDirectory.fetch(desk)
    before = directory.person(desk.options.login).person
    is_disabled: bool = desk.options.is_disabled
    done = await directory.change(msgspec.structs.replace(before, is_disabled=is_disabled))
    verb, word = ("disable", "closed") if is_disabled else ("enable", "open")
    directory.put_done(f"user {verb}", done, f"{before.login} is {word}.", about=before.id)


async def set_password(desk: Desk) -> None:
    """Set a person's password."""
    password = await _given(desk)
    directory = await AdminDirectory.fetch(desk)
    person = directory.person(desk.options.login).person
    text = password or one_time_password()
    done = await directory.change(SetPassword(person.id, text, not desk.options.permanent))
    directory.put_done(
        "user password", done, f"{person.login} has a new password.", about=person.id
    )
    if password is None:
        _put_made_up(desk, person.login, person.id, text)


def _put_made_up(desk: Desk, login: str, user: UserId, password: str) -> None:
    desk.put(
        PasswordRecord(login, format_id(user), password),
        f"One-time password (shown only now): {password}",
    )


def _with_fields(desk: Desk, person: PutPerson, directory: AdminDirectory) -> PutPerson:
    """The person with the fields that the command names."""
    options = desk.options
    named = {name: getattr(options, name) for name in _FIELDS}
    fields: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if options.dept is not None:
        before = {place.department: place for place in person.places}
        places = []
        for text in options.dept:
            path, separator, title = text.partition(TITLE_SEPARATOR)
            department = directory.department(path).id
            place = before.get(department, Place(department))
            title = title.strip() if separator else place.title
            places.append(msgspec.structs.replace(place, title=title))
        fields["places"] = tuple(places)
    return msgspec.structs.replace(person, **fields)


async def _given(desk: Desk) -> str | None:
    """The password that was given; None: make one up. Raises Failure."""
    source: str | None = desk.options.password_file
    if source is None:
        return None
    terminal = desk.terminal
    text = await (terminal.read_line() if source == "-" else terminal.read_file(source))
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        raise Failure(f"The first line of {source} holds no password.")
    return password


# -------------------------------------------------------------------------------------------- sessions


async def sessions(desk: Desk) -> None:
    """List a person's devices."""
    directory = await AdminDirectory.fetch(desk)
    person = directory.person(desk.options.login).person
    devices = (await desk.core.request(ListDevices(person.id))).devices
    now = desk.now()
    desk.put_table(
        [DeviceRecord.of(one) for one in devices],
        [
            show.Column("Id", show.Style.FAINT),
            show.Column("Device", show.Style.STRONG, shrinks=True),
            show.Column("Kind"),
            show.Column("Seen"),
            show.Column("Address"),
            show.Column("Software", shrinks=True),
        ],
        [
            (
                short_id(format_id(one.id)),
                one.name,
                one.kind,
                "online" if one.is_online else show.moment(one.last_seen_ms, now),
                one.address,
                one.software,
            )
            for one in devices
        ],
        nothing="No device is signed in.",
    )


async def end_sessions(desk: Desk) -> None:
    """End sessions at once."""
    directory = await AdminDirectory.fetch(desk)
    person = directory.person(desk.options.login).person
    device = None
    if (word := desk.options.device) is not None:
        digits = word.replace("-", "").casefold()
        devices = (await desk.core.request(ListDevices(person.id))).devices
        named = [one.id for one in devices if len(digits) >= 4 and one.id.hex().endswith(digits)]
        if len(named) != 1:
            raise Failure(
                f"{person.login} has no device {word!r}, or several: see `admin user sessions`.",
                Exit.NOT_FOUND,
            )
        device = named[0]
    await desk.core.request(RemoveDevice(device, person.id))
    what = "The device is" if device else "All devices are"
    desk.put(
        DoneRecord("admin user end-sessions", format_id(person.id)),
        f"{what} signed out; the password is needed again.",
    )
