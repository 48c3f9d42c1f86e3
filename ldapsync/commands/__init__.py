# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of lanyard-ldapsync: each declares its words and options, does one thing, and returns an Outcome."""
