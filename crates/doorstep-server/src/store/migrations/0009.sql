-- The index of words again, with the beginnings of words in every length from 3 to 33 letters: for one
-- that it does not have, SQLite collects every place of every word that begins so.
DROP TABLE delivery_words;
CREATE VIRTUAL TABLE delivery_words USING fts5(
    text, content = '', tokenize = "unicode61 remove_diacritics 2",
    prefix = '3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33'
);
INSERT INTO delivery_words (delivery_words, rank) VALUES ('secure-delete', 1);
INSERT INTO delivery_words (rowid, text) SELECT seq, text FROM delivery_texts;

-- Messages that failed are found by messages_by_state.
DROP INDEX messages_failed;
