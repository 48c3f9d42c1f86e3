# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails a test that logs a warning or worse which it did not announce, through logging or Twisted.

A test announces what it expects by logger and pattern, as a mark or, once it knows more, by calling
the fixture of the same name:

    @pytest.mark.expected_log("lanyard.transport", r"frame of \\d+ bytes")
    def test_a_frame_that_is_too_large(...): ...

    def test_a_wrong_certificate(expected_log):
        expected_log("lanyard.tls", r"no common cipher")
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterable
from typing import Any, Protocol

import pytest
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogPublisher,
)


class ExpectedLog(Protocol):
    """Announces records: those of `logger` and its children whose text matches `pattern`."""

    def __call__(self, logger: str, pattern: str) -> None: ...


class Watch(logging.Handler):
    """Keeps the records from WARNING upwards that the running test did not announce."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._expected: list[tuple[str, re.Pattern[str]]] = []
        self._seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.append(record)

    def begin(self, marks: Iterable[pytest.Mark]) -> None:
        """Forget the last test; `marks` announce what this one may log."""
        self._expected.clear()
        for mark in marks:
            self.expect(*mark.args, **mark.kwargs)

    def expect(self, logger: str, pattern: str) -> None:
        """Announce records of `logger` and its children that match `pattern`, past ones included."""
        self._expected.append((logger, re.compile(pattern)))

    def fail_on_unexpected(self) -> None:
        """Fail the test with the records that were not announced, and forget them."""
        records, self._seen = self._seen, []
        unexpected = [record for record in records if not self._is_expected(record)]
        if unexpected:
            lines = "\n".join(map(_describe, unexpected))
            pytest.fail(f"logged without being announced by expected_log:\n{lines}", pytrace=False)

    def _is_expected(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return any(
            (record.name == logger or record.name.startswith(f"{logger}.")) and pattern.search(text)
            for logger, pattern in self._expected
        )


_WATCH = pytest.StashKey[Watch]()


def _describe(record: logging.LogRecord) -> str:
    text = f"  {record.levelname} {record.name}: {record.getMessage()}"
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "expected_log(logger, pattern): this test may log such a warning or error"
    )
    watch = config.stash[_WATCH] = Watch()
    logging.getLogger().addHandler(watch)
    # An error in a Deferred that nobody handled ends in Twisted's own log: bring it to ours.
    # Any: mypy does not see which zope interfaces a class implements.
    severe: Any = LogLevelFilterPredicate(LogLevel.warn)
    bridge: Any = STDLibLogObserver("twisted")
    observer: Any = FilteringLogObserver(bridge, [severe])
    globalLogPublisher.addObserver(observer)
    config.add_cleanup(lambda: globalLogPublisher.removeObserver(observer))
    config.add_cleanup(lambda: logging.getLogger().removeHandler(watch))


@pytest.fixture
def expected_log(request: pytest.FixtureRequest) -> ExpectedLog:
    """Call it with a logger's name and a pattern to announce a warning or an error."""
    return request.config.stash[_WATCH].expect


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    item.config.stash[_WATCH].begin(item.iter_markers("expected_log"))
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield
    item.config.stash[_WATCH].fail_on_unexpected()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    yield
    item.config.stash[_WATCH].fail_on_unexpected()
