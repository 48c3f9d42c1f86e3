# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected: one session for each connection, who is online, and which service answers what. Knows no sockets and no SQL."""
