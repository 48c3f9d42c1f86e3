# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-cli admin ...`: administration over the wire, with the words of lanyard-server, one module for each subject."""
