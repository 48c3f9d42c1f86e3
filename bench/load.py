# SPDX-License-Identifier: GPL-3.0-or-later
"""The load seen from the benchmark: a child process on a core of its own that takes orders."""

import subprocess
import sys
from types import TracebackType
from typing import Self

import msgspec

from bench.failures import BenchFailed
from bench.orders import Answer, Done, Failed, Order, Window
from bench.vitals import on_core


class Load:
    """The generator's process, from ``with`` to the end of it."""

    def __init__(self, core: int) -> None:
        with on_core(core):
            self._child = subprocess.Popen(
                [sys.executable, "-m", "bench.children.generator"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        self._decoder = msgspec.json.Decoder(Answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._child.kill()
        self._child.communicate()

    def do(self, order: Order) -> Done:
        """Have something done. Raises BenchFailed."""
        answer = self._ask(order)
        if not isinstance(answer, Done):
            raise BenchFailed(f"{type(order).__name__} was answered by {answer}")
        return answer

    def measure(self, order: Order) -> Window:
        """Have something measured. Raises BenchFailed."""
        answer = self._ask(order)
        if not isinstance(answer, Window):
            raise BenchFailed(f"{type(order).__name__} was answered by {answer}")
        return answer

    def _ask(self, order: Order) -> Answer:
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None:
            raise BenchFailed("the load has no pipes")
        stdin.write(msgspec.json.encode(order) + b"\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise BenchFailed("the load's process ended")
        answer: Answer = self._decoder.decode(line)
        if isinstance(answer, Failed):
            raise BenchFailed(answer.sentence)
        return answer
