# SPDX-License-Identifier: GPL-3.0-or-later
"""From machine to machine: how servers and devices of the local network find each other. Stands on protocol alone."""
