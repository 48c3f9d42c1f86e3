# SPDX-License-Identifier: GPL-3.0-or-later
"""What OpenSSL alone keeps for a connection: `python -m bench.children.bare_tls KEYS COUNT` prints KB each, of the server's side.

A process of its own, because memory that was used before and is free would be taken first.
"""

import os
import ssl
import sys
from pathlib import Path

from bench.vitals import memory_kb
from server.transport.tls import ServerTls


def main() -> None:
    """Make so many connections in memory and keep the server's side of each."""
    keys, count = Path(sys.argv[1]), int(sys.argv[2])
    authority = keys / "authority.crt.pem"
    server = ServerTls(keys / "server.crt.pem", keys / "server.key.pem", authority).context
    client = ssl.create_default_context(cafile=str(authority))
    wires = ssl.MemoryBIO(), ssl.MemoryBIO()
    kept = [_shaken(server, client, wires)]  # what is made once is not counted
    before, _ = memory_kb(os.getpid())
    kept += [_shaken(server, client, wires) for _ in range(count)]
    after, _ = memory_kb(os.getpid())
    print((after - before) / count)


def _shaken(
    server: ssl.SSLContext, client: ssl.SSLContext, wires: tuple[ssl.MemoryBIO, ssl.MemoryBIO]
) -> ssl.SSLObject:
    """The server's side of a connection that is ready."""
    to_server, to_client = wires
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    for side in (theirs, ours, theirs, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
    to_client.read()
    return ours


if __name__ == "__main__":
    main()
