# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/protocol.md and the code say the same: what is missing there fails, and what is stale, too."""

from __future__ import annotations

import enum
import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from protocol import codec, limits
from protocol.codec import CLIENT_KINDS, REPLIES, SERVER_KINDS
from protocol.errors import TRANSIENT_CODES, ErrorCode
from protocol.frames import FrameReader, pack_frame
from protocol.ids import department_conversation_id, direct_conversation_id, parse_id
from protocol.messages import admin, chat, content, people, session, sync
from protocol.messages.kinds import Note, Push, Reply, Request
from protocol.states import State, Step, steps_from
from protocol.version import DEFAULT_PORT, Capability
from tests.support.notation import diagnostic, fields_of
from tests.support.strategies import CONTENTS, POSTED
from tests.support.worked_session import worked_session

PATH = Path(__file__).parents[2] / "docs" / "protocol.md"
CHANGES: tuple[type[msgspec.Struct], ...] = admin.DirectoryChange.__args__
ENUMS = (
    chat.ConversationKind,
    content.MemberRole,
    content.SpanKind,
    people.PresenceState,
    admin.Permission,
    admin.Effect,
    sync.RunKind,
)
DIRECTIONS = {(True, True): "both directions", (True, False): "client to server"}


class Entry(NamedTuple):
    """One entry of the reference: what its second line says, and the rows of its table."""

    line: str
    rows: list[list[str]]


def _records() -> dict[str, type[msgspec.Struct]]:
    """Everything of the message modules that is part of a message."""
    return {
        name: kind
        for module in (session, people, content, chat, admin, sync)
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind.__module__ == module.__name__
        and kind.__struct_config__.tag is None
        and kind is not content.Content
    }


MESSAGES = {kind.__name__: kind for kind in {**CLIENT_KINDS, **SERVER_KINDS}.values()}
TAGGED = {kind.__name__: kind for kind in (*CONTENTS, *CHANGES)}
STRUCTS: dict[str, type[msgspec.Struct]] = {**MESSAGES, **TAGGED, **_records()}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _rows(text: str) -> list[list[str]]:
    """The rows of the first table of a text, without its head."""
    lines = text.splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith("|")), len(lines))
    table: list[list[str]] = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append(_cells(line))
    return table[2:]


@pytest.fixture(scope="module")
def text() -> str:
    return PATH.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def entries(text: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for block in re.split(r"^#+ ", text, flags=re.MULTILINE):
        heading, _, rest = block.partition("\n")
        if re.fullmatch(r"[A-Z]\w+", heading) and rest.strip():
            line = rest.strip().splitlines()[0]
            if line == "words" or " · " in line or line == "record":
                assert heading not in found, f"{heading} stands there twice"
                found[heading] = Entry(line, _rows(rest))
    return found


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next of the same or a higher level."""
    marks, _, _ = heading.partition(" ")
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{len(marks)}}} ", text[start:], flags=re.MULTILINE)
    return text[start : start + end.start()] if end else text[start:]


def code(cell: str) -> str:
    """What stands between backticks."""
    match = re.fullmatch(r"`([^`]*)`", cell)
    assert match, cell
    return match[1]


# Messages


def test_every_message_record_and_list_of_words_has_its_entry_and_no_other_has(
    entries: dict[str, Entry],
) -> None:
    assert set(entries) == set(STRUCTS) | {kind.__name__ for kind in ENUMS}


def _line(kind: type[msgspec.Struct]) -> str:
    """What the second line of an entry must say."""
    tag = kind.__struct_config__.tag
    if tag is None:
        return "record"
    if kind in CONTENTS:
        return f"content `{tag}` · " + (
            "posted by clients" if kind in POSTED else "made by the server"
        )
    if kind in CHANGES:
        return f"change `{tag}` · administration"
    if issubclass(kind, Request):
        return f"`{tag}` · request · answered by `{REPLIES[kind].__struct_config__.tag}`"
    for base in (Reply, Push, Note):
        if issubclass(kind, base):
            return f"`{tag}` · {base.__name__.lower()}"
    sides = (tag in CLIENT_KINDS, tag in SERVER_KINDS)
    return f"`{tag}` · {DIRECTIONS.get(sides, 'server to client')}"


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_an_entry_says_what_the_message_is(name: str, entries: dict[str, Entry]) -> None:
    assert entries[name].line == _line(STRUCTS[name])


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_an_entry_has_each_field_with_type_default_and_limits(
    name: str, entries: dict[str, Entry]
) -> None:
    rows = entries[name].rows
    stated = [(code(row[0]), *row[1:4]) for row in rows]
    assert stated == fields_of(STRUCTS[name])
    assert all(len(row) == 5 and row[4] for row in rows), "each field has a meaning"


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_every_word_has_its_row(kind: type[enum.StrEnum], entries: dict[str, Entry]) -> None:
    rows = entries[kind.__name__].rows
    assert [code(row[0]) for row in rows] == [member.value for member in kind]
    assert all(row[1] for row in rows)


def test_messages_stand_among_messages_and_contents_among_contents(text: str) -> None:
    places = {
        "## Reference: messages": {*MESSAGES, *(kind.__name__ for kind in CHANGES)},
        "### Directory changes": {kind.__name__ for kind in CHANGES},
        "## Reference: contents": {kind.__name__ for kind in CONTENTS},
        "## Reference: words": {kind.__name__ for kind in ENUMS},
    }
    for heading, names in places.items():
        headings = set(re.findall(r"^#### (\w+)$", section(text, heading), flags=re.MULTILINE))
        assert names <= headings, heading


# Codes, limits, capabilities, states


def test_every_error_code_has_its_row(text: str) -> None:
    rows = _rows(section(text, "## Reference: error codes"))
    assert [code(row[0]) for row in rows] == [member.value for member in ErrorCode]
    for name, does, transient, meaning, client in rows:
        assert set(does.split(", ")) <= {"refuses", "ends"}
        assert transient == ("yes" if ErrorCode(code(name)) in TRANSIENT_CODES else "no")
        assert meaning
        assert client


def test_every_limit_has_its_row_with_its_value(text: str) -> None:
    rows = _rows(section(text, "## Reference: limits"))
    declared = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in vars(limits).items()
        if name.isupper()
    }
    assert {code(row[0]): row[1] for row in rows} == declared
    assert all(row[2] for row in rows)


def test_limits_are_called_by_names_that_exist(text: str) -> None:
    for name in re.findall(r"`((?:MAX|MIN)_[A-Z_]+|[A-Z_]+_S|COMPRESS_[A-Z_]+)`", text):
        assert hasattr(limits, name), name


def test_every_capability_has_its_row(text: str) -> None:
    rows = _rows(section(text, "### Capabilities"))
    assert [code(row[0]) for row in rows] == [member.value for member in Capability]


def test_the_table_of_states_is_the_table_of_states(text: str) -> None:
    table = section(text, "## States").split("```")[2]
    rows = _rows(table)
    steps = [
        Step.HELLO,
        Step.WELCOME,
        Step.SIGN_IN,
        Step.SIGNED_IN,
        Step.KEEPALIVE,
        Step.REFUSAL,
        Step.GOODBYE,
        Step.REGULAR,
    ]
    assert [row[0] for row in rows] == [state.name for state in State]
    for row in rows:
        allowed = steps_from(State[row[0]])
        for step, cell in zip(steps, row[1:], strict=True):
            after = allowed.get(step)
            assert cell == (after.name if after else "–"), (row[0], step)


def test_the_usual_port_is_stated(text: str) -> None:
    assert f"one TCP port, {DEFAULT_PORT} unless" in text


# Links


def test_every_link_within_the_page_leads_somewhere(text: str) -> None:
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, flags=re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings]
    assert len(anchors) == len(set(anchors)), "two headings have the same anchor"
    assert set(re.findall(r"\]\(#([^)]*)\)", prose)) <= set(anchors)


# Examples


def _hex_after(label: str, block: str) -> bytes:
    match = re.search(rf"^{label} +((?:[0-9a-f]{{2}} ?)+)$", block, flags=re.MULTILINE)
    assert match, label
    return bytes.fromhex(match[1])


def test_the_worked_ids_are_right(text: str) -> None:
    fence = r"```\n(.*?)```"
    direct, department = re.findall(fence, section(text, "## Ids"), flags=re.DOTALL)[2:]
    smaller, larger = _hex_after("smaller", direct), _hex_after("larger", direct)
    assert _hex_after("purpose", direct) == b"lanyard direct conversation"
    assert direct_conversation_id(larger, smaller) == _hex_after("id", direct)
    stated = _hex_after("id of D", department)
    assert _hex_after("purpose", department) == b"lanyard department conversation"
    assert department_conversation_id(stated) == _hex_after("id", department)
    for value in re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        assert parse_id(value) in {smaller, larger, stated}


def test_the_bytes_of_the_keepalive_are_right(text: str) -> None:
    block = section(text, "## Keepalive")
    for label, message in (("ping", session.Ping()), ("pong", session.Pong())):
        assert _hex_after(label, block) == pack_frame(codec.encode_body(0, message))


def test_the_worked_session_is_what_the_code_does_and_its_text_what_its_bytes_say(
    text: str,
) -> None:
    entry = re.compile(
        r"^(\d+)\. (client|server) → (client|server): `(\w+)`\n\n"
        r"```json\n(.*)\n```\n\n```hex\n([0-9a-f \n]*)```",
        flags=re.MULTILINE,
    )
    stated = entry.findall(section(text, "## A worked session"))
    played = worked_session()
    assert len(stated) == len(played)
    for number, (row, sent) in enumerate(zip(stated, played, strict=True), start=1):
        at, sender, receiver, kind, decoded, frame = row
        assert (int(at), sender) == (number, sent.sender)
        assert receiver != sender
        assert bytes.fromhex(frame) == sent.frame
        reader = FrameReader(max_body_bytes=1 << 20, max_inflated_bytes=1 << 20)
        (body,) = reader.feed(sent.frame)
        value = msgspec.msgpack.decode(body)
        assert decoded == diagnostic(value)
        assert value[1]["t"] == kind
        assert kind in (CLIENT_KINDS if sender == "client" else SERVER_KINDS)
