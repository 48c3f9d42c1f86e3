# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service answers which message: one table. A new feature is one line here."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import Struct

from protocol.errors import ErrorCode, RequestRefused
from protocol.messages import admin, chat, people, session, sync
from protocol.messages.kinds import Message, Note, Reply, Request
from server.services.admin import Admin
from server.services.auth import Auth
from server.services.caller import Caller
from server.services.chats import Chats
from server.services.devices import Devices
from server.services.directs import Directs
from server.services.groups import Groups
from server.services.history import Histories
from server.services.messages import Messages
from server.services.people import Directory
from server.services.portraits import Portraits
from server.services.presence import Presence
from server.services.receipts import ReceiptBook
from server.services.sync_history import SyncHistory
from server.services.sync_runs import SyncRuns
from server.services.typists import Typists
from server.sessions.lanes import Lanes

Call: TypeAlias = Callable[[Caller, Any], Any]
"""Takes the caller and the message. A request's answer may come at once or be awaited."""


DEAR: Final[frozenset[type[Message]]] = frozenset(
    {
        chat.Sync,
        chat.GetMembers,
        chat.GetReceipts,
        people.GetDirectory,
        people.FindPeople,
        people.WatchPresence,
        session.EnrollDevice,
        admin.GetAdminDirectory,
        admin.GetServerStatus,
    }
)
"""What may keep the reactor busy for milliseconds, in a large organisation for tens of them. Nothing that changes a conversation:
that keeps its order."""


class Services(Struct, frozen=True):
    """Everything that answers."""

    admin: Admin
    auth: Auth
    chats: Chats
    devices: Devices
    directory: Directory
    directs: Directs
    groups: Groups
    histories: Histories
    messages: Messages
    portraits: Portraits
    presence: Presence
    receipts: ReceiptBook
    sync_history: SyncHistory
    sync_runs: SyncRuns
    typists: Typists


class Dispatch:
    """Finds the service for a message of a signed-in session."""

    def __init__(self, services: Services, lanes: Lanes) -> None:
        s = services
        self._lanes = lanes
        self.post_now: Final = s.messages.post_now
        """The short way of a plain text."""
        self._requests: dict[type[Message], Call] = {
            chat.Post: s.messages.post,
            chat.Forward: s.messages.forward,
            chat.GetHistory: s.histories.get_history,
            chat.Sync: s.chats.sync,
            chat.GetChat: s.chats.get_chat,
            chat.OpenDirect: s.directs.open_direct,
            chat.GetReceipts: s.receipts.get_receipts,
            chat.SetDraft: s.chats.set_draft,
            chat.SetChat: s.chats.set_chat,
            chat.CreateGroup: s.groups.create_group,
            chat.GetMembers: s.groups.get_members,
            chat.ChangeMembers: s.groups.change_members,
            chat.SetMemberRole: s.groups.set_member_role,
            chat.ChangeGroup: s.groups.change_group,
            people.GetDirectory: s.directory.get_prepared_directory,
            people.FindPeople: s.directory.find_people,
            people.GetPhoto: s.portraits.get_photo,
            people.WatchPresence: s.presence.watch,
            people.SetPresence: s.presence.set_presence,
            session.ChangePassword: s.auth.change_password,
            session.EnrollDevice: s.devices.enroll_device,
            session.ListDevices: s.devices.list_devices,
            session.RemoveDevice: s.devices.remove_device,
            session.SignOut: lambda caller, _: s.devices.sign_out(caller),
            admin.ChangeDirectory: s.admin.change_directory,
            admin.GetAdminDirectory: s.admin.get_admin_directory,
            admin.GetServerStatus: s.admin.get_server_status,
            admin.SetPolicy: s.admin.set_policy,
            sync.BeginRun: s.sync_runs.begin_run,
            sync.AddToRun: s.sync_runs.add_to_run,
            sync.CommitRun: s.sync_runs.commit_run,
            sync.AbandonRun: s.sync_runs.abandon_run,
            sync.ListRuns: s.sync_history.list_runs,
            sync.GetMarks: s.sync_history.get_marks,
            sync.UndoRun: s.sync_history.undo_run,
        }
        self._notes: dict[type[Message], Call] = {
            chat.Cursors: s.receipts.take,
            chat.Typing: s.typists.take,
        }

    def ask(self, caller: Caller, request: Request[Reply]) -> Reply | Awaitable[Reply]:
        """The answer of the service to a session, or what will be the answer. Raises RequestRefused."""
        if type(request) in DEAR:
            return self._lanes.answer(caller, partial(self._call, caller, request))
        return self._call(caller, request)

    async def answer(self, caller: Caller, request: Request[Reply]) -> Reply:
        """The answer of the service to whoever has no session. Raises RequestRefused."""
        answer = self._call(caller, request)
        return answer if isinstance(answer, Reply) else await answer

    def _call(self, caller: Caller, request: Request[Reply]) -> Reply | Awaitable[Reply]:
        call = self._requests.get(type(request))
        if call is None:
            raise RequestRefused(
                ErrorCode.UNKNOWN_KIND, "This server does not know how to answer that."
            )
        answer: Reply | Awaitable[Reply] = call(caller, request)
        return answer

    def tell(self, caller: Caller, note: Note) -> None:
        """Hand a note over; one that nobody wants is passed over."""
        call = self._notes.get(type(note))
        if call is not None:
            call(caller, note)
