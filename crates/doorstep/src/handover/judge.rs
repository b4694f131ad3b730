//! The issuer's verdict: whole codes, checked where the device could check only a few bits.

use super::Subject;
use super::issue::code_mac;
use super::stop::{Presented, first};
use crate::code::Code;
use crate::id::DeliveryId;
use crate::secret::Secret;
use crate::time::{Timestamp, Window};
use crate::verifier::Compare;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use subtle::ConstantTimeEq;

/// How the presented code compares with the issued one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the code.
    Match,
    /// It is one wrong symbol, or one swap of neighbours, away from the code: an honest typo that
    /// passed the device's few bits by chance, or a lucky forger.
    MatchWithTypo,
    /// It is another code.
    Mismatch,
}

/// What the issuer holds of one slot.
#[derive(Clone)]
pub struct Held {
    /// See [`code_mac`].
    pub code_mac: [u8; 32],
    /// See [`super::tag::ScanSecret::hash`].
    pub scan: [u8; 32],
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(..)")
    }
}

/// Judges what a device claims was presented for `subject`.
#[must_use]
pub fn judge(
    pepper: &Secret<32>,
    subject: &Subject,
    held: &Held,
    presented: &Presented,
) -> Verdict {
    match presented {
        Presented::Scanned(secret) => {
            if bool::from(secret.hash(subject).ct_eq(&held.scan)) {
                Verdict::Match
            } else {
                Verdict::Mismatch
            }
        }
        Presented::Typed(code) => {
            let same = |code: &Code| {
                let mac =
                    code_mac(pepper, &subject.delivery, subject.generation, subject.slot, code);
                bool::from(mac.ct_eq(&held.code_mac))
            };
            if same(code) {
                Verdict::Match
            } else if typos(code).iter().any(same) {
                Verdict::MatchWithTypo
            } else {
                Verdict::Mismatch
            }
        }
    }
}

/// Every code that is one substitution or one swap of neighbours away.
fn typos(code: &Code) -> Vec<Code> {
    let shape = code.shape();
    let typed = code.expose();
    let mut near = Vec::new();
    let mut push = |symbols: &[u8]| {
        let mut text = alloc::string::String::new();
        for symbol in symbols {
            // Writing to a string cannot fail.
            let _ = text.write_char(char::from(*symbol));
        }
        near.extend(Code::parse(&text, shape));
    };
    for (index, own) in typed.iter().enumerate() {
        for symbol in shape.alphabet().symbols().iter().filter(|symbol| *symbol != own) {
            let mut symbols = typed.to_vec();
            if let Some(place) = symbols.get_mut(index) {
                *place = *symbol;
            }
            push(&symbols);
        }
    }
    for (index, pair) in typed.windows(2).enumerate() {
        if let [a, b] = pair
            && a != b
        {
            let mut symbols = typed.to_vec();
            symbols.swap(index, index.saturating_add(1));
            push(&symbols);
        }
    }
    near
}

/// A code presented to the server itself, for a delivery in online mode.
pub struct AtServer {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its generation.
    pub generation: u32,
    /// The slots that are open, with [`code_mac`] of each.
    pub slots: Vec<(u8, [u8; 32])>,
    /// What was typed.
    pub code: Code,
    /// The key of the hashes.
    pub pepper: Secret<32>,
}

impl fmt::Debug for AtServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AtServer({}, {}, ..)", self.delivery, self.generation)
    }
}

impl Compare for AtServer {
    type Found = u8;

    fn compare(&self) -> Option<u8> {
        first(self.slots.iter().map(|(slot, held)| {
            let mac = code_mac(&self.pepper, &self.delivery, self.generation, *slot, &self.code);
            (*slot, mac.ct_eq(held))
        }))
    }
}

/// Seconds before its window's begin at which a claim is still taken as made in it: the device's clock goes
/// before the issuer's by some minutes, and no code is worth more for being early.
pub const EARLY: u64 = 15 * 60;

/// How the span in which a claim was certainly made lies to its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// There is none: the claim names a signed time from after its arrival, which no issuer gave.
    Impossible,
    /// Wholly outside of the window.
    Outside,
    /// Not wholly outside.
    Possible,
}

/// Judges a claim's times by the issuer's own alone: it was made not before the last signed time that the
/// device had seen, and not after it was received. The device's clock decides nothing.
#[must_use]
pub fn span(window: Window, signed_time: Timestamp, received: Timestamp) -> Span {
    if signed_time > received {
        Span::Impossible
    } else if signed_time >= window.until() || received < window.from().earlier(EARLY) {
        Span::Outside
    } else {
        Span::Possible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Shape;
    use crate::handover::tag::ScanSecret;
    use crate::id::IssuerId;

    fn verdict(issued: &str, typed: &str) -> Verdict {
        let pepper = Secret::from_bytes([1; 32]);
        let subject = Subject {
            issuer: IssuerId::parse("iss_1").unwrap(),
            delivery: DeliveryId::parse("dlv_1").unwrap(),
            generation: 1,
            slot: 0,
            device: [2; 16],
        };
        let code = |text| Code::parse(text, Shape::DIGITS_8).unwrap();
        let held = Held {
            code_mac: code_mac(&pepper, &subject.delivery, 1, 0, &code(issued)),
            scan: ScanSecret::new(Secret::from_bytes([3; 16])).hash(&subject),
        };
        judge(&pepper, &subject, &held, &Presented::Typed(code(typed)))
    }

    #[test]
    fn a_typo_is_one_substitution_or_one_adjacent_swap() {
        assert_eq!(verdict("01234567", "01234567"), Verdict::Match);
        assert_eq!(verdict("01234567", "01234568"), Verdict::MatchWithTypo);
        assert_eq!(verdict("01234567", "10234567"), Verdict::MatchWithTypo);
        assert_eq!(verdict("01234567", "01234576"), Verdict::MatchWithTypo);
        assert_eq!(verdict("01234567", "21034567"), Verdict::Mismatch, "a swap over one");
        assert_eq!(verdict("01234567", "11234568"), Verdict::Mismatch, "two substitutions");
        assert_eq!(verdict("01234567", "12345670"), Verdict::Mismatch, "a rotation");
    }

    #[test]
    fn eight_digits_have_79_typos_at_most() {
        let near = |text| typos(&Code::parse(text, Shape::DIGITS_8).unwrap()).len();
        assert_eq!(near("01234567"), 8 * 9 + 7);
        assert_eq!(near("00000000"), 8 * 9);
    }
}
