# SPDX-License-Identifier: GPL-3.0-or-later
"""What a face of the core may have to catch: one base, one class for each mistake, each message a sentence for the user."""

from protocol.errors import TRANSIENT_CODES, ErrorCode


class CoreError(Exception):
    """Base class of this package's errors."""


class ProfileInUse(CoreError):
    """Another program has this profile open."""


class ProfileUnusable(CoreError):
    """The profile can't be read: damaged, made by a newer version, or not ours to write."""


class ProfileOfAnother(CoreError):
    """The profile holds the data of another user or organisation; it has to be emptied or another one used."""


class BadAddress(CoreError):
    """What was typed is not an address."""


class ServerUnreachable(CoreError):
    """No connection to the server could be made."""


class ServerNotTrusted(CoreError):
    """No organisation is trusted yet: probe the server, compare its fingerprint, and trust it."""


class IdentityChanged(CoreError):
    """The server does not belong to the trusted organisation. There is no way round: IT must be told."""

    def __init__(self, sentence: str, *, expected: bytes, found: bytes) -> None:
        super().__init__(sentence)
        self.expected = expected
        """Fingerprint of the organisation that is trusted."""
        self.found = found
        """Fingerprint of what answered; empty when it showed no authority."""


class Offline(CoreError):
    """This needs the server, which can't be reached just now."""


class NotSignedIn(CoreError):
    """This needs a user who is signed in."""


class PasswordChangeRequired(CoreError):
    """The account must set a password of its own: answer with ``core.account.change_password``."""


class NotFound(CoreError):
    """There is no such person, conversation or message on this computer."""


class Unsendable(CoreError):
    """A message, draft or name that no server would take: too long, empty, or with spans that don't fit."""


class StoreFailed(CoreError):
    """The local copy can't be written: most often the disk is full. Nothing was accepted."""


class Refused(CoreError):
    """The server understood and said no; ``code`` says why."""

    def __init__(self, code: ErrorCode, sentence: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(sentence or code.value)
        self.code = code
        self.sentence = sentence
        self.retry_after_ms = retry_after_ms

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in TRANSIENT_CODES
