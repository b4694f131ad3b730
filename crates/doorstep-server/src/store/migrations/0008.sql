-- Words of deliveries, for whoever looks for one by what a caller says. The texts themselves are not
-- kept twice, and what is erased of a delivery leaves the index in the same transaction.

CREATE VIEW delivery_texts AS
SELECT d.seq AS seq, d.id AS id,
       d.reference || ' ' || d.address || ' ' ||
       coalesce((SELECT group_concat(r.name || ' ' || r.phone, ' ') FROM recipients AS r
                 WHERE r.delivery = d.id), '') AS text
FROM deliveries AS d;

CREATE VIRTUAL TABLE delivery_words USING fts5(
    text, content = '', prefix = '3 5 7 9', tokenize = "unicode61 remove_diacritics 2"
);
-- Words that leave the index are gone from the file as well.
INSERT INTO delivery_words (delivery_words, rank) VALUES ('secure-delete', 1);

INSERT INTO delivery_words (rowid, text) SELECT seq, text FROM delivery_texts;

CREATE TRIGGER delivery_words_before_delivery BEFORE UPDATE OF reference, address ON deliveries BEGIN
    INSERT INTO delivery_words (delivery_words, rowid, text)
        SELECT 'delete', seq, text FROM delivery_texts WHERE id = OLD.id;
END;
CREATE TRIGGER delivery_words_after_delivery AFTER UPDATE OF reference, address ON deliveries BEGIN
    INSERT INTO delivery_words (rowid, text) SELECT seq, text FROM delivery_texts WHERE id = NEW.id;
END;
CREATE TRIGGER delivery_words_before_recipient BEFORE UPDATE OF name, phone ON recipients BEGIN
    INSERT INTO delivery_words (delivery_words, rowid, text)
        SELECT 'delete', seq, text FROM delivery_texts WHERE id = OLD.delivery;
END;
CREATE TRIGGER delivery_words_after_recipient AFTER UPDATE OF name, phone ON recipients BEGIN
    INSERT INTO delivery_words (rowid, text) SELECT seq, text FROM delivery_texts WHERE id = NEW.delivery;
END;
CREATE TRIGGER delivery_words_before_removal BEFORE DELETE ON recipients BEGIN
    INSERT INTO delivery_words (delivery_words, rowid, text)
        SELECT 'delete', seq, text FROM delivery_texts WHERE id = OLD.delivery;
END;
CREATE TRIGGER delivery_words_after_removal AFTER DELETE ON recipients BEGIN
    INSERT INTO delivery_words (rowid, text) SELECT seq, text FROM delivery_texts WHERE id = OLD.delivery;
END;
