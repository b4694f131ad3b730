//! Inputs that nobody signed: nothing panics, nothing opens, nothing moves the clock.

use crate::support::*;
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use doorstep::pass::document::{Content, Document};
use doorstep::pass::presented::Presented;
use doorstep::pass::record::Record;
use doorstep::pass::rider::{Bulletin, Revoked, Rider, Rotation, Token};
use doorstep::pass::text;
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::LazyLock;

/// One document of each kind and way to make it.
fn documents() -> Vec<Vec<u8>> {
    let bound = Pass {
        holder: Some(phone().holder()),
        scope: Scope { uses: Uses::times(3).unwrap(), passage: true, exact: true },
        lasts: NonZeroU32::new(7200),
        ..booking()
    };
    let revoked = Revoked::from_prefixes(&[[1; 4], [2; 4]]).unwrap();
    let (audience, issued_at) = (name("lk-00042"), at(NOW));
    let key = Key::ed25519(9).public();
    let rotation = Rotation { issued_at, sequence: 1, key, window: window(NOW, NOW + DAY) };
    let pass = issuer().pass(bound);
    vec![
        issuer().pass(booking()),
        phone().prove(&pass, "lk-00042", &[7; 16]),
        Key::p256(5).pass(booking()),
        mac(Content::Pass(booking()), 0),
        phone().prove_at(&pass, NOW - 600),
        encrypt(booking(), 0),
        phone().prove(&encrypt(bound, 0), "lk-00042", &[7; 16]),
        phone().prove_at(&encrypt(bound, 0), NOW - 600),
        issuer().rider(Rider::Bulletin(Bulletin { audience, issued_at, sequence: 1, revoked })),
        issuer().rider(Rider::Token(Token { issued_at, nonce: [7; 16] })),
        issuer_root().rider(Rider::Rotation(rotation)),
    ]
}

fn lock() -> Lock {
    let reader = Lock::<4>::new(NOW - HOUR).reader;
    Lock::with(reader, &[issuer().public(), Key::p256(5).public()], NOW - 600)
}

fn opens(mut lock: Lock, bytes: &[u8]) -> bool {
    let before = lock.belief;
    let opened = lock.answer(bytes, Some(challenge(7))).is_ok();
    // Nothing but what was signed moves the clock.
    let moved = lock.belief != before;
    opened || moved
}

#[test]
fn no_bit_can_be_changed_cut_or_added() {
    let lock = lock();
    for document in documents() {
        assert!(opens(lock.clone(), &document));
        for index in 0..document.len() {
            assert!(!opens(lock.clone(), &document[..index]), "cut at {index}");
            for bit in 0..8 {
                let mut changed = document.clone();
                changed[index] ^= 1 << bit;
                let proof = match document[0] {
                    0x82 => index + 64 >= document.len(),
                    0x83 => index + 71 >= document.len(),
                    _ => false,
                };
                // A wrong proof is found out after the issuer's signature, which tells the time.
                let refused = lock.clone().answer(&changed, Some(challenge(7))).is_err();
                assert!(
                    refused && (proof || !opens(lock.clone(), &changed)),
                    "byte {index} bit {bit}"
                );
            }
        }
        assert!(!opens(lock.clone(), &[&document[..], &[0]].concat()));
    }
}

fn audience() -> impl Strategy<Value = Audience> {
    "[a-z0-9_-]{1,16}".prop_map(|text| Audience::parse(&text).unwrap())
}

fn pass() -> impl Strategy<Value = Pass> {
    let holder = prop_oneof![
        Just(None),
        any::<[u8; 32]>().prop_map(|key| Some(HolderKey::Ed25519(key))),
        (2..4_u8, any::<[u8; 32]>()).prop_map(|(sign, x)| {
            let mut point = [sign; 33];
            point[1..].copy_from_slice(&x);
            Some(HolderKey::P256(point))
        }),
    ];
    let uses = prop_oneof![Just(Uses::Many), (1..=u8::MAX).prop_map(|n| Uses::times(n).unwrap())];
    let scope = (uses, any::<bool>(), any::<bool>());
    let scope = scope.prop_map(|(uses, passage, exact)| Scope { uses, passage, exact });
    let times = (0..u32::MAX, 1..=u32::MAX, any::<u32>());
    let id = prop::collection::vec(any::<u8>(), 4..=16);
    (audience(), times, id, holder, scope, any::<u32>()).prop_map(
        |(audience, (from, length, issued_at), id, holder, scope, lasts)| Pass {
            audience: Some(audience),
            window: window(from.into(), from.saturating_add(length).into()),
            issued_at: Some(at(issued_at.into())),
            id: PassId::from_bytes(&id).unwrap(),
            holder,
            scope,
            lasts: NonZeroU32::new(lasts),
        },
    )
}

static MADE: LazyLock<(Vec<Vec<u8>>, Lock)> = LazyLock::new(|| (documents(), lock()));

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pass_reads_back_as_it_was_made(pass in pass(), epoch in any::<u32>()) {
        let sealed = encrypt(pass, epoch);
        let content = |document: &[u8]| Document::parse(document).unwrap().content().copied();
        prop_assert_eq!(content(&sealed), None);
        for document in [issuer().pass(pass), mac(Content::Pass(pass), epoch)] {
            prop_assert_eq!(content(&document), Some(Content::Pass(pass)));
            let mut line = String::new();
            text::write(&document, &mut line).unwrap();
            let read = text::read(&line).unwrap();
            prop_assert_eq!(read.as_ref(), &document[..]);
        }
    }

    #[test]
    fn mutated_documents_never_verify(
        which in 0..11_usize,
        edits in prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let original = MADE.0.get(which).unwrap();
        let mut bytes = original.clone();
        for (what, place, byte) in edits {
            let at = place.index(bytes.len().max(1));
            match what % 4 {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(bytes.len().saturating_sub(8))),
            }
        }
        prop_assume!(bytes != *original);
        let answer = MADE.1.clone().answer(&bytes, Some(challenge(7)));
        prop_assert!(answer.is_err());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Presented::parse(&bytes);
        if let Some(record) = Record::from_bytes(&bytes) {
            let encoded = record.to_bytes();
            prop_assert_eq!(encoded.as_ref(), &bytes[..]);
        }
        let line = String::from_utf8_lossy(&bytes);
        let _ = text::read(&line);
        let _ = text::read(&format!("DP1:{line}"));
    }
}
