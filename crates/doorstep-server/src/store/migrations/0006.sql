-- Requests that came with an Idempotency-Key, and what was answered. Forgotten after a day.
CREATE TABLE idempotency (
    api_key      TEXT    NOT NULL REFERENCES api_keys (id),
    key          TEXT    NOT NULL,
    -- A keyed hash of method, path and body.
    fingerprint  BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    -- 'lost': the server stopped while it was carried out, so nobody knows.
    state        TEXT    NOT NULL CHECK (state IN ('running', 'done', 'lost')),
    status       INTEGER,
    content_type TEXT,
    -- The answer may hold secrets that are shown once.
    sealed       BLOB,
    began_at     INTEGER NOT NULL,
    PRIMARY KEY (api_key, key),
    CHECK ((sealed IS NULL) = (state <> 'done'))
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (began_at);
CREATE INDEX idempotency_running ON idempotency (state) WHERE state = 'running';
CREATE INDEX messages_failed ON messages (id) WHERE state = 'failed';
