# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway OpenLDAP server: own folder, own certificate authority, free ports of this machine, a generated company.

with Slapd(folder, Company(1000)) as slapd:
    slapd.change("dn: ...")
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.ldap_company import BASE, Company

READY_WITHIN_S = 15.0
STOP_WITHIN_S = 10.0
ATTEMPTS = 5

ADMIN = f"cn=admin,{BASE}"
READER = f"cn=reader,{BASE}"
PASSWORD = "reader's secret"
"""Of the reader and of the administrator."""

OPEN_ACCESS = (
    "access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none"
)
UNLIMITED = (
    f'limits dn.exact="{READER}" size.soft=500 size.hard=500 size.pr=1000 size.prtotal=unlimited'
)
LIMITED = f'limits dn.exact="{READER}" size.soft=500 size.hard=500 size.prtotal=500'
"""Half a thousand entries and no more, however they are asked for."""

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload syncprov
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
TLSVerifyClient try
authz-regexp "cn=reader" "cn=reader,{base}"
sockbuf_max_incoming_auth 33554432
{more_global}
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw "{password}"
directory {folder}/data
maxsize 2147483648
dbnosync
index objectClass,entryUUID,entryCSN,uid,ou,cn,mail,member,modifyTimestamp eq
{limits}
{access}
overlay memberof
overlay refint
refint_attributes member manager
overlay syncprov
syncprov-sessionlog 1000
"""


class Slapd:
    """One server. Its data stay over ``stop()`` and ``start()``, which may change who sees what and how much."""

    def __init__(
        self,
        folder: Path,
        company: Company | None = None,
        *,
        limits: str = UNLIMITED,
        access: str = OPEN_ACCESS,
        more_global: str = "",
        certificate_for: str = "127.0.0.1",
    ) -> None:
        if shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.skip("slapd is not installed: apt-get install slapd ldap-utils")
        self.folder = folder
        self.company = company
        self.limits = limits
        self.access = access
        self.more_global = more_global
        self.port = 0
        self.tls_port = 0
        self._left_out: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        make_certificates(folder, certificate_for)
        self._write_config()
        self._load(self._reader(), *(company.ldif() if company else ()))

    # ------------------------------------------------------------------------------- where it is

    @property
    def ldap_url(self) -> str:
        """For StartTLS."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ldapi_url(self) -> str:
        return f"ldapi://{self.folder}/ldapi"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def password_file(self) -> Path:
        path = self.folder / "password"
        path.touch(mode=0o600)
        path.write_text(PASSWORD)
        return path

    def toml(self, more: str = "", *, name: str = "main", urls: str = "") -> str:
        """A table for ldapsync.toml that reads this server; ``more`` follows, its tables written [people], [groups]."""
        tables = re.sub(r"^(\[+)", rf"\1directory.{name}.", more, flags=re.MULTILINE)
        return (
            f'[directory.{name}]\nservers = [{urls or repr(self.ldaps_url)}]\nca_file = "{self.ca_file}"\n'
            f'base = "{BASE}"\nbind_user = "{READER}"\npassword_file = "{self.password_file}"\n{tables}\n'
        )

    # --------------------------------------------------------------------------- start and stop

    def __enter__(self) -> Slapd:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, and return when it does. On the ports it had, if it was started before."""
        self._write_config()
        for _ in range(ATTEMPTS):
            ports = (self.port, self.tls_port) if self.port else free_ports()
            if self._started(*ports):
                self.port, self.tls_port = ports
                return
        pytest.fail(f"slapd does not start: {(self.folder / 'log').read_text()}")

    def _started(self, port: int, tls_port: int) -> bool:
        ldapi = str(self.folder / "ldapi").replace("/", "%2F")
        urls = f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port} ldapi://{ldapi}"
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [_sbin("slapd"), "-d", "0", "-f", self._config, "-h", urls], stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", tls_port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return True
        self.stop()
        return False

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(
        self,
        *,
        limits: str | None = None,
        access: str | None = None,
        more_global: str | None = None,
    ) -> None:
        """Stop and start, with other limits or rights."""
        self.stop()
        self.limits = self.limits if limits is None else limits
        self.access = self.access if access is None else access
        self.more_global = self.more_global if more_global is None else more_global
        self.start()

    def without(self, *lines: str) -> None:
        """Stop, and start with these lines left out of the configuration."""
        self.stop()
        self._left_out = lines
        self.start()

    # -------------------------------------------------------------------------------- what it has

    def change(self, ldif: str) -> None:
        """Carry out changes (``changetype: ...``) as the administrator; entries without one are added."""
        done = subprocess.run(
            ["ldapmodify", "-a", "-x", "-H", self.ldap_url, "-D", ADMIN, "-w", PASSWORD],
            input=ldif.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (done.stderr + done.stdout).decode()

    def set(self, dn: str, **attributes: str) -> None:
        """Replace attributes of an entry; an empty text removes one."""
        lines = [f"dn: {dn}", "changetype: modify"]
        for name, value in attributes.items():
            lines += [f"replace: {name}", *([f"{name}: {value}"] if value else []), "-"]
        self.change("\n".join([*lines, ""]))

    def delete(self, dn: str) -> None:
        self.change(f"dn: {dn}\nchangetype: delete\n")

    def move(self, dn: str, rdn: str, above: str = "") -> None:
        """Rename an entry, or move it below another."""
        lines = [f"dn: {dn}", "changetype: modrdn", f"newrdn: {rdn}", "deleteoldrdn: 1"]
        self.change("\n".join([*lines, *([f"newsuperior: {above}"] if above else []), ""]))

    def _load(self, *entries: str) -> None:
        ldif = self.folder / "company.ldif"
        ldif.write_text("".join(_parents_first(entries)))
        done = subprocess.run(
            [_sbin("slapadd"), "-q", "-w", "-f", self._config, "-l", str(ldif)],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        ldif.unlink()

    def _reader(self) -> str:
        base = (
            ""
            if self.company
            else f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n"
        )
        return (
            f"{base}dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n"
            f"cn: reader\nuserPassword: {PASSWORD}\n\n"
        )

    @property
    def _config(self) -> str:
        return str(self.folder / "slapd.conf")

    def _write_config(self) -> None:
        text = CONFIG.format(
            folder=self.folder,
            base=BASE,
            admin=ADMIN,
            password=PASSWORD,
            limits=self.limits,
            access=self.access,
            more_global=self.more_global,
        )
        kept = [line for line in text.splitlines() if line not in self._left_out]
        Path(self._config).write_text("\n".join([*kept, ""]))


def _parents_first(entries: Iterable[str]) -> list[str]:
    """The reader stands below the company's base, and so after it."""
    reader, *others = entries
    return [*others[:1], reader, *others[1:]]


def _sbin(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"{name} is not installed"
    return found


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on just now."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def make_certificates(folder: Path, host: str) -> None:
    """An authority (ca.pem), a server's certificate for ``host`` and one for the reader, who may show it instead of a password."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Test authority", authority_key, "Test authority", authority_key, None)
    (folder / "ca.pem").write_bytes(_pem(authority))
    for name, subject, san in (("server", "server", host), ("reader", "reader", "")):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(subject, key, "Test authority", authority_key, san)
        (folder / f"{name}.pem").write_bytes(_pem(certificate))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    san: str | None,
) -> x509.Certificate:
    """``san``: None for an authority, empty for a client, else a server's host name or IP address."""
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=san is None, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if san is None:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    elif san:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(san)]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
