//! The odds of a guess, a typo and a forgery, computed from the same parameters the codes use.
//!
//! Nothing in the documents is typed in by hand: tables come from these functions.

use crate::code::Shape;

/// How many bits of a code the device can check: `floor(log2(codes) / 2)`, so that what a guesser
/// at the door and what a device's owner searching it can gain are about equal.
///
/// 13 for eight digits, 16 for ten digits, 20 for eight Crockford symbols.
#[must_use]
pub fn tag_bits(shape: Shape) -> u8 {
    let log2 = shape.codes().checked_ilog2().unwrap_or(0);
    // floor(floor(x) / 2) = floor(x / 2), and log2 is at most 50.
    u8::try_from(log2 >> 1).unwrap_or(0)
}

/// What one split check of `bits` bits over codes of `shape` gives away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitOdds {
    /// Chance that one blind guess passes at the door, against one slot.
    pub guess: f64,
    /// Chance that a code with a typo passes at the door: the same as a guess, because the tag is a
    /// pseudo-random function of the whole code.
    pub typo: f64,
    /// Codes that pass the tag, on average: what a search of an opened device leaves.
    pub candidates: f64,
    /// Chance that a claim forged from such a search is the right code.
    pub forgery: f64,
}

impl SplitOdds {
    /// The odds of a tag of `bits` bits (at most 32) over codes of `shape`.
    #[must_use]
    pub fn new(shape: Shape, bits: u8) -> Self {
        let tags = power_of_two(bits);
        let codes = shape_codes(shape);
        // The right code always passes; each other one with 1/tags.
        let candidates = 1.0 + (codes - 1.0) / tags;
        Self { guess: 1.0 / tags, typo: 1.0 / tags, candidates, forgery: 1.0 / candidates }
    }

    /// Chance that at least one of `tries` blind guesses passes, against `slots` open slots.
    #[must_use]
    pub fn guessed_within(&self, tries: u8, slots: u8) -> f64 {
        guessed_within(self.guess, u64::from(tries).saturating_mul(u64::from(slots)))
    }
}

/// A year, in seconds: for how long a guesser is taken to go on.
pub const YEAR: u64 = 365 * 86_400;

/// Chance that at least one of `tries` guesses is right, each with chance `guess`.
#[must_use]
pub fn guessed_within(guess: f64, tries: u64) -> f64 {
    // By doubling the tries. What is added up is the chance of a hit, since 1 - (1 - guess)^tries is nothing
    // at all for a guess that is smaller than the steps of numbers close to one.
    let (mut hit, mut doubled, mut left) = (0.0, guess.clamp(0.0, 1.0), tries);
    while left > 0 {
        if left & 1 == 1 {
            hit += doubled * (1.0 - hit);
        }
        doubled += doubled * (1.0 - doubled);
        left >>= 1_u8;
    }
    hit
}

/// What is assumed of a searcher's graphics card: bytes of memory that it moves in a second.
pub const CARD_BYTES: u64 = 1_000_000_000_000;

/// What is assumed of it as well: hashes without a cost of their own (HMAC-SHA-256) in a second.
pub const CARD_HASHES: u64 = 1_000_000_000;

/// Seconds in which one such card tries so many codes, each by moving so many bytes; by a hash without
/// a cost when that is none.
#[must_use]
pub fn search_seconds(codes: u64, bytes: u64) -> f64 {
    if bytes == 0 {
        return float(codes) / float(CARD_HASHES);
    }
    float(codes) * float(bytes) / float(CARD_BYTES)
}

/// Chance that at least `found` of `trials` happen by themselves, each with chance `each`: with chances
/// that differ, their mean gives an upper bound wherever `found` is above what is expected (Hoeffding 1956).
#[must_use]
pub fn at_least(found: u64, trials: u64, each: f64) -> f64 {
    if found == 0 {
        return 1.0;
    }
    if found > trials {
        return 0.0;
    }
    // The terms of the binomial from `found` on. The first is a product of large and of small factors,
    // taken in turn, so that it neither overflows nor vanishes on the way.
    let mut term = 1.0;
    let mut misses = trials.saturating_sub(found);
    for drawn in 1..=found {
        let left = trials.saturating_sub(found).saturating_add(drawn);
        term *= each * float(left) / float(drawn);
        while term > 1.0 && misses > 0 {
            term *= 1.0 - each;
            misses = misses.saturating_sub(1);
        }
    }
    for _ in 0..misses {
        term *= 1.0 - each;
    }
    let mut sum = term;
    for drawn in found.saturating_add(1)..=trials {
        let left = trials.saturating_sub(drawn).saturating_add(1);
        term *= float(left) / float(drawn) * each / (1.0 - each);
        sum += term;
        // Past their highest the terms fall ever faster.
        if term < sum * 1e-12 && float(drawn) > each * float(trials) {
            break;
        }
    }
    sum.min(1.0)
}

/// A count as a number with a point; exact up to 2^53.
#[must_use]
pub fn float(count: u64) -> f64 {
    let (high, low) = (count >> 32, count & 0xFFFF_FFFF);
    let half = |bits: u64| f64::from(u32::try_from(bits).unwrap_or(u32::MAX));
    half(high) * 4_294_967_296.0 + half(low)
}

fn power_of_two(bits: u8) -> f64 {
    let mut power = 1.0;
    for _ in 0..bits.min(63) {
        power *= 2.0;
    }
    power
}

fn shape_codes(shape: Shape) -> f64 {
    let mut codes = 1.0;
    for _ in 0..shape.length() {
        codes *= f64::from(shape.alphabet().size());
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Alphabet, MAX_CODE_LENGTH};

    #[test]
    fn bits_are_those_of_the_format() {
        assert_eq!(tag_bits(Shape::DIGITS_8), 13);
        assert_eq!(tag_bits(Shape::DIGITS_10), 16);
        assert_eq!(tag_bits(Shape::CROCKFORD_8), 20);
    }

    #[test]
    fn eight_digits_have_the_published_odds() {
        let odds = SplitOdds::new(Shape::DIGITS_8, 13);
        assert!((odds.guess - 1.2207e-4).abs() < 1e-7);
        assert!((odds.forgery - 8.19e-5).abs() < 1e-7);
        assert!((odds.candidates - 12_208.0).abs() < 1.0);
        assert!((odds.guessed_within(5, 1) - 6.102e-4).abs() < 1e-6);
    }

    #[test]
    fn so_many_guesses_have_what_one_after_the_other_has() {
        for (guess, tries) in [(0.5, 3), (1.2e-4, 10), (3.6e-6, 3660), (2e-6, 2200), (1.0, 1)] {
            let missed = (0..tries).fold(1.0, |missed, _| missed * (1.0 - guess));
            assert!((guessed_within(guess, tries) - (1.0 - missed)).abs() < 1e-12, "{guess}");
        }
        assert!(guessed_within(0.3, 0).abs() < 1e-12);
        assert!((guessed_within(1.7, 1) - 1.0).abs() < 1e-12, "more than all codes is certain");
        // Of the smallest guesses each try adds as much as the first.
        for (guess, tries) in [(2f64.powi(-64), 31_536_004), (2f64.powi(-252), 10), (1e-17, 3)] {
            let expected = guess * float(tries);
            assert!((guessed_within(guess, tries) / expected - 1.0).abs() < 1e-9, "{guess}");
        }
    }

    /// The figures that made short hashed codes on devices a bad idea.
    #[cfg(feature = "handover")]
    #[test]
    fn a_slow_hash_of_a_short_code_is_searched_at_once() {
        use crate::handover::check::Cost;
        let seconds = |codes| search_seconds(codes, Cost::STANDARD.moved());
        assert!((60.0..200.0).contains(&seconds(1_000_000)), "six digits: a coffee");
        assert!((3_600.0..8.0 * 3_600.0).contains(&seconds(100_000_000)), "eight: a morning");
        assert!(seconds(Shape::CROCKFORD_10.codes()) > 1_000.0 * float(YEAR));
        assert!(search_seconds(100_000_000, 0) < 1.0, "and without a cost, a blink");
    }

    #[test]
    fn a_longer_tag_trades_guesses_for_forgeries() {
        for alphabet in [Alphabet::Digits, Alphabet::Crockford] {
            for length in 4..=u8::try_from(MAX_CODE_LENGTH).unwrap() {
                let shape = Shape::new(alphabet, length).unwrap();
                for bits in 1..24 {
                    let (short, long) =
                        (SplitOdds::new(shape, bits), SplitOdds::new(shape, bits + 1));
                    assert!(long.guess < short.guess && long.forgery >= short.forgery);
                    assert!(short.guess <= 1.0 && long.forgery <= 1.0);
                }
            }
        }
    }

    #[test]
    fn chances_of_several_are_those_of_the_binomial() {
        // Computed with exact fractions elsewhere (Python: sum(comb(n, i) * p**i * (1-p)**(n-i))).
        for (found, trials, each, expected) in [
            (0, 5, 0.3, 1.0),
            (6, 5, 0.3, 0.0),
            (1, 1, 0.25, 0.25),
            (2, 4, 0.5, 0.6875),
            (3, 1000, 6.102e-4, 2.40919954e-2),
            (10, 1000, 6.102e-4, 1.08978668e-9),
            (700, 1_000_000, 6.102e-4, 2.00382976e-4),
        ] {
            let got = at_least(found, trials, each);
            assert!((got - expected).abs() <= expected * 1e-6, "{found} of {trials}: {got:e}");
        }

        assert!(at_least(500, 1_000_000, 6.102e-4) > 0.99, "what is expected is likely");
    }

    /// The formula against a count over every five-digit code.
    #[cfg(feature = "handover")]
    #[test]
    fn a_search_leaves_as_many_candidates_as_computed() {
        use crate::code::Code;
        use crate::handover::{Subject, tag::Tag};
        use crate::id::{DeliveryId, IssuerId};
        let shape = Shape::new(Alphabet::Digits, 5).unwrap();
        let bits = 8;
        let subject = Subject {
            issuer: IssuerId::parse("iss_test").unwrap(),
            delivery: DeliveryId::parse("dlv_test").unwrap(),
            generation: 1,
            slot: 0,
            device: [7; 16],
        };
        let code = |n: u32| Code::parse(&std::format!("{n:05}"), shape).unwrap();
        let tag = Tag::derive(&[9; 16], bits, &subject, &code(12_345));
        let mut passing = 0_u32;
        for n in 0..100_000 {
            passing += u32::from(tag == Tag::derive(&[9; 16], bits, &subject, &code(n)));
        }
        let expected = SplitOdds::new(shape, bits).candidates;
        // Binomial: one standard deviation is about 20 of 392.
        assert!((f64::from(passing) - expected).abs() < 5.0 * 19.7, "{passing} against {expected}");
    }
}
