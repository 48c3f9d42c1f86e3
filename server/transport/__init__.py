# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes in and out: TLS connections, who may open one, and how many. Knows nothing of sessions and messages."""
