# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: a face of the core for people in a terminal and for scripts. Knows nothing of sockets or SQL."""
