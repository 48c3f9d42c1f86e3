# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for people: columns that align in every script, times in words, and nothing that could command a terminal. Pure."""

import datetime as dt
import enum
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import wcwidth

GAP: Final = 2
"""Spaces between columns."""
SHORTEST_CELL: Final = 6
"""A column is not squeezed below this: less says nothing."""
ELLIPSIS: Final = "…"

_NOT_FIRST: Final = frozenset("，。、；：？！）】》」』”’…·,.;:?!)]}")
_NOT_LAST: Final = frozenset("（【《「『“‘([{")
"""Punctuation that no line begins or ends with (GB/T 15834)."""
_NEW_LINES: Final = frozenset("\n\t")
_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Characters that turn or break the line they stand in, and make a name look like another one (UAX 9, UTR 36)."""


class Style(enum.StrEnum):
    """What a piece of text is; the value is its colour (ECMA-48 SGR)."""

    STRONG = "1"
    FAINT = "2"
    ACCENT = "36"
    GOOD = "32"
    WARNING = "33"
    DANGER = "31"
    MENTION = "35"


class Paint:
    """Colours pieces of text, or leaves them alone."""

    def __init__(self, *, has_colour: bool) -> None:
        self.has_colour = has_colour

    def __call__(self, style: Style, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.has_colour and text else text


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    style: Style | None = None
    shrinks: bool = False
    """May be shortened when the line is too long."""
    is_number: bool = False


def plain(text: str) -> str:
    """A text of somebody else, without what a terminal would obey; line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_harmless, text.replace("\r\n", "\n")))


def _harmless(letter: str) -> str:
    if letter in _NEW_LINES:
        return letter
    if letter in _TURNING:
        return ""
    category = unicodedata.category(letter)
    if category == "Cc":
        return chr(0x2400 + ord(letter)) if ord(letter) < 0x20 else "\ufffd"
    return "\ufffd" if category == "Cs" else letter


def one_line(text: str) -> str:
    """The same in one line, for lists."""
    return " ".join(plain(text).split())


def shorten(text: str, width: int) -> str:
    """The text in at most ``width`` columns; what is cut is marked."""
    if wcwidth.width(text) <= width:
        return text
    return _head(text, width - 1).rstrip() + ELLIPSIS


def _head(text: str, width: int) -> str:
    """As much of the beginning as fits; what is seen as one character is not cut."""
    end = taken = 0
    for cluster in wcwidth.iter_graphemes(text):
        taken += wcwidth.width(cluster)
        if taken > width:
            break
        end += len(cluster)
    return text[:end]


def pad(text: str, width: int) -> str:
    """The text with spaces behind it up to ``width`` columns."""
    return text + " " * max(width - wcwidth.width(text), 0)


def wrap(text: str, width: int | None) -> list[str]:
    """A text of somebody else in lines of at most ``width`` columns; its own line breaks stay. None: nothing is broken."""
    lines: list[str] = []
    for line in plain(text).expandtabs(4).split("\n"):
        if width is None or wcwidth.width(line) <= width:
            lines.append(line)
        else:
            lines.extend(_broken(line, max(width, SHORTEST_CELL)))
    return lines


def _broken(line: str, width: int) -> Iterable[str]:
    """Break between words; a word that is longer than a line, such as any Chinese sentence, anywhere."""
    row = ""
    for word in _words(line):
        while wcwidth.width(row + word.rstrip(" ")) > width:
            space = width - wcwidth.width(row)
            is_long = wcwidth.width(word.rstrip(" ")) > width
            piece = _head(word, space) if is_long else ""
            if not piece and not row:
                break
            yield (row + piece).rstrip(" ")
            row, word = "", word[len(piece) :]
        row += word
    if row.strip(" "):
        yield row.rstrip(" ")


def _words(line: str) -> Iterable[str]:
    """What may not be broken, with the spaces behind it: words, and in East Asian text single characters."""
    start = 0
    for index in range(1, len(line)):
        before, after = line[index - 1], line[index]
        if after == " " or after in _NOT_FIRST or before in _NOT_LAST:
            continue
        if before == " " or _is_wide(before) or _is_wide(after):
            yield line[start:index]
            start = index
    yield line[start:]


def _is_wide(letter: str) -> bool:
    """Ideographs, syllables and full-width forms; emoji and what joins them are left together."""
    return "\u2e80" <= letter <= "\uffef" and unicodedata.east_asian_width(letter) in "WF"


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int | None, paint: Paint
) -> list[str]:
    """Aligned lines with a heading, no wider than ``width`` (None: as wide as they are). Columns without content are left out."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    used = [index for index in range(len(columns)) if any(row[index] for row in cells)]
    kept = [columns[index] for index in used]
    cells = [[row[index] for index in used] for row in cells]
    titles = [column.title for column in kept]
    widths = [max(map(wcwidth.width, texts)) for texts in zip(titles, *cells, strict=True)]
    if width is not None:
        widths = _squeezed(kept, widths, width)

    def body(column: Column, text: str) -> str:
        return paint(column.style, text) if column.style else text

    heading = _line(titles, kept, widths, lambda _column, text: paint(Style.FAINT, text))
    return [heading, *(_line(row, kept, widths, body) for row in cells)]


def _squeezed(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    """Take what is too much from the widest of the columns that shrink, one by one."""
    widths = list(widths)
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    while excess > 0:
        widest = max(
            (index for index, column in enumerate(columns) if column.shrinks),
            key=lambda index: widths[index],
            default=None,
        )
        if widest is None or widths[widest] <= SHORTEST_CELL:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _line(
    cells: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    painted: Callable[[Column, str], str],
) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        text = shorten(cell, width)
        space = " " * (width - wcwidth.width(text))
        parts.append(
            space + painted(column, text) if column.is_number else painted(column, text) + space
        )
    return (" " * GAP).join(parts).rstrip()


def facts(pairs: Iterable[tuple[str, str]], paint: Paint) -> list[str]:
    """Names with their values, aligned; pairs without a value are left out."""
    said = [(one_line(name), one_line(value)) for name, value in pairs if value]
    widest = max((wcwidth.width(name) for name, _value in said), default=0)
    return [f"{paint(Style.FAINT, pad(name, widest))}  {value}" for name, value in said]


# ------------------------------------------------------------------------------------------------ time


def rfc3339(at_ms: int) -> str | None:
    """A time for programs, in UTC to the millisecond (RFC 3339); None for 0, which is no time."""
    if not at_ms:
        return None
    return (
        _moment(at_ms).astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def when(at_ms: int, now: dt.datetime) -> str:
    """A time in a list: the more distant, the coarser. Empty for 0."""
    if not at_ms:
        return ""
    at = _moment(at_ms)
    days = (now.date() - at.date()).days
    if days == 0:
        return f"{at:%H:%M}"
    if days == 1:
        return "Yesterday"
    if 1 < days < 7:
        return _WEEKDAYS[at.weekday()]
    return f"{at:%m-%d}" if at.year == now.year else f"{at:%Y-%m-%d}"


def clock(at_ms: int) -> str:
    """Hours and minutes."""
    return f"{_moment(at_ms):%H:%M}" if at_ms else "--:--"


def day(at_ms: int, now: dt.datetime) -> str:
    """The day of a time, for the line above its messages."""
    at = _moment(at_ms)
    days = (now.date() - at.date()).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    return f"{_WEEKDAYS[at.weekday()]} {at:%Y-%m-%d}"


def moment(at_ms: int, now: dt.datetime) -> str:
    """A time with its day, where one stands alone. Empty for 0."""
    if not at_ms:
        return ""
    at = _moment(at_ms)
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"


def span(seconds: float) -> str:
    """A length of time in its largest unit."""
    seconds = abs(seconds)
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "min"), (1, "s")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}" + ("s" if count > 1 and size >= 3_600 else "")
    return "less than a second"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _moment(at_ms: int) -> dt.datetime:
    """Local time; a time that no calendar holds becomes the nearest that one does."""
    seconds = min(max(at_ms / 1000, 0.0), 253_402_214_400.0)  # 9999-12-31
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone()
