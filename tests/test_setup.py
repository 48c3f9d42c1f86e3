# SPDX-License-Identifier: GPL-3.0-or-later
"""What `pip install .` brings: every module, the files they read, the programs, and nothing else."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from email import message_from_string
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ["protocol", "server", "client", "p2p", "remote", "ldapsync", "installer"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel, built from a copy, since a build leaves its traces beside setup.py."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in [*SHIPPED, "tests"]:
        if (ROOT / name).is_dir():
            rubbish = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=rubbish)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-build-isolation", "-w", str(source), str(source)], check=True)
    return ZipFile(next(source.glob("lanyard-*.whl")))


def test_every_file_is_in_it(wheel: ZipFile) -> None:
    files = [path for name in SHIPPED for path in (ROOT / name).rglob("*") if path.is_file()]
    wanted = {path.relative_to(ROOT).as_posix() for path in files if path.suffix in {".py", ".sql"}}
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == wanted


def test_it_asks_for_every_package_that_it_imports(wheel: ZipFile) -> None:
    about = message_from_string(_dist_info(wheel, "METADATA"))
    asked = {re.split(r"[^\w.-]", line)[0].lower() for line in about.get_all("Requires-Dist", [])}
    distributions = packages_distributions()
    imported = {
        name
        for path in wheel.namelist()
        if path.endswith(".py")
        for name in _imports(wheel.read(path).decode())
        if name not in {*sys.stdlib_module_names, *SHIPPED}
    }
    missing = {name for name in imported if not asked & {d.lower() for d in distributions[name]}}
    assert not missing, f"setup.py does not name what these are imported from: {missing}"


def test_its_programs_start_here(wheel: ZipFile) -> None:
    programs = ConfigParser()
    programs.read_string(_dist_info(wheel, "entry_points.txt"))
    found = dict(programs["console_scripts"])
    assert {"lanyard-server", "lanyard-cli"} <= found.keys()
    for place in found.values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_it_says_what_it_is(wheel: ZipFile) -> None:
    about = message_from_string(_dist_info(wheel, "METADATA"))
    assert about["License-Expression"] == "GPL-3.0-or-later"
    assert about["Requires-Python"] == ">=3.11"
    assert "GNU GENERAL PUBLIC LICENSE" in _dist_info(wheel, "licenses/LICENSE")


def _dist_info(wheel: ZipFile, name: str) -> str:
    return wheel.read(f"lanyard-0.1.0.dist-info/{name}").decode()


def _imports(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | froms}
