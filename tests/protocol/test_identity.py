# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, requests and certificates: what they name, who issued them, what is refused; and that TLS takes them."""

from __future__ import annotations

import ipaddress
import os
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from protocol import identity, keys
from protocol.identity import DeviceIdentity, Issuer, ServerIdentity
from protocol.keys import IdentityError
from protocol.limits import MAX_CSR_BYTES
from protocol.words import WORDS, spell

NOW_MS = 1_900_000_000_000
DAY_MS = 86_400_000
REAL_NOW_MS = time.time_ns() // 1_000_000  # OpenSSL looks at the real clock
REQUEST = identity.new_request(keys.new_key())
USER = bytes(range(16))
DEVICE = bytes(range(16, 32))


def serial() -> bytes:
    return os.urandom(identity.SERIAL_BYTES)


class Organisation:
    """An authority as a server holds it."""

    def __init__(self, now_ms: int = NOW_MS, name: str = "Example") -> None:
        self.now_ms = now_ms
        self.key = keys.new_key()
        self.certificate = identity.new_authority(self.key, name, serial(), now_ms)
        self.issuer = Issuer(self.certificate, self.key)

    def device(
        self, key: bytes, *, days: int = 30, user: bytes = USER, device: bytes = DEVICE
    ) -> bytes:
        public = identity.read_request(identity.new_request(key))
        return self.issuer.device_certificate(
            public, user, device, serial=serial(), now_ms=self.now_ms, days=days
        ).certificate

    def server(self, key: bytes, *names: str, addresses: tuple[str, ...] = ()) -> bytes:
        return self.issuer.server_certificate(
            keys.public_key(key),
            names,
            [ipaddress.ip_address(address) for address in addresses],
            serial=serial(),
            now_ms=self.now_ms,
            days=365,
        ).certificate


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return Organisation()


def test_a_device_certificate_names_user_and_device_and_ends(organisation: Organisation) -> None:
    number = serial()
    issued = organisation.issuer.device_certificate(
        keys.public_key(keys.new_key()), USER, DEVICE, serial=number, now_ms=NOW_MS, days=30
    )
    named = identity.read_certificate(issued.certificate)
    assert named == DeviceIdentity(USER, DEVICE, issued.serial, issued.not_after_ms)
    assert issued.not_after_ms == NOW_MS + 30 * DAY_MS
    assert issued.serial[1:] == number[1:]
    begins_ms, ends_ms = identity.validity_ms(issued.certificate)
    assert begins_ms < NOW_MS - DAY_MS
    assert ends_ms == issued.not_after_ms


def test_a_server_certificate_names_hosts_and_addresses(organisation: Organisation) -> None:
    certificate = organisation.server(
        keys.new_key(), "chat.example", "büro.example", addresses=("192.0.2.7", "2001:db8::7")
    )
    named = identity.read_certificate(certificate)
    assert isinstance(named, ServerIdentity)
    assert named.names == ("chat.example", "xn--bro-hoa.example")
    assert [str(address) for address in named.addresses] == ["192.0.2.7", "2001:db8::7"]


def test_a_host_name_that_cannot_be_one_is_refused(organisation: Organisation) -> None:
    with pytest.raises(IdentityError, match="can't be a host name"):
        organisation.server(keys.new_key(), "bad..name")


def test_no_certificate_outlives_its_authority(organisation: Organisation) -> None:
    _, authority_ends_ms = identity.validity_ms(organisation.certificate)
    certificate = organisation.device(keys.new_key(), days=identity.AUTHORITY_DAYS * 2)
    assert identity.validity_ms(certificate)[1] == authority_ends_ms
    with pytest.raises(IdentityError, match="expired"):
        organisation.issuer.device_certificate(
            keys.public_key(keys.new_key()),
            USER,
            DEVICE,
            serial=serial(),
            now_ms=authority_ends_ms,
            days=1,
        )


def test_only_the_own_authority_issued_it(organisation: Organisation) -> None:
    certificate = organisation.device(keys.new_key())
    stranger = Organisation(name="Example")  # the same name, another key
    assert identity.is_issued_by(certificate, organisation.certificate)
    assert not identity.is_issued_by(certificate, stranger.certificate)
    assert not identity.is_issued_by(certificate, certificate)


def test_an_authority_needs_its_own_key(organisation: Organisation) -> None:
    with pytest.raises(IdentityError, match="does not belong"):
        Issuer(organisation.certificate, keys.new_key())


def test_the_authority_is_neither_device_nor_server(organisation: Organisation) -> None:
    with pytest.raises(IdentityError, match="neither"):
        identity.read_certificate(organisation.certificate)


def test_the_fingerprint_stays_when_the_certificate_is_renewed(organisation: Organisation) -> None:
    key = keys.new_key()
    first, second = organisation.server(key, "a"), organisation.server(key, "a", "b")
    assert first != second
    assert identity.fingerprint(first) == identity.fingerprint(second)
    assert identity.fingerprint(first) != identity.fingerprint(organisation.certificate)


def test_a_fingerprint_is_shown_to_the_eye_and_read_aloud() -> None:
    value = bytes(range(32))
    assert identity.fingerprint_hex(value).startswith("0001 0203 0405 ")
    assert len(identity.fingerprint_hex(value).split()) == 16
    words = identity.fingerprint_words(value).split()
    assert len(words) == identity.FINGERPRINT_WORDS
    assert words[0] == "abandon"


def test_words_differ_in_their_first_four_letters() -> None:
    assert len({word[:4] for word in WORDS}) == len(WORDS) == 2048


@given(st.binary(min_size=32, max_size=32), st.integers(0, 131))
def test_every_bit_that_is_read_aloud_changes_a_word(value: bytes, bit: int) -> None:
    flipped = bytearray(value)
    flipped[bit // 8] ^= 0x80 >> bit % 8
    ours, theirs = spell(value, 12), spell(bytes(flipped), 12)
    assert [mine == other for mine, other in zip(ours, theirs, strict=True)].count(False) == 1


def test_too_few_bytes_make_no_words() -> None:
    with pytest.raises(ValueError, match="do not make"):
        spell(b"1234", 3)


def test_pem_and_der_are_the_same_thing(organisation: Organisation) -> None:
    key = keys.new_key()
    assert keys.key_from_pem(keys.key_to_pem(key)) == key
    text = identity.certificate_to_pem(organisation.certificate)
    assert identity.certificate_from_pem(text) == organisation.certificate


@pytest.mark.parametrize(
    "read", [keys.key_from_pem, identity.certificate_from_pem, identity.read_certificate]
)
@given(st.binary(max_size=200))
def test_rubbish_is_refused_with_a_sentence(read: object, rubbish: bytes) -> None:
    assert callable(read)
    with pytest.raises(IdentityError, match=r"\w"):
        read(rubbish)


def test_a_request_signed_by_another_key_is_refused() -> None:
    request = bytearray(identity.new_request(keys.new_key()))
    foreign = identity.new_request(keys.new_key())
    at = request.index(x509.load_der_x509_csr(bytes(request)).signature)
    request[at:] = foreign[foreign.index(x509.load_der_x509_csr(foreign).signature) :]
    with pytest.raises(IdentityError):
        identity.read_request(bytes(request))


@given(st.data())
def test_a_mutated_request_is_refused_or_yields_a_key(data: st.DataObject) -> None:
    request = bytearray(REQUEST)
    at = data.draw(st.integers(0, len(request) - 1))
    request[at] ^= data.draw(st.integers(1, 255))
    try:
        key = identity.read_request(bytes(request))
    except IdentityError:
        return
    keys.load_public_key(key)


def test_an_oversize_request_is_refused_unread() -> None:
    with pytest.raises(IdentityError, match=str(MAX_CSR_BYTES)):
        identity.read_request(bytes(MAX_CSR_BYTES + 1))


@pytest.mark.parametrize(
    "key",
    [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())],
    ids=["ed25519", "p384"],
)
def test_a_request_with_a_key_of_another_kind_is_refused(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)
    with pytest.raises(IdentityError, match="another kind"):
        identity.read_request(request)


class Ends:
    """The two ends of a TLS 1.3 link in memory."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, host: str | None) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(to_server, to_client, server_side=True)
        self.client = client.wrap_bio(to_client, to_server, server_hostname=host)

    def shake_hands(self) -> None:
        for _ in range(4):
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue


def context(
    folder: Path, purpose: int, authority: bytes, certificate: bytes, key: bytes
) -> ssl.SSLContext:
    made = ssl.SSLContext(purpose)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(cadata=identity.certificate_to_pem(authority).decode())
    path = folder / f"{identity.fingerprint(certificate).hex()}.pem"
    path.write_bytes(keys.key_to_pem(key) + identity.certificate_to_pem(certificate))
    made.load_cert_chain(path)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


def test_tls_accepts_both_certificates_and_tells_who_is_there(tmp_path: Path) -> None:
    now = Organisation(now_ms=REAL_NOW_MS)
    server_key, device_key = keys.new_key(), keys.new_key()
    server_certificate = now.server(server_key, "chat.example", addresses=("127.0.0.1",))
    device_certificate = now.device(device_key)
    server = context(
        tmp_path, ssl.PROTOCOL_TLS_SERVER, now.certificate, server_certificate, server_key
    )
    client = context(
        tmp_path, ssl.PROTOCOL_TLS_CLIENT, now.certificate, device_certificate, device_key
    )
    for host in ("chat.example", "127.0.0.1"):
        ends = Ends(server, client, host)
        ends.shake_hands()
        seen = ends.server.getpeercert(binary_form=True)
        assert seen is not None
        assert identity.read_certificate(seen) == identity.read_certificate(device_certificate)


def test_a_device_cannot_pass_for_the_server(tmp_path: Path) -> None:
    now = Organisation(now_ms=REAL_NOW_MS)
    key = keys.new_key()
    certificate = now.device(key)
    server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, now.certificate, certificate, key)
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, now.certificate, certificate, key)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        Ends(server, client, "chat.example").shake_hands()
    assert not isinstance(identity.read_certificate(certificate), ServerIdentity)


def test_devices_of_one_organisation_link_without_the_server(tmp_path: Path) -> None:
    now = Organisation(now_ms=REAL_NOW_MS)
    one, other = keys.new_key(), keys.new_key()
    contexts = [
        context(tmp_path, purpose, now.certificate, now.device(key), key)
        for purpose, key in ((ssl.PROTOCOL_TLS_SERVER, one), (ssl.PROTOCOL_TLS_CLIENT, other))
    ]
    contexts[1].check_hostname = False
    ends = Ends(contexts[0], contexts[1], None)
    ends.shake_hands()
    assert ends.client.version() == ends.server.version() == "TLSv1.3"
