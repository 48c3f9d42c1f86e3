# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a run does not take place although the directory was read. Each message is a sentence that an administrator can act on."""

from ldapsync.failures import SyncError


class DecisionRefused(SyncError):
    """``--merge`` or ``--new`` names what can't be decided so."""


class PlanUnusable(SyncError):
    """The file holds no plan that can be carried out."""


class PlanStale(SyncError):
    """The plan no longer holds; ``changes`` says what is different now."""

    def __init__(self, sentence: str, changes: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.changes = changes


class ServerError(SyncError):
    """The Lanyard server can't be reached, is not the one that is meant, or hung up."""


class ServerRefused(ServerError):
    """The Lanyard server understood and said no; ``code`` is the wire's word for why."""

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code
