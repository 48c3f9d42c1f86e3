# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages, one module for each subject. ``kinds`` says what a message is; ``protocol.codec``
lists them all; docs/protocol.md describes each.
"""
