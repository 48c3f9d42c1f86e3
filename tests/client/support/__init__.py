# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in memory, wires that can be cut, and a loop whose time is the test's."""
