# SPDX-License-Identifier: GPL-3.0-or-later
"""lanyard-cli: the messenger on the command line, for people and for scripts. Only the way in; no command lives here."""

import sys
from collections.abc import Sequence

from client.cli.failures import Exit, Failure
from client.cli.grammar import parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse(words)
    except Failure as failure:
        print(failure.sentence, file=sys.stderr)
        return failure.exit_code
    except SystemExit:  # argparse has printed the help
        return _printed()
    except BrokenPipeError:
        return _unread()
    from client.cli.run import run  # the core is imported after the help, which does without

    return run(options, words)


def _printed() -> int:
    """What was printed has to leave here, where a reader that has gone is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _unread()
    return Exit.OK


def _unread() -> int:
    """Whoever read our output has seen enough."""
    sys.stdout = None  # or the interpreter would flush it once more
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
