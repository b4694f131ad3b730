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
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    -- After a rotation: the secret before, and until when it is still taken.
    previous_hash  BLOB UNIQUE CHECK (length(previous_hash) = 32),
    previous_until INTEGER,
    CHECK ((previous_hash IS NULL) = (previous_until IS NULL))
) STRICT;

CREATE TABLE deliveries (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    reference  TEXT    NOT NULL UNIQUE,
    address    TEXT    NOT NULL,
    note       TEXT,
    -- What the customer reads and where he is; the settings say so if these do not.
    language   TEXT,
    zone       TEXT,
    state      TEXT    NOT NULL CHECK (state IN ('created', 'planned', 'handed_out', 'notified',
                                                 'reported', 'delivered', 'disputed', 'failed',
                                                 'expired', 'cancelled')),
    -- The newest generation; 0 until the delivery is planned.
    generation INTEGER NOT NULL DEFAULT 0,
    -- Of that generation, for lists.
    device      TEXT REFERENCES devices (id),
    expected_at INTEGER,
    -- The last attempt that failed; the claim, or the resolution, that says so is kept besides.
    failure_reason TEXT CHECK (failure_reason IN ('absent', 'refused_by_recipient', 'wrong_address',
                                                  'damaged', 'no_access', 'other', 'not_delivered')),
    failure_note   TEXT,
    failed_at      INTEGER,
    -- Whose device said so; null when an operator did.
    failed_by      TEXT REFERENCES devices (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((failure_reason IS NULL) = (failed_at IS NULL))
) STRICT;
CREATE INDEX deliveries_by_state ON deliveries (state, seq);
CREATE INDEX deliveries_by_device ON deliveries (device, seq);
CREATE INDEX deliveries_by_expected ON deliveries (expected_at, seq);

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
    state             TEXT    NOT NULL CHECK (state IN ('invited', 'enrolled', 'rolled_back', 'forked', 'lost')),
    -- Whether the business manages it, so that it may check whole codes.
    managed           INTEGER NOT NULL,
    -- Kept after use: the same ticket with the same key finishes an enrolment whose answer was lost.
    ticket_hash       BLOB    NOT NULL UNIQUE CHECK (length(ticket_hash) = 32),
    ticket_expires_at INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    -- When it came into its state; null while it is invited.
    state_at          INTEGER,
    public_key        BLOB    UNIQUE CHECK (length(public_key) = 33),
    enrolled_at       INTEGER,
    last_sync_at      INTEGER,
    -- The newest route that was made for it.
    route_version     INTEGER NOT NULL DEFAULT 0,
    -- The highest claim that is stored, and its hash.
    claim_number      INTEGER NOT NULL DEFAULT 0,
    claim_hash        BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(claim_hash) = 32),
    -- The journal's head when the device last asked for its route.
    journal_seq       INTEGER NOT NULL DEFAULT 0,
    journal_hash      BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(journal_hash) = 32),
    -- The head that the last acknowledgement asked for, and its nonce. The next request for a
    -- route must name both; it may come twice.
    prove_seq         INTEGER NOT NULL DEFAULT 0,
    prove_hash        BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(prove_hash) = 32),
    nonce             BLOB    NOT NULL DEFAULT (zeroblob(16)) CHECK (length(nonce) = 16)
) STRICT;

-- One making of a delivery's codes.
CREATE TABLE generations (
    delivery      TEXT    NOT NULL REFERENCES deliveries (id),
    generation    INTEGER NOT NULL,
    mode          TEXT    NOT NULL CHECK (mode IN ('offline', 'online')),
    device        TEXT    REFERENCES devices (id),
    expected_at   INTEGER NOT NULL,
    window_from   INTEGER NOT NULL,
    window_until  INTEGER NOT NULL,
    alphabet      INTEGER NOT NULL,
    code_length   INTEGER NOT NULL,
    slots         INTEGER NOT NULL,
    -- How much of a code its device checks.
    code_check    TEXT    NOT NULL CHECK (code_check IN ('split', 'full')),
    created_at    INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('planned', 'handed_out', 'superseded', 'closed', 'expired',
                                                    'cancelled')),
    -- What the device is to be handed; gone once it is in a route.
    sealed_stop   BLOB,
    route_version INTEGER,
    -- Whether the device was told that it is void.
    withdrawn     INTEGER NOT NULL DEFAULT 0,
    -- The nonce of its device's request, if a driver took the delivery on himself.
    taken         BLOB    CHECK (length(taken) = 16),
    -- For codes that the server checks: attempts and the spending, chained like a device's journal.
    attempts      INTEGER NOT NULL DEFAULT 0,
    spent_at      INTEGER,
    head_seq      INTEGER NOT NULL DEFAULT 0,
    head_hash     BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(head_hash) = 32),
    PRIMARY KEY (delivery, generation)
) STRICT, WITHOUT ROWID;
CREATE INDEX generations_by_device ON generations (device, state);
CREATE INDEX generations_by_taking ON generations (device, created_at) WHERE taken IS NOT NULL;
CREATE INDEX generations_by_end ON generations (window_until) WHERE state IN ('planned', 'handed_out');

-- What is kept of each code: hashes that only this issuer's keys (the first) or the code's own
-- 128 bits (the second) can match.
CREATE TABLE held_codes (
    delivery   TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    slot       INTEGER NOT NULL,
    code_mac   BLOB    NOT NULL CHECK (length(code_mac) = 32),
    scan_hash  BLOB    NOT NULL CHECK (length(scan_hash) = 32),
    PRIMARY KEY (delivery, generation, slot),
    FOREIGN KEY (delivery, generation) REFERENCES generations (delivery, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    delivery     TEXT    NOT NULL,
    generation   INTEGER NOT NULL,
    slot         INTEGER NOT NULL,
    -- A code, or that none is needed any more.
    kind         TEXT    NOT NULL CHECK (kind IN ('code', 'cancelled')),
    -- Null for the spare until somebody needs it.
    phone        TEXT,
    send_at      INTEGER NOT NULL,
    -- Not before send_at: quiet hours and failed tries put it off.
    next_at      INTEGER NOT NULL,
    -- Somebody wants it now, whatever the hour.
    urgent       INTEGER NOT NULL DEFAULT 0,
    state        TEXT    NOT NULL CHECK (state IN ('waiting', 'spare', 'sending', 'sent', 'delivered',
                                                   'undelivered', 'failed', 'superseded', 'closed',
                                                   'expired', 'cancelled')),
    -- The code and the scanned secret; gone once the provider has the message, or nobody needs it.
    sealed       BLOB,
    sent_at      INTEGER,
    tries        INTEGER NOT NULL DEFAULT 0,
    -- Those from before somebody asked for it again.
    tries_before INTEGER NOT NULL DEFAULT 0,
    -- What the provider says became of it.
    told         TEXT    CHECK (told IN ('delivered', 'undelivered')),
    told_at      INTEGER,
    UNIQUE (delivery, generation, slot, kind),
    FOREIGN KEY (delivery, generation) REFERENCES generations (delivery, generation),
    CHECK ((sealed IS NULL) = (kind <> 'code'
                               OR state NOT IN ('waiting', 'spare', 'sending', 'failed')))
) STRICT;
CREATE INDEX messages_due ON messages (next_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX messages_by_state ON messages (state, seq);
CREATE INDEX messages_by_phone ON messages (phone) WHERE phone IS NOT NULL;

-- Routes on their way, sealed to the device; kept until it has them.
CREATE TABLE routes (
    device     TEXT    NOT NULL REFERENCES devices (id),
    version    INTEGER NOT NULL,
    document   BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (device, version)
) STRICT, WITHOUT ROWID;

-- The log of claims, chained. Claims are never dropped, whatever they name.
CREATE TABLE claims (
    log_seq       INTEGER PRIMARY KEY,
    log_hash      BLOB    NOT NULL CHECK (length(log_hash) = 32),
    device        TEXT    NOT NULL REFERENCES devices (id),
    number        INTEGER NOT NULL,
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    document      BLOB    NOT NULL,
    delivery      TEXT    NOT NULL,
    generation    INTEGER NOT NULL,
    outcome       TEXT    NOT NULL CHECK (outcome IN ('granted', 'failed')),
    -- Of a grant.
    slot          INTEGER,
    means         TEXT    CHECK (means IN ('typed', 'scanned')),
    -- Of a failure.
    reason        TEXT,
    note          TEXT,
    at            INTEGER NOT NULL,
    signed_time   INTEGER NOT NULL,
    received_at   INTEGER NOT NULL,
    forked        INTEGER NOT NULL,
    verdict       TEXT    CHECK (verdict IN ('match', 'match_with_typo', 'mismatch', 'outside_window',
                                             'repeated', 'unchecked', 'superseded', 'void',
                                             'noted')),
    late_possible INTEGER NOT NULL DEFAULT 0,
    CHECK ((slot IS NOT NULL AND means IS NOT NULL) = (outcome = 'granted')),
    CHECK ((reason IS NOT NULL AND note IS NOT NULL) = (outcome = 'failed')),
    UNIQUE (device, number, hash)
) STRICT;
CREATE INDEX claims_by_delivery ON claims (delivery, generation);
CREATE INDEX claims_to_check ON claims (log_seq) WHERE verdict IS NULL;
