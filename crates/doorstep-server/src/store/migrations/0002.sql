-- Accounts and their authenticators. Of a code that was accepted the step is kept, never the code.

CREATE TABLE accounts (
    seq            INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    -- The name in lower case: two spellings are one account.
    name_key       TEXT    NOT NULL UNIQUE,
    created_at     INTEGER NOT NULL,
    disabled_at    INTEGER,
    -- One chain of what was tried and spent, over all its authenticators.
    head_seq       INTEGER NOT NULL DEFAULT 0,
    head_hash      BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(head_hash) = 32),
    -- The attempts of anybody; known devices have their own.
    attempts_used  INTEGER NOT NULL DEFAULT 0,
    attempts_as_of INTEGER NOT NULL
) STRICT;

CREATE TABLE authenticators (
    account      INTEGER NOT NULL REFERENCES accounts (seq),
    -- Its number in the account, which records name.
    number       INTEGER NOT NULL,
    id           TEXT    NOT NULL UNIQUE,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'disabled')),
    kind         TEXT    NOT NULL CHECK (kind IN ('totp', 'hotp', 'ocra')),
    label        TEXT    NOT NULL,
    algorithm    TEXT    NOT NULL,
    digits       INTEGER NOT NULL,
    period       INTEGER CHECK ((period IS NULL) = (kind <> 'totp')),
    accepts      TEXT    CHECK ((accepts IS NULL) = (kind = 'hotp')),
    suite        TEXT    CHECK ((suite IS NULL) = (kind <> 'ocra')),
    sealed       BLOB    NOT NULL,
    sealed_pin   BLOB,
    -- What was accepted last and how far its clock is off, as the core writes it.
    remembered   BLOB    NOT NULL CHECK (length(remembered) = 59),
    created_at   INTEGER NOT NULL,
    activated_at INTEGER,
    last_used_at INTEGER,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
-- Not a partial index: with one SQLite prepares every query of this table anew.
CREATE INDEX authenticators_by_state ON authenticators (state, created_at);

-- Devices that were let in before. Each has attempts of its own, so that nobody who guesses
-- elsewhere can use them up.
CREATE TABLE known_devices (
    account        INTEGER NOT NULL REFERENCES accounts (seq),
    number         INTEGER NOT NULL CHECK (number BETWEEN 1 AND 16),
    token_hash     BLOB    NOT NULL CHECK (length(token_hash) = 32),
    created_at     INTEGER NOT NULL,
    last_used_at   INTEGER NOT NULL,
    attempts_used  INTEGER NOT NULL DEFAULT 0,
    attempts_as_of INTEGER NOT NULL,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_codes (
    account INTEGER NOT NULL REFERENCES accounts (seq),
    number  INTEGER NOT NULL,
    mac     BLOB    NOT NULL CHECK (length(mac) = 32),
    used_at INTEGER,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE challenges (
    id          TEXT    PRIMARY KEY,
    account     INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    challenge   TEXT    NOT NULL,
    session     BLOB,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    answered_at INTEGER,
    FOREIGN KEY (account, number) REFERENCES authenticators (account, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX challenges_by_end ON challenges (expires_at);
CREATE INDEX challenges_by_authenticator ON challenges (account, number);

-- Refusals that store nothing else, as at accounts that do not exist: counted, so that they take as
-- long as others.
CREATE TABLE uncompared (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    refusals INTEGER NOT NULL
) STRICT;
INSERT INTO uncompared VALUES (1, 0);
