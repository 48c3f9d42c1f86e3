# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that benchmarks start as processes of their own; each says in its docstring how it is called."""
