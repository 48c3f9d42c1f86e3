# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages, one module for each subject. ``kinds`` lists them all; docs/protocol.md describes each."""
