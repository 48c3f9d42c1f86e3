# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/cli.md and the program say the same, both ways: commands, words, options, exit codes, records, fields and their types."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from client.cli.failures import Exit
from tests.client.cli import manual

TEXT = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


def sections(chapter: str, level: int) -> dict[str, str]:
    """The sections of a chapter, by their headings."""
    mark = "#" * level
    whole = re.split(rf"^## {re.escape(chapter)}\n", TEXT, flags=re.MULTILINE)[1]
    whole = re.split(r"^## ", whole, flags=re.MULTILINE)[0]
    parts = re.split(rf"^{mark} (.+)\n", whole, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The cells of the table in it, without its heading."""
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
    ]


def code(cell: str) -> str:
    """What a cell says in the letters of code."""
    return re.sub(r"`([^`]*)`", r"\1", cell)


def unlinked(cell: str) -> str:
    """A cell without the links in it."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell)


def test_every_command_with_all_its_words_and_options() -> None:
    written = sections("Commands", 4)
    program = manual.commands()
    assert list(written) == list(program)
    for name, (line, named) in program.items():
        assert f"\n    {line}\n" in written[name], name
        table = rows(re.split(r"^### ", written[name], flags=re.MULTILINE)[0])
        assert [code(row[0]) for row in table] == named, name
        assert all(row[1] for row in table)


def test_the_options_of_all_commands() -> None:
    whole = TEXT.split("## Options of all commands\n")[1].split("\n## ")[0]
    assert [code(row[0]) for row in rows(whole)] == manual.shared_options()


def test_every_exit_code() -> None:
    whole = TEXT.split("\n## Exit codes\n")[1].split("\n## ")[0]
    written = [(row[0], code(row[1])) for row in rows(whole)]
    assert written == [(str(int(each)), each.name.lower()) for each in Exit]


def test_every_record_with_all_its_fields_and_their_types() -> None:
    written = sections("Records", 3)
    program = {f"Record `{tag}`": kind for tag, kind in manual.record_kinds().items()}
    assert sorted(written) == sorted(program)
    for heading, kind in program.items():
        told = {code(row[0]): unlinked(row[1]) for row in rows(written[heading])}
        assert told == manual.fields(kind), heading
        assert all(row[2] for row in rows(written[heading]))


def test_every_part_of_records() -> None:
    written = sections("Parts of records", 3)
    program = manual.parts()
    assert sorted(written) == sorted(program)
    for name, kind in program.items():
        told = {code(row[0]): unlinked(row[1]) for row in rows(written[name])}
        assert told == manual.fields(kind), name


def test_each_command_names_the_records_that_it_prints_and_no_other() -> None:
    tags = set(manual.record_kinds())
    named: set[str] = {"error", "note"}
    for name, section in sections("Commands", 4).items():
        line = next(each for each in section.splitlines() if each.startswith("With `--json`: "))
        printed = re.findall(r"\[`(\w+)`\]\(#record-(\w+)\)", line)
        assert printed, name
        assert all(tag == anchor for tag, anchor in printed), name
        named |= {tag for tag, _anchor in printed}
    assert named == tags


def test_links_inside_of_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


@pytest.mark.parametrize("word", ["NO_COLOR", "--offline", "lanyard-cli presence set [STATE]"])
def test_what_no_table_holds_is_said(word: str) -> None:
    assert word in TEXT
