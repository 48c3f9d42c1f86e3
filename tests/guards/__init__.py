# SPDX-License-Identifier: GPL-3.0-or-later
"""Pytest plugins that fail a test for what nobody looks at: logs, leftovers, traffic to strangers."""
