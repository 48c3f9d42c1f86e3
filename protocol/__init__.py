# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire protocol: bytes in, events out, time passed in. Nothing here does I/O or reads a clock.

docs/protocol.md is the specification of everything in this package.
"""
