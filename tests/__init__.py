# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests; folders mirror the tree, and support/ holds the doubles that they share."""
