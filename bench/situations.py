# SPDX-License-Identifier: GPL-3.0-or-later
"""The situations in which the server is measured, each from its start to its figures."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench import baselines, catch_up
from bench.catch_up import Away, Caller
from bench.figures import Figure, Goal, Section, Wish
from bench.load import Load
from bench.orders import (
    Join,
    Leave,
    OpenConversations,
    RunHeld,
    RunLoop,
    RunOffered,
    SendAll,
    Window,
)
from bench.premises import Premises, Seat
from bench.served import Served, lanyard_server, module
from bench.vitals import Cores, memory_kb, on_core
from protocol.ids import UserId
from protocol.limits import KEEPALIVE_INTERVAL_S

ACKS_GOAL: Final = Goal(Wish.AT_LEAST, 18_000)
P50_GOAL: Final = Goal(Wish.AT_MOST, 5.0)
P99_GOAL: Final = Goal(Wish.AT_MOST, 100.0)
MEMORY_GOAL: Final = Goal(Wish.AT_MOST, 40.0)
IDLE_GOAL: Final = Goal(Wish.AT_MOST, 8.0)
CATCH_UP_GOAL: Final = Goal(Wish.AT_MOST, 1.0)

DEPTH: Final = 4
"""Posts under way of one person in the deep loop: what an office at nine o'clock sends at once, from fewer connections."""
SPREAD_IN_FLIGHT: Final = 200
"""In the loop that walks over all connections: as many posts under way as in the loop of the few."""
_REAL: Final = "server"
_ECHO: Final = "echo"


class Scale(Struct, frozen=True):
    """How much of everything."""

    few: int = 200
    many: int = 10_000
    rate: float = 10_000.0
    """Posts offered a second."""
    windows: int = 5
    window_s: float = 5.0
    warm_s: float = 2.0
    calm_s: float = 12.0
    """After the sign-ins: the timers of their deadlines end within GREETING_TIMEOUT_S, and belong to no idle server."""
    held_s: float = 20.0
    """One window of the connections that are only held; all of them together are longer than the server's keepalive."""
    settle_s: float = 2.0
    """For the server to be at rest before its memory is read."""
    away_chats: int = 300
    away_messages: int = 10_000
    returns: int = 5


class Bench(Struct, frozen=True):
    """What all situations need."""

    premises: Premises
    load: Load
    scale: Scale
    cores: Cores

    @property
    def authority(self) -> Path:
        """The certificate that clients trust."""
        return self.premises.organisation.authority_certificate

    def serve(self) -> AbstractContextManager[Served]:
        """The real server."""
        return lanyard_server(self.premises.folder, self.cores.server)

    def serve_echo(self) -> AbstractContextManager[Served]:
        """The least that a server can do."""
        keys = self.premises.organisation.keys
        log = self.premises.folder.with_name("echo.log")
        return module("bench.children.echo", [str(keys)], self.cores.server, log)

    def join(self, crowd: str, served: Served, people: list[tuple[Seat, UserId]]) -> float:
        """Sign people in; the server's seconds of processor time for it."""
        order = Join(
            crowd,
            served.address,
            str(self.authority),
            served.process,
            self.cores.server,
            people,
        )
        return self.load.do(order).server_cpu_s

    def pairs(self, count: int) -> list[tuple[Seat, UserId]]:
        """So many people, two and two in a conversation."""
        seats = self.premises.seats[: count - count % 2]
        return [(seat, seats[place ^ 1].user) for place, seat in enumerate(seats)]


def few(bench: Bench) -> Iterator[Section]:
    """The closed loop of some hundred connections; the real server and the least one by turns, so that both see the same noise."""
    scale, load = bench.scale, bench.load
    people = bench.pairs(scale.few)
    with ExitStack() as stack:
        servers = {
            _REAL: stack.enter_context(bench.serve()),
            _ECHO: stack.enter_context(bench.serve_echo()),
        }
        signed_in = {
            crowd: _sign_in(bench.join(crowd, served, people), len(people))
            for crowd, served in servers.items()
        }
        for crowd in servers:
            load.do(OpenConversations(crowd))
        windows: dict[tuple[str, int], list[Window]] = {}
        for _ in range(scale.windows):
            for depth in (1, DEPTH):
                for crowd in servers:
                    order = RunLoop(crowd, depth * len(people), scale.warm_s, scale.window_s)
                    windows.setdefault((crowd, depth), []).append(load.measure(order))
        for crowd in servers:
            load.do(Leave(crowd))
    for depth, suffix, count in ((1, "", "one post"), (DEPTH, "_deep", f"{DEPTH} posts")):
        title = f"closed loop, {len(people)} connections, {count} of each under way"
        baseline = f"baseline: the same with a server that only echoes ({title})"
        ours = _loop_figures(windows[_REAL, depth], ACKS_GOAL)
        least = _loop_figures(windows[_ECHO, depth])
        if depth == 1:
            ours, least = (*ours, signed_in[_REAL]), (*least, signed_in[_ECHO])
        yield Section(f"closed_few{suffix}", title, ours)
        yield Section(f"echo_few{suffix}", baseline, least)


def many(bench: Bench) -> Iterator[Section]:
    """Thousands of connections: what they weigh, what they cost at rest, a steady load, and as much as goes."""
    scale, load = bench.scale, bench.load
    people = bench.pairs(scale.many)
    count = len(people)
    with bench.serve() as served:
        time.sleep(scale.settle_s)
        empty = memory_kb(served.process)
        sign_in_cpu_s = bench.join(_REAL, served, people)
        time.sleep(scale.settle_s)
        full = memory_kb(served.process)
        load.measure(RunHeld(_REAL, KEEPALIVE_INTERVAL_S, scale.calm_s))
        held = [
            load.measure(RunHeld(_REAL, KEEPALIVE_INTERVAL_S, scale.held_s))
            for _ in range(scale.windows)
        ]
        load.do(OpenConversations(_REAL))
        talking = memory_kb(served.process)
        yield Section(
            "held",
            f"{count} signed-in connections held, a sign of life from each every {KEEPALIVE_INTERVAL_S:g} s",
            (
                Figure("rss_kb_per_connection", "KB", (_each(full, empty, 0, count),), MEMORY_GOAL),
                Figure("pss_kb_per_connection", "KB", (_each(full, empty, 1, count),), MEMORY_GOAL),
                Figure(
                    "rss_kb_with_conversation", "KB", (_each(talking, empty, 0, count),)
                ),
                Figure(
                    "idle_percent",
                    "% of a core",
                    tuple(100 * each.server_cpu_s / each.seconds for each in held),
                    IDLE_GOAL,
                ),
                _sign_in(sign_in_cpu_s, count),
            ),
        )  # fmt: skip
        yield _offered(bench, count)
        yield _spread(bench, _REAL, "spread_many", count, ACKS_GOAL)
        windows = [
            load.measure(RunLoop(_REAL, count, scale.warm_s, scale.window_s))
            for _ in range(scale.windows)
        ]
        title = f"closed loop, {count} connections, one post of each under way"
        yield Section("closed_many", title, _loop_figures(windows, ACKS_GOAL))
        load.do(Leave(_REAL))


def echo_many(bench: Bench) -> Iterator[Section]:
    """The least server with thousands of connections."""
    people = bench.pairs(bench.scale.many)
    with bench.serve_echo() as served:
        bench.join(_ECHO, served, people)
        bench.load.do(OpenConversations(_ECHO))
        yield _spread(bench, _ECHO, "echo_many", len(people), None)
        bench.load.do(Leave(_ECHO))


def returning(bench: Bench) -> Iterator[Section]:
    """Somebody was away: by the plain protocol, and with the real client."""
    scale, load = bench.scale, bench.load
    traveller = bench.premises.traveller
    others = bench.premises.seats[: scale.away_chats]
    away = Away(len(others), scale.away_messages)
    profile = bench.premises.folder.with_name("profile")
    with bench.serve() as served, on_core(bench.cores.load):
        with Caller(served.address, bench.authority, traveller) as caller:
            _, _, since = caller.changed(0)
        catch_up.prepare_profile(profile, served.address, traveller)
        bench.join(_REAL, served, [(seat, traveller.user) for seat in others])
        load.do(OpenConversations(_REAL))  # the first two messages of each
        rest = scale.away_messages - 2 * len(others)
        load.do(SendAll(_REAL, _shared_out(rest, len(others))))
        load.do(Leave(_REAL))
        time.sleep(scale.settle_s)
        plain = [
            catch_up.by_protocol(served.address, bench.authority, traveller, since, away)
            for _ in range(scale.returns)
        ]
        client = [catch_up.by_client(profile, away) for _ in range(scale.returns)]
    yield Section(
        "catch_up",
        f"a device is back after {scale.away_messages} messages in {len(others)} conversations",
        (
            Figure("client_s", "s", tuple(client), CATCH_UP_GOAL),
            Figure("protocol_s", "s", tuple(plain), CATCH_UP_GOAL),
        ),
    )


def machine_alone(bench: Bench) -> Iterator[Section]:
    """What can be had without a server."""
    scale = bench.scale
    folder = bench.premises.folder.parent
    with on_core(bench.cores.server):
        commits = tuple(
            baselines.commits_per_s(folder, min(1.0, scale.window_s)) for _ in range(scale.windows)
        )
        bare = baselines.bare_tls_kb(bench.premises.organisation.keys)
    yield Section(
        "machine",
        "baselines: the machine alone",
        (
            Figure("commits_per_s", "1/s", commits),
            Figure("bare_tls_kb_per_connection", "KB", (bare,)),
        ),
    )


def _offered(bench: Bench, count: int) -> Section:
    scale = bench.scale
    order = RunOffered(_REAL, scale.rate, scale.warm_s, scale.window_s)
    windows = [bench.load.measure(order) for _ in range(scale.windows)]
    title = f"{scale.rate:,.0f} posts a second offered from {count} connections, at random"
    latencies = (
        Figure("ack_p50_ms", "ms", _latency(windows, "p50"), P50_GOAL),
        Figure("ack_p99_ms", "ms", _latency(windows, "p99"), P99_GOAL),
        Figure("ack_max_ms", "ms", _latency(windows, "max")),
    )
    return Section("offered", title, latencies + _rates(windows, None))


def _spread(bench: Bench, crowd: str, key: str, count: int, goal: Goal | None) -> Section:
    scale = bench.scale
    order = RunLoop(crowd, min(SPREAD_IN_FLIGHT, count), scale.warm_s, scale.window_s)
    windows = [bench.load.measure(order) for _ in range(scale.windows)]
    title = f"closed loop, {order.in_flight} posts under way that walk over {count} connections"
    if crowd == _ECHO:
        title = f"baseline: the same with a server that only echoes ({title})"
    return Section(key, title, _loop_figures(windows, goal))


def _sign_in(cpu_s: float, count: int) -> Figure:
    """The server's work from the handshake to the open session."""
    return Figure("sign_in_cpu_us", "µs", (1e6 * cpu_s / count,))


def _loop_figures(windows: list[Window], goal: Goal | None = None) -> tuple[Figure, ...]:
    return (
        *_rates(windows, goal),
        Figure("ack_p50_ms", "ms", _latency(windows, "p50")),
        Figure("ack_p99_ms", "ms", _latency(windows, "p99")),
    )


def _rates(windows: list[Window], goal: Goal | None) -> tuple[Figure, ...]:
    """What every loaded window says; the last two tell how far it can be believed."""
    return (
        Figure("acks_per_s", "1/s", tuple(w.acks / w.seconds for w in windows), goal),
        Figure("delivered_per_s", "1/s", tuple(w.delivered / w.seconds for w in windows)),
        Figure(
            "cpu_us_per_message",
            "µs",
            tuple(1e6 * w.server_cpu_s / max(w.delivered, 1) for w in windows),
        ),
        Figure("server_busy_percent", "%", _percent(windows, (w.server_cpu_s for w in windows))),
        Figure("load_busy_percent", "%", _percent(windows, (w.load_cpu_s for w in windows))),
        Figure("foreign_percent", "%", _percent(windows, (w.foreign_cpu_s for w in windows))),
    )


def _percent(windows: list[Window], used_s: Iterable[float]) -> tuple[float, ...]:
    return tuple(100 * used / w.seconds for w, used in zip(windows, used_s, strict=True))


def _latency(windows: list[Window], quantile: str) -> tuple[float, ...]:
    return tuple(window.latencies_ms.get(quantile, 0.0) for window in windows)


def _each(after: tuple[int, int], before: tuple[int, int], which: int, count: int) -> float:
    return (after[which] - before[which]) / count


def _shared_out(total: int, count: int) -> list[int]:
    """Numbers that differ by one at most and make up the total."""
    return [total // count + (place < total % count) for place in range(count)]
