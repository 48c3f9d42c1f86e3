-- Conversations. `event` is the truth and is only ever appended to, but for the bodies of what was edited or recalled.
--
-- An event carries no index but its stamp: two more on the path of a message cost five times the message itself, because
-- each touches a page of its own. Instead each event names the stamp of the one before it in its conversation, every
-- 64th is indexed by its number, and `head` and `sent` are brought up to date in bulk, about once a second ("settled").
-- What is not settled yet is known to the running server; after a crash it is settled before anything else.
--
-- user = person.key; 0 is the server itself. Stamps come from one counter for events and for changes of members.

CREATE TABLE conversation (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    title TEXT NOT NULL DEFAULT '',
    department BLOB,
    is_readers_only INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
);

-- The range of numbers that a member may see is first to last; last (and the ordinal
-- there) is NULL while they belong to the conversation.
CREATE TABLE member (
    conversation INTEGER NOT NULL REFERENCES conversation (key),
    user INTEGER NOT NULL,
    role TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER,
    last_ordinal INTEGER,
    delivered INTEGER NOT NULL DEFAULT 0,
    read INTEGER NOT NULL DEFAULT 0,
    read_ordinal INTEGER NOT NULL DEFAULT 0,
    has_spoken INTEGER NOT NULL DEFAULT 0,
    is_muted INTEGER NOT NULL DEFAULT 0,
    is_pinned INTEGER NOT NULL DEFAULT 0,
    draft BLOB,
    stamp INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) WITHOUT ROWID;

CREATE INDEX member_by_user ON member (user);

-- The reference to the event before makes a gap impossible: what follows an event that could not be stored is refused.
CREATE TABLE event (
    stamp INTEGER PRIMARY KEY,
    previous INTEGER REFERENCES event (stamp),
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    sender INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    body BLOB NOT NULL
);

CREATE UNIQUE INDEX event_by_seq ON event (conversation, seq) WHERE seq % 64 = 0;

-- The ids of settled events.
CREATE TABLE sent (
    id BLOB PRIMARY KEY,
    stamp INTEGER NOT NULL
) WITHOUT ROWID;

-- The last settled event of each conversation; `touched` is the stamp of the last change of any member's cursors.
CREATE TABLE head (
    conversation INTEGER PRIMARY KEY REFERENCES conversation (key),
    seq INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    touched INTEGER NOT NULL DEFAULT 0
);

-- Events up to this stamp are settled.
CREATE TABLE settled (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    stamp INTEGER NOT NULL
);

INSERT INTO settled (one, stamp) VALUES (1, 0);

-- What a body was before an edit or recall replaced it: kept for audit, served to nobody.
CREATE TABLE revision (
    event INTEGER NOT NULL REFERENCES event (stamp),
    change INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (event, change)
) WITHOUT ROWID;

-- Who has which reaction on which message now.
CREATE TABLE reaction (
    event INTEGER NOT NULL REFERENCES event (stamp),
    emoji TEXT NOT NULL,
    user INTEGER NOT NULL,
    PRIMARY KEY (event, emoji, user)
) WITHOUT ROWID;

-- Whom messages mention; user 0 is everybody in the conversation.
CREATE TABLE mention (
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user INTEGER NOT NULL,
    PRIMARY KEY (conversation, seq, user)
) WITHOUT ROWID;
