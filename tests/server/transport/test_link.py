# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection: what arrives, what is sent and when, how it ends, and whose fault it is."""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import threading

import pytest

from server.transport import tcp
from server.transport.link import CHOKE_BYTES
from server.transport.wires import Stage
from tests.support.ports import HOST, Certificates, Port, Recorder, receive_exactly

RECORD_OF_DATA = 0x17


class RawClient:
    """A client that shows what travels below TLS."""

    def __init__(self, port: Port) -> None:
        self.socket = port.plain()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = port.certificates.client_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost"
        )
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                self._incoming.write(self.socket.recv(65536))
        self.socket.sendall(self._outgoing.read())

    def encrypt(self, data: bytes) -> bytes:
        """What ``data`` looks like on the wire."""
        self._tls.write(data)
        return self._outgoing.read()

    def records(self, size_bytes: int) -> list[bytes]:
        """What arrives, record by record, until so many bytes of data are there."""
        found: list[bytes] = []
        while sum(map(len, found)) < size_bytes:
            header = receive_exactly(self.socket, 5)
            kind, _, length = struct.unpack(">BHH", header)
            assert kind == RECORD_OF_DATA
            self._incoming.write(header + receive_exactly(self.socket, length))
            found.append(self._tls.read(65536))
        return found


def test_bytes_go_to_and_fro(port: Port) -> None:
    with port.pair() as (client, recorder):
        for word in (b"one", b"two", b"three" * 1000):
            client.sendall(word)
            assert receive_exactly(client, len(word)) == word
        assert recorder.link.address == HOST
        assert client.version() == "TLSv1.3"


def test_what_is_written_in_a_turn_travels_as_one(port: Port) -> None:
    def answer(recorder: Recorder, data: bytes) -> None:
        for number in range(10):
            recorder.link.write(b"%d" % number)

    port.react = answer
    client = RawClient(port)
    with client.socket:
        client.socket.sendall(client.encrypt(b"go"))
        assert client.records(10) == [b"0123456789"]


def test_what_is_written_outside_of_a_turn_leaves_by_itself(port: Port) -> None:
    with port.pair() as (client, recorder):
        port.call(recorder.link.write, b"unasked")
        assert receive_exactly(client, 7) == b"unasked"


def test_records_may_come_in_pieces_or_together(port: Port) -> None:
    client = RawClient(port)
    with client.socket:
        recorder = port.next_recorder()
        for byte in client.encrypt(b"byte by byte"):
            client.socket.sendall(bytes([byte]))
        assert b"".join(client.records(12)) == b"byte by byte"
        three = b"".join(client.encrypt(word) for word in (b"a", b"b", b"c"))
        fourth = client.encrypt(b"d" * 9000)
        client.socket.sendall(three + fourth[:4000])
        assert b"".join(client.records(3)) == b"abc"
        client.socket.sendall(fourth[4000:])
        assert b"".join(client.records(9000)) == b"d" * 9000
        assert recorder.data == b"byte by byteabc" + b"d" * 9000


def test_two_half_received_records_do_not_mix(port: Port) -> None:
    one, other = RawClient(port), RawClient(port)
    with one.socket, other.socket:
        first, second = one.encrypt(b"first" * 100), other.encrypt(b"second" * 100)
        one.socket.sendall(first[:77])
        other.socket.sendall(second[:3])
        one.socket.sendall(first[77:])
        other.socket.sendall(second[3:])
        assert b"".join(one.records(500)) == b"first" * 100
        assert b"".join(other.records(600)) == b"second" * 100


def test_much_data_waits_for_a_slow_reader(port: Port) -> None:
    much = hashlib.shake_128(b"much").digest(12 << 20)
    with port.pair() as (client, recorder):
        port.call(recorder.link.write, much[: 8 << 20])
        port.wait_until(lambda: recorder.link.pending_bytes > 0)
        port.call(recorder.link.write, much[8 << 20 :])
        assert port.call(lambda: recorder.link.pending_bytes) > 4 << 20
        assert receive_exactly(client, len(much)) == much
        assert recorder.next() == "drained"
        assert port.call(lambda: recorder.link.pending_bytes) == 0
        client.sendall(b"on")
        assert receive_exactly(client, 2) == b"on"


def test_both_sides_may_send_much_at_once(port: Port) -> None:
    much = hashlib.shake_128(b"more").digest(4 << 20)
    client = RawClient(port)
    with client.socket:
        recorder = port.next_recorder()
        encrypted = b"".join(
            client.encrypt(much[at : at + 9000]) for at in range(0, len(much), 9000)
        )
        sender = threading.Thread(target=client.socket.sendall, args=(encrypted,))
        sender.start()
        assert b"".join(client.records(len(much))) == much
        sender.join()
        assert recorder.data == much


def test_who_does_not_read_the_answers_is_not_read_either(port: Port) -> None:
    answer = bytes(2 * CHOKE_BYTES)  # more than the kernel takes
    port.react = lambda recorder, data: recorder.link.write(answer)
    client = RawClient(port)
    with client.socket:
        recorder = port.next_recorder()
        questions = [b"?" * 2_000] * 5
        client.socket.sendall(b"".join(client.encrypt(question) for question in questions))
        port.wait_until(lambda: recorder.link.pending_bytes > 0)
        assert port.call(lambda: bytes(recorder.data)) == questions[0]
        assert sum(map(len, client.records(5 * len(answer)))) == 5 * len(answer)
        assert port.call(lambda: bytes(recorder.data)) == b"".join(questions)


def test_a_choked_link_reads_on_when_the_kernel_takes_all_at_once(port: Port) -> None:
    with port.pair() as (client, recorder):
        reader = threading.Thread(target=receive_exactly, args=(client, CHOKE_BYTES + 3))
        reader.start()
        port.call(recorder.link.write, bytes(CHOKE_BYTES + 1))
        port.react = lambda recorder, data: recorder.link.write(b"ok")
        client.sendall(b"are you there?")
        reader.join()
        assert recorder.data == b"are you there?"


def test_the_end_of_a_choked_client_is_noticed(port: Port) -> None:
    with port.pair() as (client, recorder):
        port.call(recorder.link.write, bytes(2 * CHOKE_BYTES))
        client.close()
        assert "lost" in recorder.next()
        port.wait_until(lambda: port.listener.connections == 0)


def test_closing_lets_what_was_written_leave_first(port: Port) -> None:
    def answer(recorder: Recorder, data: bytes) -> None:
        recorder.link.write(b"x" * 3_000_000)
        recorder.link.close()
        recorder.link.write(b"never sent")
        assert recorder.happened.empty()  # not told from within

    port.react = answer
    with port.pair() as (client, recorder):
        client.sendall(b"go")
        assert recorder.next() == "lost: closed here"
        assert receive_exactly(client, 3_000_000) == b"x" * 3_000_000
        assert client.recv(1) == b""  # an orderly end of TLS: anything else would raise
        client.unwrap()
    port.wait_until(lambda: port.listener.connections == 0)
    assert recorder.happened.empty()


def test_the_peer_may_close(port: Port) -> None:
    with port.pair() as (client, recorder):
        client.sendall(b"bye")
        assert receive_exactly(client, 3) == b"bye"
        client.unwrap()
        assert recorder.next() == "lost: closed by the peer"
    with port.pair() as (client, recorder):
        client.shutdown(socket.SHUT_RDWR)  # without a word
        assert recorder.next() == "lost: closed by the peer"
    port.wait_until(lambda: port.listener.connections == 0)


def test_a_peer_that_vanishes_is_lost_once(port: Port) -> None:
    with port.pair() as (client, recorder):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert recorder.next() == "lost: closed by the peer"
        port.call(recorder.link.write, b"to nobody")
        port.call(recorder.link.close)
        port.call(recorder.link.abort)
        assert port.call(recorder.happened.empty)


def test_abort_resets(port: Port) -> None:
    with port.pair() as (client, recorder):
        port.call(recorder.link.write, bytes(8 << 20))
        port.call(recorder.link.abort, "reads too slowly")
        assert recorder.next() == "lost: reads too slowly"
        with pytest.raises((OSError, AssertionError)):
            receive_exactly(client, 8 << 20)
        assert port.call(lambda: recorder.link.pending_bytes) == 0


def test_who_never_closes_is_cut_off(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CLOSING_TIMEOUT_S", 0.0)
    monkeypatch.setattr(tcp, "_SWEEP_S", 0.01)
    with port.pair() as (_, recorder):
        port.call(recorder.link.write, bytes(8 << 20))
        port.call(recorder.link.close)
        assert recorder.next() == "lost: closed here"
        port.wait_until(lambda: port.listener.connections == 0)
        assert port.call(recorder.happened.empty)


@pytest.mark.expected_log("lanyard.transport", "its receiver failed")
def test_a_fault_of_one_receiver_closes_its_link_alone(port: Port) -> None:
    def fail(recorder: Recorder, data: bytes) -> None:
        if data == b"fail":
            raise LookupError(data)
        recorder.link.write(data)

    port.react = fail
    with port.pair() as (one, first), port.pair() as (other, _):
        one.sendall(b"fail")
        assert first.next() == "lost: a fault of the server"
        other.sendall(b"still here")
        assert receive_exactly(other, 10) == b"still here"


def test_damaged_records_close_the_link(port: Port) -> None:
    client, other = RawClient(port), RawClient(port)
    with client.socket, other.socket:
        recorder = port.next_recorder()
        damaged = bytearray(client.encrypt(b"sound") + client.encrypt(b"never read"))
        damaged[10] ^= 1
        client.socket.sendall(damaged)
        assert recorder.next().startswith("lost: TLS failed: DECRYPTION_FAILED_OR_BAD_RECORD_MAC")
        assert recorder.data == b""
        other.socket.sendall(other.encrypt(b"well"))
        assert other.records(4) == [b"well"]


def test_a_certificate_of_the_organisation_is_shown(port: Port) -> None:
    certificate, path = port.certificates.issue_device()
    context = port.certificates.client_context()
    context.load_cert_chain(path)
    with port.client(context):
        assert port.call(port.next_recorder().link.peer_certificate) == certificate
    with port.pair() as (_, recorder):
        assert port.call(recorder.link.peer_certificate) is None


@pytest.mark.expected_log("lanyard.transport", "handshake with 127.0.0.1 failed")
def test_a_certificate_of_somebody_else_is_refused(port: Port, fresh: Certificates) -> None:
    _, path = fresh.issue_device()
    context = port.certificates.client_context()
    context.load_cert_chain(path)
    with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"), port.client(context) as client:
        client.recv(1)  # in TLS 1.3 the client learns of it after its own handshake
    assert port.recorders.empty()


def test_what_openssl_left_is_nobody_elses(port: Port) -> None:
    """The shared buffers stand empty between two calls, whatever a connection did."""
    client = RawClient(port)
    client.socket.sendall(b"\x17\x03\x03\x40\x00" + bytes(30_000))
    client.socket.close()
    with port.pair() as (other, _):
        other.sendall(b"fine")
        assert receive_exactly(other, 4) == b"fine"
    wires = port.listener._wires
    port.wait_until(lambda: port.listener.connections == 0)
    assert port.call(lambda: (wires.incoming.pending, wires.outgoing.pending)) == (0, 0)


def test_stages_only_go_down() -> None:
    assert list(Stage) == sorted(Stage)
