# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server user ...`: people and their accounts, devices and sessions."""

import argparse
import secrets
import time
from typing import Any, Final

import msgspec

from protocol.ids import format_id, parse_id, uuid7
from protocol.messages.admin import AdminPerson, DirectoryChange, GrantRole, PutPerson, RoleGrant
from protocol.messages.admin import SetPassword as SetPasswordChange
from protocol.messages.people import Place
from protocol.messages.session import Device, ListDevices, RemoveDevice
from server.commands import passwords
from server.commands.arguments import Commands, folder_command
from server.commands.directory import CommandDirectory
from server.commands.office import Office
from server.commands.outcome import Outcome, count, table
from server.commands.times import shown_time
from server.failures import Exit, Failure
from server.services.organisation import ADMINISTRATOR

TITLE_SEPARATOR: Final = ":"
TEXT_FIELDS: Final = ("name", "other_name", "sort_key", "email", "phone")


def add_commands(commands: Commands) -> None:
    """Declare the commands."""
    nouns = commands.noun("user", "people and their accounts, devices and sessions")

    add = folder_command(nouns, "add", "add a person", _add)
    add.add_argument("login")
    _add_fields(add, is_new=True)
    add.add_argument("--admin", action="store_true", help="give the person the role Administrator")
    add.add_argument("--bot", action="store_true", help="the account is used by a program")
    passwords.add_arguments(add)

    listed = folder_command(nouns, "list", "list people", _list)
    listed.add_argument("text", nargs="?", default="", help="only with this in login or name")
    listed.add_argument("--dept", metavar="PATH", help="only in this department or below it")
    listed.add_argument("--disabled", action="store_true", help="only closed accounts")

    folder_command(nouns, "show", "all about a person", _show).add_argument("login")

    changed = folder_command(nouns, "set", "change a person; what is not named stays", _set)
    changed.add_argument("login")
    changed.add_argument("--login", dest="new_login", metavar="LOGIN", help="a new login")
    _add_fields(changed, is_new=False)

    for verb, meaning, is_disabled in (
        ("disable", "close an account: its sessions end at once", True),
        ("enable", "open a closed account again", False),
    ):
        parser = folder_command(nouns, verb, meaning, _set_disabled)
        parser.add_argument("login")
        parser.set_defaults(is_disabled=is_disabled)

    password = folder_command(nouns, "password", "set a new password", _password)
    password.add_argument("login")
    passwords.add_arguments(password)

    folder_command(nouns, "sessions", "a person's devices and sessions", _sessions).add_argument(
        "login"
    )
    end = folder_command(
        nouns, "end-sessions", "sign a person's devices out at once", _end_sessions
    )
    end.add_argument("login")
    end.add_argument("--device", metavar="ID", help="only this device")


def _add_fields(parser: argparse.ArgumentParser, *, is_new: bool) -> None:
    parser.add_argument("--name", required=is_new)
    parser.add_argument("--other-name", help="the name in another script or language")
    parser.add_argument("--sort-key", help="how the name is typed in Latin letters, such as pinyin")
    parser.add_argument("--email")
    parser.add_argument("--phone")
    parser.add_argument(
        "--dept",
        action="append",
        metavar="PATH[:TITLE]",
        help="a department, such as Sales/North:Clerk; may be repeated; the first is the main one",
    )


def _add(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    if directory.has_login(arguments.login):
        raise Failure(f"There is a user {arguments.login!r} already.")
    password = passwords.given(arguments)
    user = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    person = PutPerson(user, arguments.login, arguments.name, is_bot=arguments.bot)
    changes: list[DirectoryChange] = [
        _with_fields(person, arguments, directory),
        SetPasswordChange(user, password.text, must_change=not arguments.permanent),
    ]
    if arguments.admin:
        changes.append(GrantRole(RoleGrant(user, ADMINISTRATOR)))
    directory.change(*changes)
    return _with_password(f"User {arguments.login} was added.", arguments.login, user, password)


def _with_password(
    text: str, login: str, user: bytes, password: passwords.GivenPassword
) -> Outcome:
    data: dict[str, Any] = {"login": login, "id": format_id(user)}
    if password.is_made_up:
        text += f"\nOne-time password (shown only now): {password.text}"
        data["password"] = password.text
    return Outcome(text, data)


def _with_fields(
    person: PutPerson, arguments: argparse.Namespace, directory: CommandDirectory
) -> PutPerson:
    """The person with the fields that the command names."""
    named = {name: getattr(arguments, name) for name in TEXT_FIELDS}
    fields: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if arguments.dept is not None:
        before = {place.department: place for place in person.places}
        places = []
        for text in arguments.dept:
            path, separator, title = text.partition(TITLE_SEPARATOR)
            department = directory.department(path).id
            place = before.get(department, Place(department))
            places.append(
                msgspec.structs.replace(place, title=title.strip() if separator else place.title)
            )
        fields["places"] = tuple(places)
    return msgspec.structs.replace(person, **fields)


def _list(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    wanted = arguments.text.casefold()
    within = directory.subtree(directory.department(arguments.dept).id) if arguments.dept else None
    found = [
        each
        for each in directory.people
        if wanted in f"{each.person.login} {each.person.name} {each.person.other_name}".casefold()
        and (within is None or any(place.department in within for place in each.person.places))
        and (each.person.is_disabled or not arguments.disabled)
    ]
    found.sort(key=lambda each: each.person.login)
    rows = [
        (
            each.person.login,
            each.person.name,
            "; ".join(directory.path_of(place.department) for place in each.person.places),
            _state(each),
            shown_time(each.last_seen_ms),
        )
        for each in found
    ]
    text = table(("login", "name", "departments", "account", "last seen"), rows)
    return Outcome(
        f"{text}\n{count(len(found), 'person', 'people')}",
        {"people": [_person_data(each, directory) for each in found]},
    )


def _state(each: AdminPerson) -> str:
    if each.person.is_disabled:
        return "closed"
    if not each.has_password:
        return "no password"
    return "new password" if each.must_change_password else "open"


def _person_data(each: AdminPerson, directory: CommandDirectory) -> dict[str, Any]:
    person = each.person
    data: dict[str, Any] = {"id": format_id(person.id), "login": person.login}
    data |= {name: getattr(person, name) for name in TEXT_FIELDS}
    data["departments"] = [
        {
            "path": directory.path_of(place.department),
            "title": place.title,
            "order": place.order,
            "is_head": place.is_head,
        }
        for place in person.places
    ]
    data["roles"] = [
        {"role": role.name, "department": directory.path_of(scope) if scope else None}
        for role, scope in directory.roles_of(person.id)
    ]
    data |= {"is_disabled": person.is_disabled, "is_bot": person.is_bot}
    data |= {"custom": person.custom, "source": person.source}
    data |= {"has_password": each.has_password, "must_change_password": each.must_change_password}
    data |= {"last_seen_ms": each.last_seen_ms, "device_count": each.device_count}
    return data


def _show(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    each = directory.person(arguments.login)
    data = _person_data(each, directory)
    places = [
        f"{place['path']}{' (head)' if place['is_head'] else ''}"
        f"{': ' + place['title'] if place['title'] else ''}"
        for place in data["departments"]
    ]
    roles = [
        f"{role['role']}{' over ' + role['department'] if role['department'] else ''}"
        for role in data["roles"]
    ]
    fields = [(name.replace("_", " "), data[name]) for name in ("login", *TEXT_FIELDS)]
    fields += [("departments", "; ".join(places)), ("roles", "; ".join(roles))]
    fields += [("account", _state(each)), ("kept by", each.person.source or "hand")]
    fields += [("last seen", shown_time(each.last_seen_ms)), ("devices", str(each.device_count))]
    fields += [("id", data["id"])]
    return Outcome("\n".join(f"{name + ':':<13}{value}" for name, value in fields if value), data)


def _set(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    before = directory.person(arguments.login).person
    after = _with_fields(before, arguments, directory)
    if arguments.new_login is not None:
        after = msgspec.structs.replace(after, login=arguments.new_login)
    return _put(directory, before, after)


def _set_disabled(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    before = directory.person(arguments.login).person
    return _put(
        directory, before, msgspec.structs.replace(before, is_disabled=arguments.is_disabled)
    )


def _put(directory: CommandDirectory, before: PutPerson, after: PutPerson) -> Outcome:
    data: dict[str, Any] = {"login": after.login, "is_changed": before != after}
    if before == after:
        return Outcome(f"User {after.login} is so already.", data)
    done = directory.change(after)
    text = f"User {after.login} was changed."
    if done.ended_sessions:
        text += f" {count(done.ended_sessions, 'session')} ended."
    return Outcome(text, data | {"ended_sessions": done.ended_sessions})


def _password(office: Office, arguments: argparse.Namespace) -> Outcome:
    directory = CommandDirectory(office)
    person = directory.person(arguments.login).person
    password = passwords.given(arguments)
    must_change = not arguments.permanent
    directory.change(SetPasswordChange(person.id, password.text, must_change))
    return _with_password(f"{person.login} has a new password.", person.login, person.id, password)


def _sessions(office: Office, arguments: argparse.Namespace) -> Outcome:
    person = CommandDirectory(office).person(arguments.login).person
    devices = office.ask(ListDevices(person.id)).devices
    rows = [
        (
            device.name,
            device.kind,
            "online" if device.is_online else shown_time(device.last_seen_ms),
            device.address,
            device.software,
            format_id(device.id),
        )
        for device in devices
    ]
    headings = ("device", "kind", "last seen", "address", "program", "id")
    return Outcome(table(headings, rows), {"devices": [_device_data(each) for each in devices]})


def _device_data(device: Device) -> dict[str, Any]:
    names = ("name", "kind", "platform", "software", "address", "last_seen_ms", "created_ms")
    data: dict[str, Any] = {"id": format_id(device.id)}
    data |= {name: getattr(device, name) for name in names}
    data |= {"is_online": device.is_online}
    data |= {"certificate_not_after_ms": device.certificate_not_after_ms}
    return data


def _end_sessions(office: Office, arguments: argparse.Namespace) -> Outcome:
    person = CommandDirectory(office).person(arguments.login).person
    device = None
    if arguments.device is not None:
        try:
            device = parse_id(arguments.device)
        except ValueError as error:
            raise Failure(f"{error}.", Exit.USAGE) from error
    office.ask(RemoveDevice(device, person.id))
    what = "The device was" if device else "All devices were"
    return Outcome(f"{what} signed out; the password is needed again.", {"login": person.login})
