# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints as people give them: digits in any grouping, or all the words."""

import hmac
import re

from client.cli.failures import Exit, Failure
from protocol.identity import fingerprint_hex, fingerprint_words


def check(given: str, found: bytes, address: str) -> None:
    """Raise Failure unless the fingerprint that was given is the one of the server at the address."""
    if not is_same(given, found):
        raise Failure(
            f"The server at {address} has another fingerprint: {fingerprint_hex(found)}. "
            "Nothing was sent to it. Compare it with what IT has published.",
            Exit.TRUST,
        )


def is_same(given: str, found: bytes) -> bool:
    """Whether somebody means this fingerprint; parts of it are not enough."""
    words = re.split(r"[\s-]+", given.strip().casefold())
    if all(re.fullmatch(r"[0-9a-f:]+", word) for word in words):
        digits = "".join(words).replace(":", "")
        return hmac.compare_digest(digits, found.hex())
    return words == fingerprint_words(found).casefold().split()
