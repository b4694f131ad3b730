-- Passes (DP1). Documents are signed when they are shown; what is kept is what each pass says and what its
-- locks were told.

-- Keys that passes are signed with. Their private halves are sealed.
CREATE TABLE pass_keys (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    algorithm  TEXT    NOT NULL CHECK (algorithm IN ('ed25519', 'esp256')),
    public_key BLOB    NOT NULL UNIQUE,
    sealed_key BLOB    NOT NULL,
    -- It signs from then on, and until then; null without an end.
    from_at    INTEGER NOT NULL,
    until_at   INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

-- What was stated of keys under the root, in one series for all locks.
CREATE TABLE rotations (
    sequence INTEGER PRIMARY KEY,
    pass_key INTEGER NOT NULL REFERENCES pass_keys (seq),
    document BLOB    NOT NULL,
    made_at  INTEGER NOT NULL
) STRICT;

-- Locks that were made before take no passes until they are provisioned with what it needs.
ALTER TABLE locks ADD COLUMN takes TEXT NOT NULL DEFAULT 'none' CHECK (takes IN ('signed', 'mac', 'none'));
-- What it is called in passes: its id, or the end of one that is too long.
ALTER TABLE locks ADD COLUMN pass_name TEXT;
UPDATE locks SET pass_name = CASE WHEN length(id) > 16 THEN substr(id, -8) ELSE id END;
CREATE UNIQUE INDEX locks_by_pass_name ON locks (pass_name);
-- The sequences that it was provisioned with.
ALTER TABLE locks ADD COLUMN rotation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE locks ADD COLUMN bulletin INTEGER NOT NULL DEFAULT 0;

-- Keys that a lock was provisioned with last.
CREATE TABLE lock_pass_keys (
    lock     INTEGER NOT NULL REFERENCES locks (seq),
    pass_key INTEGER NOT NULL REFERENCES pass_keys (seq),
    PRIMARY KEY (lock, pass_key)
) STRICT, WITHOUT ROWID;

-- Groups of locks, for passes that open several. A group is of one site.
CREATE TABLE lock_groups (
    seq        INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    site       INTEGER NOT NULL REFERENCES sites (seq),
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE lock_group_members (
    lock       INTEGER NOT NULL REFERENCES locks (seq),
    lock_group INTEGER NOT NULL REFERENCES lock_groups (seq),
    PRIMARY KEY (lock_group, lock)
) STRICT, WITHOUT ROWID;
CREATE INDEX lock_group_members_by_lock ON lock_group_members (lock);

ALTER TABLE bookings ADD COLUMN access TEXT NOT NULL DEFAULT 'pin' CHECK (access IN ('pin', 'pass', 'both'));

CREATE TABLE passes (
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 8),
    kind            TEXT    NOT NULL CHECK (kind IN ('signed', 'mac', 'encrypted')),
    -- Where it opens: one lock, or a group.
    lock            INTEGER REFERENCES locks (seq),
    lock_group      INTEGER REFERENCES lock_groups (seq),
    booking         INTEGER REFERENCES bookings (seq),
    reference       TEXT,
    from_at         INTEGER NOT NULL,
    until_at        INTEGER NOT NULL CHECK (until_at > from_at),
    -- The holder's public key; null for a bearer pass, and while it waits to be collected.
    holder          BLOB    CHECK (length(holder) IN (32, 33)),
    -- The hash of the ticket with which it is collected, and when it was.
    ticket          BLOB    UNIQUE CHECK (length(ticket) = 32),
    collected_at    INTEGER,
    -- How often it opens, null as often as wanted; and for how many seconds from its first use.
    uses            INTEGER CHECK (uses BETWEEN 1 AND 255),
    lasts           INTEGER CHECK (lasts > 0),
    exact           INTEGER NOT NULL,
    passage         INTEGER NOT NULL,
    algorithm       TEXT    CHECK (algorithm IN ('ed25519', 'esp256')),
    created_at      INTEGER NOT NULL,
    -- What its last document was made under: a key, or the lock's own key of a provisioning and an epoch.
    pass_key        INTEGER REFERENCES pass_keys (seq),
    lock_generation INTEGER,
    epoch           INTEGER,
    revoked_at      INTEGER,
    -- The pass that took its place when its booking moved.
    successor       INTEGER REFERENCES passes (seq),
    CHECK ((lock IS NULL) <> (lock_group IS NULL)),
    CHECK (collected_at IS NULL OR ticket IS NOT NULL)
) STRICT;
-- Bulletins name passes by their first four bytes.
CREATE UNIQUE INDEX passes_by_prefix ON passes (substr(id, 1, 4));
CREATE INDEX passes_by_lock ON passes (lock, until_at) WHERE lock IS NOT NULL;
CREATE INDEX passes_by_group ON passes (lock_group, until_at) WHERE lock_group IS NOT NULL;
CREATE INDEX passes_of_lock ON passes (lock, seq) WHERE lock IS NOT NULL;
CREATE INDEX passes_by_booking ON passes (booking) WHERE booking IS NOT NULL;
CREATE INDEX passes_revoked ON passes (lock, lock_group, until_at) WHERE revoked_at IS NOT NULL;

-- The newest list of revoked passes of each lock, durable before it is handed out.
CREATE TABLE bulletins (
    lock     INTEGER PRIMARY KEY REFERENCES locks (seq),
    sequence INTEGER NOT NULL,
    -- First four bytes of ids, ascending.
    revoked  BLOB    NOT NULL,
    made_at  INTEGER NOT NULL
) STRICT;

-- When a revoked pass opened no more at a lock, by that lock's journal.
CREATE TABLE pass_ends (
    pass    INTEGER NOT NULL REFERENCES passes (seq),
    lock    INTEGER NOT NULL REFERENCES locks (seq),
    done_at INTEGER NOT NULL,
    PRIMARY KEY (pass, lock)
) STRICT, WITHOUT ROWID;

-- What journals told, with openings by passes: a constraint cannot be changed in place.
CREATE TABLE new_lock_events (
    seq             INTEGER PRIMARY KEY,
    lock            INTEGER NOT NULL REFERENCES locks (seq),
    lock_generation INTEGER NOT NULL,
    -- The number of its record, and the head after it.
    record          INTEGER NOT NULL,
    hash            BLOB    NOT NULL CHECK (length(hash) = 32),
    kind            TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    form            TEXT    CHECK (form IN ('pin', 'long_form', 'totp', 'pass')),
    epoch           INTEGER,
    -- Which PIN it was about; null for one that was never given.
    pin             INTEGER REFERENCES pins (seq),
    received_at     INTEGER NOT NULL,
    -- The id of the pass that it was about, also of one that was never issued.
    pass_id         BLOB
) STRICT;
INSERT INTO new_lock_events SELECT *, NULL FROM lock_events;
DROP TABLE lock_events;
ALTER TABLE new_lock_events RENAME TO lock_events;
CREATE INDEX lock_events_by_lock ON lock_events (lock, seq);
CREATE INDEX lock_events_by_record ON lock_events (lock, lock_generation, record);
CREATE INDEX lock_events_by_pin ON lock_events (pin, kind, at);
CREATE INDEX lock_events_by_pass ON lock_events (pass_id, lock, at) WHERE pass_id IS NOT NULL;
