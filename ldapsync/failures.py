# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between ldapsync and a directory. Each message is a sentence that an administrator can act on."""


class SyncError(Exception):
    """Base of this room's errors."""


class ConfigInvalid(SyncError):
    """ldapsync.toml is wrong; the text names the option and what to do."""


class SecretMissing(SyncError):
    """A password is not where the configuration says."""


class DirectoryError(SyncError):
    """A directory did not do what was asked."""


class Unreachable(DirectoryError):
    """No server of the directory answers."""


class CertificateRefused(DirectoryError):
    """The directory's certificate is not one to trust."""


class BindRefused(DirectoryError):
    """The directory knows the account or its password not, or lets it not in."""

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason
        """Why, when the directory says it: one of the words of ldapsync.directory.BIND_REASONS."""


class ReadFailed(DirectoryError):
    """A read did not come to its end, or can't be trusted: nothing may be concluded from it."""


class AnswerTooLarge(ReadFailed):
    """The directory sent more at once than is sensible."""


def worst(failures: list[DirectoryError]) -> DirectoryError:
    """One error for several servers; a refused certificate is the one that somebody has to look at."""
    if not failures:
        return Unreachable("No server of the directory is configured.")
    if refused := next((each for each in failures if isinstance(each, CertificateRefused)), None):
        return refused
    if len(failures) == 1:
        return failures[0]
    return Unreachable("No server of the directory can be used. " + " ".join(map(str, failures)))
