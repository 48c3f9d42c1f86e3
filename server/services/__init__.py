# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's rules: plain classes, built by app.py. No Twisted, no sockets and no SQL in here."""
