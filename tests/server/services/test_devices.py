# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices: seen, removed and certified by their users, and by administrators for them."""

import pytest

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages import admin as admin_wire
from protocol.messages.admin import Effect, Permission, VisibilityRule
from protocol.messages.session import (
    DeviceInfo,
    EnrollDevice,
    ListDevices,
    RemoveDevice,
    SignedIn,
    SignIn,
)
from server.services.auth import Origin
from server.services.caller import Caller
from tests.server.services.office import (
    Office,
    caller,
    device,
    grant,
    make_id,
    operator,
    put_department,
    put_person,
    role,
)

DESK, PHONE = device("desk"), device("phone")


async def furnish(office: Office) -> dict[str, Caller]:
    """Tia on two computers, both online; sam, who keeps the sessions of her team; ada, who may everything."""
    await office.change(
        put_department("team"),
        put_person("tia", "team"),
        put_person("sam", "team"),
        put_person("ada"),
        grant("ada"),
        role("Watchman", Permission.ADMIN_SESSIONS),
        grant("sam", make_id("Watchman"), over="team"),
        admin_wire.SetPassword(make_id("tia"), "correct horse", must_change=False),
    )
    callers = {}
    for name, computer in (("desk", DESK), ("phone", PHONE)):
        signed = await sign_in(office, computer)
        callers[name] = Caller(signed.user, signed.session, computer.id, "192.0.2.1")
        office.audience.open[signed.session] = callers[name]
        office.hands.advance(60)
    return callers


async def sign_in(office: Office, computer: DeviceInfo) -> SignedIn:
    request = SignIn("tia", "correct horse", computer)
    return await office.auth.sign_in(request, Origin("192.0.2.1", "Lanyard 1"))


async def names(office: Office, by: Caller, whose: str | None = None) -> list[str]:
    request = ListDevices(make_id(whose) if whose else None)
    return [each.name for each in (await office.devices.list_devices(by, request)).devices]


async def test_the_list(office: Office) -> None:
    tia = await furnish(office)
    del office.audience.open[tia["desk"].session]
    listed = await office.devices.list_devices(tia["phone"], ListDevices())
    phone, desk = listed.devices
    assert (phone.name, phone.is_online, phone.is_this) == ("phone", True, True)
    assert (desk.name, desk.is_online, desk.is_this) == ("desk", False, False)
    assert (desk.platform, desk.software, desk.address) == ("Linux", "Lanyard 1", "192.0.2.1")
    assert desk.last_seen_ms == desk.created_ms == phone.created_ms - 60_000
    office.hands.advance(91 * 86_400)
    assert await names(office, tia["phone"]) == ["phone"]  # the other can't return by itself


async def test_removing_one(office: Office) -> None:
    tia = await furnish(office)
    await office.devices.remove_device(tia["desk"], RemoveDevice(PHONE.id))
    assert office.audience.ended == [(tia["phone"].session, ErrorCode.SESSION_ENDED)]
    assert await names(office, tia["desk"]) == ["desk"]
    with pytest.raises(RequestRefused) as caught:
        await office.devices.remove_device(tia["desk"], RemoveDevice(PHONE.id))
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_removing_all_others(office: Office) -> None:
    tia = await furnish(office)
    await office.devices.remove_device(tia["desk"], RemoveDevice(except_this=True))
    assert list(office.audience.open) == [tia["desk"].session]
    assert await names(office, tia["desk"]) == ["desk"]
    await office.devices.remove_device(tia["desk"], RemoveDevice())
    assert not office.audience.open


async def test_signing_out(office: Office) -> None:
    tia = await furnish(office)
    await office.devices.sign_out(tia["desk"])
    assert tia["desk"].session in office.audience.open  # the dispatcher closes it after the answer
    assert await names(office, tia["phone"]) == ["phone"]
    with pytest.raises(RequestRefused) as caught:
        await office.devices.enroll_device(tia["desk"], EnrollDevice(b"csr"))
    assert caught.value.code is ErrorCode.SESSION_ENDED


async def test_who_administers_them(office: Office) -> None:
    await furnish(office)
    for by in (caller("ada"), caller("sam"), operator):
        assert await names(office, by, "tia") == ["phone", "desk"]
    await office.devices.remove_device(
        caller("sam"), RemoveDevice(PHONE.id, make_id("tia"), except_this=True)
    )
    assert await names(office, caller("ada"), "tia") == ["desk"]


@pytest.mark.parametrize(
    ("by", "whose", "code"),
    [
        ("tia", "sam", ErrorCode.FORBIDDEN),
        ("sam", "ada", ErrorCode.NOT_FOUND),
        ("tia", "nobody", ErrorCode.NOT_FOUND),
    ],
)
async def test_who_does_not(office: Office, by: str, whose: str, code: ErrorCode) -> None:
    await furnish(office)
    rule = VisibilityRule(viewers=make_id("team"), effect=Effect.HIDE, spares_insiders=False)
    await office.change(admin_wire.SetVisibility((rule,)))
    with pytest.raises(RequestRefused) as caught:
        await office.devices.list_devices(caller(by), ListDevices(make_id(whose)))
    assert caught.value.code is code
    with pytest.raises(RequestRefused) as caught:
        await office.devices.remove_device(caller(by), RemoveDevice(user=make_id(whose)))
    assert caught.value.code is code


async def test_the_operator_has_no_devices(office: Office) -> None:
    with pytest.raises(RequestRefused) as caught:
        await office.devices.list_devices(operator, ListDevices())
    assert caught.value.code is ErrorCode.INVALID


async def test_a_certificate_shows_in_the_list(office: Office) -> None:
    tia = await furnish(office)
    answer = await office.devices.enroll_device(tia["desk"], EnrollDevice(b"csr"))
    assert (answer.certificate, answer.authority) == (b"certificate for csr", b"authority")
    listed = await office.devices.list_devices(tia["desk"], ListDevices())
    ends = {each.name: each.certificate_not_after_ms for each in listed.devices}
    assert ends == {"desk": answer.not_after_ms, "phone": 0}
