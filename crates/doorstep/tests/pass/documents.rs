//! Documents as bytes: their sizes, their one encoding, and that none passes for another.

use crate::support::*;
use doorstep::cose;
use doorstep::id::LockId;
use doorstep::pass::claims::{Audience, Pass, PassId, Scope, Uses};
use doorstep::pass::document::{Content, Document, Kind, Malformed};
use doorstep::pass::issue::{Unsigned, maced};
use doorstep::pass::presented::{MAX_PRESENTED, Presented};
use doorstep::pass::rider::{Bulletin, MAX_REVOKED, Revoked, Rider, Rotation, Token};
use doorstep::pass::text;
use std::num::NonZeroU32;

fn full(holder: &Key) -> Pass {
    let scope = Scope { exact: true, ..Scope::default() };
    Pass { holder: Some(holder.holder()), scope, ..booking() }
}

pub(crate) fn revoked(count: usize) -> Revoked {
    let prefixes: Vec<_> = (0_u32..).map(u32::to_be_bytes).take(count).collect();
    Revoked::from_prefixes(&prefixes).unwrap()
}

fn bulletin(count: usize) -> Rider {
    let (audience, issued_at) = (name("lk-00042"), at(NOW));
    Rider::Bulletin(Bulletin { audience, issued_at, sequence: 70_000, revoked: revoked(count) })
}

#[test]
fn documents_are_as_small_as_promised() {
    let bearer = Pass { holder: None, ..full(&phone()) };
    let lengths = |key: &Key| {
        [full(&Key::ed25519(4)), full(&phone()), bearer].map(|pass| key.pass(pass).len())
    };
    assert_eq!(lengths(&issuer()), [166, 168, 123]);
    assert_eq!(lengths(&Key::p256(5)), [166, 168, 123]);
    assert_eq!(mac(Content::Pass(bearer), 0).len(), 63);
    assert!(mac(Content::Pass(bearer), u32::MAX).len() <= 66);
    let bare = Pass { audience: None, issued_at: None, scope: Scope::default(), ..bearer };
    assert!(mac(Content::Pass(bare), 0).len() <= 46);

    let pass = issuer().pass(full(&phone()));
    assert_eq!(phone().prove(&pass, "lk-00042", &[7; 16]).len(), 235, "one short APDU");
    let token = Rider::Token(Token { issued_at: at(NOW), nonce: [7; 16] });
    assert_eq!(issuer().rider(token).len(), 106);
    let rotation = |sequence, key: &Key| {
        let (issued_at, window) = (at(NOW), window(NOW, NOW + DAY));
        Rider::Rotation(Rotation { issued_at, sequence, key: key.public(), window })
    };
    assert_eq!(issuer().rider(rotation(1, &issuer())).len(), 149);
    assert_eq!(issuer().rider(rotation(u32::MAX, &phone())).len(), 155);
    let Rider::Bulletin(none) = bulletin(0) else { panic!("a bulletin") };
    let none = Rider::Bulletin(Bulletin { sequence: 1, ..none });
    assert_eq!((issuer().rider(none).len(), issuer().rider(bulletin(0)).len()), (110, 114));
    assert_eq!(issuer().rider(bulletin(9)).len(), 151);
    assert_eq!(issuer().rider(bulletin(MAX_REVOKED)).len(), 307);
}

#[test]
fn the_largest_of_each_kind_fits_its_room() {
    let long = Audience::parse("a-name-of-16-cha").unwrap();
    let pass = Pass {
        audience: Some(long),
        id: PassId::from_bytes(&[0xFF; 16]).unwrap(),
        holder: Some(phone().holder()),
        scope: Scope { uses: Uses::times(255).unwrap(), passage: true, exact: true },
        lasts: NonZeroU32::new(u32::MAX),
        ..booking()
    };
    let document = Key::p256(5).pass(pass);
    assert_eq!(Document::parse(&document).unwrap().content(), Some(&Content::Pass(pass)));
    assert!(phone().prove(&document, "a-name-of-16-cha", &[7; 16]).len() <= MAX_PRESENTED);
    let Rider::Bulletin(last) = bulletin(MAX_REVOKED) else { panic!("a bulletin") };
    let last = Bulletin { audience: long, sequence: u32::MAX, ..last };
    let rotation = Rotation {
        issued_at: at(u64::from(u32::MAX)),
        sequence: u32::MAX,
        key: phone().public(),
        window: window(u64::from(u32::MAX) - 1, u64::from(u32::MAX)),
    };
    for rider in [Rider::Bulletin(last), Rider::Rotation(rotation)] {
        let document = Key::p256(5).rider(rider);
        assert_eq!(Document::parse(&document).unwrap().content(), Some(&Content::Rider(rider)));
    }
}

#[test]
fn a_pass_fits_the_qr_code_that_was_promised() {
    // Modules a side are 4 versions + 17, with 4 light ones on either side.
    let version = |bytes: &[u8]| {
        let mut text = String::new();
        text::write(bytes, &mut text).unwrap();
        let svg = doorstep_qr::Qr::of_text(&text).unwrap().svg();
        let side = svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap();
        (side.parse::<u32>().unwrap() - 8 - 17) / 4
    };
    let bearer = Pass { holder: None, ..full(&phone()) };
    assert_eq!(version(&issuer().pass(full(&phone()))), 9);
    assert_eq!(version(&issuer().pass(bearer)), 8);
    assert_eq!(version(&mac(Content::Pass(bearer), u32::MAX)), 5);
}

#[test]
fn an_issuer_cannot_make_what_no_lock_takes() {
    let key = issuer().public();
    let refused = |pass: Pass| Unsigned::new(&Content::Pass(pass), &key).err();
    let malformed = Some(Malformed("claims"));
    assert_eq!(refused(booking()), None);
    assert_eq!(refused(Pass { audience: None, ..booking() }), malformed, "for every lock");
    assert_eq!(refused(Pass { issued_at: None, ..booking() }), malformed, "without its time");
    let beyond = window(NOW, 1 << 32);
    assert_eq!(refused(Pass { window: beyond, ..booking() }), malformed, "beyond 32 bits");
    let (issued_at, window) = (at(NOW), window(NOW, NOW + DAY));
    let rotation = Rotation { issued_at, sequence: 1, key: phone().public(), window };
    let rotation = Content::Rider(Rider::Rotation(rotation));
    assert!(maced(&rotation, 0, &root_key().passes(0)).is_err(), "a lock makes no issuer's keys");
}

#[test]
fn ids_and_names_have_bounds() {
    for length in [0, 3, 17] {
        assert_eq!(PassId::from_bytes(&vec![7; length]), None, "{length}");
    }
    for text in ["", "a-name-of-17-char", "A", "a b", "ä", "a\0"] {
        assert_eq!(Audience::parse(text), None, "{text:?}");
    }
    let lock = |id| Audience::of_lock(&LockId::parse(id).unwrap());
    assert_eq!(lock("court-3").as_str(), "court-3");
    assert_eq!(lock("lck_01kabcdefghjkmnpqrstvwxyz0").as_str(), "stvwxyz0");
    assert!(Revoked::from_prefixes(&[[2; 4], [1; 4]]).is_none(), "not ascending");
    assert!(Revoked::from_prefixes(&[[1; 4], [1; 4]]).is_none(), "twice");
    let many: Vec<_> = (0_u32..49).map(u32::to_be_bytes).collect();
    assert!(Revoked::from_prefixes(&many).is_none(), "too many");
}

#[test]
fn every_kind_is_signed_for_itself() {
    let kinds = [Kind::Pass, Kind::HolderProof, Kind::Bulletin, Kind::TimeToken, Kind::KeyRotation];
    let of_deliveries = [cose::Kind::Evidence, cose::Kind::Claim].map(cose::Kind::context);
    let contexts = [&kinds.map(Kind::context)[..], &of_deliveries].concat();
    for (at, context) in contexts.iter().enumerate() {
        assert!(contexts.iter().skip(at + 1).all(|other| other != context));
    }
}

#[test]
fn text_is_base45_and_nothing_else() {
    let text_of = |bytes: &[u8]| {
        let mut text = String::new();
        text::write(bytes, &mut text).unwrap();
        text
    };
    // RFC 9285, section 4.
    for (bytes, text) in [
        (&b"AB"[..], "DP1:BB8"),
        (b"Hello!!", "DP1:%69 VD92EX0"),
        (b"base-45", "DP1:UJCLQE7W581"),
        (b"ietf!", "DP1:QED8WEX0"),
        (b"", "DP1:"),
    ] {
        assert_eq!(text_of(bytes), text);
        assert_eq!(text::read(text).unwrap().as_ref(), bytes);
    }
    for wrong in [
        "BB8",
        "dp1:BB8",
        "DP1:bb8",
        "DP1:GGW",
        "DP1:::",
        "DP1::::",
        "DP1:BB80",
        "DP1:BB8\n",
        " DP1:BB8",
        "DP1:BB\u{FF18}",
        "HC1:BB8",
    ] {
        assert!(text::read(wrong).is_err(), "{wrong:?}");
    }
    assert!(text::read(&text_of(&[0; MAX_PRESENTED])).is_ok());
    assert!(text::read(&text_of(&[0; MAX_PRESENTED + 1])).is_err());
}

#[test]
fn nothing_that_opens_a_lock_is_printed() {
    let pass = issuer().pass(full(&phone()));
    let proven = phone().prove(&pass, "lk-00042", &[0x5A; 16]);
    let unsigned = Unsigned::new(&Content::Pass(booking()), &issuer().public()).unwrap();
    let signature = &pass[pass.len() - 64..];
    let printed = [
        format!("{:?}", Document::parse(&pass).unwrap()),
        format!("{:?}", Presented::parse(&proven).unwrap()),
        format!("{unsigned:?}"),
        format!("{:?}", root_key().passes(0)),
        format!("{:?}", unsigned.signed(&[0x5A; 64])),
    ];
    for text in printed {
        assert!(!text.contains("90, 90, 90"), "{text}");
        assert!(!text.contains(&format!("{:?}", &signature[..8])[1..20]), "{text}");
    }
}
