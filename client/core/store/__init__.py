# SPDX-License-Identifier: GPL-3.0-or-later
"""The local copy: SQLite in one thread. The only place of the client with SQL; functions take the connection first."""
