# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server to sign in at, and whether to believe it: its fingerprint is compared by a person, or given beforehand."""

from client.cli import fingerprints, show
from client.cli.desk import Desk
from client.cli.failures import Exit, Failure
from client.core.trust import ServerIdentity


async def the_server(desk: Desk, address: str | None, fingerprint: str | None) -> None:
    """Make the server at the address (None: the trusted one, or one that is found) the one to use. Raises Failure, CoreError."""
    servers = desk.core.servers
    trusted = servers.trusted
    if address is None:
        if trusted is not None:
            if fingerprint is not None:
                fingerprints.check(fingerprint, trusted.fingerprint, trusted.address)
            return
        address = await _found(desk)
    identity = await servers.probe(address)
    if fingerprint is not None:
        fingerprints.check(fingerprint, identity.fingerprint, identity.address)
    elif trusted is None:
        await _ask(desk, identity)
    await servers.trust(
        identity
    )  # which refuses another organisation's than the one that is pinned


async def _found(desk: Desk) -> str:
    found = await desk.core.servers.find()
    if not found:
        raise Failure(
            "No server was found on this network. Ask IT for its address: `lanyard-cli login SERVER LOGIN`.",
            Exit.NOT_FOUND,
        )
    if len({one.address for one in found}) > 1:
        raise Failure(
            "Several servers were found. Say which: `lanyard-cli login SERVER LOGIN`.",
            Exit.NOT_FOUND,
            candidates=tuple(f"{one.address}  {show.one_line(one.name)}" for one in found),
        )
    return found[0].address


async def _ask(desk: Desk, identity: ServerIdentity) -> None:
    """Show the fingerprint and have it confirmed. Raises Failure when it is not, or nobody can be asked."""
    if not desk.terminal.is_interactive:
        raise Failure(
            f"The server at {identity.address} is not trusted yet. Its fingerprint is {identity.fingerprint.hex()}: "
            "compare it with what IT has published, and give it with --fingerprint.",
            Exit.TRUST,
        )
    words = identity.words.split()
    half = len(words) // 2
    for line in (
        f"This computer has not met {show.one_line(identity.organisation)} at {identity.address} before.",
        "Compare its fingerprint with what IT has published; it is enough to compare the words:",
        "",
        f"  {' '.join(words[:half])}",
        f"  {' '.join(words[half:])}",
        "",
        f"  {desk.paint(show.Style.FAINT, identity.hex)}",
        "",
    ):
        desk.terminal.err(line)
    answer = await desk.terminal.ask("Are they the same? Trust this server? [yes/no] ")
    if answer.strip().casefold() not in ("y", "yes"):
        raise Failure("The server was not trusted, and nothing was sent to it.", Exit.TRUST)
