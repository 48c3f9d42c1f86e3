# SPDX-License-Identifier: GPL-3.0-or-later
"""Full-text search over the copy: words for scripts that have them, overlapping pairs of characters for those that have not.

unicode61 makes one token of a whole run of Chinese and finds nothing in it; pairs cut here and asked for as a phrase are
found exactly, words of two characters too. The last character of a run is kept alone, so that one character finds all
its pairs by their beginning.
"""

import re
from collections.abc import Iterator
from typing import Final

from client.core.store.database import Db
from protocol.codec import decode_content
from protocol.ids import ConversationId, UserId
from protocol.messages.content import Text

INDEX_BATCH: Final = 200
"""Messages per transaction: some ten milliseconds, so that nobody waits long behind it."""
MAX_QUERY_WORDS: Final = 20
"""Words of one query; more are not looked for."""

# Runs without spaces between words: CJK ideographs with their extensions, kana, hangul, Thai.
_RUN: Final = (
    "\u0e00-\u0e7f\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD: Final = re.compile(rf"(?P<run>[{_RUN}]+)|[^\W_{_RUN}]+")


def cut(text: str) -> str:
    """A text as it is indexed."""
    return " ".join(_tokens(text))


def query_of(text: str) -> str:
    """A query in the language of FTS5: all words must occur, the last one may be unfinished. Empty: nothing to look for."""
    parts: list[str] = []
    # Split by the cutter, not by spaces: "hello世界" is a word and a run.
    found = list(_WORD.finditer(text))[:MAX_QUERY_WORDS]
    for place, match in enumerate(found):
        run = match.group("run")
        if run is None:
            is_unfinished = place == len(found) - 1 and not text[match.end() :]
            parts.append(f'words:"{match.group()}"' + ("*" if is_unfinished else ""))
        elif len(run) == 1:
            parts.append(f'words:"{run}"*')
        else:
            pairs = " ".join(run[at : at + 2] for at in range(len(run) - 1))
            parts.append(f'words:"{pairs}"')
    return " AND ".join(parts)


def index_some(db: Db, limit: int = INDEX_BATCH) -> int:
    """Index the oldest messages that are not; how many there were."""
    rows = db.execute(
        "SELECT stamp, conversation, sender, content FROM event"
        " WHERE is_unindexed ORDER BY stamp LIMIT ?",
        (limit,),
    ).fetchall()
    words = []
    for stamp, key, sender, encoded in rows:
        content = decode_content(encoded)
        if isinstance(content, Text):
            words.append((stamp, cut(_searchable(content)), _scope(key, sender)))
    stamps = [(row[0],) for row in rows]
    db.executemany("DELETE FROM word WHERE rowid = ?", stamps)
    db.executemany("INSERT INTO word (rowid, words, scope) VALUES (?, ?, ?)", words)
    db.executemany("UPDATE event SET is_unindexed = 0 WHERE stamp = ?", stamps)
    return len(rows)


def find(
    db: Db,
    text: str,
    *,
    conversation: ConversationId | None,
    sender: UserId | None,
    before: int | None,
    limit: int,
) -> list[int]:
    """Stamps of the messages that hold all words, newest first, below ``before``."""
    query = query_of(text)
    if not query:
        return []
    if conversation is not None:
        row = db.execute("SELECT key FROM conversation WHERE id = ?", (conversation,)).fetchone()
        if row is None:
            return []
        query += f' AND scope:"c{row[0]}"'
    if sender is not None:
        query += f' AND scope:"s{sender.hex()}"'
    rows = db.execute(
        "SELECT rowid FROM word WHERE word MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
        (query, before if before is not None else 1 << 62, limit),
    )
    return [row[0] for row in rows]


def _searchable(content: Text) -> str:
    return "\n".join((content.text, *(each.name for each in content.attachments)))


def _scope(key: int, sender: UserId) -> str:
    """Words for the filters, so that a rare conversation is found without reading every hit of a common word."""
    return f"c{key} s{sender.hex()}"


def _tokens(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        run = match.group("run")
        if run is None:
            yield match.group()
        else:
            yield from (run[at : at + 2] for at in range(len(run)))
