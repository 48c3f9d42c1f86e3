# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: ``core``, a headless library, and the faces that stand on it. Never imports the server."""
