-- Whether a claim cannot decide anything, known as it comes in: a failed attempt, a claim on what was not
-- the device's, or one on a delivery that this device had claimed to have handed over before.
ALTER TABLE claims ADD COLUMN idle INTEGER NOT NULL DEFAULT 0;
CREATE INDEX claims_idle ON claims (device, received_at) WHERE idle;
CREATE INDEX claims_granted ON claims (device, delivery) WHERE outcome = 'granted';
-- What was found about a delivery, without reading all that was claimed about it.
CREATE INDEX claims_by_verdict ON claims (delivery, verdict) WHERE verdict IS NOT NULL;
