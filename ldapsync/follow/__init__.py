# SPDX-License-Identifier: GPL-3.0-or-later
"""How changes in a directory are noticed as they happen. An accelerator: what is missing is decided by full reads alone."""
