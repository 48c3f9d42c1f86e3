# SPDX-License-Identifier: GPL-3.0-or-later
"""Every request of the protocol, asked by somebody who may not know: the answer is that for what does not exist, and nothing changes.

Each case is asked twice, once about something that is there and once about something that never was. The two answers may differ in
nothing but the ids that were put in, the store may differ in nothing at all, and nobody else is told anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from peewee import Database

from protocol.codec import (
    CLIENT_KINDS,
    ServerEnvelope,
    decode_from_server,
    encode_body,
    encode_content,
)
from protocol.errors import ErrorCode, RequestRefused
from protocol.frames import HEADER_BYTES, pack_frame
from protocol.ids import department_conversation_id, direct_conversation_id, format_id
from protocol.messages import admin, chat, people, session, sync
from protocol.messages.admin import Effect, Permission, Role, RoleGrant, VisibilityRule
from protocol.messages.content import (
    Edit,
    MemberRole,
    PostedContent,
    React,
    Recall,
    Span,
    Text,
)
from protocol.messages.kinds import Error, Request
from protocol.messages.people import Place
from protocol.messages.session import Policy, SignIn
from server.services.organisation import ADMINISTRATOR
from tests.support.colleague import Colleague
from tests.support.world import PASSWORD, World

REQUESTS = {kind for kind in CLIENT_KINDS.values() if issubclass(kind, Request)}
Asked = Request[Any]


@dataclass(frozen=True)
class Things:
    """What a request is about: all of it there, or none of it."""

    conversation: bytes
    peer: bytes
    """Somebody, by the conversation that one would have with them."""
    peer_conversation: bytes
    person: bytes
    department: bytes
    role: bytes
    device: bytes
    message: bytes
    text: str
    """What the person could be found by."""

    def ids(self) -> Iterator[bytes]:
        """Every id."""
        yield from (self.conversation, self.peer, self.peer_conversation, self.person)
        yield from (self.department, self.role, self.device, self.message)


@dataclass(frozen=True)
class Own:
    """What belongs to who asks."""

    group: bytes
    friend: bytes
    direct: bytes
    message: bytes
    new_id: Callable[[], bytes]


def _post(own: Own, conversation: bytes, content: PostedContent, id: bytes = b"") -> chat.Post:
    return chat.Post(conversation, id or own.new_id(), encode_content(content))


def _posts(own: Own, t: Things) -> Iterable[Asked]:
    yield _post(own, t.conversation, Text("hi"))
    yield _post(own, t.conversation, Text("hi"), own.message)  # an id that is in use
    yield _post(own, t.conversation, Text("hi", reply_to=t.message))
    yield _post(own, t.conversation, Text("@all", (Span("mention_all", 0, 4),)))
    for content in (Edit(t.message, "x"), Recall(t.message), React(t.message, "👍")):
        yield _post(own, t.conversation, content)
        yield _post(own, own.direct, content)
        yield _post(own, own.group, content)
    yield _post(own, own.group, Text("hi", reply_to=t.message))
    yield _post(own, own.group, Text("@x", (Span("mention", 0, 2, user=t.person),)))
    raw = encode_content(Text("hi"))
    yield chat.Post(t.peer_conversation, own.new_id(), raw, t.peer)
    yield chat.Post(t.conversation, own.new_id(), raw, t.peer)


def _forwards(own: Own, t: Things) -> Iterable[Asked]:
    yield chat.Forward(own.direct, own.new_id(), t.message)
    yield chat.Forward(t.conversation, own.new_id(), own.message)
    yield chat.Forward(t.conversation, own.message, own.message)
    yield chat.Forward(t.peer_conversation, own.new_id(), own.message, t.peer)


def _members(own: Own, t: Things) -> Iterable[Asked]:
    for id in (own.new_id(), own.message):
        yield chat.ChangeMembers(t.conversation, id, add=(own.friend,))
        yield chat.ChangeMembers(t.conversation, id, remove=(t.person,))
    yield chat.ChangeMembers(own.group, own.new_id(), add=(t.person,))
    yield chat.ChangeMembers(own.group, own.new_id(), remove=(t.person,))


def _roles(own: Own, t: Things) -> Iterable[Asked]:
    for id in (own.new_id(), own.message):
        yield chat.SetMemberRole(t.conversation, id, (t.person,), MemberRole.READER)
    yield chat.SetMemberRole(own.group, own.new_id(), (t.person,), MemberRole.READER)


def _directory_changes(own: Own, t: Things) -> Iterable[Asked]:
    grant = RoleGrant(t.person, t.role)
    for change in (
        admin.RemoveDepartment(t.department),
        admin.PutDepartment(own.new_id(), "New", t.department),
        admin.PutPerson(own.new_id(), "new", "New", places=(Place(t.department),)),
        admin.SetPassword(t.person, "a new secret 9"),
        admin.GrantRole(grant),
        admin.RevokeRole(grant),
        admin.GrantRole(RoleGrant(own.friend, ADMINISTRATOR, t.department)),
        admin.SetVisibility((VisibilityRule(targets=t.department, effect=Effect.HIDE),)),
        admin.PutPhoto(t.person, b"digest", b"\xff\xd8\xff"),
        admin.RemovePerson(t.person),
        admin.PutGroup(own.new_id(), "Mine", (own.friend, t.person)),
        admin.PutGroup(t.conversation, "Mine", (own.friend,)),
        admin.RemoveGroup(t.conversation),
    ):
        yield admin.ChangeDirectory((change,))
        yield admin.ChangeDirectory((change,), is_trial=True)


CASES: Mapping[type[Asked], Callable[[Own, Things], Iterable[Asked]]] = {
    chat.Post: _posts,
    chat.Forward: _forwards,
    chat.ChangeMembers: _members,
    chat.SetMemberRole: _roles,
    chat.ChangeGroup: lambda own, t: [
        chat.ChangeGroup(t.conversation, id, "Mine") for id in (own.new_id(), own.message)
    ],
    chat.GetHistory: lambda own, t: [
        chat.GetHistory(t.conversation, after=0),
        chat.GetHistory(t.conversation, before=9),
    ],
    chat.GetChat: lambda own, t: [chat.GetChat(t.conversation)],
    chat.OpenDirect: lambda own, t: [chat.OpenDirect(t.peer)],
    chat.GetReceipts: lambda own, t: [chat.GetReceipts(t.conversation)],
    chat.GetMembers: lambda own, t: [chat.GetMembers(t.conversation)],
    chat.SetDraft: lambda own, t: [chat.SetDraft(t.conversation, chat.Draft("hi"))],
    chat.SetChat: lambda own, t: [chat.SetChat(t.conversation, is_muted=True)],
    chat.CreateGroup: lambda own, t: [
        chat.CreateGroup(own.new_id(), "Lunch", (own.friend, t.person))
    ],
    people.FindPeople: lambda own, t: [
        people.FindPeople(t.text),
        people.FindPeople("e", t.department),
    ],
    people.GetPhoto: lambda own, t: [people.GetPhoto(t.person)],
    people.WatchPresence: lambda own, t: [
        people.WatchPresence((t.person,)),
        people.WatchPresence((), (t.department,)),
    ],
    session.ListDevices: lambda own, t: [session.ListDevices(t.person)],
    session.RemoveDevice: lambda own, t: [
        session.RemoveDevice(t.device, t.person),
        session.RemoveDevice(None, t.person),
        session.RemoveDevice(t.device),
    ],
    admin.ChangeDirectory: _directory_changes,
    admin.GetAdminDirectory: lambda own, t: [admin.GetAdminDirectory(after=t.person, limit=1)],
}
"""What may be asked about somebody or something, for each kind."""

ABOUT_NOTHING: tuple[Asked, ...] = (
    chat.Sync(),
    people.GetDirectory(),
    people.SetPresence(status="hacked"),
    session.ChangePassword(PASSWORD, "quite another 8"),
    session.EnrollDevice(b"request"),
    session.SignOut(),
    admin.GetServerStatus(),
    sync.BeginRun("ldap", 1),
    sync.AddToRun(bytes(16), 0, ()),
    sync.CommitRun(bytes(16)),
    sync.AbandonRun(bytes(16)),
    sync.ListRuns(),
    sync.GetMarks("ldap"),
    sync.UndoRun(bytes(16)),
    admin.SetPolicy(Policy(has_read_receipts=False)),
)
"""One of each kind that names nobody and nothing."""

AT_THE_DOOR = {session.SignIn, session.Resume, session.SignInByCertificate}
"""test_auth.py shows that accounts that are there and others are answered alike."""


def test_every_kind_of_request_is_looked_at() -> None:
    others = {type(request) for request in ABOUT_NOTHING}
    assert CASES.keys() | others | AT_THE_DOOR == REQUESTS


@dataclass
class Scene:
    """A hidden board with a life of its own, and people outside of it."""

    world: World
    chief: Colleague
    second: Colleague
    outsider: Colleague
    """Without any permission but to create groups."""
    sub: Colleague
    """Administers a part of the tree, all kinds of permissions, and does not see the board."""
    friend: Colleague
    rooms: dict[str, bytes]
    no_rooms: dict[str, bytes]
    department: bytes
    role: bytes
    message: bytes

    def own(self, who: Colleague) -> Own:
        """What the person has."""
        group = self.world.new_id()
        who.asks(chat.CreateGroup(group, "Own", (self.friend.user,)))
        message = who.posts("mine", to=self.friend)
        return Own(group, self.friend.user, who.with_(self.friend), message, who.new_id)

    def there(self, who: Colleague, room: str) -> Things:
        """What is there."""
        return Things(
            self.rooms[room],
            self.chief.user,
            direct_conversation_id(who.user, self.chief.user),
            self.chief.user,
            self.department,
            self.role,
            self.chief.device.id,
            self.message,
            "Chief",
        )

    def nothing(self, who: Colleague, room: str) -> Things:
        """What never was."""
        new, nobody = self.world.new_id, self.world.new_id()
        direct = direct_conversation_id(who.user, nobody)
        # Roles are no secret: every administrator is told all of them, others may not ask.
        return Things(
            self.no_rooms[room], nobody, direct, nobody, new(), self.role, new(), new(), "Chixf"
        )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    world = World(tmp_path)
    world.allows(Permission.CREATE_GROUPS)
    board = world.has_department("Board", has_conversation=True)
    shop = world.has_department("Shop")
    chief, second = world.has_signed_in("Chief", "Second", department=board)
    (outsider,) = world.has_signed_in("Eve")
    sub, friend = world.has_signed_in("Sub", "Friend", department=shop)
    role = Role(world.new_id(), "All", tuple(Permission))
    world.changes(admin.PutRole(role), admin.GrantRole(RoleGrant(sub.user, role.id, shop)))
    hidden = Role(world.new_id(), "Secret", ())
    world.changes(admin.PutRole(hidden), admin.GrantRole(RoleGrant(chief.user, hidden.id)))
    # Everybody sees the aide, and nobody that the aide sits on the board.
    (aide,) = world.has_signed_in("Aide", department=board)
    known = Role(world.new_id(), "Aide", ())
    world.changes(admin.PutRole(known), admin.GrantRole(RoleGrant(aide.user, known.id)))
    world.has_rules(
        VisibilityRule(targets_role=known.id, effect=Effect.ALLOW),
        VisibilityRule(targets=board, effect=Effect.HIDE),
    )
    group = world.new_id()
    chief.asks(chat.CreateGroup(group, "Plans", (second.user,)))
    message = chief.posts("a secret", to=group)
    chief.posts("another", to=second)
    yield Scene(
        world,
        chief,
        second,
        outsider,
        sub,
        friend,
        {
            "group": group,
            "direct": chief.with_(second),
            "department": department_conversation_id(board),
        },
        {
            "group": world.new_id(),
            "direct": direct_conversation_id(world.new_id(), world.new_id()),
            "department": department_conversation_id(shop),
        },
        board,
        hidden.id,
        message,
    )
    world.ends()


def _stored(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    tables = db.execute_sql("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {
        name: db.execute_sql(f"SELECT * FROM {name}").fetchall()
        for (name,) in tables
        if not name.startswith("sqlite_")
    }


def _answer(who: Colleague, request: Asked) -> object:
    try:
        return who.asks(request)
    except RequestRefused as refused:
        return refused.code, refused.sentence, refused.retry_after_ms


def _without_ids(answer: object, things: Things, others: Things) -> str:
    """An answer as text, with the ids that were put in replaced by their names."""
    text = repr(answer)
    for name, (id, other) in enumerate(zip(things.ids(), others.ids(), strict=True)):
        if id != other:
            text = text.replace(repr(id), f"<{name}>").replace(format_id(id), f"<{name}>")
    return text.replace(things.text, "<text>")


@pytest.mark.parametrize("who", ["outsider", "sub"])
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_who_may_not_know_of_it_is_answered_as_if_it_were_not_there(
    scene: Scene, kind: type[Asked], who: str
) -> None:
    world = scene.world
    asking: Colleague = getattr(scene, who)
    own = scene.own(asking)
    world.pass_time(60)  # cursors and sightings are on the disk
    before = world.reads(_stored)
    for person in (scene.chief, scene.second, scene.friend):
        person.pushes.clear()
    for room in scene.rooms:
        there, nothing = scene.there(asking, room), scene.nothing(asking, room)
        pairs = zip(CASES[kind](own, there), CASES[kind](own, nothing), strict=True)
        for about_something, about_nothing in pairs:
            real = _answer(asking, about_something)
            phantom = _answer(asking, about_nothing)
            assert _without_ids(real, there, nothing) == _without_ids(phantom, nothing, there)
            assert "Chief" not in repr(real)
            assert "Second" not in repr(real)
    world.pass_time(60)
    assert world.reads(_stored) == before
    for person in (scene.chief, scene.second, scene.friend):
        assert not person.pushes
        assert person.is_connected


def _one_of_each(scene: Scene, who: Colleague) -> Iterator[Asked]:
    """Requests that would be carried out for somebody who may: about one's own and about others' things."""
    chief, second = scene.chief, scene.second
    own = Own(scene.rooms["group"], second.user, chief.with_(second), scene.message, who.new_id)
    there = scene.there(who, "group")
    for cases in CASES.values():
        yield next(iter(cases(own, there)))
    yield from ABOUT_NOTHING


def test_before_somebody_is_let_in_nothing_is_answered(scene: Scene) -> None:
    world, chief = scene.world, scene.chief
    chief.goes_offline()
    world.pass_time(60)
    before = world.reads(_stored)
    chief.connects()
    for number, request in enumerate(_one_of_each(scene, chief), start=1):
        # A client of ours would not even send it.
        chief._session.received(pack_frame(encode_body(number, request)))
        answer = decode_from_server(chief.line.take()[HEADER_BYTES:])
        assert isinstance(answer, ServerEnvelope)
        assert isinstance(answer.message, Error)
        assert answer.message.code == ErrorCode.NOT_SIGNED_IN
    world.settle()
    assert world.reads(_stored) == before


def test_with_a_one_time_password_nothing_is_answered_but_its_change(scene: Scene) -> None:
    world, chief = scene.world, scene.chief
    world.changes(admin.SetPassword(chief.user, "one-time secret 7", must_change=True))
    chief.connects()
    assert chief.asks(SignIn("chief", "one-time secret 7", chief.device)).must_change_password
    world.pass_time(60)
    before = world.reads(_stored)
    for request in _one_of_each(scene, chief):
        if not isinstance(request, session.ChangePassword | session.SignOut):
            chief.is_refused(request, ErrorCode.PASSWORD_CHANGE_REQUIRED)
    chief.notes(chat.Typing(scene.rooms["group"]))
    chief.notes(chat.Cursors((chat.Cursor(scene.rooms["group"], 9, 9),)))
    world.pass_time(60)
    assert world.reads(_stored) == before
    assert scene.second.typists() == []
    scene.second.posts("are you there?", to=chief)
    assert not chief.pushes


def test_whoever_was_disabled_is_out_and_comes_in_by_no_door(scene: Scene) -> None:
    world, eve = scene.world, scene.outsider
    world.disables(eve)
    assert not eve.is_connected
    before = world.reads(_stored)
    for request in (
        SignIn("eve", PASSWORD, eve.device),
        session.Resume(eve.user, eve.device, eve._token),
    ):
        eve.connects()
        eve.is_refused(request, ErrorCode.ACCOUNT_DISABLED)
        eve.goes_offline()
    assert world.reads(_stored) == before


def test_what_is_told_unasked_and_as_a_whole_has_no_trace_of_what_is_hidden(scene: Scene) -> None:
    world, eve, chief = scene.world, scene.outsider, scene.chief
    secrets = (chief.user, scene.second.user, scene.department, *scene.rooms.values())
    told: list[object] = [eve.asks(people.GetDirectory())]
    version = world.server.parts.directory.version
    eve.asks(people.WatchPresence((chief.user,), (scene.department,)))
    eve.pushes.clear()
    world.changes(
        admin.PutDepartment(scene.department, "New Board", has_conversation=True),
        admin.PutPerson(chief.user, "chief", "Chief", places=(Place(scene.department, "King"),)),
    )
    chief.asks(people.SetPresence(state=people.PresenceState.BUSY, status="in a meeting"))
    chief.posts("more secrets", to=scene.rooms["group"])
    world.pass_time(10)
    eve.notes(chat.Typing(scene.rooms["group"]))
    eve.notes(chat.Cursors((chat.Cursor(scene.rooms["group"], 9, 9),)))
    told += [eve.asks(people.GetDirectory(version)), eve.asks(chat.Sync()), *eve.pushes]
    assert any(isinstance(push, people.DirectoryMoved) for push in eve.pushes)
    for what in told:
        assert not any(repr(secret) in repr(what) for secret in secrets), what
    assert chief.typists() == []
    assert eve.user not in [user for user, _, _ in chief.receipts()]


@pytest.mark.parametrize("request_", [admin.GetServerStatus(), ABOUT_NOTHING[-1]], ids=repr)
def test_what_takes_a_permission(scene: Scene, request_: Asked) -> None:
    world = scene.world
    world.pass_time(60)
    before = world.reads(_stored)
    scene.outsider.is_refused(request_, ErrorCode.FORBIDDEN)
    if isinstance(request_, admin.SetPolicy):  # concerns everybody, not a part of the tree
        scene.sub.is_refused(request_, ErrorCode.FORBIDDEN)
    assert world.reads(_stored) == before
