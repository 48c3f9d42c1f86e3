# SPDX-License-Identifier: GPL-3.0-or-later
"""Distinguished names (RFC 4514) and search filters (RFC 4515): the only place where they are taken apart, compared and built."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NoReturn, TypeAlias

from ldapsync.failures import SyncError

Rdn: TypeAlias = tuple[tuple[str, str], ...]
"""One level of a DN: attribute and value, several when they are joined by "+"."""

_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*")
_DESCRIPTION: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)(?:;[A-Za-z0-9-]+)*")
_PLAIN_DN: Final = re.compile(
    r'(?:(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)=(?! )[^,=\\"+;#<>]*(?<! )(?:,(?=.)|\Z))*',
    re.DOTALL,
)
"""A DN with nothing in it that wants unescaping: nearly all of them."""
_FIRST_LEVEL: Final = re.compile(r"((?:[^\\,;]|\\.)+)[,;](.+)", re.DOTALL)
_HEX_PAIR: Final = re.compile(r"[0-9A-Fa-f]{2}")


class NameInvalid(SyncError):
    """A DN or filter can't be understood; the text says where."""


# ------------------------------------------------------------------------------ distinguished names


def parse_dn(text: str) -> tuple[Rdn, ...]:
    """The levels of a DN, lowest first, with values unescaped. Raises NameInvalid."""
    return tuple(_Scanner(text).dn())


def escape_value(value: str) -> str:
    """A value as it stands in a DN (RFC 4514, section 2.4)."""
    escaped = re.sub(r'[\\,+"<>;=\x00]', lambda found: f"\\{ord(found[0]):02x}", value)
    if escaped[:1] in {" ", "#"}:
        escaped = f"\\{ord(escaped[0]):02x}{escaped[1:]}"
    if escaped.endswith(" "):
        escaped = f"{escaped[:-1]}\\20"
    return escaped


def join(attribute: str, value: str, parent: str) -> str:
    """The DN of an entry below ``parent``."""
    rdn = f"{attribute}={escape_value(value)}"
    return f"{rdn},{parent}" if parent else rdn


@lru_cache(maxsize=16_384)
def normal(dn: str) -> str:
    """The form in which two DNs are the same entry when they are the same text: lower case, NFC, one way to escape.

    Values are taken to be compared without regard to case and repeated blanks, as those of all common
    naming attributes are. Only separators are commas in it. Raises NameInvalid.
    """
    if _PLAIN_DN.fullmatch(dn) and "  " not in dn:
        return _folded(dn)
    if '"' not in dn and (split := _FIRST_LEVEL.match(dn)):
        # Those above are the same for many: they are found among what was asked before.
        return f"{_normal_rdns(split[1])},{normal(split[2])}"
    return _normal_rdns(dn)


def _normal_rdns(dn: str) -> str:
    return ",".join(
        "+".join(sorted(f"{name.lower()}={escape_value(_spaced(value))}" for name, value in rdn))
        for rdn in parse_dn(dn)
    )


def parent(normal_dn: str) -> str:
    """The normal form of the entry above; "" above the last."""
    return normal_dn.partition(",")[2]


def is_below(normal_dn: str, normal_base: str) -> bool:
    """Whether an entry is the base or below it; both in normal form."""
    return not normal_base or normal_dn == normal_base or normal_dn.endswith(f",{normal_base}")


def last_value(dn: str) -> str:
    """The value of the lowest level: what an entry is called when nothing else is known."""
    try:
        return parse_dn(dn)[0][0][1]
    except (NameInvalid, IndexError):
        return dn


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text.casefold())


def _spaced(value: str) -> str:
    return re.sub(" +", " ", _folded(value)).strip(" ")


class _Scanner:
    """Reads one DN from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, why: str) -> NoReturn:
        raise NameInvalid(
            f"{self.text!r} is no distinguished name: {why} at character {self.at + 1}."
        )

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip_blanks(self) -> None:
        while self.peek() == " ":
            self.at += 1

    def dn(self) -> Iterable[Rdn]:
        if not self.text.strip(" "):
            return
        rdn = [self.pair()]
        while separator := self.peek():
            self.at += 1
            if separator == "+":
                rdn.append(self.pair())
            else:  # "," and, from older writers, ";"
                yield tuple(rdn)
                rdn = [self.pair()]
        yield tuple(rdn)

    def pair(self) -> tuple[str, str]:
        self.skip_blanks()
        name = _ATTRIBUTE.match(self.text, self.at)
        if name is None:
            self.fail("an attribute is missing")
        self.at = name.end()
        self.skip_blanks()
        if self.peek() != "=":
            self.fail('"=" is missing')
        self.at += 1
        self.skip_blanks()
        return name[0], self.quoted() if self.peek() == '"' else self.value()

    def quoted(self) -> str:
        """A value in quotes, as RFC 2253 wrote them."""
        self.at += 1
        value = self._octets('"', is_quoted=True)
        if self.peek() != '"':
            self.fail("the closing quote is missing")
        self.at += 1
        self.skip_blanks()
        if self.peek() not in {"", ",", "+", ";"}:
            self.fail('"," is missing')
        return value

    def value(self) -> str:
        if self.peek() == "#" and _HEX_PAIR.match(self.text, self.at + 1):
            digits = re.compile("[0-9A-Fa-f]*").match(self.text, self.at + 1)
            self.at = digits.end() if digits else self.at
            return self.text[self.at - len(digits[0]) - 1 : self.at] if digits else ""
        return self._octets(",+;", is_quoted=False)

    def _octets(self, ends: str, *, is_quoted: bool) -> str:
        value = bytearray()
        kept = 0  # blanks at the end count only when they are escaped
        while (char := self.peek()) and char not in ends:
            self.at += 1
            if char == "\\":
                value += self.escaped()
                kept = len(value)
            else:
                value += char.encode("utf-8", "surrogatepass")
                kept = len(value) if char != " " or is_quoted else kept
        try:
            return value[:kept].decode()
        except UnicodeDecodeError:
            self.fail("a value is not UTF-8")

    def escaped(self) -> bytes:
        if pair := _HEX_PAIR.match(self.text, self.at):
            self.at = pair.end()
            return bytes.fromhex(pair[0])
        if not self.peek():
            self.fail("a backslash escapes nothing")
        self.at += 1
        return self.text[self.at - 1].encode("utf-8", "surrogatepass")


# ----------------------------------------------------------------------------------------- filters


def equals(attribute: str, value: str | bytes) -> str:
    """Entries in which an attribute has a value; anything in the value is taken as it is."""
    return f"({_description(attribute)}={escape_assertion(value)})"


def at_least(attribute: str, value: str) -> str:
    """Entries in which an attribute has this value or a greater one."""
    return f"({_description(attribute)}>={escape_assertion(value)})"


def present(attribute: str) -> str:
    """Entries that have an attribute."""
    return f"({_description(attribute)}=*)"


def all_of(*filters: str) -> str:
    """Entries that match all filters."""
    return filters[0] if len(filters) == 1 else f"(&{''.join(filters)})"


def any_of(*filters: str) -> str:
    """Entries that match one of the filters or more."""
    return filters[0] if len(filters) == 1 else f"(|{''.join(filters)})"


def escape_assertion(value: str | bytes) -> str:
    """A value as it stands in a filter (RFC 4515, section 3); bytes are written octet by octet."""
    if isinstance(value, bytes):
        return "".join(f"\\{octet:02x}" for octet in value)
    return re.sub(r"[\\*()\x00]", lambda found: f"\\{ord(found[0]):02x}", value)


def check_filter(text: str) -> None:
    """Raise NameInvalid unless the text is one whole search filter."""
    end = _filter_end(text, 0)
    if end != len(text):
        _wrong(text, end, "something follows the filter")


def _description(attribute: str) -> str:
    if not _DESCRIPTION.fullmatch(attribute):
        raise NameInvalid(f"{attribute!r} is no name of an attribute.")
    return attribute


def is_attribute(text: str) -> bool:
    """Whether this can be the name of an attribute, with options such as ``;lang-en``."""
    return _DESCRIPTION.fullmatch(text) is not None


_ITEM: Final = re.compile(
    r"(?:(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)(?:;[A-Za-z0-9-]+)*)?"  # attribute
    r"(?::dn)?(?::[A-Za-z0-9.-]+)?"  # extensible match
    r"(?:[~<>:]?=)"
    r"(?:[^()\\\x00]|\\[0-9A-Fa-f]{2})*"
)


def _filter_end(text: str, start: int) -> int:
    """Where the filter that begins at ``start`` ends."""
    if text[start : start + 1] != "(":
        _wrong(text, start, '"(" is missing')
    at = start + 1
    if text[at : at + 1] in {"&", "|", "!"}:
        is_single = text[at] == "!"
        at = _filter_end(text, at + 1)
        while not is_single and text[at : at + 1] == "(":
            at = _filter_end(text, at)
    else:
        item = _ITEM.match(text, at)
        if item is None or item[0].startswith(("=", "~", "<", ">")):
            _wrong(text, at, "this is no condition such as attribute=value")
        at = item.end()
    if text[at : at + 1] != ")":
        _wrong(text, at, '")" is missing')
    return at + 1


def _wrong(text: str, at: int, why: str) -> NoReturn:
    raise NameInvalid(f"{text!r} is no search filter: {why} at character {at + 1}.")
