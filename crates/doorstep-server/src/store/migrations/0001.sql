-- The issuer's memory. Times are whole UTC seconds; ids are text; sealed columns can be opened
-- only with keys/master.key.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

CREATE TABLE deliveries (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    reference  TEXT    NOT NULL UNIQUE,
    address    TEXT    NOT NULL,
    note       TEXT,
    state      TEXT    NOT NULL CHECK (state IN ('created', 'planned', 'handed_out', 'notified',
                                                 'reported', 'delivered', 'disputed', 'expired')),
    -- The newest generation; 0 until the delivery is planned.
    generation INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_by_state ON deliveries (state, seq);

CREATE TABLE recipients (
    delivery TEXT    NOT NULL REFERENCES deliveries (id),
    slot     INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    phone    TEXT    NOT NULL,
    PRIMARY KEY (delivery, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    seq               INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL UNIQUE,
    driver            TEXT    NOT NULL,
    state             TEXT    NOT NULL CHECK (state IN ('invited', 'enrolled', 'rolled_back', 'forked')),
    -- Cleared when the ticket is used, so that it is used once.
    ticket_hash       BLOB    UNIQUE CHECK (length(ticket_hash) = 32),
    ticket_expires_at INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    public_key        BLOB    UNIQUE,
    enrolled_at       INTEGER,
    last_sync_at      INTEGER
) STRICT;
