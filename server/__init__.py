# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: transport, sessions, services, store, and the program that an administrator runs."""
