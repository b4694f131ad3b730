//! Passes: signed or sealed documents that a lock reads from a phone or from paper.

use super::{guessed, silent};
use crate::advise::judge::property;
use crate::advise::needs::{Contact, Entry, Needs, Oscillator, Phone, Scan, Uses, Verifier};
use crate::advise::number::{Number, Value, duration};
use crate::advise::{Aspect, Details, Grade, Property, Traits, commands};
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::door::MARKS;
use doorstep::keypad::key::RootKey;
use doorstep::odds::{YEAR, float};
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope};
use doorstep::pass::document::{Content, SEAL_TAG};
use doorstep::pass::issue::{LONGEST_WINDOW, Unsigned, encrypted, maced};
use doorstep::pass::key::MAC_LENGTH;
use doorstep::pass::presented::with_timed_proof;
use doorstep::pass::reader::GRACE;
use doorstep::pass::rider::MAX_REVOKED;
use doorstep::pass::state::PACE;
use doorstep::pass::text;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use doorstep_qr::Qr;
use std::num::NonZeroU32;

/// What proves a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::advise) enum Proof {
    Signed,
    Mac,
    Encrypted,
}

/// Whether the phones that come can answer for a lock that has no clock.
fn phones_bring_time(needs: &Needs) -> bool {
    needs.phone == Phone::App && matches!(needs.contact, Contact::Phones | Contact::Always)
}

/// Whether it is for the key of one phone, whose proof is a signature that the lock verifies: a code that has
/// to be short has room for none.
pub(in crate::advise) fn bound(needs: &Needs) -> bool {
    needs.phone == Phone::App && needs.scan != Scan::Small
}

pub(in crate::advise) fn traits(needs: &Needs, proof: Proof) -> Traits {
    let mut facts = Vec::new();
    if needs.verifier != Verifier::Lock {
        facts.push("it is for locks with a reader");
    } else if needs.oscillator == Oscillator::None && !phones_bring_time(needs) {
        facts.push("the lock has no clock, and no phone with an app and a network brings the time");
    }
    let signed = proof == Proof::Signed;
    Traits {
        entry: Entry::Scanned,
        // What is used up or used once is known to one lock alone.
        several: signed && needs.uses == Uses::Many,
        scans: match proof {
            Proof::Signed => &[Scan::Plain],
            // The time that a phone brings is signed, and long.
            Proof::Mac if needs.oscillator == Oscillator::None => &[Scan::Plain],
            Proof::Mac => &[Scan::Plain, Scan::Small],
            Proof::Encrypted => &[Scan::Plain, Scan::Private],
        },
        answers: bound(needs),
        longest: Some(LONGEST_WINDOW),
        most_active: NonZeroU32::new(u32::try_from(MARKS).unwrap_or(u32::MAX))
            .filter(|_| needs.uses == Uses::Once)
            .map(|most| (most, "passes of single use at a time: a lock remembers no more")),
        ..Traits::typed(facts, properties(needs, proof))
    }
}

fn properties(needs: &Needs, proof: Proof) -> Vec<Property> {
    let kept = |aspect, text: &str| property(aspect, Grade::Kept, text);
    let partly = |aspect, text: &str| property(aspect, Grade::Partly, text);
    vec![
        if bound(needs) {
            kept(Aspect::Uniqueness, "opens with the key of one phone alone")
        } else {
            partly(Aspect::Uniqueness, "a picture of it is as good as the pass")
        },
        kept(
            Aspect::Lifetime,
            &format!("exactly its window, and {} of grace", duration(float(GRACE))),
        ),
        kept(Aspect::OneTime, "spent durably before the bolt moves"),
        match proof {
            Proof::Signed => {
                kept(Aspect::Forgery, "an opened lock holds public keys: nothing to forge with")
            }
            _ => {
                partly(Aspect::Forgery, "an opened lock gives away its own passes, no other lock's")
            }
        },
        kept(Aspect::Typos, "nothing is typed"),
        match silent(needs.oscillator) {
            Some(silent) => kept(
                Aspect::Drift,
                &format!(
                    "fails after {} without a visitor; each pass brings a time that is over",
                    Value::lasting(silent)
                ),
            ),
            None => partly(Aspect::Drift, "each phone fetches the time for the lock, at the door"),
        },
        match needs.contact {
            Contact::Never => {
                partly(Aspect::Revocation, "by a signed list that staff bring to the lock")
            }
            _ => partly(
                Aspect::Revocation,
                "by a signed list that the next phone brings to the lock",
            ),
        },
        partly(
            Aspect::Access,
            match needs.phone {
                Phone::App if bound(needs) => {
                    "needs a reader at the lock, and a phone with the app"
                }
                Phone::App | Phone::Messages => {
                    "needs a camera at the lock, and a picture on the phone"
                }
                Phone::None => "needs a camera at the lock, and a sheet of paper",
            },
        ),
    ]
}

/// A pass as they are issued, in bytes, and the QR code that is shown to a lock in modules a side: with the proof
/// by the phone's time, where the pass is for a phone's key.
pub(in crate::advise) fn size(proof: Proof, bound: bool) -> Option<(usize, usize)> {
    let now = Timestamp::from_seconds(YEAR);
    let key = IssuerKey::from_seed(&Secret::from_bytes([1; 32]));
    let signer = Signer::Ed25519(key.public());
    let own = proof != Proof::Signed;
    let pass = Pass {
        // A pass under a lock's key needs no name of its lock, and no time.
        audience: if own { None } else { Audience::parse("front-01") },
        window: Window::new(now, now.later(GRACE))?,
        issued_at: (!own).then_some(now),
        id: PassId::from_bytes(&[1; 8])?,
        holder: bound.then(|| HolderKey::of(&signer)),
        scope: Scope::default(),
        lasts: None,
    };
    let content = Content::Pass(pass);
    let root = RootKey::from_secret(Secret::from_bytes([2; 32]));
    let document = match proof {
        Proof::Signed => Unsigned::new(&content, &signer).ok()?.signed(&[3; 64]),
        Proof::Mac => maced(&content, 0, &root.passes(0)).ok()?,
        Proof::Encrypted => encrypted(&content, 0, &root.encryption(0), [4; 12]).ok()?,
    };
    let mut shown = String::new();
    if bound {
        let time = u32::try_from(now.seconds()).ok()?;
        let proven = with_timed_proof(document.as_ref(), time, &[3; 64])?;
        text::write(proven.as_ref(), &mut shown).ok()?;
    } else {
        text::write(document.as_ref(), &mut shown).ok()?;
    }
    let version = usize::from(Qr::of_text(&shown).ok()?.version());
    Some((document.as_ref().len(), version.saturating_mul(4).saturating_add(17)))
}

/// Of what a guess at a signature has to hit: the order of the smaller of the two groups, that of Ed25519, is a
/// little more than this power of two, and one number of it is right.
const SIGNATURE_BITS: i32 = 252;

fn bits(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX).saturating_mul(8)
}

pub(in crate::advise) fn details(needs: &Needs, proof: Proof) -> Details {
    let bound = bound(needs);
    let mut numbers = Vec::new();
    if let Some((bytes, modules)) = size(proof, bound) {
        numbers.push(Number::bytes("bytes", "the pass", bytes));
        if let Ok(modules) = u32::try_from(modules) {
            let label = "modules on a side of its QR code";
            numbers.push(Number::count("qr_modules", label, f64::from(modules)));
        }
    }
    let (name, bits) = match proof {
        Proof::Signed => ("a guess at its signature, at most", SIGNATURE_BITS),
        Proof::Mac => ("a guess at its MAC", bits(MAC_LENGTH)),
        Proof::Encrypted => ("a guess at its tag", bits(SEAL_TAG)),
    };
    let guess = 0.5_f64.powi(bits);
    numbers.push(Number::chance("guess", name, guess));
    let year = guessed(guess, PACE, needs.tries);
    numbers.push(Number::chance("guess_year", "all guesses of those who may try", year));
    if let Some(silent) = silent(needs.oscillator) {
        numbers.push(Number::silent(silent));
    }
    let mut parameters = vec![
        ("grace", format!("{} before and after", duration(float(GRACE)))),
        ("attempts", format!("{} a second", PACE.burst)),
        ("revoked at a time", format!("{MAX_REVOKED} passes of a lock at most")),
    ];
    parameters
        .push(("holder", if bound { "the key of a phone" } else { "whoever shows it" }.to_owned()));
    if needs.uses == Uses::Once {
        parameters.push(("uses", "once, at one lock".to_owned()));
    }
    let mut not_protected = Vec::new();
    if !bound {
        not_protected.push(
            "a copied picture opens like the pass: give it out where a PIN would do".to_owned(),
        );
    }
    not_protected
        .push("a revoked pass opens until its list arrives; short windows need no list".to_owned());
    not_protected.push("a power cut: nothing opens until fresh time arrives".to_owned());
    if proof == Proof::Mac {
        not_protected.push(
            "whoever opened the lock makes passes for it until it is provisioned anew".to_owned(),
        );
    }
    Details { parameters, numbers, not_protected, commands: commands::pass(needs, proof) }
}
