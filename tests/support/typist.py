# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for tests that is made to be killed: opens a profile with the client core and writes messages until its end.

``python -m tests.support.typist PROFILE NUMBER TALK...`` writes from NUMBER on to these conversations in turn. For each message
that the outbox has accepted it prints a line, in one write: the conversation, the message's id, its text.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from client.core.app import Core, Surroundings
from tests.support.computers import Impatient

PAUSE_S: Final = 0.01


async def type_on(profile: Path, number: int, talks: list[bytes]) -> None:
    """Write until somebody kills this process."""
    core = await Core.open(profile, surroundings=Surroundings(random=Impatient(), browsers=()))
    core.start()
    while True:
        talk = talks[number % len(talks)]
        text = f"{profile.name}-{number}"
        message = await core.messages.send(talk, text)
        os.write(sys.stdout.fileno(), f"{talk.hex()} {message.hex()} {text}\n".encode())
        number += 1
        await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    asyncio.run(
        type_on(Path(sys.argv[1]), int(sys.argv[2]), [bytes.fromhex(one) for one in sys.argv[3:]])
    )
