# SPDX-License-Identifier: GPL-3.0-or-later
"""Doubles and sample data that more than one test needs; nothing here is shipped."""
