# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements of speed and size. `python3 dev.py bench` lists them; what they found stands in docs/performance.md."""
