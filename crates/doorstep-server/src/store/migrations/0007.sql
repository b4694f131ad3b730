-- Every try to hand a message to the provider. One without an outcome is under way, or was cut off.
CREATE TABLE message_tries (
    message     TEXT    NOT NULL REFERENCES messages (id),
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    provider    TEXT    NOT NULL,
    outcome     TEXT    CHECK (outcome IN ('taken', 'refused', 'failed', 'unknown')),
    -- The provider's own name for the message.
    provider_id TEXT,
    -- What it said, cut and without codes.
    error       TEXT,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;

-- Given up, or not arrived by what the provider says.
CREATE TRIGGER message_failed AFTER UPDATE OF state ON messages
WHEN NEW.state IN ('failed', 'undelivered') AND NEW.state <> OLD.state BEGIN
    INSERT INTO events (epoch, type, at, delivery, reference, generation, message)
    SELECT epoch, 'message.failed',
           coalesce(CASE NEW.state WHEN 'undelivered' THEN NEW.told_at END,
                    (SELECT max(at) FROM message_tries WHERE message = NEW.id), NEW.next_at),
           d.id, d.reference, NEW.generation, NEW.id
    FROM event_epoch, deliveries AS d WHERE d.id = NEW.delivery;
END;
