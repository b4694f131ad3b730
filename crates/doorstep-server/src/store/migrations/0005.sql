-- What happened, and what is disputed. Both are written by triggers, in the transaction of the change
-- itself: no path can move a delivery on and leave its event out. Events hold ids and the business's own
-- reference; no name, no phone number and no code.

CREATE TABLE events (
    -- Never used twice, also after the oldest ones were forgotten.
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of the database, which is raised when it is set back: with it the number names one event for ever.
    epoch      INTEGER NOT NULL,
    type       TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    delivery   TEXT,
    reference  TEXT,
    generation INTEGER,
    device     TEXT,
    message    TEXT
) STRICT;
CREATE INDEX events_by_delivery ON events (delivery, seq) WHERE delivery IS NOT NULL;

CREATE VIEW event_epoch AS
    SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch'), 0) AS epoch;

CREATE TRIGGER delivery_created AFTER INSERT ON deliveries BEGIN
    INSERT INTO events (epoch, type, at, delivery, reference)
    SELECT epoch, 'delivery.' || NEW.state, NEW.created_at, NEW.id, NEW.reference FROM event_epoch;
END;

CREATE TRIGGER delivery_moved AFTER UPDATE OF state, generation ON deliveries
WHEN NEW.state <> OLD.state OR NEW.generation <> OLD.generation BEGIN
    INSERT INTO events (epoch, type, at, delivery, reference, generation)
    SELECT epoch, 'delivery.' || NEW.state, NEW.updated_at, NEW.id, NEW.reference,
           nullif(NEW.generation, 0) FROM event_epoch;
END;

CREATE TRIGGER device_moved AFTER UPDATE OF state ON devices
WHEN NEW.state <> OLD.state AND NEW.state <> 'invited' BEGIN
    INSERT INTO events (epoch, type, at, device)
    SELECT epoch, 'device.' || NEW.state, coalesce(NEW.state_at, NEW.created_at), NEW.id
    FROM event_epoch;
END;

-- One row each time that a delivery is disputed; kept for ever, as the claims are.
CREATE TABLE disputes (
    seq       INTEGER PRIMARY KEY,
    delivery  TEXT    NOT NULL REFERENCES deliveries (id),
    opened_at INTEGER NOT NULL,
    ended_at  INTEGER,
    -- An operator's word; null when something else ended it, as a claim with the right code does.
    outcome   TEXT    CHECK (outcome IN ('delivered', 'not_delivered')),
    note      TEXT,
    -- The API key.
    by        TEXT,
    CHECK ((outcome IS NULL) = (by IS NULL)),
    CHECK (outcome IS NULL OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX disputes_by_delivery ON disputes (delivery, seq);
CREATE UNIQUE INDEX disputes_open ON disputes (delivery) WHERE ended_at IS NULL;

CREATE TRIGGER dispute_opened AFTER UPDATE OF state ON deliveries
WHEN NEW.state = 'disputed' AND OLD.state <> 'disputed' BEGIN
    INSERT OR IGNORE INTO disputes (delivery, opened_at) VALUES (NEW.id, NEW.updated_at);
END;

-- A further claim makes it `reported` for a moment, which ends nothing.
CREATE TRIGGER dispute_ended AFTER UPDATE OF state ON deliveries
WHEN OLD.state IN ('disputed', 'reported') AND NEW.state NOT IN ('disputed', 'reported') BEGIN
    UPDATE disputes SET ended_at = NEW.updated_at WHERE delivery = NEW.id AND ended_at IS NULL;
END;

CREATE TRIGGER dispute_resolved AFTER UPDATE OF outcome ON disputes
WHEN NEW.outcome IS NOT NULL AND OLD.outcome IS NULL BEGIN
    INSERT INTO events (epoch, type, at, delivery, reference, generation)
    SELECT epoch, 'delivery.resolved', NEW.ended_at, d.id, d.reference, nullif(d.generation, 0)
    FROM event_epoch, deliveries AS d WHERE d.id = NEW.delivery;
END;

-- Where programs of the business want to be told of events.
CREATE TABLE webhooks (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    url        TEXT    NOT NULL,
    -- The wanted types between commas, one at each end too; null for all.
    types      TEXT,
    state      TEXT    NOT NULL CHECK (state IN ('active', 'paused', 'gone')),
    secret     BLOB    NOT NULL,
    -- The secret before this one, which signs too until then.
    old_secret BLOB,
    old_until  INTEGER,
    created_at INTEGER NOT NULL,
    CHECK ((old_secret IS NULL) = (old_until IS NULL))
) STRICT;

-- An event on its way to a webhook: one row, however often it is tried.
CREATE TABLE webhook_sendings (
    seq         INTEGER PRIMARY KEY,
    webhook     TEXT    NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event       INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    -- Counted before each try, so that a crash in between leaves it counted.
    tries       INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL,
    last_at     INTEGER,
    last_status INTEGER,
    last_error  TEXT,
    UNIQUE (webhook, event)
) STRICT;
CREATE INDEX webhook_sendings_due ON webhook_sendings (webhook, next_at) WHERE state = 'waiting';
CREATE INDEX webhook_sendings_of_event ON webhook_sendings (event);

CREATE TRIGGER event_told AFTER INSERT ON events WHEN NEW.type <> 'webhook.test' BEGIN
    INSERT INTO webhook_sendings (webhook, event, state, next_at)
    SELECT id, NEW.seq, 'waiting', NEW.at FROM webhooks
    WHERE state <> 'gone' AND (types IS NULL OR instr(types, ',' || NEW.type || ',') > 0);
END;

-- What is about people and old enough to be erased.
ALTER TABLE deliveries ADD COLUMN erased_at INTEGER;
CREATE INDEX deliveries_to_erase ON deliveries (updated_at)
    WHERE erased_at IS NULL AND state IN ('delivered', 'failed', 'expired', 'cancelled');
CREATE INDEX claims_to_erase ON claims (received_at) WHERE verdict IS NOT NULL AND document <> x'';
