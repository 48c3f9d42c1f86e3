# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, who does not, and what they are told."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from protocol import limits
from protocol.errors import ErrorCode, RequestRefused
from protocol.identity import DeviceIdentity
from protocol.messages import admin as admin_wire
from protocol.messages.admin import Permission
from protocol.messages.session import (
    ChangePassword,
    DeviceInfo,
    EnrollDevice,
    RemoveDevice,
    Resume,
    SignedIn,
    SignIn,
    SignInByCertificate,
)
from server.services.auth import Origin, Verdict
from server.services.caller import Caller
from server.services.passwords import MAX_WAITING, Cost, Passwords
from server.store import devices as device_store
from server.store import people as people_store
from server.store.errors import DiskFull
from tests.server.services.office import Office, device, make_id, put_person

HERE = Origin("192.0.2.1", "lanyard-cli 0.1.0")
ELSEWHERE = Origin("198.51.100.7")
DAY_S = 86_400.0


async def furnish(office: Office, *, must_change: bool = False) -> None:
    """Tia and her password."""
    await office.change(
        put_person("tia"),
        admin_wire.SetPassword(make_id("tia"), "correct horse", must_change),
    )


async def sign_in(
    office: Office,
    login: str = "tia",
    password: str = "correct horse",
    computer: DeviceInfo | None = None,
    origin: Origin = HERE,
) -> SignedIn:
    return await office.auth.sign_in(SignIn(login, password, computer or device()), origin)


async def refusal(awaitable: object) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value


def session_of(signed: SignedIn, computer: DeviceInfo | None = None) -> Caller:
    return Caller(signed.user, signed.session, (computer or device()).id, "192.0.2.1")


async def test_the_right_password_opens_a_session(office: Office) -> None:
    await furnish(office)
    signed = await sign_in(office, " TIA ")
    assert (signed.user, signed.name) == (make_id("tia"), "Tia")
    assert len(signed.token) == 32
    assert signed.permissions == (Permission.CREATE_GROUPS,)
    assert signed.policy.edit_within_s == 60
    assert not signed.must_change_password
    again = await sign_in(office)
    assert again.session != signed.session
    assert again.token != signed.token


@pytest.mark.parametrize("login", ["tia", "nobody", "silent"])
async def test_a_stranger_learns_nothing(office: Office, login: str) -> None:
    await furnish(office)
    await office.change(put_person("silent"))
    hashed: list[str] = []
    verify = office.passwords.verify

    async def watched(password: str, password_hash: str) -> bool:
        hashed.append(password)
        return await verify(password, password_hash)

    office.passwords.verify = watched  # type: ignore[method-assign]
    error = await refusal(sign_in(office, login, "a guess"))
    assert (error.code, error.sentence) == (
        ErrorCode.WRONG_CREDENTIALS,
        "The login or the password is wrong.",
    )
    assert hashed == ["a guess"]


async def test_a_closed_account_is_told_so_only_with_the_password(office: Office) -> None:
    await furnish(office)
    token = (await sign_in(office)).token
    await office.change(put_person("tia", is_disabled=True))
    assert (await refusal(sign_in(office))).code is ErrorCode.ACCOUNT_DISABLED
    wrong = await refusal(sign_in(office, password="wrong"))
    assert wrong.code is ErrorCode.WRONG_CREDENTIALS
    resumed = await refusal(office.auth.resume(Resume(make_id("tia"), device(), token), HERE))
    assert resumed.code is ErrorCode.ACCOUNT_DISABLED
    await office.change(put_person("tia"))
    assert (await office.auth.resume(Resume(make_id("tia"), device(), token), HERE)).name == "Tia"


async def test_who_is_disabled_while_signing_in_does_not_get_in(office: Office) -> None:
    await furnish(office)
    signing = asyncio.ensure_future(sign_in(office))
    await asyncio.sleep(0)
    await office.change(put_person("tia", is_disabled=True))
    assert (await refusal(signing)).code is ErrorCode.ACCOUNT_DISABLED


async def test_a_one_time_password_must_be_changed(office: Office) -> None:
    await furnish(office, must_change=True)
    signed = await sign_in(office)
    assert signed.must_change_password
    resume = Resume(make_id("tia"), device(), signed.token)
    assert (await office.auth.resume(resume, HERE)).must_change_password
    tia = session_of(signed)
    await office.auth.change_password(tia, ChangePassword("correct horse", "battery staple"))
    assert not (await office.auth.resume(resume, HERE)).must_change_password
    assert not (await sign_in(office, password="battery staple")).must_change_password
    assert (await refusal(sign_in(office))).code is ErrorCode.WRONG_CREDENTIALS


class TestTokens:
    async def resume(
        self, office: Office, token: bytes, computer: DeviceInfo | None = None
    ) -> SignedIn:
        request = Resume(make_id("tia"), computer or device(), token)
        return await office.auth.resume(request, HERE)

    async def test_a_token_works_again_and_again(self, office: Office) -> None:
        await furnish(office)
        token = (await sign_in(office)).token
        signed = await self.resume(office, token)
        assert signed.token == b""
        await self.resume(office, token)

    async def test_it_is_stored_as_a_hash(self, office: Office) -> None:
        await furnish(office)
        token = (await sign_in(office)).token
        [row] = device_store.devices_of(office.db, 1)
        assert row.token_hash is not None
        assert token not in row.token_hash

    @pytest.mark.parametrize("wrong", ["token", "device", "user", "after password"])
    async def test_what_is_not_right_is_refused(self, office: Office, wrong: str) -> None:
        await furnish(office)
        token = (await sign_in(office)).token
        user, computer = make_id("tia"), device()
        if wrong == "token":
            token = bytes(32)
        elif wrong == "device":
            computer = device("other")
        elif wrong == "user":
            user = make_id("nobody")
        else:
            await sign_in(office)
        error = await refusal(office.auth.resume(Resume(user, computer, token), HERE))
        assert error.code is ErrorCode.WRONG_CREDENTIALS

    async def test_it_ends_when_it_is_not_used(self, office: Office) -> None:
        await furnish(office)
        token = (await sign_in(office)).token
        for _ in range(3):
            office.hands.advance(89 * DAY_S)
            await self.resume(office, token)
            office.hands.advance(5)
            await office.settle()
        office.hands.advance(90 * DAY_S)
        error = await refusal(self.resume(office, token))
        assert error.code is ErrorCode.WRONG_CREDENTIALS

    async def test_a_token_that_was_taken_back_stays_so(self, office: Office) -> None:
        await furnish(office)
        signed = await sign_in(office)
        await self.resume(office, signed.token)
        await office.change(admin_wire.SetPassword(make_id("tia"), "correct horse"))
        await office.sightings.write()
        assert (await refusal(self.resume(office, signed.token))).code is (
            ErrorCode.WRONG_CREDENTIALS
        )

    async def test_sightings_are_kept(self, office: Office) -> None:
        await furnish(office)
        signed = await sign_in(office)
        office.hands.advance(100)
        renamed = msgspec.structs.replace(device(), name="new name")
        await office.auth.resume(Resume(make_id("tia"), renamed, signed.token), ELSEWHERE)
        office.hands.advance(3)
        office.auth.session_closed(session_of(signed))
        writes = office.writes
        office.hands.advance(2)
        await office.settle()
        [row] = device_store.devices_of(office.db, 1)
        assert (row.name, row.address) == ("new name", "198.51.100.7")
        assert row.last_seen_ms == office.clock.now_ms() - 2_000
        assert office.writes == writes + 2

    @pytest.mark.expected_log("lanyard.services", "sightings of devices wait for the store")
    async def test_sightings_wait_for_a_disk_that_is_full(self, office: Office) -> None:
        await furnish(office)
        signed = await sign_in(office)
        office.hands.advance(100)
        moved = Resume(make_id("tia"), device(), signed.token)
        await office.auth.resume(moved, ELSEWHERE)
        office.failure = DiskFull("The disk is full.")
        for _ in range(3):
            office.hands.advance(5)
            await office.settle()
        office.failure = None
        office.hands.advance(5)
        await office.settle()
        [row] = device_store.devices_of(office.db, 1)
        assert row.address == "198.51.100.7"


@pytest.mark.expected_log("lanyard.services", "a device that could not be noted")
async def test_people_get_in_to_read_while_nothing_can_be_stored(office: Office) -> None:
    await furnish(office)
    before = await sign_in(office)
    office.failure = DiskFull("The disk is full.")
    meanwhile = await sign_in(office)
    assert meanwhile.user == make_id("tia")
    assert meanwhile.token == b""
    office.failure = None
    await office.auth.resume(Resume(make_id("tia"), device(), before.token), HERE)


class TestCertificates:
    async def enrolled(self, office: Office) -> DeviceIdentity:
        await furnish(office)
        tia = session_of(await sign_in(office))
        certificate = await office.devices.enroll_device(tia, EnrollDevice(b"csr"))
        serial = b"serial %d" % office.authority.issued
        return DeviceIdentity(tia.user, tia.device, serial, certificate.not_after_ms)

    async def sign_in(
        self, office: Office, identity: DeviceIdentity, computer: DeviceInfo | None = None
    ) -> SignedIn:
        request = SignInByCertificate(computer or device())
        return await office.auth.sign_in_by_certificate(request, identity, HERE)

    async def test_a_certificate_opens_a_session(self, office: Office) -> None:
        identity = await self.enrolled(office)
        signed = await self.sign_in(office, identity)
        assert (signed.user, signed.token) == (make_id("tia"), b"")

    async def test_renewal_leaves_the_last_one_good_and_no_other(self, office: Office) -> None:
        first = await self.enrolled(office)
        tia = Caller(first.user, make_id("s"), first.device)
        await office.devices.enroll_device(tia, EnrollDevice(b"csr"))
        second = msgspec.structs.replace(first, serial=b"serial 2")
        for identity in (first, second):
            await self.sign_in(office, identity)
        await office.devices.enroll_device(tia, EnrollDevice(b"csr"))
        assert (await refusal(self.sign_in(office, first))).code is ErrorCode.WRONG_CREDENTIALS
        await self.sign_in(office, second)

    @pytest.mark.parametrize("wrong", ["serial", "time", "device", "removed", "disabled"])
    async def test_what_is_not_right_is_refused(self, office: Office, wrong: str) -> None:
        identity = await self.enrolled(office)
        computer = device()
        code = ErrorCode.WRONG_CREDENTIALS
        if wrong == "serial":
            identity = msgspec.structs.replace(identity, serial=b"old")
        elif wrong == "time":
            office.hands.advance(30 * DAY_S)
        elif wrong == "device":
            computer = device("other")
        elif wrong == "removed":
            tia = Caller(identity.user, make_id("s"), make_id("phone"))
            await office.devices.remove_device(tia, RemoveDevice(identity.device))
            # The same computer signs in anew: what was revoked stays revoked.
            await sign_in(office)
        else:
            await office.change(put_person("tia", is_disabled=True))
            code = ErrorCode.ACCOUNT_DISABLED
        assert (await refusal(self.sign_in(office, identity, computer))).code is code


async def test_there_is_an_end_to_devices(office: Office) -> None:
    await furnish(office)
    for number in range(limits.MAX_DEVICES_PER_USER):
        await sign_in(office, computer=device(str(number)))
    await sign_in(office, computer=device("3"))
    error = await refusal(sign_in(office, computer=device("new")))
    assert error.code is ErrorCode.TOO_MANY_DEVICES
    # Those that nobody used for long make room by themselves.
    office.hands.advance(91 * DAY_S)
    await sign_in(office, computer=device("new"))
    assert len(device_store.devices_of(office.db, 1)) == 1


class TestChangingThePassword:
    async def change(self, office: Office, old: str, new: str, *, ends: bool = False) -> None:
        request = ChangePassword(old, new, ends)
        await office.auth.change_password(
            Caller(make_id("tia"), make_id("s"), device().id), request
        )

    @pytest.mark.parametrize(
        ("new", "says"),
        [
            ("short", "at least 8"),
            ("correct horse", "old one"),
            ("password123", "first"),
            ("Tia12345", "login or the name"),
            ("aaaaaaaa", "first"),
            ("98765432", "first"),
        ],
    )
    async def test_a_bad_one_is_refused(self, office: Office, new: str, says: str) -> None:
        await furnish(office)
        error = await refusal(self.change(office, "correct horse", new))
        assert error.code is ErrorCode.WEAK_PASSWORD
        assert says in error.sentence

    async def test_the_old_one_must_be_known(self, office: Office) -> None:
        await furnish(office)
        error = await refusal(self.change(office, "wrong", "battery staple"))
        assert error.code is ErrorCode.WRONG_CREDENTIALS

    async def test_others_stay_signed_in_unless_asked_otherwise(self, office: Office) -> None:
        await furnish(office)
        here = session_of(await sign_in(office))
        phone = device("phone")
        signed = await sign_in(office, computer=phone)
        there = session_of(signed, phone)
        office.audience.open = {each.session: each for each in (here, there)}
        resume = Resume(make_id("tia"), phone, signed.token)
        await office.auth.change_password(here, ChangePassword("correct horse", "battery staple"))
        await office.auth.resume(resume, HERE)
        request = ChangePassword("battery staple", "correct horse", end_other_sessions=True)
        await office.auth.change_password(here, request)
        assert office.audience.ended == [(there.session, ErrorCode.SESSION_ENDED)]
        assert (await refusal(office.auth.resume(resume, HERE))).code is ErrorCode.WRONG_CREDENTIALS

    async def test_all_keyboards_write_the_same_password(self, office: Office) -> None:
        await furnish(office)
        await self.change(office, "correct horse", "caf\u00e9 noisette")
        await sign_in(office, password="cafe\u0301 noisette")


async def test_dearer_hashes_replace_cheap_ones_at_the_next_sign_in(office: Office) -> None:
    await furnish(office)
    before = people_store.account(office.db, 1)
    office.auth._passwords = Passwords(office.run_in_thread, Cost(2, 16, 1))
    await sign_in(office)
    after = people_store.account(office.db, 1)
    assert before is not None
    assert after is not None
    assert before.password_hash != after.password_hash
    assert "m=16,t=2" in after.password_hash
    await sign_in(office)
    assert people_store.account(office.db, 1) == after


async def test_guessing_is_slowed_down(office: Office) -> None:
    await furnish(office)
    codes = [(await refusal(sign_in(office, password=f"guess {n}"))).code for n in range(8)]
    assert codes == [ErrorCode.WRONG_CREDENTIALS] * 5 + [ErrorCode.SLOW_DOWN] * 3
    error = await refusal(sign_in(office))
    assert error.code is ErrorCode.SLOW_DOWN
    assert 0 < error.retry_after_ms <= 1_000
    office.hands.advance(1)
    await sign_in(office)


async def test_a_full_queue_turns_people_away_and_is_not_held_against_them(office: Office) -> None:
    await furnish(office)
    office.passwords._waiting = MAX_WAITING
    for _ in range(10):
        error = await refusal(sign_in(office))
        assert error.code is ErrorCode.UNAVAILABLE
        assert error.retry_after_ms > 0
    office.passwords._waiting = 0
    await sign_in(office)


class Outside:
    """A directory elsewhere that knows one password."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False

    async def verify(self, login: str, password: str) -> Verdict:
        self.asked.append(login)
        if self.is_away:
            return Verdict.UNAVAILABLE
        return Verdict.RIGHT if password == "kept elsewhere" else Verdict.WRONG


class TestPasswordsKeptElsewhere:
    @pytest.fixture
    def outside(self) -> Outside:
        return Outside()

    @pytest.fixture
    def office(self, tmp_path: Path, outside: Outside) -> Iterator[Office]:
        office = Office(tmp_path, {"ldap": outside})
        yield office
        office.close()

    async def test_the_other_directory_decides(self, office: Office, outside: Outside) -> None:
        await office.change(
            put_person("tia", source="ldap"),
            admin_wire.SetPassword(make_id("tia"), "correct horse"),
        )
        signed = await sign_in(office, "TIA", "kept elsewhere")
        assert not signed.must_change_password
        assert (await refusal(sign_in(office))).code is ErrorCode.WRONG_CREDENTIALS
        assert (await refusal(sign_in(office, password=""))).code is ErrorCode.WRONG_CREDENTIALS
        assert outside.asked == ["tia", "tia"]
        resumed = await office.auth.resume(Resume(make_id("tia"), device(), signed.token), HERE)
        assert not resumed.must_change_password

    async def test_its_absence_is_nobodys_fault(self, office: Office, outside: Outside) -> None:
        await office.change(put_person("tia", source="ldap"))
        outside.is_away = True
        for _ in range(10):
            error = await refusal(sign_in(office, password="kept elsewhere"))
            assert error.code is ErrorCode.UNAVAILABLE
        outside.is_away = False
        await sign_in(office, password="kept elsewhere")

    async def test_such_a_password_is_not_changed_here(self, office: Office) -> None:
        await office.change(put_person("tia", source="ldap"))
        tia = Caller(make_id("tia"), make_id("s"), device().id)
        request = ChangePassword("kept elsewhere", "battery staple")
        error = await refusal(office.auth.change_password(tia, request))
        assert error.code is ErrorCode.FORBIDDEN
