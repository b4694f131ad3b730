//! Goes through the index of words, one word at a time, and counts what that costs: asked for several
//! words at once, SQLite goes from the first delivery on until they meet, however far that is.

use super::StoreError;
use super::words::Question;
use rusqlite::{Connection, params};

/// What it costs to ask the index once, in places that it goes through.
const ASKED: usize = 50;
/// Places that are read ahead at first, and at most when all of them are needed.
const AHEAD: (usize, usize) = (16, 1024);

/// Where a walk has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// This delivery has the words.
    Fits(i64),
    /// The bound was met: whether this one has them, or any after it, is not known.
    Unknown(i64),
    /// There are no more.
    End,
}

impl Place {
    /// Of two places, the one that decides.
    fn first(self, other: Self) -> Self {
        // At one delivery, to know that it fits is enough.
        let order = |place| match place {
            Self::Fits(seq) => (seq, 0),
            Self::Unknown(seq) => (seq, 1),
            Self::End => (i64::MAX, 2),
        };
        if order(other) < order(self) { other } else { self }
    }
}

/// A walk through what has the words of a question, in order of creation.
pub(super) struct Walk<'c> {
    any: Vec<Vec<Word>>,
    costs: Costs<'c>,
    /// The next delivery to look at.
    from: i64,
}

struct Costs<'c> {
    connection: &'c Connection,
    spent: usize,
    bound: usize,
    /// Here the walk began: it goes on from there whatever it costs, or nobody would ever get anywhere.
    start: i64,
}

/// A word, and the places that were read ahead.
struct Word {
    question: String,
    ahead: Vec<i64>,
    wanted: usize,
    /// Nothing is behind those that were read.
    ended: bool,
}

impl<'c> Walk<'c> {
    /// A walk from a delivery on, through about as many places of the index as `bound` says.
    pub(super) fn new(
        connection: &'c Connection,
        question: &Question,
        start: i64,
        bound: usize,
    ) -> Self {
        let word = |question: &String| Word {
            question: question.clone(),
            ahead: Vec::new(),
            wanted: AHEAD.0,
            ended: false,
        };
        let list = |words: &Vec<String>| words.iter().map(word).collect();
        Self {
            any: question.any().iter().map(list).collect(),
            costs: Costs { connection, spent: 0, bound, start },
            from: start,
        }
    }

    /// The next delivery that has all words of any list.
    pub(super) fn next(&mut self) -> Result<Place, StoreError> {
        let mut first = Place::End;
        for words in &mut self.any {
            first = first.first(meet(words, &mut self.costs, self.from)?);
        }
        if let Place::Fits(seq) = first {
            self.from = seq.saturating_add(1);
        }
        Ok(first)
    }
}

/// The first delivery, from one on, at which all of these words are.
fn meet(words: &mut [Word], costs: &mut Costs<'_>, from: i64) -> Result<Place, StoreError> {
    let mut at = from;
    let mut met = 0;
    // Whichever word is not at a delivery says which is the next that can be, and the word after it is
    // asked for that: so the rarest leads, wherever it stands.
    for place in (0..words.len()).cycle() {
        if met == words.len() {
            break;
        }
        let Some(word) = words.get_mut(place) else { break };
        match word.at_least(costs, at)? {
            Place::Fits(seq) if seq == at => met += 1,
            Place::Fits(seq) => (at, met) = (seq, 1),
            other => return Ok(other),
        }
    }
    Ok(Place::Fits(at))
}

impl Word {
    /// The first delivery, from one on, with this word.
    fn at_least(&mut self, costs: &mut Costs<'_>, seq: i64) -> Result<Place, StoreError> {
        let passed = self.ahead.partition_point(|ahead| *ahead < seq);
        if let Some(next) = self.ahead.get(passed) {
            return Ok(Place::Fits(*next));
        }
        if self.ended {
            return Ok(Place::End);
        }
        if costs.spent >= costs.bound && seq > costs.start {
            return Ok(Place::Unknown(seq));
        }
        self.read_ahead(costs, seq)?;
        Ok(self.ahead.first().map_or(Place::End, |next| Place::Fits(*next)))
    }

    fn read_ahead(&mut self, costs: &mut Costs<'_>, seq: i64) -> Result<(), StoreError> {
        // Who comes to the end of what was read will want more of it; who jumped will jump again.
        let goes_on = match (self.ahead.first(), self.ahead.last()) {
            (Some(first), Some(last)) => seq.saturating_sub(*last) <= last.saturating_sub(*first),
            _ => false,
        };
        self.wanted = if goes_on { AHEAD.1.min(self.wanted.saturating_mul(2)) } else { AHEAD.0 };
        let mut statement = costs.connection.prepare_cached(
            "SELECT rowid FROM delivery_words WHERE delivery_words MATCH ?1 AND rowid >= ?2
             ORDER BY rowid LIMIT ?3",
        )?;
        let limit = i64::try_from(self.wanted).unwrap_or(i64::MAX);
        let read = statement.query_map(params![self.question, seq, limit], |row| row.get(0))?;
        self.ahead = read.collect::<Result<_, _>>()?;
        self.ended = self.ahead.len() < self.wanted;
        costs.spent = costs.spent.saturating_add(ASKED).saturating_add(self.ahead.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_word_leads_wherever_it_stands() {
        let connection = Connection::open_in_memory().unwrap();
        let index = "CREATE VIRTUAL TABLE delivery_words USING fts5(text, prefix = '3')";
        connection.execute_batch(index).unwrap();
        // Two frequent words that meet once, where the rare one is.
        let insert =
            "WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n LIMIT 8000)
                      INSERT INTO delivery_words (rowid, text)
                      SELECT seq, CASE WHEN seq = 7000 THEN 'ana bea zoe'
                                       WHEN seq % 2 THEN 'ana' ELSE 'bea' END FROM n";
        connection.execute(insert, []).unwrap();
        for (typed, place) in [
            ("zoe ana bea", Place::Fits(7000)),
            ("ana zoe bea", Place::Fits(7000)),
            ("ana bea zoe", Place::Fits(7000)),
            ("nothing ana bea", Place::End),
            ("ana bea nothing", Place::End),
        ] {
            let question = Question::new(typed, None).unwrap().unwrap();
            let mut walk = Walk::new(&connection, &question, 1, 8 * ASKED);
            assert_eq!(walk.next().unwrap(), place, "{typed}");
        }
    }
}
