# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way of following goes with which configuration."""

import time
from collections.abc import Mapping

from ldapsync.config import DirectoryConfig, FollowMethod
from ldapsync.follow.change import Change, Follower
from ldapsync.follow.dirsync import DirSyncFollower
from ldapsync.follow.polling import TimestampFollower, UsnFollower
from ldapsync.follow.syncrepl import SyncreplFollower


class _Still:
    """Follows nothing: full reads alone."""

    marks: Mapping[str, bytes] = {}

    def wait(self, timeout_s: float) -> Change | None:
        """See Follower."""
        time.sleep(timeout_s)
        return None

    def close(self) -> None:
        """Nothing is open."""


def open_follower(config: DirectoryConfig, marks: Mapping[str, bytes], now_ms: int) -> Follower:
    """Follow a directory from where ``marks`` leave off; without marks from now on. Open it before the full read, so that nothing falls between.

    Raises what Directory.open raises, SecretMissing, and ReadFailed when the directory can't be followed so.
    """
    match config.follow:
        case FollowMethod.SYNCREPL:
            return SyncreplFollower(config, marks)
        case FollowMethod.MODIFY_TIMESTAMP:
            return TimestampFollower(config, marks, now_ms)
        case FollowMethod.DIRSYNC:
            return DirSyncFollower(config, marks)
        case FollowMethod.USN:
            return UsnFollower(config, marks)
        case FollowMethod.FULL:
            return _Still()
