# SPDX-License-Identifier: GPL-3.0-or-later
"""The port: opening, admission, handshakes that never end, lack of descriptors, and closing."""

from __future__ import annotations

import resource
import socket
import ssl
import threading

import pytest

from server.transport import poll, tcp
from server.transport.guard import GuardLimits
from server.transport.tcp import Listener, ListenFailed
from tests.support.ports import HOST, TIMEOUT_S, Certificates, Port, Recorder, receive_exactly
from tests.support.reactors import ReactorThread


def has_answer(client: socket.socket) -> bool:
    """Whether anything comes before the end, orderly or not."""
    try:
        return client.recv(1) != b""
    except OSError:
        return False


def test_ports_are_opened_for_both_kinds_of_address(port: Port) -> None:
    (first, second) = port.call(port.listener.listen, [("", 0)])
    assert (first[0], second[0]) == ("0.0.0.0", "::")
    assert first[1] == second[1] > 0
    context = port.certificates.client_context()
    for host in (HOST, "::1"):
        with socket.create_connection((host, first[1]), timeout=TIMEOUT_S) as plain:
            client = context.wrap_socket(plain, server_hostname="localhost")
            assert port.next_recorder().link.address == host
            client.close()


def test_a_port_that_is_taken_is_named(port: Port) -> None:
    other = (HOST, 0)
    with pytest.raises(ListenFailed, match=rf"port {port.address[1]} of {HOST} can't be opened"):
        port.call(port.listener.listen, [other, port.address])
    assert port.listener.addresses == [port.address]
    with pytest.raises(ListenFailed, match="70000 is not the number of a port"):
        port.call(port.listener.listen, [(HOST, 70000)])


def test_counts_return_to_nothing(port: Port) -> None:
    with port.pair() as (_, first), port.pair() as (_, second), port.plain():
        port.wait_until(lambda: port.listener.connections == 3)
        port.call(first.link.signed_in)
        port.call(first.link.signed_in)
        assert (port.guard.connections, port.guard.strangers) == (3, 2)
        port.call(second.link.abort)
        assert (port.guard.connections, port.guard.strangers) == (2, 1)
    port.wait_until(lambda: port.listener.connections == 0)
    assert (port.guard.connections, port.guard.strangers) == (0, 0)


@pytest.mark.expected_log("lanyard.transport", "refused a connection of 127.0.0.1: 2 connections")
def test_who_is_one_too_many_is_closed_at_once(thread: ReactorThread, issued: Certificates) -> None:
    port = Port(thread, issued, GuardLimits(connections_per_address=2, reconnect_s=1e-6))
    with port.pair() as (client, _), port.pair():
        with port.plain() as third:
            assert third.recv(1) == b""
        client.sendall(b"still here")
        assert receive_exactly(client, 10) == b"still here"
    port.wait_until(lambda: port.listener.connections == 0)
    with port.pair():
        pass
    port.close()


@pytest.mark.expected_log("lanyard.transport", "refused a connection")
def test_a_crowd_of_strangers_leaves_users_alone(
    thread: ReactorThread, issued: Certificates
) -> None:
    port = Port(thread, issued, GuardLimits(strangers=100, strangers_per_address=90))
    with port.pair() as (client, recorder):
        port.call(recorder.link.signed_in)
        crowd = [port.plain() for _ in range(300)]
        port.wait_until(lambda: port.listener.connections == 51)  # 50: half of the places
        client.sendall(b"undisturbed")
        assert receive_exactly(client, 11) == b"undisturbed"
        for stranger in crowd:
            stranger.close()
    port.close()


@pytest.mark.expected_log("lanyard.transport", "handshake with 127.0.0.1 failed: .*")
def test_what_is_no_handshake_is_closed(port: Port) -> None:
    with port.pair() as (client, _):
        for letter in (b"GET / HTTP/1.1\r\n\r\n", bytes(200), b"\x16\x03\x01\x02\x00" * 300):
            with port.plain() as plain:
                plain.sendall(letter)
                answer = b"".join(iter(lambda: plain.recv(100), b""))
                assert answer[:1] in (b"", b"\x15")  # nothing, or an alert of TLS
        client.sendall(b"undisturbed")
        assert receive_exactly(client, 11) == b"undisturbed"


@pytest.mark.expected_log("lanyard.transport", "failed: UNSUPPORTED_PROTOCOL")
def test_older_versions_are_refused(port: Port) -> None:
    context = port.certificates.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        port.client(context)


@pytest.mark.expected_log("lanyard.transport", "did not finish its handshake")
def test_a_handshake_has_its_time(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "HANDSHAKE_TIMEOUT_S", 0.0)
    monkeypatch.setattr(tcp, "_SWEEP_S", 0.01)
    with port.plain() as silent, port.plain() as slow:
        slow.sendall(b"\x16\x03\x01")
        for client in (silent, slow):
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    port.wait_until(lambda: port.listener.connections == 0)


def test_many_handshakes_are_spread_over_turns(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "HANDSHAKES_PER_TURN", 1)
    done = threading.Semaphore(0)

    def shake_hands() -> None:
        with port.client() as client:
            client.sendall(b"in")
            receive_exactly(client, 2)
            done.release()

    threads = [threading.Thread(target=shake_hands) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        assert done.acquire(timeout=TIMEOUT_S)
        one.join()


@pytest.mark.expected_log("lanyard.transport", "can't accept connections: Too many open files")
def test_a_lack_of_descriptors_passes(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "ACCEPT_PAUSE_S", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket()
    waiting.settimeout(TIMEOUT_S)
    polled = port.listener._wires.poll._polled

    def is_paused() -> bool:
        return bool(port.listener._notices._next_at)

    with waiting:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, hard))
            waiting.connect(port.address)
            port.wait_until(is_paused)
            assert len(polled) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        client = port.certificates.client_context().wrap_socket(
            waiting, server_hostname="localhost"
        )
        client.sendall(b"at last")
        assert receive_exactly(client, 7) == b"at last"
        client.close()


def test_connections_outlive_the_port(port: Port) -> None:
    with port.pair() as (client, _):
        port.call(port.listener.stop_accepting)
        with pytest.raises(ConnectionRefusedError):
            port.plain()
        client.sendall(b"still here")
        assert receive_exactly(client, 10) == b"still here"


def test_closing_all_is_orderly(port: Port) -> None:
    def say_and_leave(recorder: Recorder, data: bytes) -> None:
        recorder.link.write(b"goodbye")
        port.listener.close_all()

    port.react = say_and_leave
    with port.pair() as (one, first), port.pair() as (other, second):
        one.sendall(b"go")
        assert receive_exactly(one, 7) == b"goodbye"
        assert one.recv(1) == b""
        assert other.recv(1) == b""
        assert [first.next(), second.next()] == ["lost: closed here"] * 2


@pytest.mark.expected_log("lanyard.transport", "no session could be made")
def test_a_session_that_cannot_be_made_closes_its_link(
    thread: ReactorThread, issued: Certificates
) -> None:
    def refuse(link: object) -> Recorder:
        raise LookupError("nobody at home")

    port = Port(thread, issued)
    broken = port.call(Listener, thread.reactor, port.tls, port.guard, refuse)
    (address,) = port.call(broken.listen, [(HOST, 0)])
    for _ in range(2):
        with socket.create_connection(address, timeout=TIMEOUT_S) as plain:
            context = issued.client_context()
            with context.wrap_socket(plain, server_hostname="localhost") as client:
                assert not has_answer(client)
    port.call(broken.shut_down)
    port.close()


def test_new_connections_get_the_new_certificate(
    thread: ReactorThread, fresh: Certificates
) -> None:
    port = Port(thread, fresh)
    with port.pair() as (old, _):
        before = old.getpeercert(binary_form=True)
        after = fresh.issue_server()
        port.call(port.tls.reload)
        with port.pair() as (new, _):
            assert new.getpeercert(binary_form=True) == after != before
        old.sendall(b"still here")
        assert receive_exactly(old, 10) == b"still here"
    port.close()
