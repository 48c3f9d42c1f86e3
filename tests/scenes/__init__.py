# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes from an office, played by real programs over real sockets: the demo, and tests of the whole."""
