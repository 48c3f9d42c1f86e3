# SPDX-License-Identifier: GPL-3.0-or-later
"""`lanyard-server run DIR`: serve until told to stop."""

import argparse
import os
from pathlib import Path

from server.commands.arguments import Commands, folder_of
from server.commands.outcome import Outcome
from server.logs import Log
from server.notify import Notifier
from server.organisation import Organisation


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.command("run", "serve until SIGTERM; SIGHUP reads config.toml again", _run)
    parser.add_argument("dir", nargs="?", metavar="DIR", help="the organisation's folder")
    parser.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="write where the server listens to FILE (JSON) once it does; removed at the end",
    )


def _run(arguments: argparse.Namespace) -> Outcome:
    organisation = Organisation(folder_of(arguments.dir))
    organisation.load_config()  # a wrong folder is told before anything is begun
    # Importing the reactor installs it; the other commands do without.
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor

    from server.running import RunningServer, say_json, say_line

    server = RunningServer(
        organisation,
        reactor,
        logging_to=Log(os.environ),
        notifier=Notifier(os.environ, os.getpid()),
        say=say_json if getattr(arguments, "json", False) else say_line,
        ready_file=arguments.ready_file,
    )
    server.run()
    return Outcome("", {"stopped": True})
