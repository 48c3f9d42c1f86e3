# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/admin/server.md, carried out in the order in which they stand there, with its files."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from server.failures import Exit
from server.organisation import Organisation
from tests.server.commands.conftest import Command

TEXT = (Path(__file__).parents[3] / "docs" / "admin" / "server.md").read_text(encoding="utf-8")


def _chapter(heading: str) -> str:
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def _blocks(chapter: str) -> list[str]:
    """The indented blocks, without their indent."""
    found = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", chapter, re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip("\n") for block in found]


def _commands(chapter: str) -> list[list[str]]:
    lines = "\n".join(_blocks(chapter)).splitlines()
    return [
        shlex.split(line, comments=True)[1:] for line in lines if line.startswith("lanyard-server ")
    ]


def test_they_work_in_their_order(
    lanyard: Command,
    organisation: Organisation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANYARD_DIR", str(organisation.folder))
    monkeypatch.chdir(tmp_path)
    missing = lanyard("user", "add", "x", "--name", "X", "--dept", "Nowhere", code=Exit.REFUSED)
    assert "Nowhere" in missing["error"]
    commands = _commands(_chapter("People, departments, roles"))
    assert len(commands) > 20
    for command in commands:
        lanyard(*command)

    imported = _chapter("Import")
    csv = next(block for block in _blocks(imported) if block.startswith("login,name"))
    (tmp_path / "people.csv").write_text(csv, encoding="utf-8")
    for command in _commands(imported):
        lanyard(*command)
    again = lanyard("import", "people.csv")
    assert not [name for name, count in again.items() if "new" in name and count]
    text = next(block for block in _blocks(imported) if block.startswith("{"))
    (tmp_path / "people.json").write_text(text, encoding="utf-8")
    assert json.loads(text)["people"][0]["login"] == "li.wei"
    lanyard("import", "people.json")
    shown = lanyard("user", "show", "li.wei")
    assert [one["path"] for one in shown["departments"]] == ["Sales/North"]

    (tmp_path / "mnt").mkdir()
    commands = _commands(_chapter("Backup and restore"))
    assert [command[0] for command in commands] == ["backup", "backup", "backup", "restore"]
    for command in commands:
        lanyard(*(word.replace("/mnt/backup", str(tmp_path / "mnt")) for word in command))
