# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the server's log lines go: to standard error, as text or JSON, Twisted's own among them."""

import datetime as dt
import json
import logging
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from twisted.logger import STDLibLogObserver, globalLogBeginner

from server.config import LogFormat, LogSection
from server.sessions.log_context import add_context

ROOT: Final = "lanyard"
TWISTED: Final = "lanyard.twisted"
_PRIORITIES: Final = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""sd-daemon(3): systemd reads the priority of a line from <N> in front of it."""


class TextFormatter(logging.Formatter):
    """Lines for people. Under systemd the journal adds the time, and wants the priority."""

    def __init__(self, *, for_journal: bool) -> None:
        super().__init__("%(message)s")
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """One record; what a peer sent can't begin a line of its own."""
        name = record.name.removeprefix(f"{ROOT}.")
        text = f"{name}: {super().format(record)}".replace("\r", "\\r")
        session = session_of(record)
        if session and session not in text:
            text = f"{text} [{session}]"
        if self._for_journal:
            # The journal takes each line for an entry: a traceback stays together by its priority.
            mark = f"<{_PRIORITIES.get(record.levelname, 6)}>"
            return "\n".join(mark + line for line in text.splitlines())
        at = dt.datetime.fromtimestamp(record.created, dt.UTC).astimezone()
        return f"{at:%Y-%m-%d %H:%M:%S}.{int(record.msecs):03d} {record.levelname:<7} {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "category": record.name,
            "message": record.getMessage(),
        }
        if session := session_of(record):
            line["session"] = session
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def session_of(record: logging.LogRecord) -> str:
    """Whose request the line belongs to; empty outside of any."""
    return str(getattr(record, "session", ""))


class Log:
    """The handler of this program; its level and format may change while it runs."""

    def __init__(self, environment: Mapping[str, str], stream: TextIO = sys.stderr) -> None:
        self._handler = logging.StreamHandler(stream)
        self._handler.addFilter(add_context)
        self._for_journal = "JOURNAL_STREAM" in environment

    def begin(self, options: LogSection) -> None:
        """Take over the log of the whole process."""
        logging.getLogger().addHandler(self._handler)
        logging.captureWarnings(capture=True)
        self.use(options)
        observer = STDLibLogObserver(TWISTED)
        globalLogBeginner.beginLoggingTo(
            [observer],  # type: ignore[list-item]  # zope interfaces are no types
            redirectStandardIO=False,
        )

    def use(self, options: LogSection) -> None:
        """Log by these options from now on."""
        if options.format is LogFormat.JSON:
            self._handler.setFormatter(JsonFormatter())
        else:
            self._handler.setFormatter(TextFormatter(for_journal=self._for_journal))
        logging.getLogger().setLevel(logging.WARNING)
        logging.getLogger(ROOT).setLevel(options.level.upper())
        # Twisted tells of every port and factory; that is ours to say.
        logging.getLogger(TWISTED).setLevel(logging.WARNING)

    def end(self) -> None:
        """Give the log back."""
        logging.getLogger().removeHandler(self._handler)
