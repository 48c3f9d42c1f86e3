# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of lanyard-server, a module for each noun. They return what is to be said; only main.py prints."""
