-- People, departments, roles, visibility, devices. Changes are checked in services/changes.py; what stands here is the last line.
-- `version`: the directory's version that changed the row last.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE department (
    id BLOB PRIMARY KEY,
    parent BLOB REFERENCES department (id) DEFERRABLE INITIALLY DEFERRED,
    name TEXT NOT NULL,
    other_name TEXT NOT NULL DEFAULT '',
    sort_order INTEGER NOT NULL DEFAULT 0,
    has_conversation INTEGER NOT NULL DEFAULT 0,
    source TEXT NOT NULL DEFAULT '',
    anchor TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL
);

CREATE UNIQUE INDEX department_by_anchor ON department (source, anchor) WHERE anchor <> '';

-- Clients that hold an older version learn from this what is gone.
CREATE TABLE removed_department (
    id BLOB PRIMARY KEY,
    version INTEGER NOT NULL
);

-- `login_key` is the login folded for comparison. `moved`: the version that last changed who may see the person.
CREATE TABLE person (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    login TEXT NOT NULL,
    login_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    other_name TEXT NOT NULL DEFAULT '',
    sort_key TEXT NOT NULL DEFAULT '',
    email TEXT NOT NULL DEFAULT '',
    phone TEXT NOT NULL DEFAULT '',
    custom TEXT NOT NULL DEFAULT '{}',
    is_disabled INTEGER NOT NULL DEFAULT 0,
    is_bot INTEGER NOT NULL DEFAULT 0,
    source TEXT NOT NULL DEFAULT '',
    anchor TEXT NOT NULL DEFAULT '',
    password_hash TEXT NOT NULL DEFAULT '',
    must_change_password INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    created INTEGER NOT NULL
);

CREATE UNIQUE INDEX person_by_anchor ON person (source, anchor) WHERE anchor <> '';

-- `position`: a person's places in their order; `sort_order`: the people of a department in theirs.
CREATE TABLE place (
    person INTEGER NOT NULL REFERENCES person (key) DEFERRABLE INITIALLY DEFERRED,
    position INTEGER NOT NULL,
    department BLOB NOT NULL REFERENCES department (id) DEFERRABLE INITIALLY DEFERRED,
    title TEXT NOT NULL DEFAULT '',
    sort_order INTEGER NOT NULL DEFAULT 0,
    is_head INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (person, position)
);

-- `permissions`: names with spaces between them.
CREATE TABLE role (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL DEFAULT '',
    is_for_everyone INTEGER NOT NULL DEFAULT 0
);

-- The built-in roles. The first allows everything, whatever its row says.
INSERT INTO role (id, name, permissions, is_for_everyone) VALUES
    (X'00000000000000000000000000000001', 'Administrator', '', 0),
    (X'00000000000000000000000000000002', 'Everyone', 'chat.create_groups', 1);

-- Without a department (an empty one, so that the key holds): everywhere.
CREATE TABLE role_grant (
    person INTEGER NOT NULL REFERENCES person (key) DEFERRABLE INITIALLY DEFERRED,
    role BLOB NOT NULL REFERENCES role (id) DEFERRABLE INITIALLY DEFERRED,
    department BLOB NOT NULL DEFAULT X'',
    PRIMARY KEY (person, role, department)
);

CREATE TABLE visibility_rule (
    position INTEGER PRIMARY KEY,
    viewers BLOB,
    viewers_role BLOB,
    targets BLOB,
    targets_role BLOB,
    effect TEXT NOT NULL,
    spares_insiders INTEGER NOT NULL
);

-- Times are Unix milliseconds; 0: never. The token is stored as its SHA-256; a device keeps the certificate
-- before the last, too, because the answer that brought the last may have been lost.
CREATE TABLE device (
    person INTEGER NOT NULL REFERENCES person (key) DEFERRABLE INITIALLY DEFERRED,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    platform TEXT NOT NULL DEFAULT '',
    software TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT '',
    token_hash BLOB,
    token_until_ms INTEGER NOT NULL DEFAULT 0,
    certificate_serial BLOB,
    previous_serial BLOB,
    certificate_until_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    PRIMARY KEY (person, id)
);

-- What a user set by hand, as long as it holds.
CREATE TABLE presence_setting (
    person INTEGER PRIMARY KEY REFERENCES person (key) DEFERRABLE INITIALLY DEFERRED,
    state TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT '',
    status_until_ms INTEGER NOT NULL DEFAULT 0
);

INSERT INTO meta (key, value) VALUES ('directory_version', X'31'), ('rules_version', X'31');
