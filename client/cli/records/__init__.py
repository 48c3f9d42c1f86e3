# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``--json`` prints: one record a line, described in docs/cli.md. Stable: fields are added, never renamed or removed."""
