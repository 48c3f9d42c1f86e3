# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a small server in memory: people, conversations, events. No connections here; see ``wires``.

It does what the protocol says, nothing more: no permissions, no limits. Faults are the business of the tests and the wires.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from protocol import identity, keys
from protocol.codec import decode_content, decode_posted, encode_content
from protocol.errors import ErrorCode, RequestRefused
from protocol.ids import ConversationId, MessageId, UserId, direct_conversation_id
from protocol.messages import chat, people, session
from protocol.messages.content import (
    Created,
    Edit,
    EventContent,
    Forwarded,
    GroupChanged,
    MembersChanged,
    React,
    Recall,
    Recalled,
    SpanKind,
    Text,
)
from protocol.messages.kinds import Done, Note, Push, Reply, Request

START_MS = 1_790_000_000_000
_AUTHORITY_KEY = keys.new_key()
AUTHORITY = identity.new_authority(
    _AUTHORITY_KEY, "Example Works", secrets.token_bytes(identity.SERIAL_BYTES), START_MS
)
ISSUER = identity.Issuer(AUTHORITY, _AUTHORITY_KEY)


@dataclass
class Seat:
    """One member of one conversation."""

    role: str = "member"
    first: int = 1
    last: int | None = None
    delivered: int = 0
    read: int = 0
    is_muted: bool = False
    is_pinned: bool = False
    draft: chat.Draft | None = None
    stamp: int = 0


@dataclass
class Talk:
    """One conversation."""

    id: ConversationId
    kind: str
    title: str = ""
    is_readers_only: bool = False
    seats: dict[UserId, Seat] = field(default_factory=dict)
    events: list[chat.Event] = field(default_factory=list)

    @property
    def ordinal(self) -> int:
        return self.events[-1].ordinal if self.events else 0

    def content(self, seq: int) -> EventContent | None:
        return decode_content(self.events[seq - 1].content)


@dataclass(eq=False)
class Guest:
    """One signed-in session, as the rules see it."""

    user: UserId
    device: bytes
    push: Callable[[Push], None]
    watched: frozenset[UserId] = frozenset()


class Office:
    """All that the server knows."""

    def __init__(self) -> None:
        self.epoch = b"first epoch"
        self.people: dict[UserId, people.Person] = {}
        self.departments: dict[bytes, people.Department] = {}
        self.passwords: dict[str, str] = {}
        self.must_change: set[str] = set()
        self.tokens: dict[bytes, UserId] = {}
        self.revoked: set[bytes] = set()
        self.talks: dict[ConversationId, Talk] = {}
        self.posts: dict[MessageId, chat.Posted] = {}
        self.guests: list[Guest] = []
        self.stamp = 0
        self.directory_version = 1
        self.now_ms = START_MS
        self.counts: dict[str, int] = {}
        self.presences: dict[UserId, people.Presence] = {}
        self.typing: list[tuple[UserId, ConversationId]] = []

    # Set-up

    def hire(self, login: str, name: str, **fields: str) -> UserId:
        """A new person with the password ``secret``."""
        user = len(self.people).to_bytes(1) * 16
        self.people[user] = people.Person(user, login, name, **fields)  # type: ignore[arg-type]
        self.passwords[login] = "secret"
        return user

    def group(self, members: Iterable[UserId], title: str = "group") -> ConversationId:
        """A new group that everybody is in from the start."""
        conversation = bytes((0xF0, len(self.talks))) * 8
        everybody = tuple(members)
        talk = Talk(conversation, chat.ConversationKind.GROUP.value, title)
        talk.seats = {user: Seat() for user in everybody}
        talk.seats[everybody[0]].role = "owner"
        self.talks[conversation] = talk
        self.append(talk, everybody[0], Created(title, everybody))
        return conversation

    def say(
        self, conversation: ConversationId, sender: UserId, text: str, **fields: object
    ) -> MessageId:
        """Somebody without a client of ours writes."""
        content = msgspec.structs.replace(Text(text), **fields)
        return self.do(conversation, sender, content)

    def do(self, conversation: ConversationId, sender: UserId, content: EventContent) -> MessageId:
        """Somebody without a client of ours does something."""
        post = (1 << 120 | self.stamp).to_bytes(16)
        request = chat.Post(conversation, post, encode_content(content))
        self._post(None, sender, request)
        return post

    def texts(self, conversation: ConversationId) -> list[str]:
        """The messages of a conversation as they stand."""
        found = (decode_content(each.content) for each in self.talks[conversation].events)
        return [content.text for content in found if isinstance(content, Text)]

    def reactions(self, conversation: ConversationId) -> set[tuple[MessageId, str, UserId]]:
        """Who has put what on which message."""
        found: set[tuple[MessageId, str, UserId]] = set()
        for event in self.talks[conversation].events:
            content = decode_content(event.content)
            if isinstance(content, React):
                one = content.target, content.emoji, event.sender
                (found.add if content.is_on else found.discard)(one)
        return found

    def restore(self, talks: dict[ConversationId, Talk]) -> None:
        """The store is replaced by an older one."""
        self.epoch += b"."
        self.talks = talks
        kept = {each.id for talk in talks.values() for each in talk.events}
        self.posts = {post: posted for post, posted in self.posts.items() if post in kept}

    # Requests

    def sign_in(self, request: Request[Reply], certificate: bytes | None) -> session.SignedIn:
        """Who it is; raises RequestRefused."""
        if isinstance(request, session.SignIn):
            if self.passwords.get(request.login) != request.password:
                raise RequestRefused(ErrorCode.WRONG_CREDENTIALS, "Account or password is wrong.")
            user = next(each.id for each in self.people.values() if each.login == request.login)
        elif isinstance(request, session.Resume):
            user = self.tokens.pop(request.token, b"")
            if user != request.user:
                raise RequestRefused(ErrorCode.WRONG_CREDENTIALS, "Sign in again.")
            self.tokens[request.token] = user
        else:
            named = identity.read_certificate(certificate) if certificate is not None else None
            if not isinstance(named, identity.DeviceIdentity) or named.serial in self.revoked:
                raise RequestRefused(ErrorCode.WRONG_CREDENTIALS, "No valid certificate.")
            user = named.user
        person = self.people[user]
        if person.is_disabled:
            raise RequestRefused(ErrorCode.ACCOUNT_DISABLED, "Your account was closed. Contact IT.")
        token = (len(self.tokens) + 1).to_bytes(32)
        self.tokens[token] = user
        return session.SignedIn(
            user=user,
            session=token[:16],
            name=person.name,
            token=token,
            must_change_password=person.login in self.must_change,
            policy=session.Policy(edit_within_s=3600, recall_within_s=3600),
            server_time_ms=self.now_ms,
        )

    def answer(self, guest: Guest, request: Request[Reply]) -> Reply:
        """Carry out a request; raises RequestRefused."""
        kind = type(request).__name__
        self.counts[kind] = self.counts.get(kind, 0) + 1
        method = getattr(self, f"_on_{kind.lower()}", None)
        if method is None:
            raise RequestRefused(ErrorCode.UNKNOWN_KIND, f"No {kind} here.")
        reply: Reply = method(guest, request)
        return reply

    def take_note(self, guest: Guest, note: Note) -> None:
        """Take what a client tells."""
        if isinstance(note, chat.Typing):
            self.typing.append((guest.user, note.conversation))
            for other in self._members_online(self.talks[note.conversation]):
                if other.user != guest.user:
                    other.push(chat.TypingNow(note.conversation, guest.user))
        elif isinstance(note, chat.Cursors):
            for cursor in note.cursors:
                self._move_cursor(guest, cursor)

    # One method for each request

    def _on_changepassword(self, guest: Guest, request: session.ChangePassword) -> Reply:
        login = self.people[guest.user].login
        if self.passwords[login] != request.old:
            raise RequestRefused(ErrorCode.WRONG_CREDENTIALS, "The old password is wrong.")
        if len(request.new) < 8:
            raise RequestRefused(ErrorCode.WEAK_PASSWORD, "At least 8 characters.")
        self.passwords[login] = request.new
        self.must_change.discard(login)
        return Done()

    def _on_enrolldevice(self, guest: Guest, request: session.EnrollDevice) -> Reply:
        issued = ISSUER.device_certificate(
            identity.read_request(request.csr),
            guest.user,
            guest.device,
            serial=secrets.token_bytes(identity.SERIAL_BYTES),
            now_ms=self.now_ms,
            days=10,
        )
        return session.DeviceCertificate(issued.certificate, AUTHORITY, issued.not_after_ms)

    def _on_signout(self, guest: Guest, request: session.SignOut) -> Reply:
        self.tokens = {token: user for token, user in self.tokens.items() if user != guest.user}
        return Done()

    def _on_setpresence(self, guest: Guest, request: people.SetPresence) -> Reply:
        if request.state is not None or request.status is not None:
            state = request.state or people.PresenceState.ONLINE
            one = people.Presence(guest.user, state.value, self.now_ms, request.status or "")
            self.presences[guest.user] = one
            for other in self.guests:
                if guest.user in other.watched:
                    other.push(people.PresenceDigest((one,)))
        return Done()

    def _on_watchpresence(self, guest: Guest, request: people.WatchPresence) -> Reply:
        guest.watched = frozenset(request.users)
        found = (self.presences.get(user, people.Presence(user)) for user in request.users)
        return people.PresenceList(tuple(found))

    def _on_getdirectory(self, guest: Guest, request: people.GetDirectory) -> Reply:
        if request.since == self.directory_version:
            return people.Directory(self.directory_version)
        return people.Directory(
            self.directory_version,
            is_full=True,
            departments=tuple(self.departments.values()),
            people=tuple(self.people.values()),
        )

    def _on_post(self, guest: Guest, request: chat.Post) -> Reply:
        return self._post(guest, guest.user, request)

    def _on_forward(self, guest: Guest, request: chat.Forward) -> Reply:
        source = next(
            each
            for talk in self.talks.values()
            for each in talk.events
            if each.id == request.source
        )
        content = decode_content(source.content)
        assert isinstance(content, Text)
        copy = Text(content.text, content.spans, forwarded=Forwarded(source.sender, source.at_ms))
        post = chat.Post(request.conversation, request.id, encode_content(copy), request.peer)
        return self._post(guest, guest.user, post)

    def _on_gethistory(self, guest: Guest, request: chat.GetHistory) -> Reply:
        talk, seat = self._talk(guest, request.conversation)
        head = self._head(talk, seat)
        if request.before is not None:
            last = min(head, request.before - 1)
            first = max(seat.first, last - request.limit + 1)
        else:
            first = max(seat.first, (request.after or 0) + 1)
            last = min(head, first + request.limit - 1)
        return chat.History(talk.id, tuple(talk.events[first - 1 : last]), seat.first, head)

    def _on_sync(self, guest: Guest, request: chat.Sync) -> Reply:
        stamp = int.from_bytes(request.cursor[:8]) if request.cursor else self.stamp
        start = int.from_bytes(request.cursor[8:]) if request.cursor else 0
        mine = [talk for talk in self.talks.values() if guest.user in talk.seats]
        changed = [talk for talk in mine if self._changed_at(talk) > request.since]
        changed.sort(key=lambda talk: -talk.events[-1].stamp)
        page = changed[start : start + request.limit]
        more = start + request.limit < len(changed)
        return chat.ChatsPage(
            tuple(self._chat(guest.user, talk, request.events) for talk in page),
            0 if more else stamp,
            stamp.to_bytes(8) + (start + request.limit).to_bytes(8) if more else b"",
        )

    def _on_getchat(self, guest: Guest, request: chat.GetChat) -> Reply:
        talk, _ = self._talk(guest, request.conversation)
        return chat.ChatReply(self._chat(guest.user, talk, 20))

    def _on_opendirect(self, guest: Guest, request: chat.OpenDirect) -> Reply:
        talk = self._direct(guest.user, request.peer)
        return chat.ChatReply(self._chat(guest.user, talk, 20))

    def _on_creategroup(self, guest: Guest, request: chat.CreateGroup) -> Reply:
        if request.conversation not in self.talks:
            talk = Talk(request.conversation, chat.ConversationKind.GROUP.value, request.title)
            talk.seats = {user: Seat() for user in (guest.user, *request.members)}
            talk.seats[guest.user].role = "owner"
            self.talks[talk.id] = talk
            for other in self._members_online(talk):
                other.push(chat.ChatChanged(self._chat(other.user, talk, 0)))
            self.append(talk, guest.user, Created(request.title, tuple(talk.seats)))
        return chat.ChatReply(self._chat(guest.user, self.talks[request.conversation], 20))

    def _on_changegroup(self, guest: Guest, request: chat.ChangeGroup) -> Reply:
        talk, _ = self._talk(guest, request.conversation)
        talk.title = request.title or talk.title
        if request.is_readers_only is not None:
            talk.is_readers_only = request.is_readers_only
        event = self.append(talk, guest.user, GroupChanged(talk.title, talk.is_readers_only))
        return _posted(event)

    def _on_changemembers(self, guest: Guest, request: chat.ChangeMembers) -> Reply:
        talk, _ = self._talk(guest, request.conversation)
        for user in request.add:
            talk.seats[user] = Seat(first=len(talk.events) + 1)
        left = tuple(user for user in request.remove if user == guest.user)
        removed = tuple(user for user in request.remove if user != guest.user)
        event = self.append(
            talk, guest.user, MembersChanged(added=request.add, removed=removed, left=left)
        )
        for user in request.remove:
            talk.seats[user].last = event.seq
        return _posted(event)

    def _on_getmembers(self, guest: Guest, request: chat.GetMembers) -> Reply:
        talk, _ = self._talk(guest, request.conversation)
        return chat.MemberList(
            tuple(
                chat.Member(user, seat.role)
                for user, seat in talk.seats.items()
                if seat.last is None
            )
        )

    def _on_getreceipts(self, guest: Guest, request: chat.GetReceipts) -> Reply:
        talk, _ = self._talk(guest, request.conversation)
        return chat.ReceiptList(self._receipts(guest.user, talk))

    def _on_setdraft(self, guest: Guest, request: chat.SetDraft) -> Reply:
        talk, seat = self._talk(guest, request.conversation)
        draft = msgspec.structs.replace(request.draft, at_ms=self.now_ms)
        seat.draft = draft if draft.text else None
        self._touch(guest, talk, seat)
        return Done()

    def _on_setchat(self, guest: Guest, request: chat.SetChat) -> Reply:
        talk, seat = self._talk(guest, request.conversation)
        if request.is_muted is not None:
            seat.is_muted = request.is_muted
        if request.is_pinned is not None:
            seat.is_pinned = request.is_pinned
        self._touch(guest, talk, seat)
        return Done()

    # Private

    def append(
        self,
        talk: Talk,
        sender: UserId,
        content: EventContent,
        *,
        event_id: MessageId | None = None,
        guest: Guest | None = None,
    ) -> chat.Event:
        """A new event, told to every session of every member but the one that posted it."""
        self.stamp += 1 + self.stamp % 3
        self.now_ms += 10
        event = chat.Event(
            conversation=talk.id,
            seq=len(talk.events) + 1,
            stamp=self.stamp,
            id=event_id or (2 << 120 | self.stamp).to_bytes(16),
            sender=sender,
            at_ms=self.now_ms,
            ordinal=talk.ordinal + isinstance(content, Text),
            content=encode_content(content),
        )
        talk.events.append(event)
        if event_id is not None:
            seat = talk.seats[sender]
            seat.read = seat.delivered = event.seq
        for other in self._members_online(talk):
            if other is not guest:
                other.push(chat.Events((event,)))
        return event

    def _post(self, guest: Guest | None, sender: UserId, request: chat.Post) -> chat.Posted:
        known = self.posts.get(request.id)
        if known is not None:
            return known
        content = decode_posted(request.content)
        talk = self.talks.get(request.conversation)
        if talk is None:
            if request.peer is None:
                raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such conversation.")
            talk = self._direct(sender, request.peer)
        seat = talk.seats.get(sender)
        if seat is None or seat.last is not None:
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such conversation.")
        if isinstance(content, Edit | Recall):
            self._rewrite(talk, sender, content)
        event = self.append(talk, sender, content, event_id=request.id, guest=guest)
        posted = self.posts[request.id] = _posted(event)
        return posted

    def _rewrite(self, talk: Talk, sender: UserId, change: Edit | Recall) -> None:
        """History serves what a message is now."""
        for place, event in enumerate(talk.events):
            content = decode_content(event.content)
            new: EventContent | None = None
            if event.id == change.target and isinstance(content, Recalled):
                raise RequestRefused(ErrorCode.TOO_LATE, "The message was recalled.")
            if isinstance(change, Recall):
                is_edit_of_it = isinstance(content, Edit) and content.target == change.target
                if event.id == change.target or is_edit_of_it:
                    new = Recalled(sender, self.now_ms + 10)
            elif event.id == change.target and isinstance(content, Text):
                new = msgspec.structs.replace(
                    content, text=change.text, spans=change.spans, edited_ms=self.now_ms + 10
                )
            if new is not None:
                talk.events[place] = msgspec.structs.replace(event, content=encode_content(new))

    def _direct(self, one: UserId, other: UserId) -> Talk:
        conversation = direct_conversation_id(one, other)
        talk = self.talks.get(conversation)
        if talk is None:
            talk = Talk(conversation, chat.ConversationKind.DIRECT.value)
            talk.seats = {one: Seat(), other: Seat()}
            self.talks[conversation] = talk
            for guest in self._members_online(talk):
                guest.push(chat.ChatChanged(self._chat(guest.user, talk, 0)))
            self.append(talk, one, Created(members=(one, other)))
        return talk

    def _talk(self, guest: Guest, conversation: ConversationId) -> tuple[Talk, Seat]:
        talk = self.talks.get(conversation)
        seat = talk.seats.get(guest.user) if talk else None
        if talk is None or seat is None:
            raise RequestRefused(ErrorCode.NOT_FOUND, "There is no such conversation.")
        return talk, seat

    def _head(self, talk: Talk, seat: Seat) -> int:
        return len(talk.events) if seat.last is None else seat.last

    def _changed_at(self, talk: Talk) -> int:
        last = talk.events[-1].stamp if talk.events else 0
        return max(last, *(seat.stamp for seat in talk.seats.values()))

    def _chat(self, user: UserId, talk: Talk, count: int) -> chat.Chat:
        seat = talk.seats[user]
        head = self._head(talk, seat)
        visible = talk.events[max(seat.first - 1, head - count) : head] if count else []
        ordinal = talk.events[head - 1].ordinal if head else 0
        read_ordinal = talk.events[seat.read - 1].ordinal if seat.read else 0
        is_direct = talk.kind == chat.ConversationKind.DIRECT.value
        peer = next((each for each in talk.seats if each != user), None) if is_direct else None
        return chat.Chat(
            conversation=talk.id,
            kind=talk.kind,
            title=talk.title,
            peer=peer,
            is_readers_only=talk.is_readers_only,
            role=seat.role,
            member_count=sum(each.last is None for each in talk.seats.values()),
            first=seat.first,
            head=head,
            ordinal=ordinal,
            delivered=seat.delivered,
            read=seat.read,
            unread=ordinal - read_ordinal,
            mentions=self.mentions(user, talk),
            is_muted=seat.is_muted,
            is_pinned=seat.is_pinned,
            is_over=seat.last is not None,
            draft=seat.draft,
            events=tuple(visible),
            receipts=self._receipts(user, talk),
        )

    def mentions(self, user: UserId, talk: Talk) -> int:
        """How many unread messages of others mention somebody."""
        seat = talk.seats[user]
        count = 0
        for event in talk.events[seat.read : self._head(talk, seat)]:
            content = decode_content(event.content)
            if isinstance(content, Text) and event.sender != user:
                count += any(
                    span.kind == SpanKind.MENTION_ALL.value or span.user == user
                    for span in content.spans
                )
        return count

    def _receipts(self, user: UserId, talk: Talk) -> tuple[chat.Receipt, ...]:
        return tuple(
            chat.Receipt(each, seat.delivered, seat.read)
            for each, seat in talk.seats.items()
            if each != user and seat.last is None
        )

    def _move_cursor(self, guest: Guest, cursor: chat.Cursor) -> None:
        talk = self.talks.get(cursor.conversation)
        seat = talk.seats.get(guest.user) if talk else None
        if talk is None or seat is None:
            return
        before = seat.delivered, seat.read
        head = self._head(talk, seat)
        seat.read = max(seat.read, min(head, cursor.read))
        seat.delivered = max(seat.delivered, seat.read, min(head, cursor.delivered))
        if (seat.delivered, seat.read) == before:
            return
        self._touch(guest, talk, seat)
        moved = chat.Receipt(guest.user, seat.delivered, seat.read)
        push = chat.Receipts((chat.ReceiptsChanged(talk.id, (moved,)),))
        for other in self._members_online(talk):
            if other.user != guest.user:
                other.push(push)

    def _touch(self, guest: Guest, talk: Talk, seat: Seat) -> None:
        """Something changed that is one user's alone: their other sessions are told."""
        self.stamp += 1
        seat.stamp = self.stamp
        for other in self.guests:
            if other.user == guest.user and other is not guest:
                other.push(chat.ChatChanged(self._chat(guest.user, talk, 0)))

    def _members_online(self, talk: Talk) -> list[Guest]:
        return [
            guest
            for guest in self.guests
            if (seat := talk.seats.get(guest.user)) is not None and seat.last is None
        ]


def _posted(event: chat.Event) -> chat.Posted:
    return chat.Posted(event.conversation, event.seq, event.stamp, event.at_ms, event.ordinal)
