-- Synchronisation with other directories: what they say of people, groups that follow them, and the runs that brought it.

-- `is_disabled` is the administrators' word, `is_off_at_source` the directory's; with either the account is closed.
-- `photo`: the digest by which the source knows the photo; `portrait`: under which digest it lies here.
ALTER TABLE person ADD COLUMN manager BLOB;
ALTER TABLE person ADD COLUMN is_off_at_source INTEGER NOT NULL DEFAULT 0;
ALTER TABLE person ADD COLUMN photo BLOB NOT NULL DEFAULT X'';
ALTER TABLE person ADD COLUMN portrait BLOB NOT NULL DEFAULT X'';

CREATE INDEX person_by_portrait ON person (portrait) WHERE portrait <> X'';

-- Photos by their own SHA-256; those that neither a person nor a run refers to are swept away.
CREATE TABLE portrait (
    digest BLOB PRIMARY KEY,
    jpeg BLOB NOT NULL
);

-- Clients that hold an older version learn from this who is gone.
CREATE TABLE removed_person (
    id BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    created INTEGER NOT NULL
);

-- Which directory gave the role; empty: an administrator.
ALTER TABLE role_grant ADD COLUMN source TEXT NOT NULL DEFAULT '';

-- `id` is that of the conversation; `members`: the ids of people, one after the other.
CREATE TABLE followed_group (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    members BLOB NOT NULL,
    source TEXT NOT NULL DEFAULT '',
    anchor TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL
);

CREATE UNIQUE INDEX followed_group_by_anchor ON followed_group (source, anchor) WHERE anchor <> '';

-- `state`: 0 being written down, nothing of it counts; 1 decided: it counts, and is being carried out; 2 carried out.
-- `facts`: what is only told again. At the start, runs of state 0 are swept away and of state 1 carried out.
CREATE TABLE sync_run (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    source TEXT NOT NULL,
    state INTEGER NOT NULL,
    has_records INTEGER NOT NULL DEFAULT 1,
    undone_by BLOB,
    facts BLOB NOT NULL
);

CREATE INDEX sync_run_by_source ON sync_run (source, number);

-- Each record that a run changed, as it was and as it is then. `portrait`: the photo that it had, when it had another.
CREATE TABLE sync_record (
    run INTEGER NOT NULL REFERENCES sync_run (number),
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    before BLOB NOT NULL,
    after BLOB NOT NULL,
    portrait BLOB,
    PRIMARY KEY (run, position)
) WITHOUT ROWID;

CREATE INDEX sync_record_of_group ON sync_record (id) WHERE kind = 'group';

CREATE INDEX sync_record_by_portrait ON sync_record (portrait) WHERE portrait IS NOT NULL;

-- What a source wants to find again at its next run.
CREATE TABLE sync_mark (
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (source, name)
) WITHOUT ROWID;
