# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards bite: each bad habit fails its test, and each permitted one passes."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GOOD = """
import asyncio, logging, socket, subprocess, sys, threading
import pytest

LOG = logging.getLogger("lanyard.sample")

@pytest.mark.expected_log("lanyard.sample", r"took \\d+ s")
def test_announced_by_a_mark():
    LOG.warning("it took %d s", 3)

@pytest.mark.expected_log("lanyard", r"took")
def test_announced_for_the_parent():
    LOG.warning("it took %d s", 3)

def test_announced_by_the_fixture(expected_log):
    expected_log("lanyard.sample", "gone")
    LOG.error("the cable is gone")

def test_quiet_lines_are_nobody_s_business():
    LOG.info("hello")

async def test_tasks_that_end():
    await asyncio.create_task(asyncio.sleep(0))

@pytest.fixture(scope="module")
def helper():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    yield
    stop.set()
    thread.join()

def test_a_thread_of_a_wider_fixture(helper):
    pass

def test_a_thread_that_ends_a_little_later():
    timer = threading.Timer(0.05, lambda: None)
    timer.start()

def test_a_process_that_is_waited_for():
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_loopback():
    with socket.socket() as here, socket.socket() as there:
        here.bind(("127.0.0.1", 0))
        here.listen()
        there.connect(here.getsockname())
        here.accept()[0].close()

def test_numbers_and_local_names_ask_nobody():
    socket.getaddrinfo("192.0.2.1", 80)
    socket.getaddrinfo("localhost", 80)

def test_a_name_that_never_is():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nobody.invalid", 80)

@pytest.mark.multicast
def test_multicast_that_was_announced(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sock.sendto(b"", ("239.255.0.1", 9))
"""

BAD = """
import asyncio, logging, socket, subprocess, sys, threading, warnings
import pytest

@pytest.mark.expected_log("lanyard.other", "took")
def test_announced_for_somebody_else():
    logging.getLogger("lanyard.sample").warning("it took 3 s")

def test_twisted_error_nobody_handled():
    from twisted.internet import defer
    defer.fail(ValueError("lost"))

async def test_a_task_left():
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)

def test_a_thread_left():
    threading.Thread(target=threading.Event().wait, daemon=True, name="lost").start()

def test_a_process_left():
    test_a_process_left.kept = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

def test_a_thread_that_died():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()

def test_an_error_in_a_finalizer():
    class Sample:
        def __del__(self):
            raise ValueError("lost")
    Sample()

def test_a_python_warning():
    warnings.warn("old", DeprecationWarning)

def test_a_socket_left_open():
    socket.socket()

@pytest.mark.parametrize("address", ["192.0.2.1", "239.255.0.1", "255.255.255.255"])
def test_traffic(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"", (address, 9))

def test_traffic_whose_error_is_swallowed():
    with socket.socket() as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pass

def test_a_name_server_is_asked():
    socket.getaddrinfo("example.com", 80)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty suite under the same guards."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyprojecttoml('[tool.pytest]\nstrict = true\nfilterwarnings = ["error"]\n')
    pytester.makeconftest(
        """
        pytest_plugins = ["tests.guards.logs", "tests.guards.leftovers", "tests.guards.network"]

        def pytest_configure():
            from tests.guards import leftovers
            leftovers.GRACE_S = 0.3
        """
    )
    return pytester


def test_what_is_permitted_passes(suite: pytest.Pytester) -> None:
    suite.makepyfile(GOOD)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(passed=GOOD.count("def test_"))


def test_each_bad_habit_fails(suite: pytest.Pytester) -> None:
    suite.makepyfile(BAD)
    result = suite.runpytest_subprocess("-rA")
    lines = result.stdout.str().splitlines()
    innocent = {line.split("::")[1].split()[0] for line in lines if line.startswith("PASSED")}
    guilty = {line.split("::")[1].split()[0] for line in lines if line.startswith(("FAIL", "ERR"))}
    assert innocent - guilty == set()
    assert len(guilty) == BAD.count("def test_") + 2
    result.stdout.fnmatch_lines_random(
        ["*task was left to be cancelled*", "*thread lost still runs*", "*and was killed*input()*"]
    )
