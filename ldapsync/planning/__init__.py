# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a plan: one file for each kind of record, and the order of logins. Pure; put together in ldapsync/plan.py."""
