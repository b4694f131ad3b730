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
