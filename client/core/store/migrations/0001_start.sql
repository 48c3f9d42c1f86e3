-- The local copy of one account. Ids are 16 bytes; integer keys stay inside the store.

-- Single values: account, epoch, stamp of the last synchronisation, version of the directory. MessagePack.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- People and departments as the server showed them: whole records, with what is looked for beside them.
CREATE TABLE person (
    key    INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE,
    login  TEXT NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX person_login ON person (login);

CREATE TABLE person_term (
    term   TEXT NOT NULL,
    person INTEGER NOT NULL,
    PRIMARY KEY (term, person)
) WITHOUT ROWID;
CREATE INDEX person_term_person ON person_term (person);

CREATE TABLE person_place (
    department BLOB NOT NULL,
    person     INTEGER NOT NULL,
    PRIMARY KEY (department, person)
) WITHOUT ROWID;
CREATE INDEX person_place_person ON person_place (person);

CREATE TABLE department (
    id     BLOB PRIMARY KEY,
    record BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE conversation (
    key              INTEGER PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE,
    kind             TEXT NOT NULL,
    title            TEXT NOT NULL DEFAULT '',
    peer             BLOB,
    department       BLOB,
    is_readers_only  INTEGER NOT NULL DEFAULT 0,
    role             TEXT NOT NULL DEFAULT 'member',
    member_count     INTEGER NOT NULL DEFAULT 0,
    -- 0: begun here by a message that is still queued; the server has not told of it.
    is_known         INTEGER NOT NULL DEFAULT 0,
    first            INTEGER NOT NULL DEFAULT 1,
    head             INTEGER NOT NULL DEFAULT 0,
    ordinal          INTEGER NOT NULL DEFAULT 0,
    -- Of the newest event: the order of the list, and what is shown beside it.
    stamp            INTEGER NOT NULL DEFAULT 0,
    at_ms            INTEGER NOT NULL DEFAULT 0,
    -- Our own cursors, and what the server has said that it knows of them.
    delivered        INTEGER NOT NULL DEFAULT 0,
    read             INTEGER NOT NULL DEFAULT 0,
    read_ordinal     INTEGER NOT NULL DEFAULT 0,
    stated_delivered INTEGER NOT NULL DEFAULT 0,
    stated_read      INTEGER NOT NULL DEFAULT 0,
    -- Up to where arrivals were published on this device.
    announced        INTEGER NOT NULL DEFAULT 0,
    mentions         INTEGER NOT NULL DEFAULT 0,
    is_muted         INTEGER NOT NULL DEFAULT 0,
    is_pinned        INTEGER NOT NULL DEFAULT 0,
    is_over          INTEGER NOT NULL DEFAULT 0,
    draft            BLOB,
    -- 1: changed here and not yet accepted by the server; 2: and another one came meanwhile.
    is_draft_ours    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX conversation_draft ON conversation (key) WHERE is_draft_ours;

-- The server's events. An edited or recalled message has its new content; `revision` is the number of the change up to
-- which its content accounts for changes.
CREATE TABLE event (
    stamp        INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    id           BLOB NOT NULL,
    sender       BLOB NOT NULL,
    at_ms        INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    -- The message that an edit, recall or reaction is about.
    target       BLOB,
    revision     INTEGER NOT NULL,
    -- 1: shown as a message; 0: not.
    is_message   INTEGER NOT NULL,
    mentions_me  INTEGER NOT NULL,
    is_unindexed INTEGER NOT NULL,
    content      BLOB NOT NULL
);
CREATE UNIQUE INDEX event_seq ON event (conversation, seq);
CREATE INDEX event_id ON event (id);
CREATE INDEX event_target ON event (target) WHERE target IS NOT NULL;
CREATE INDEX event_mention ON event (conversation, seq) WHERE mentions_me;
CREATE INDEX event_unindexed ON event (stamp) WHERE is_unindexed;

-- Runs of numbers of which every event is here.
CREATE TABLE held (
    conversation INTEGER NOT NULL,
    first        INTEGER NOT NULL,
    last         INTEGER NOT NULL,
    PRIMARY KEY (conversation, first)
) WITHOUT ROWID;

-- The last word of each person on each emoji of a message.
CREATE TABLE reaction (
    target BLOB NOT NULL,
    emoji  TEXT NOT NULL,
    user   BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    is_on  INTEGER NOT NULL,
    PRIMARY KEY (target, emoji, user)
) WITHOUT ROWID;

CREATE TABLE receipt (
    conversation INTEGER NOT NULL,
    user         BLOB NOT NULL,
    delivered    INTEGER NOT NULL,
    read         INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) WITHOUT ROWID;

-- Posts that the server has not confirmed. The position is the order of sending and is never used again.
CREATE TABLE outbox (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE,
    conversation BLOB NOT NULL,
    peer         BLOB,
    kind         TEXT NOT NULL,
    content      BLOB NOT NULL,
    target       BLOB,
    created_ms   INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    is_failed    INTEGER NOT NULL DEFAULT 0,
    code         TEXT NOT NULL DEFAULT '',
    sentence     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_conversation ON outbox (conversation, position);

-- Words of messages; the row number is the event's stamp, so that the newest come first without sorting.
CREATE VIRTUAL TABLE word USING fts5 (words, scope, tokenize = 'unicode61 remove_diacritics 2');
