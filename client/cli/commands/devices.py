# SPDX-License-Identifier: GPL-3.0-or-later
"""devices: from where an account is signed in, and ending that."""

from client.cli import show
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.cli.grammar import Parser
from client.cli.records.account import DeviceRecord, DoneRecord
from client.cli.records.record import short_id
from client.cli.whom import find_person
from protocol.ids import UserId, format_id
from protocol.messages.session import Device


def declare_devices(parser: Parser) -> None:
    """devices list | devices remove DEVICE ..."""
    verbs = parser.verbs()
    listing = verbs.add("list", list_devices, "list the devices of an account")
    listing.add_argument(
        "--user", metavar="WHO", help="of somebody else, with the right to see them"
    )
    removing = verbs.add("remove", remove, "end a device's session, and let it not return")
    add = removing.add_argument
    add("device", metavar="DEVICE", nargs="*", help="its id, the end of it, or its name")
    add("--others", action="store_true", help="all but this device")
    add("--all", action="store_true", help="all devices of --user")
    add("--user", metavar="WHO", help="of somebody else, with the right to end their sessions")


async def list_devices(desk: Desk) -> None:
    """List devices, latest first."""
    await desk.need_server()
    devices = await desk.core.account.devices(await _user(desk))
    now = desk.now()
    desk.put_table(
        [DeviceRecord.of(one) for one in devices],
        [
            show.Column("Id", show.Style.FAINT),
            show.Column("Name", show.Style.STRONG, shrinks=True),
            show.Column("Kind"),
            show.Column("System", shrinks=True),
            show.Column("Software", shrinks=True),
            show.Column("Address"),
            show.Column("Seen"),
        ],
        [
            (
                short_id(format_id(one.id)),
                one.name + (" (this one)" if one.is_this else ""),
                one.kind,
                one.platform,
                one.software,
                one.address,
                "now" if one.is_online else show.moment(one.last_seen_ms, now),
            )
            for one in devices
        ],
        nothing="No device is signed in.",
    )


async def remove(desk: Desk) -> None:
    """Remove the devices that are named."""
    options = desk.options
    if bool(options.device) + options.others + options.all != 1:
        raise Failure("Say which: DEVICE, --others, or --all with --user.")
    if options.all and not options.user:
        raise Failure("--all goes with --user; for your own devices use --others and logout.")
    await desk.need_server()
    user = await _user(desk)
    account = desk.core.account
    if not options.device:
        await account.remove_device(user=user, except_this=options.others)
        desk.put(DoneRecord("devices remove", None), "The devices are removed.")
        return
    devices = await account.devices(user)
    for word in options.device:
        device = _device(word, devices)
        await account.remove_device(device.id, user=user)
        name = show.one_line(device.name)
        desk.put(DoneRecord("devices remove", format_id(device.id)), f"{name} is removed.")


async def _user(desk: Desk) -> UserId | None:
    word = desk.options.user
    return (await find_person(desk.core, word)).id if word else None


def _device(word: str, devices: tuple[Device, ...]) -> Device:
    digits = word.replace("-", "").casefold()
    matches = [one for one in devices if one.name.casefold() == word.casefold()]
    matches = matches or [
        one
        for one in devices
        if len(digits) >= 4 and (one.id.hex().endswith(digits) or one.id.hex().startswith(digits))
    ]
    if len(matches) == 1:
        return matches[0]
    what = "Several devices are" if matches else "No device is"
    listed = matches or devices
    raise Failure(
        f"{what} called {word!r}. Give the id.",
        Exit.NOT_FOUND,
        candidates=tuple(f"{format_id(one.id)}  {show.one_line(one.name)}" for one in listed),
    )
