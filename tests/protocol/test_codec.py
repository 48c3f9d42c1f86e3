# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message survives the wire, old and new programs understand each other, the rest is refused."""

from __future__ import annotations

import enum
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, inspect

from protocol import codec, limits
from protocol.errors import ErrorCode, LocalProtocolError, RemoteProtocolError, RequestRefused
from protocol.messages import chat, content, people, session
from protocol.messages.kinds import Message, Note, Push, Reply, Request
from protocol.prepared import PreparedReply
from tests.support import strategies

ID = b"i" * 16
numbers = st.integers(0, codec.MAX_NUMBER)
plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def body(number: Any, message: Any) -> bytes:
    return msgspec.msgpack.encode([number, message])


def unreadable(data: bytes) -> codec.Unreadable:
    found = codec.decode_from_client(data)
    assert isinstance(found, codec.Unreadable)
    return found


def broken(data: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode_from_client(data)
    assert caught.value.code is ErrorCode.BAD_FRAME
    assert len(caught.value.sentence) <= limits.MAX_SENTENCE_CHARS
    return caught.value


# Round trips


@given(numbers, strategies.from_client())
def test_what_a_client_sends_is_what_a_server_reads(number: int, message: Message) -> None:
    found = codec.decode_from_client(codec.encode_body(number, message))
    assert found == codec.ClientEnvelope(number, message)  # type: ignore[arg-type]


@given(numbers, strategies.from_server())
def test_what_a_server_sends_is_what_a_client_reads(number: int, message: Message) -> None:
    found = codec.decode_from_server(codec.encode_body(number, message))
    assert found == codec.ServerEnvelope(number, message)  # type: ignore[arg-type]


@given(strategies.contents())
def test_any_content_survives_an_event(value: content.EventContent) -> None:
    event = chat.Event(ID, 1, 2, ID, ID, 3, 1, codec.encode_content(value))
    found = codec.decode_from_server(codec.encode_body(0, chat.Events((event,))))
    assert isinstance(found, codec.ServerEnvelope)
    assert isinstance(found.message, chat.Events)
    assert codec.decode_content(found.message.events[0].content) == value


@given(strategies.contents(strategies.POSTED))
def test_what_may_be_posted_is_read_as_posted(value: content.PostedContent) -> None:
    assert codec.decode_posted(codec.encode_content(value)) == value


@given(strategies.from_client() | strategies.from_server())
def test_the_wire_form_is_a_map_with_the_kind_and_without_defaults(message: Message) -> None:
    number, found = msgspec.msgpack.decode(codec.encode_body(7, message))
    assert number == 7
    assert found.pop("t") == message.__struct_config__.tag
    names = set(message.__struct_fields__)
    assert found.keys() <= names
    for name, default in zip(
        message.__struct_fields__[-len(message.__struct_defaults__) or len(names) :],
        message.__struct_defaults__,
        strict=True,
    ):
        if name in found and not callable(default):
            assert found[name] != default


# The lists of messages


def _all_below(kind: type[Message]) -> set[type[Message]]:
    found = {kind}
    for below in kind.__subclasses__():
        found |= _all_below(below)
    return found


def test_every_message_is_listed_for_its_direction() -> None:
    kinds = {kind for kind in _all_below(Message) if kind.__module__.startswith("protocol.")}
    named = kinds - {Message, Request, Reply, Push, Note, PreparedReply}
    listed = {*codec.CLIENT_KINDS.values(), *codec.SERVER_KINDS.values()}
    assert listed == named
    both = set(codec.CLIENT_KINDS) & set(codec.SERVER_KINDS)
    assert both == {"ping", "pong", "goodbye"}


def test_directions_are_those_of_the_classes() -> None:
    greeting = {session.Hello, session.Ping, session.Pong, session.Goodbye}
    for kind in set(codec.CLIENT_KINDS.values()) - greeting:
        assert issubclass(kind, (Request, Note))
    for kind in set(codec.SERVER_KINDS.values()) - greeting - {session.Welcome}:
        assert issubclass(kind, (Reply, Push))


def test_every_request_knows_its_reply() -> None:
    requests = {kind for kind in codec.CLIENT_KINDS.values() if issubclass(kind, Request)}
    assert set(codec.REPLIES) == requests
    assert set(codec.REPLIES.values()) <= set(codec.SERVER_KINDS.values())
    assert codec.REPLIES[chat.Post] is chat.Posted
    assert codec.REPLIES[session.SignOut].__struct_config__.tag == "done"


def _ints(info: inspect.Type, seen: set[type]) -> list[inspect.IntType]:
    """Every integer that a record can hold."""
    if isinstance(info, inspect.IntType):
        return [info]
    if isinstance(info, inspect.UnionType):
        return [found for kind in info.types for found in _ints(kind, seen)]
    if isinstance(info, inspect.VarTupleType):
        return _ints(info.item_type, seen)
    if isinstance(info, inspect.StructType) and info.cls not in seen:
        seen.add(info.cls)
        return [found for field in info.fields for found in _ints(field.type, seen)]
    return []


@pytest.mark.parametrize(
    "kind",
    [*{**codec.CLIENT_KINDS, **codec.SERVER_KINDS}.values(), *strategies.CONTENTS],
    ids=lambda kind: kind.__name__,
)
def test_no_integer_is_larger_than_a_database_takes(kind: type[msgspec.Struct]) -> None:
    for info in _ints(inspect.type_info(kind), set()):
        assert info.le is not None
        assert info.le <= limits.MAX_INTEGER
        assert info.ge is not None
        assert info.ge >= -limits.MAX_INTEGER


# Old and new


@given(strategies.from_client(), st.dictionaries(st.text(max_size=8), plain_values, max_size=3))
def test_fields_from_the_future_are_skipped(message: Message, extra: dict[str, Any]) -> None:
    number, sent = msgspec.msgpack.decode(codec.encode_body(1, message))
    extra = {"future_" + name: value for name, value in extra.items()}
    found = codec.decode_from_client(body(number, {**extra, **sent, "zz_future": [1, {"a": b""}]}))
    assert isinstance(found, codec.ClientEnvelope)
    assert found.message == message


def test_more_elements_of_the_envelope_are_skipped() -> None:
    found = codec.decode_from_client(msgspec.msgpack.encode([0, {"t": "ping"}, {"trace": 1}]))
    assert found == codec.ClientEnvelope(0, session.Ping())


@given(numbers, st.dictionaries(st.text(max_size=8), plain_values, max_size=3))
def test_a_kind_from_the_future_is_named_with_its_number(
    number: int, fields: dict[str, Any]
) -> None:
    data = body(number, {**fields, "t": "open_wormhole"})
    for decode in (codec.decode_from_client, codec.decode_from_server):
        found = decode(data)
        assert isinstance(found, codec.Unreadable)
        assert (found.number, found.kind, found.code) == (
            number,
            "open_wormhole",
            ErrorCode.UNKNOWN_KIND,
        )


def test_a_kind_of_the_other_direction_is_an_unknown_one() -> None:
    assert unreadable(body(1, {"t": "signed_in"})).code is ErrorCode.UNKNOWN_KIND


def test_words_from_the_future_are_kept_where_a_client_reads_them() -> None:
    sent = {"t": "presence_digest", "people": [{"user": ID, "state": "in_space"}]}
    found = codec.decode_from_server(body(0, sent))
    assert isinstance(found, codec.ServerEnvelope)
    assert isinstance(found.message, people.PresenceDigest)
    assert found.message.people[0].state == "in_space"


def test_a_content_from_the_future_is_counted_and_skipped() -> None:
    raw = Raw(msgspec.msgpack.encode({"k": "hologram", "voxels": 7}))
    assert codec.decode_content(raw) is None


# What is refused


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"t": "get_chat"}, "conversation"),
        ({"t": "get_chat", "conversation": b"short"}, "length"),
        ({"t": "get_chat", "conversation": "i" * 16}, "bytes"),
        ({"t": "find_people", "text": b"li"}, "str"),
        ({"t": "find_people", "text": "li", "limit": "20"}, "int"),
        ({"t": "find_people", "text": "li", "limit": 20.0}, "int"),
        ({"t": "find_people", "text": "li", "limit": True}, "int"),
        ({"t": "find_people", "text": "li", "limit": 101}, "<= 100"),
        ({"t": "sync", "since": None}, "None"),
        ({"t": "sync", "since": 1 << 53}, str(limits.MAX_INTEGER)),
        ({"t": "sync", "since": -1}, ">= 0"),
        ({"t": "set_presence", "state": "in_space"}, "enum"),
    ],
)
def test_a_wrong_field_is_answered_with_its_name(message: dict[str, Any], says: str) -> None:
    found = unreadable(body(5, message))
    assert (found.number, found.kind, found.code) == (5, message["t"], ErrorCode.INVALID)
    assert says in found.sentence


def test_what_is_quoted_from_a_message_is_shortened() -> None:
    state = "x" * 100_000
    found = unreadable(body(5, {"t": "set_presence", "state": state}))
    assert len(found.sentence) == limits.MAX_SENTENCE_CHARS
    assert len(unreadable(body(0, {"t": state})).sentence) <= limits.MAX_SENTENCE_CHARS


DEEP = b"\x91" * 100_000 + b"\x00"
BROKEN = {
    "nothing": b"",
    "one byte": b"\x92",
    "a reserved byte": b"\x92\x01\xc1",
    "no array": msgspec.msgpack.encode({"t": "ping"}),
    "too short an array": msgspec.msgpack.encode([1]),
    "a number that is none": body("1", {"t": "ping"}),
    "a number with a point": body(1.0, {"t": "ping"}),
    "no map": body(1, None),
    "a map without a kind": body(1, {}),
    "a kind that is no text": body(1, {"t": 7}),
    "a key that is no text": b"\x92\x00\x82\x01\x02\xa1t\xa4ping",
    "an extension type": b"\x92\x00\xc7\x00\x05",
    "trailing data": body(1, {"t": "ping"}) + b"\x00",
    "a list that claims four billion": b"\x92\x00\x82\xa1t\xa5hello\xaccapabilities\xdd" + b"\xff" * 4,
    "a string that claims four billion": b"\x92\x00\x82\xa1t\xa4ping\xa1x\xdb" + b"\xff" * 4,
    "nested without end": b"\x92\x00" + DEEP,
    "nested without end in an unknown field": b"\x92\x00\x82\xa1t\xa4ping\xa1x" + DEEP,
    "nested without end in a content": (
        b"\x92\x01\x84\xa1t\xa4post\xacconversation\xc4\x10" + ID + b"\xa2id\xc4\x10" + ID
        + b"\xa7content" + DEEP
    ),
    "a kind that is not UTF-8": b"\x92\x00\x81\xa1t\xa4\xff\xfe\xfd\xfc",
    "a text that is not UTF-8": b"\x92\x01\x82\xa1t\xabfind_people\xa4text\xa2\xff\xfe",
}  # fmt: skip


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_message_ends_the_connection(data: bytes) -> None:
    broken(data)


@given(st.binary(max_size=80))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    for decode in (codec.decode_from_client, codec.decode_from_server):
        try:
            decode(noise)
        except RemoteProtocolError:
            pass


@given(strategies.from_client(), st.data())
def test_any_field_may_hold_any_value_without_surprise(
    message: Message, data: st.DataObject
) -> None:
    _, sent = msgspec.msgpack.decode(codec.encode_body(1, message))
    field = data.draw(st.sampled_from(["t", *message.__struct_fields__]))
    sent[field] = data.draw(plain_values)
    try:
        found = codec.decode_from_client(body(3, sent))
    except RemoteProtocolError:
        return
    assert found.number == 3


@given(strategies.contents(), st.data())
def test_any_content_may_hold_any_value_without_surprise(value: Any, data: st.DataObject) -> None:
    sent = msgspec.msgpack.decode(codec.encode_content(value))
    field = data.draw(st.sampled_from(["k", *value.__struct_fields__]))
    sent[field] = data.draw(plain_values)
    raw = Raw(msgspec.msgpack.encode(sent))
    codec.decode_content(raw)
    try:
        codec.decode_posted(raw)
    except RequestRefused:
        pass


# Contents


@pytest.mark.parametrize("raw", [b"", b"\xc1", DEEP, b"\x82\xa1k\xa4text\xa4text\xa2\xff\xfe"])
def test_a_broken_content_is_refused_or_skipped(raw: bytes) -> None:
    assert codec.decode_content(Raw(raw)) is None
    with pytest.raises(RequestRefused) as caught:
        codec.decode_posted(Raw(raw))
    assert caught.value.code is ErrorCode.INVALID


@pytest.mark.parametrize("kind", sorted(set(strategies.CONTENTS) - set(strategies.POSTED), key=str))
def test_what_the_server_says_can_not_be_posted(kind: type[content.Content]) -> None:
    raw = Raw(msgspec.msgpack.encode({"k": kind.__struct_config__.tag, "by": ID}))
    with pytest.raises(RequestRefused, match="content"):
        codec.decode_posted(raw)


def test_a_content_has_a_size_that_sender_and_receiver_know() -> None:
    at_limit = "€" * ((limits.MAX_CONTENT_BYTES - 100) // 3)
    too_large = "€" * (limits.MAX_CONTENT_BYTES // 3)
    # Longer than a text may be, within the bytes: the field's own limit speaks.
    with pytest.raises(RequestRefused, match="20000") as caught:
        codec.decode_posted(codec.encode_content(content.Text(at_limit)))
    assert caught.value.code is ErrorCode.INVALID
    with pytest.raises(LocalProtocolError):
        codec.encode_content(content.Text(too_large))
    with pytest.raises(RequestRefused) as caught:
        codec.decode_posted(Raw(msgspec.msgpack.encode({"k": "text", "text": too_large})))
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_the_longest_text_with_all_its_spans_fits_a_content() -> None:
    spans = tuple(content.Span("mention", 19_999, 1, user=ID) for _ in range(limits.MAX_SPANS))
    text = "𝄞" * limits.MAX_TEXT_CHARS
    assert codec.encode_content(content.Text(text, spans, reply_to=ID))


# Our own mistakes


def test_a_value_that_no_field_can_hold_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        codec.encode_body(1, people.FindPeople("\ud800"))
    with pytest.raises(LocalProtocolError):
        codec.encode_body(1, chat.Sync(since=1 << 65))
    with pytest.raises(LocalProtocolError):
        codec.encode_content(content.Text("\ud800"))


def test_enums_that_travel_are_lower_case_words() -> None:
    words = [
        member.value
        for kind in (ErrorCode, chat.ConversationKind, content.SpanKind, content.MemberRole)
        for member in kind
    ]
    assert words
    assert all(word == word.lower() and len(word) <= limits.MAX_KIND_CHARS for word in words)
    assert get_args(codec.FromClient)
    assert issubclass(people.PresenceState, enum.StrEnum)
