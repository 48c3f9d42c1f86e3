# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as a process: started once on its folder, told what to do by signals and the control socket, drained and stopped.

The App is what serves. It may be taken down and built again on another database while this stays.
"""

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure as TwistedFailure

from protocol import identity
from protocol.errors import ErrorCode, RequestRefused
from protocol.messages.kinds import Reply, Request
from protocol.messages.session import Welcome
from protocol.version import VERSION
from server import backup
from server.app import App
from server.config import EVERYWHERE, Config, differences
from server.control import Control
from server.failures import Failure
from server.logs import Log
from server.machine import raise_descriptor_limit
from server.notify import Notifier
from server.orders import Order, OrderAnswer, Reload, Reloaded, Restore, Restored
from server.organisation import FolderLock, Organisation, write_private
from server.services.caller import Caller

log = logging.getLogger("lanyard.main")

GC_THRESHOLDS: Final = (10_000, 20, 100)
"""A full collection takes 45 ms with 10,000 sessions, a young one 0.6 ms: look less often, there is next to no cyclic garbage."""
RENEWAL_INTERVAL_S: Final = 3600.0
"""How often the server looks whether its certificate comes to its end."""


class Ready(Struct, frozen=True):
    """What is said once when the server serves; the content of the ready file, as JSON."""

    process: int
    organisation: str
    organisation_id: str
    fingerprint_words: str
    addresses: tuple[tuple[str, int], ...]

    @property
    def line(self) -> str:
        """``ready: Example on 0.0.0.0:7370, [::]:7370; fingerprint 12ab ...``."""
        where = ", ".join(
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            for address, port in self.addresses
        )
        fingerprint = identity.fingerprint_hex(bytes.fromhex(self.organisation_id))
        return f"ready: {self.organisation} on {where}; fingerprint {fingerprint}"


class Beside(Protocol):
    """The announcement, which runs beside the reactor."""

    def rename(self, organisation: str) -> None:
        """The organisation has another name."""

    def stop(self) -> None:
        """End it; may block for a few seconds."""


class RunningServer:
    """One server on one folder, from ``run`` to its end."""

    def __init__(
        self,
        organisation: Organisation,
        reactor: Any,  # zope's interfaces say nothing to a type checker
        *,
        logging_to: Log,
        notifier: Notifier,
        say: Callable[[Ready], None],
        ready_file: Path | None = None,
    ) -> None:
        """``say`` is called once when the server serves."""
        self._organisation = organisation
        self._reactor = reactor
        self._log = logging_to
        self._notifier = notifier
        self._say = say
        self._ready_file = ready_file
        self._lock = FolderLock(organisation)
        self._config = Config()
        self._app: App | None = None
        self._control: Control | None = None
        self._announcement: Beside | None = None
        self._timers: dict[str, Any] = {}
        self._stop_wanted: Deferred[None] = Deferred()
        self._is_busy = False
        self._has_said_ready = False
        self.failure: BaseException | None = None
        """Why the server ended, when it was not told to."""

    def run(self) -> None:
        """Serve until told to stop; blocks. Raises Failure when the server can't start."""
        self._reactor.callWhenRunning(self._start, self._main())
        self._reactor.run(installSignalHandlers=False)
        if self.failure is not None:
            raise self.failure

    async def _main(self) -> None:
        try:
            await self._begin()
            await self._stop_wanted
        except BaseException as error:  # noqa: BLE001 - told to who called run()
            self.failure = error
        try:
            await self._end()
        finally:
            self._reactor.stop()

    async def _begin(self) -> None:
        self._config = config = self._organisation.load_config()
        self._organisation.check_owner()
        self._log.begin(config.log)
        self._lock.acquire()
        if not raise_descriptor_limit(config.limits.connections):
            log.warning("fewer open files are allowed than limits.connections needs: see check")
        path = self._organisation.control_socket(config)
        await self._open_app()
        control = Control(
            self._reactor,
            path,
            welcome=self._welcome,
            answer=self._answer,
            carry_out=self._carry_out,
            ended=self._operator_left,
        )
        control.start()
        self._control = control
        self._listen_to_signals()
        self._announce()
        self._every("watchdog", self._notifier.watchdog_interval_s, self._notifier.alive)
        self._every("renewal", RENEWAL_INTERVAL_S, self._renew)
        ready = self._ready()
        _settle_memory()
        self._say(ready)
        self._has_said_ready = True
        if self._ready_file is not None:
            write_private(self._ready_file, msgspec.json.encode(ready) + b"\n")
        self._notifier.ready(f"Serving {config.organisation.name}.")
        log.info("%s", ready.line)

    async def _end(self) -> None:
        self._notifier.stopping()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._announcement is not None:
            await deferToThreadPool(
                self._reactor, self._reactor.getThreadPool(), self._announcement.stop
            )
        if self._app is not None:
            await self._app.close()
        if self._control is not None:
            await self._control.stop()
        if self._ready_file is not None and self._has_said_ready:  # another server's is not ours
            self._ready_file.unlink(missing_ok=True)
        self._lock.release()
        log.info("stopped")
        self._log.end()

    async def _open_app(self) -> None:
        """Open the organisation and listen. After this ``self._app`` serves, or nothing is open."""
        app = App(self._organisation, self._config, self._reactor)
        await app.open()
        try:
            await app.listen()
        except BaseException:
            await app.close()
            raise
        self._app = app
        # A restored server takes the same port again, also when any free one was wanted.
        listen = msgspec.structs.replace(self._config.listen, port=app.addresses[0][1])
        self._config = msgspec.structs.replace(self._config, listen=listen)

    def _ready(self) -> Ready:
        app = self._serving()
        return Ready(
            os.getpid(),
            self._config.organisation.name,
            app.organisation_id.hex(),
            identity.fingerprint_words(app.organisation_id),
            app.addresses,
        )

    def _serving(self) -> App:
        if self._app is None:
            raise RequestRefused(ErrorCode.UNAVAILABLE, "The server is being restored.")
        return self._app

    # What the control socket asks

    def _welcome(self, version: int, capabilities: tuple[str, ...]) -> Welcome:
        return self._serving().welcome(version, capabilities)

    async def _answer(self, caller: Caller, request: Request[Reply]) -> Reply:
        return await self._serving().answer(caller, request)

    def _operator_left(self, caller: Caller) -> None:
        if self._app is not None:
            self._app.session_closed(caller)

    async def _carry_out(self, order: Order) -> OrderAnswer:
        if self._is_busy:
            raise RequestRefused(ErrorCode.UNAVAILABLE, "Another command is being carried out.")
        self._is_busy = True
        try:
            if isinstance(order, Reload):
                return self.reload()
            return await self._restore(order)
        finally:
            self._is_busy = False

    def reload(self) -> Reloaded:
        """Read configuration and certificates again. Raises Failure when one is wrong; then everything stays as it was."""
        app = self._serving()
        fresh = self._organisation.load_config()
        changes = differences(self._config, fresh)
        if fresh.listen.port == 0:  # any port was wanted, and the one we have is one
            changes = tuple(each for each in changes if each.option.full_name != "listen.port")
        kept = tuple(each.option.full_name for each in changes if each.option.needs_restart)
        lines = tuple(
            f"{each.option.full_name}: {each.before!r} -> {each.after!r}"
            for each in changes
            if not each.option.needs_restart
        )
        config = msgspec.structs.replace(
            fresh,
            listen=self._config.listen,
            store=msgspec.structs.replace(fresh.store, url=self._config.store.url),
            control=self._config.control,
        )
        app.use(config)
        self._config = config
        if self._announcement is not None:
            self._announcement.rename(config.organisation.name)
        self._log.use(config.log)
        for line in lines:
            log.info("reloaded %s", line)
        for name in kept:
            log.warning("%s has changed and needs a restart", name)
        return Reloaded(lines, kept)

    async def _restore(self, order: Restore) -> Restored:
        """Serve from another database. When that fails the old one is taken up again."""
        new = Path(order.database)
        database = self._organisation.database(self._config)
        log.warning("restoring: all sessions end")
        app, self._app = self._serving(), None
        sessions = await app.close("The server goes back to a backup.")
        now_ms = app.clock.now_ms()
        kept = None
        try:
            kept = backup.put_restored(new, database, now_ms)
            await self._open_app()
        except BaseException:
            log.exception("the restored database can't be used: back to the one before")
            if kept is not None:
                backup.put_back(kept, database)
            await self._open_app()
            raise
        log.warning("restored; the database before is kept as %s", kept)
        return Restored(str(kept or ""), sessions)

    # What happens by itself

    def _announce(self) -> None:
        listen = self._config.listen
        if not listen.announce:
            return
        from server.announce import announcement  # zeroconf is slow to import

        app = self._serving()
        addresses = () if EVERYWHERE in listen.addresses else listen.addresses
        self._announcement = announcement(
            self._config.organisation.name,
            app.organisation_id,
            app.addresses[0][1],
            VERSION,
            addresses,
        )
        self._announcement.start()

    def _renew(self) -> None:
        if self._app is None:
            return
        try:
            self._app.renew_certificate()
        except (Failure, OSError) as error:
            log.warning("the server's certificate could not be renewed: %s", error)

    def _every(self, name: str, interval_s: float | None, function: Callable[[], None]) -> None:
        if interval_s is None:
            return

        def fire() -> None:
            self._timers[name] = self._reactor.callLater(interval_s, fire)
            function()

        fire()

    # Signals

    def _listen_to_signals(self) -> None:
        """From here on signals are taken in the reactor's turn."""

        def pass_on(number: int, frame: FrameType | None) -> None:
            self._reactor.callFromThread(self._signalled, number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, pass_on)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._reload_by_signal()
        else:
            self.stop()

    def stop(self) -> None:
        """End the server in order; harmless when repeated."""
        if not self._stop_wanted.called:
            self._stop_wanted.callback(None)

    def _reload_by_signal(self) -> None:
        self._notifier.reloading()
        try:
            self.reload()
        except (Failure, RequestRefused, OSError) as error:
            log.warning("not reloaded, everything stays as it was: %s", error)
        self._notifier.ready(f"Serving {self._config.organisation.name}.")

    def _start(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(_loudly)


def _settle_memory() -> None:
    """What is there now stays: keep it out of the collector's sight."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _loudly(failure: TwistedFailure) -> None:
    log.critical("the server ended by a fault of its own", exc_info=failure.value)


def say_line(ready: Ready) -> None:
    """Tell on standard output that the server serves."""
    sys.stdout.write(f"{ready.line}\n")
    sys.stdout.flush()


def say_json(ready: Ready) -> None:
    """The same as one JSON object."""
    sys.stdout.write(f"{msgspec.json.encode(ready).decode()}\n")
    sys.stdout.flush()
