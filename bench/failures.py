# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a benchmark early. The message is a sentence for whoever started it."""


class BenchFailed(Exception):
    """The measurement can't go on, or what it saw must not be believed."""
