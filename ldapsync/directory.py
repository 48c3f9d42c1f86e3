# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to ldap3: connections that are really checked, binds whose refusals are understood, and searches that come whole or raise.

ldap3 connects, binds and encodes. It is not asked for the answers of searches: it takes part of a listing for the
whole (sizeLimitExceeded, a connection cut between two pages) and follows referrals to strangers.
"""

import contextlib
import logging
import ssl
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final, Self

import ldap3
from ldap3.core.exceptions import (
    LDAPExceptionError,
    LDAPPackageUnavailableError,
    LDAPStartTLSError,
)
from ldap3.operation.search import search_operation
from ldap3.protocol.controls import build_control

from ldapsync import ber, verdicts
from ldapsync.answers import (
    MAX_ENTRY_BYTES,
    Answer,
    AnswerStream,
    Done,
    Entry,
    Notice,
    Reference,
)
from ldapsync.config import Access, BindMethod
from ldapsync.controls import PASSWORD_POLICY, PASSWORD_POLICY_ASKED, Control, paged
from ldapsync.failures import (
    BindRefused,
    CertificateRefused,
    ConfigInvalid,
    DirectoryError,
    ReadFailed,
    Unreachable,
    worst,
)
from ldapsync.outcomes import (
    NO_SUCH_OBJECT,
    UNAVAILABLE_CRITICAL_EXTENSION,
    cookie_of,
    demand_success,
    range_of,
)
from ldapsync.questions import EVERY_ENTRY, Depth
from ldapsync.tickets import NEEDS_GSSAPI, ticket_errors, without_ticket
from ldapsync.tls import about_certificate, context_for, host_of
from ldapsync.verdicts import Verdict

_RECEIVE_BYTES: Final = 256 << 10

_log = logging.getLogger("lanyard.ldapsync")


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """Leaves the check of certificates to an SSLContext, and remembers what it said."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        super().__init__()
        self._context = context
        self._name = name
        self.refusal: ssl.SSLError | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        try:
            connection.socket = self._context.wrap_socket(
                connection.socket, server_hostname=self._name
            )
        except ssl.SSLError as error:
            self.refusal = error
            raise


class Directory:
    """A connection to one server of a directory. Not for several threads at once."""

    def __init__(self, connection: Any, url: str, access: Access, max_entry_bytes: int) -> None:
        self._connection = connection
        self._access = access
        self._max_entry_bytes = max_entry_bytes
        self._stream = AnswerStream(max_entry_bytes)
        self.url = url
        self.references: list[str] = []
        """Parts of the tree that other servers hold, as searches came upon them."""

    # ------------------------------------------------------------------------------ open and close

    @classmethod
    def open(
        cls,
        access: Access,
        password: str | None = None,
        *,
        is_bound: bool = True,
        max_entry_bytes: int = MAX_ENTRY_BYTES,
    ) -> Self:
        """Connect to the first server that answers and bind to it as ``access`` says, or not at all.

        Raises Unreachable when none answers, CertificateRefused, BindRefused (no other server is tried then:
        each attempt counts for the account's lock-out), ConfigInvalid.
        """
        context = context_for(access)
        failures: list[DirectoryError] = []
        for url in access.servers:
            try:
                connection = _connected(url, access, context, password)
                made = cls(connection, url, access, max_entry_bytes)
                if is_bound:
                    made._bind_as_configured()
            except BindRefused:
                raise
            except DirectoryError as error:
                _log.info("%s: %s", url, error)
                failures.append(error)
            else:
                return made
        raise worst(failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def certificate_end_s(self) -> float | None:
        """When the server's certificate ends, in seconds since 1970; None when it was not checked."""
        about: dict[str, Any] = getattr(self._connection.socket, "getpeercert", dict)() or {}
        return ssl.cert_time_to_seconds(about["notAfter"]) if about else None

    def close(self) -> None:
        """Hang up. What was found stays."""
        with contextlib.suppress(LDAPExceptionError, OSError):
            if self._connection.socket is not None:
                self._connection.unbind()
        self._drop()

    def _drop(self) -> None:
        """Close the socket without a word."""
        if self._connection.socket is not None:
            with contextlib.suppress(OSError):
                self._connection.socket.close()
            self._connection.socket = None

    # ----------------------------------------------------------------------------------------- bind

    def bind(self, user: str, password: str) -> Verdict:
        """Whether this is the user's password, by asking the directory. Afterwards the connection is the user's.

        An empty password is WRONG without a question: RFC 4513 takes such a bind for an anonymous one and lets it pass.
        Raises Unreachable.
        """
        if not user or not password:
            return Verdict.WRONG
        self._connection.user = user
        self._connection.password = password
        self._connection.authentication = ldap3.SIMPLE
        result = self._bind()
        control = (result.get("controls") or {}).get(PASSWORD_POLICY) or {}
        return verdicts.of(result["result"], result["message"], control.get("value") or b"")

    def _bind_as_configured(self) -> None:
        result = self._bind()
        code, message = result["result"], result["message"].strip("\x00 ")
        verdict = verdicts.of(code, message, b"")
        if verdict is Verdict.ACCEPTED:
            return
        self.close()
        if verdict is Verdict.UNAVAILABLE:
            raise Unreachable(f"{self.url} lets nobody in just now: {result['description']}.")
        who = self._access.bind_user or self._access.bind_method
        raise BindRefused(verdicts.sentence(code, message, who), verdict.value)

    def _bind(self) -> dict[str, Any]:
        try:
            self._connection.bind(
                read_server_info=False,
                controls=[_built(PASSWORD_POLICY_ASKED)],
            )
        except LDAPPackageUnavailableError as error:
            raise ConfigInvalid(NEEDS_GSSAPI) from error
        except ticket_errors() as error:
            self.close()
            raise BindRefused(without_ticket(error)) from error
        except (LDAPExceptionError, OSError) as error:
            self._drop()
            raise Unreachable(f"{self.url} does not answer: {error}.") from error
        result: dict[str, Any] = self._connection.result
        return result

    # -------------------------------------------------------------------------------------- search

    def search(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str],
        *,
        depth: Depth = Depth.SUBTREE,
        page_size: int = 500,
        more: Sequence[Control] = (),
    ) -> Generator[Entry, None, None]:
        """All entries, page by page. Raises ReadFailed unless the server says of each page, and of the end, that it is whole.

        Raises Unreachable when the connection is lost meanwhile; what came before counts for nothing then.
        """
        cookie = b""
        while True:
            controls = [paged(page_size, cookie), *more]
            done = yield from self._page(base, search_filter, attributes, depth, controls)
            if done.code == UNAVAILABLE_CRITICAL_EXTENSION and not cookie:
                # No paging here. Then one answer has to hold everything, which the result code says.
                done = yield from self._page(base, search_filter, attributes, depth, more)
                demand_success(done, base, search_filter)
                return
            demand_success(done, base, search_filter)
            cookie = cookie_of(done, base)
            if not cookie:
                return

    def read(self, dn: str, attributes: Sequence[str] = ("*",)) -> Entry | None:
        """One entry; None when there is none, or none that may be seen. Raises ReadFailed and Unreachable."""
        found: Entry | None = None
        number = self.send(dn, EVERY_ENTRY, attributes, depth=Depth.ENTRY)
        for answer in self.receive(number):
            if isinstance(answer, Entry):
                found = answer
            elif isinstance(answer, Done) and answer.code != NO_SUCH_OBJECT:
                demand_success(answer, dn, EVERY_ENTRY)
        return found

    def whole(self, entry: Entry, attribute: str) -> list[bytes]:
        """All values of an attribute, those too that the server gives in ranges only (Active Directory: beyond 1500).

        Raises ReadFailed when a range is missing.
        """
        name = attribute.lower()
        values = list(entry.attributes.get(name, ()))
        ranged = range_of(entry, name)
        while ranged is not None:
            part, last = ranged
            values += part
            if last is None:
                break
            wanted = f"{attribute};range={last + 1}-*"
            more = self.read(entry.dn, [wanted])
            ranged = range_of(more, name) if more else None
            if ranged is None:
                raise ReadFailed(
                    f"{entry.dn}: the values of {attribute} after number {last} did not come."
                    " The entry was changed or removed meanwhile; read again."
                )
        return values

    def _page(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str],
        depth: Depth,
        controls: Sequence[Control],
    ) -> Generator[Entry, None, Done]:
        number = self.send(base, search_filter, attributes, depth=depth, controls=controls)
        for answer in self.receive(number):
            if isinstance(answer, Entry):
                yield answer
            elif isinstance(answer, Reference):
                self.references += answer.urls
            elif isinstance(answer, Done):
                return answer
        raise ReadFailed(f"{base}: the answer has no end.")

    # ----------------------------------------------------------------------------- single messages

    def send(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str],
        *,
        depth: Depth = Depth.SUBTREE,
        controls: Sequence[Control] = (),
        size_limit: int = 0,
    ) -> int:
        """Send a search and return its number. Raises Unreachable, and ReadFailed for a filter that can't be sent."""
        try:
            request = search_operation(
                base,
                search_filter,
                depth.value,
                ldap3.DEREF_NEVER,  # syncprov refuses any other, and an alias would be a second place for one person
                list(attributes),
                size_limit,
                0,
                types_only=False,
                auto_escape=False,
                auto_encode=False,
            )
            built = [_built(control) for control in controls]
            number: int = self._connection.send("searchRequest", request, built or None)
            self._connection.strategy._outstanding.pop(number, None)  # noqa: SLF001 - we take its answer ourselves
        except (LDAPExceptionError, OSError) as error:
            if self._connection.socket is None or self._connection.closed:
                raise Unreachable(f"{self.url} hung up: {error}.") from error
            raise ReadFailed(
                f"{search_filter} below {base} can't be asked for: {error}."
            ) from error
        return number

    def receive(self, number: int) -> Iterator[Answer]:
        """The answers to a search, Done last. Raises Unreachable when the server falls silent or hangs up, ReadFailed when it talks nonsense."""
        timeout_s = self._access.answer_timeout_s
        while True:
            try:
                arrived = self.arrived(timeout_s)
            except TimeoutError as error:
                self._drop()
                raise Unreachable(f"{self.url} said nothing for {timeout_s} seconds.") from error
            for answered, answer in arrived:
                if answered == number:
                    yield answer
                    if isinstance(answer, Done):
                        return

    def arrived(self, timeout_s: float) -> list[tuple[int, Answer]]:
        """What arrives next, each with the number of what it answers. Raises TimeoutError when nothing does in time, and what ``receive`` raises."""
        connection = self._connection.socket
        if connection is None:
            raise Unreachable(f"{self.url}: the connection is closed.")
        try:
            connection.settimeout(timeout_s)
            octets = connection.recv(_RECEIVE_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            self._drop()
            raise Unreachable(f"{self.url} hung up in the middle of an answer: {error}.") from error
        if not octets:
            self._drop()
            raise Unreachable(f"{self.url} hung up in the middle of an answer.")
        try:
            answers = self._stream.feed(octets)
        except ber.Malformed as error:
            self._drop()
            raise ReadFailed(f"{self.url} sends what is no LDAP: {error}.") from error
        for _, answer in answers:
            if isinstance(answer, Notice):
                self._drop()
                raise Unreachable(f"{self.url} ends the connection: {answer.message}")
        return answers


def _connected(
    url: str, access: Access, context: ssl.SSLContext | None, password: str | None
) -> Any:
    """A connection that is open and protected, not bound. Raises Unreachable and CertificateRefused."""
    is_local = url.startswith("ldapi://")
    name = access.server_name or host_of(url)
    connection = None
    tls = _Tls(context, name) if context is not None and not is_local else None
    try:
        server = ldap3.Server(
            url, get_info=ldap3.NONE, tls=tls, connect_timeout=access.connect_timeout_s
        )
        connection = ldap3.Connection(
            server,
            **_credentials(access, password),
            receive_timeout=access.answer_timeout_s,
            **_CAUTION,
        )
        connection.open(read_server_info=False)
        if tls is not None and not server.ssl and not connection.start_tls(read_server_info=False):
            raise LDAPStartTLSError(f"it offers no StartTLS: {connection.last_error}")
    except (LDAPExceptionError, OSError) as error:
        if connection is not None and connection.socket is not None:
            connection.socket.close()  # ldap3 leaves it open
        if tls is not None and isinstance(tls.refusal, ssl.SSLCertVerificationError):
            raise CertificateRefused(about_certificate(url, name, tls.refusal)) from error
        raise Unreachable(f"{url} can't be reached: {error}.") from error
    return connection


_CAUTION: Final = {
    "client_strategy": ldap3.SYNC,
    "auto_referrals": False,  # they would take the password to whoever a referral names
    "auto_range": False,
    "check_names": False,
    "raise_exceptions": False,
    "return_empty_attributes": False,
}


def _credentials(access: Access, password: str | None) -> dict[str, Any]:
    if access.bind_method is BindMethod.SIMPLE and access.bind_user and password:
        return {"authentication": ldap3.SIMPLE, "user": access.bind_user, "password": password}
    if access.bind_method is BindMethod.EXTERNAL:
        return {
            "authentication": ldap3.SASL,
            "sasl_mechanism": ldap3.EXTERNAL,
            "sasl_credentials": "",
        }
    if access.bind_method is BindMethod.KERBEROS:
        return {
            "authentication": ldap3.SASL,
            "sasl_mechanism": ldap3.KERBEROS,
            "sasl_credentials": (access.server_name,) if access.server_name else None,
        }
    return {"authentication": ldap3.ANONYMOUS}


def _built(control: Control) -> Any:
    return build_control(
        control.number, control.is_critical, control.value, encode_control_value=False
    )
