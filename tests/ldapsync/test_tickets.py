# SPDX-License-Identifier: GPL-3.0-or-later
"""A bind by Kerberos that fails says what to do, with and without the package that makes it."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from ldapsync import tickets


class GSSError(Exception):
    """As gssapi names its errors."""


def test_errors_of_the_package_are_known_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    package, errors = ModuleType("gssapi"), ModuleType("gssapi.exceptions")
    errors.GSSError = GSSError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gssapi", package)
    monkeypatch.setitem(sys.modules, "gssapi.exceptions", errors)
    assert tickets.ticket_errors() == (GSSError,)


def test_without_the_package_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    monkeypatch.setitem(sys.modules, "gssapi.exceptions", None)
    assert tickets.ticket_errors() == ()


def test_the_sentence_names_the_cause_and_the_next_step() -> None:
    sentence = tickets.without_ticket(GSSError("No credentials were supplied"))
    assert "No credentials were supplied" in sentence
    assert "kinit" in sentence
