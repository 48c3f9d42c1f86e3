# SPDX-License-Identifier: GPL-3.0-or-later
"""The headless client on asyncio. ``client.core.app.Core`` is its only public face; nothing here prints, asks or blocks."""
