# SPDX-License-Identifier: GPL-3.0-or-later
"""dev.py, run for real in a copy of the project whose pip, pytest and linters are stand-ins."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dev

# What the stand-ins do: note how they were called, and fail when they are told to.
STAND_IN = """
import os, sys
from pathlib import Path

name = {name!r}
here = Path({log!r})
with (here / "log").open("a") as log:
    print(name, *sys.argv[1:], file=log)
if os.environ.get("BLOCK") == name:
    print(os.getpid(), flush=True)
    sys.stdin.read()
if name == "pytest":
    for report in [a.partition("=")[2] for a in sys.argv if a.startswith("--junitxml=")]:
        counts = os.environ.get("COUNTS", 'tests="3" failures="0" errors="0" skipped="0"')
        Path(report).parent.mkdir(exist_ok=True)
        Path(report).write_text(f"<testsuites><testsuite {{counts}}/></testsuites>")
sys.exit(int(name in os.environ.get("FAIL", "").split()))
"""


class Workshop:
    """A copy of the project's outer files with an environment of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("dev.py", "setup.py", "constraints.txt"):
            shutil.copy(dev.ROOT / name, folder)
        self.venv = folder / ".venv"
        make = [dev.base_python(), "-m", "venv", "--without-pip", str(self.venv)]
        subprocess.run(make, check=True)
        packages = next(self.venv.glob("lib/python*/site-packages"))
        for name in ("pip", "pytest", "mypy", "ruff"):
            (packages / name).mkdir()
            (packages / name / "__init__.py").touch()
            (packages / name / "__main__.py").write_text(self._stand_in(name))
        lint_imports = self.venv / "bin/lint-imports"
        lint_imports.write_text(f"#!{self.venv}/bin/python\n{self._stand_in('lint-imports')}")
        lint_imports.chmod(0o755)

    def _stand_in(self, name: str) -> str:
        return STAND_IN.format(name=name, log=str(self.folder))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "dev.py"), *arguments]

    def run(
        self, *arguments: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run dev.py to its end, from the root of the disk unless told otherwise."""
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd or "/",
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        """What was called since the last look."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def project(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """The workshop as the module `dev` sees it, for looking at single functions."""
    monkeypatch.setattr(dev, "ROOT", workshop.folder)
    monkeypatch.setattr(dev, "VENV", workshop.venv)
    monkeypatch.setattr(dev, "PYTHON", workshop.venv / "bin/python")
    monkeypatch.setattr(dev, "STAMP", workshop.venv / dev.STAMP.name)
    return workshop


def test_without_a_command_it_explains_each() -> None:
    shown = subprocess.run(
        [sys.executable, dev.__file__], capture_output=True, text=True, check=True
    )
    for name in dev.COMMANDS:
        assert f"\n  {name} " in shown.stdout
    assert shown.stderr == ""


def test_an_unknown_command_names_the_known_ones(workshop: Workshop) -> None:
    ended = workshop.run("tset")
    assert ended.returncode == 1
    assert "no command tset" in ended.stderr
    assert "test" in ended.stderr
    assert workshop.calls() == []


def test_the_second_run_installs_nothing(workshop: Workshop) -> None:
    first = workshop.run("types")
    assert "== installing what constraints.txt pins" in first.stdout
    installs = [call for call in workshop.calls() if call.startswith("pip")]
    assert len(installs) == 2
    assert all("-c constraints.txt" in call for call in installs)
    second = workshop.run("types")
    assert second.stdout == "== types\n"
    assert [call.split()[0] for call in workshop.calls()] == ["mypy"]


def test_a_changed_pin_is_installed(workshop: Workshop) -> None:
    workshop.run("types")
    workshop.calls()
    with (workshop.folder / "constraints.txt").open("a") as pins:
        pins.write("sample==1.0\n")
    workshop.run("types")
    assert any(call.startswith("pip install") for call in workshop.calls())


def test_a_failed_installation_is_tried_again(workshop: Workshop) -> None:
    failed = workshop.run("types", FAIL="pip")
    assert failed.returncode == 1
    assert "pip could not install" in failed.stderr
    workshop.calls()
    assert workshop.run("types").returncode == 0
    assert any(call.startswith("pip install") for call in workshop.calls())


def test_arguments_go_to_pytest_alone(workshop: Workshop) -> None:
    ended = workshop.run("test", "tests/protocol", "-k", "frames", FAIL="pytest")
    assert ended.returncode == 1
    calls = [call for call in workshop.calls() if not call.startswith("pip")]
    assert calls == ["pytest tests/protocol -k frames"]


def test_paths_are_the_caller_s(workshop: Workshop) -> None:
    folder = workshop.folder / "tests" / "protocol"
    folder.mkdir(parents=True)
    (folder / "test_frames.py").touch()
    workshop.run("test", "test_frames.py::test_one", "-x", cwd=folder)
    assert workshop.calls()[-1] == f"pytest {folder}/test_frames.py::test_one -x"


def test_every_check_runs_and_the_last_line_counts(workshop: Workshop) -> None:
    counts = 'tests="9" failures="1" errors="1" skipped="2"'
    ended = workshop.run("test", FAIL="ruff pytest", COUNTS=counts)
    assert ended.returncode == 1
    programs = [call.split()[0] for call in workshop.calls()]
    assert programs == ["pip", "pip", "ruff", "ruff", "lint-imports", "mypy", "pytest"]
    # 5 of 9 tests and 2 of 4 checks are good.
    assert ended.stdout.splitlines()[-1] == "total: 7 passed, 4 failed, 2 skipped"


def test_all_is_well(workshop: Workshop) -> None:
    ended = workshop.run("test")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == "total: 7 passed, 0 failed"


def test_a_pytest_that_breaks_down_is_a_failure(workshop: Workshop) -> None:
    ended = workshop.run("test", FAIL="pytest")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "total: 7 passed, 1 failed"


def test_demo_and_bench_become_their_programs(workshop: Workshop) -> None:
    for path in ("tests/scenes/office.py", "bench/sample.py", "bench/notes.py"):
        file = workshop.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            'if __name__ == "__main__":\n    import sys; sys.exit(sys.argv[1:] != ["--x"])'
        )
    (workshop.folder / "bench/notes.py").write_text("")
    assert workshop.run("demo", "--x").returncode == 0
    assert workshop.run("demo").returncode == 1
    assert workshop.run("bench", "sample", "--x").returncode == 0
    assert workshop.run("bench").stdout == "benchmarks: sample\n"
    assert "no benchmark notes, but: sample" in workshop.run("bench", "notes").stderr


def test_lint_can_mend(workshop: Workshop) -> None:
    assert workshop.run("lint", "--fix").returncode == 0
    assert "ruff check --fix --quiet ." in workshop.calls()
    assert workshop.run("lint", "--fxi").returncode == 1


def test_a_terminated_dev_py_takes_its_program_along(workshop: Workshop) -> None:
    workshop.run("types")
    with subprocess.Popen(
        workshop.command("types"),
        env={**os.environ, "BLOCK": "mypy"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == "== types\n"
        program = int(running.stdout.readline())
        running.terminate()
        assert running.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(program, 0)


def test_an_environment_that_is_whole_is_kept(project: Workshop) -> None:
    version = dev.venv_version()
    assert version is not None
    assert version.startswith("3.")


@pytest.mark.parametrize("damage", ["missing", "no python", "no pip", "moved", "other python"])
def test_an_environment_that_is_not_is_noticed(
    project: Workshop, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damage == "missing":
        shutil.rmtree(project.venv)
    elif damage == "no python":
        (project.venv / "bin/python").unlink()
    elif damage == "no pip":
        shutil.rmtree(next(project.venv.glob("lib/python*/site-packages/pip")))
    elif damage == "moved":
        moved = project.venv.rename(project.folder / "elsewhere")
        monkeypatch.setattr(dev, "VENV", moved)
        monkeypatch.setattr(dev, "PYTHON", moved / "bin/python")
    else:
        version = type("version_info", (), {"major": 3, "minor": 99})
        monkeypatch.setattr(sys, "version_info", version)
    assert dev.venv_version() is None


def test_a_broken_environment_is_made_anew(project: Workshop) -> None:
    (project.venv / "bin/python").unlink()
    (project.venv / "rubbish").touch()
    version = dev.make_venv()
    assert dev.venv_version() == version
    assert not (project.venv / "rubbish").exists()


def test_without_root_a_missing_venv_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "can_make_venv", lambda: False)
    monkeypatch.setattr(dev, "is_root", lambda: False)
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    with pytest.raises(dev.Stop, match=f"as root: apt-get install {package}"):
        dev.make_venv()


def test_root_gets_what_tests_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[tuple[str, ...]] = []

    def apt_get(*step: str) -> bool:
        steps.append(step)
        return True

    monkeypatch.setattr(
        dev, "TEST_PROGRAMS", {"sample-tools": "no-such-program", "coreutils": "ls"}
    )
    monkeypatch.setattr(dev, "is_root", lambda: True)
    monkeypatch.setattr(dev, "apt_get", apt_get)
    monkeypatch.setattr(shutil, "which", lambda name: name if name in {"ls", "apt-get"} else None)
    dev.provide_test_programs()
    assert [step[0] for step in steps] == ["update", "install"]
    assert "sample-tools" in steps[-1]
    assert "coreutils" not in steps[-1]
    assert "sample-tools" in capsys.readouterr().out


def test_others_are_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "TEST_PROGRAMS", {"sample-tools": "no-such-program"})
    monkeypatch.setattr(dev, "is_root", lambda: False)
    dev.provide_test_programs()
    assert "as root: apt-get install sample-tools" in capsys.readouterr().out


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "OLDEST_PYTHON", (3, 99))
    with pytest.raises(dev.Stop, match=r"needs Python 3\.11 or newer"):
        dev.main(["test"])
