# SPDX-License-Identifier: GPL-3.0-or-later
"""Where passwords come from: a file, standard input, or the person. Never the command line, never the environment."""

from typing import Final

from client.cli.desk import Desk
from client.cli.failures import Failure

STANDARD_INPUT: Final = "-"


class Passwords:
    """The present and the new password of one command; what is piped in is read line by line, in this order."""

    def __init__(self, desk: Desk, current_file: str | None, new_file: str | None) -> None:
        self._desk = desk
        self._current_file = current_file
        self._new_file = new_file

    async def current(self, question: str) -> str:
        """The present password. Raises Failure when there is none to be had."""
        password = await self._from(self._current_file, question)
        if not password:
            raise Failure("The password is empty.")
        return password

    async def new(self, current: str, *, min_chars: int) -> str:
        """The new password, asked for twice when a person types it. Raises Failure."""
        terminal = self._desk.terminal
        if self._new_file is None and not terminal.is_interactive:
            password = await terminal.read_line()
            if not password:
                raise Failure(
                    "This account must set a password of its own: give it with --new-password-file FILE, "
                    "or as the second line of standard input."
                )
        else:
            least = f" (at least {min_chars} characters)" if min_chars else ""
            password = await self._from(self._new_file, f"New password{least}: ")
            if self._new_file is None and password != await terminal.ask(
                "The same again: ", is_secret=True
            ):
                raise Failure("The two are not the same. Nothing was changed.")
        if password == current:
            raise Failure("The new password is the old one. Choose another.")
        return password

    async def _from(self, file: str | None, question: str) -> str:
        terminal = self._desk.terminal
        if file == STANDARD_INPUT or (file is None and not terminal.is_interactive):
            return await terminal.read_line()
        if file is not None:
            return (await terminal.read_file(file)).split("\n", 1)[0].rstrip("\r")
        return await terminal.ask(question, is_secret=True)
