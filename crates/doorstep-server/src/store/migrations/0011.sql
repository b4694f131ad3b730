-- Test messages that the provider took, or may have: they count among those that a number gets in a day.
CREATE TABLE test_messages (
    id    TEXT    NOT NULL PRIMARY KEY,
    phone TEXT    NOT NULL,
    at    INTEGER NOT NULL
);
CREATE INDEX test_messages_by_phone ON test_messages (phone, at);
