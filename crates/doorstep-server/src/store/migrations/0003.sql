-- Locks with a keypad and their bookings. PINs are derived when they are shown; what is kept is which
-- were given, so that none is given twice and it is known what still opens.

CREATE TABLE sites (
    seq        INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    -- The roots of its locks are derived from it.
    sealed_key BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE locks (
    seq              INTEGER PRIMARY KEY,
    id               TEXT    NOT NULL UNIQUE,
    site             INTEGER NOT NULL REFERENCES sites (seq),
    name             TEXT    NOT NULL,
    -- One more each time it is provisioned.
    generation       INTEGER NOT NULL,
    -- In which PINs are derived.
    epoch            INTEGER NOT NULL,
    -- Whether the lock may take PINs of the epoch before as well: it was told of this one, and no PIN of
    -- it was seen used.
    announced        INTEGER NOT NULL DEFAULT 0,
    -- When the code of this epoch was typed, as far as staff or a journal said.
    epoch_at         INTEGER,
    -- The next epoch, for which a code was made that nobody said was typed.
    pending_epoch    INTEGER,
    pending_how      TEXT    CHECK (pending_how IN ('announce', 'end')),
    -- As it was asked for, and as the core writes it. It never changes: tuples name its classes.
    kind             TEXT    NOT NULL CHECK (kind IN ('courts', 'general', 'stays')),
    uses             TEXT    NOT NULL CHECK (uses IN ('many', 'once', 'both')),
    profile          BLOB    NOT NULL,
    oscillator       TEXT    NOT NULL,
    after_power_loss TEXT    NOT NULL,
    totp_digits      INTEGER,
    totp_period      INTEGER,
    sealed_totp      BLOB,
    created_at       INTEGER NOT NULL,
    provisioned_at   INTEGER NOT NULL,
    -- What the last journal told: its head, the state after it, and when it was taken in. A lock that was
    -- provisioned anew begins another.
    head_seq         INTEGER NOT NULL DEFAULT 0,
    head_hash        BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(head_hash) = 32),
    state            BLOB,
    last_contact     INTEGER,
    -- When a journal came that contradicts an earlier one.
    forked_at        INTEGER,
    UNIQUE (site, name),
    CHECK ((pending_epoch IS NULL) = (pending_how IS NULL)),
    CHECK ((totp_digits IS NULL) = (sealed_totp IS NULL) AND (totp_period IS NULL) = (sealed_totp IS NULL))
) STRICT;

-- Set-time codes that were made.
CREATE TABLE set_times (
    seq     INTEGER PRIMARY KEY,
    lock    INTEGER NOT NULL REFERENCES locks (seq),
    made_at INTEGER NOT NULL
) STRICT;
CREATE INDEX set_times_by_lock ON set_times (lock, made_at);

-- The latest time that any lock was told, by a bundle or a code.
CREATE TABLE told_time (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    at   INTEGER NOT NULL
) STRICT;
INSERT INTO told_time VALUES (1, 0);

CREATE TABLE bookings (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    lock         INTEGER NOT NULL REFERENCES locks (seq),
    reference    TEXT,
    state        TEXT    NOT NULL CHECK (state IN ('booked', 'cancelled')),
    -- As it was asked for.
    from_at      INTEGER NOT NULL,
    until_at     INTEGER NOT NULL CHECK (until_at > from_at),
    -- The window that holds it: a class of the lock's profile, by number, and which beginning.
    class        INTEGER NOT NULL,
    beginning INTEGER NOT NULL,
    opens_from   INTEGER NOT NULL,
    opens_until  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    cancelled_at INTEGER
) STRICT;
CREATE INDEX bookings_by_end ON bookings (lock, opens_until, opens_from);
CREATE INDEX bookings_by_lock ON bookings (lock, seq);
CREATE INDEX bookings_by_reference ON bookings (reference, lock);

-- Every PIN that was given.
CREATE TABLE pins (
    seq             INTEGER PRIMARY KEY,
    booking         INTEGER NOT NULL REFERENCES bookings (seq),
    lock            INTEGER NOT NULL REFERENCES locks (seq),
    lock_generation INTEGER NOT NULL,
    class           INTEGER NOT NULL,
    beginning INTEGER NOT NULL,
    holder          INTEGER NOT NULL,
    generation      INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    opens_from      INTEGER NOT NULL,
    opens_until     INTEGER NOT NULL,
    made_at         INTEGER NOT NULL,
    -- Since when it should open no more, and why.
    ended_at        INTEGER,
    because         TEXT    CHECK (because IN ('cancelled', 'changed', 'renewed', 'epoch', 'provisioned')),
    -- When that became true at the lock, as far as it is known.
    done_at         INTEGER,
    UNIQUE (lock, lock_generation, class, beginning, holder, generation, epoch),
    CHECK ((ended_at IS NULL) = (because IS NULL) AND (done_at IS NULL OR ended_at IS NOT NULL))
) STRICT;
CREATE INDEX pins_by_booking ON pins (booking);
CREATE INDEX pins_by_end ON pins (lock, opens_until, opens_from);
CREATE INDEX pins_undone ON pins (lock, opens_until) WHERE ended_at IS NOT NULL AND done_at IS NULL;

-- What journals told, by the locks' own estimates of the time.
CREATE TABLE lock_events (
    seq             INTEGER PRIMARY KEY,
    lock            INTEGER NOT NULL REFERENCES locks (seq),
    lock_generation INTEGER NOT NULL,
    -- The number of its record, and the head after it.
    record          INTEGER NOT NULL,
    hash            BLOB    NOT NULL CHECK (length(hash) = 32),
    kind            TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    form            TEXT    CHECK (form IN ('pin', 'long_form', 'totp')),
    epoch           INTEGER,
    -- Which PIN it was about; null for one that was never given.
    pin             INTEGER REFERENCES pins (seq),
    received_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX lock_events_by_lock ON lock_events (lock, seq);
CREATE INDEX lock_events_by_record ON lock_events (lock, lock_generation, record);
CREATE INDEX lock_events_by_pin ON lock_events (pin, kind, at);
