//! What is carried: the right riders in the right order, and never too much.

use super::*;
use crate::randomness::source;
use crate::vault::Content as _;
use crate::wallet::Wallet;
use crate::wallet::key::{Algorithm, HolderKey};
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::pass::claims::Audience;
use doorstep::pass::issue::Unsigned;
use doorstep::pass::rider::{Bulletin, Revoked, Rotation, Token};
use doorstep::secret::Secret;
use doorstep::time::Window;

const HOME: &str = "http://home";
const AWAY: &str = "http://away";
const NOW: Timestamp = Timestamp::from_seconds(1_800_057_600);

fn key() -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([7; 32]))
}

fn document(rider: Rider) -> Vec<u8> {
    let unsigned = Unsigned::new(&Content::Rider(rider), &Signer::Ed25519(key().public())).unwrap();
    unsigned.signed(&key().sign(unsigned.to_be_signed())).as_ref().to_vec()
}

fn bulletin(sequence: u32, name: &str) -> Vec<u8> {
    document(Rider::Bulletin(Bulletin {
        audience: Audience::parse(name).unwrap(),
        issued_at: NOW,
        sequence,
        revoked: Revoked::NONE,
    }))
}

fn rotation(sequence: u32) -> Vec<u8> {
    let (key, window) = (Signer::Ed25519(key().public()), Window::new(NOW, NOW.later(60)));
    let rotation = Rotation { issued_at: NOW, sequence, key, window: window.unwrap() };
    document(Rider::Rotation(rotation))
}

fn brought(carried: &Carried, names: &[&str], known: (u32, u32)) -> Vec<(&'static str, u32)> {
    let lacking = carried.lacking(HOME, names, known.0, known.1);
    lacking.iter().map(|rider| (rider.kind, rider.sequence)).collect()
}

#[test]
fn a_lock_is_brought_what_it_lacks_keys_first_and_in_order() {
    let mut carried = Carried::default();
    let all = vec![bulletin(9, "lk-1"), rotation(3), bulletin(7, "lk-1"), rotation(1), rotation(2)];
    carried.take_riders(HOME, Some("lk-1"), all);
    let lacks = |known| brought(&carried, &["lk-1"], known);
    let all = [("rotation", 1), ("rotation", 2), ("rotation", 3), ("bulletin", 9)];
    assert_eq!(lacks((0, 0)), all);
    assert_eq!(lacks((2, 8)), all[2..]);
    assert_eq!(lacks((3, 9)), []);
    assert_eq!(lacks((7, 12)), [], "nothing older is brought");
    // The keys are the issuer's, and so for a lock that the phone meets for the first time.
    assert_eq!(brought(&carried, &["lk-2"], (0, 0)), all[..3]);
    assert_eq!(brought(&carried, &["lk-2", "g-club"], (2, 0)), all[2..3]);
}

#[test]
fn what_no_lock_could_take_is_not_brought() {
    let mut carried = Carried::default();
    carried.take_riders(HOME, Some("lk-1"), vec![bulletin(1001, "lk-1"), rotation(1001)]);
    assert_eq!(brought(&carried, &["lk-1"], (999, 1)), [("bulletin", 1001)]);
    assert_eq!(brought(&carried, &["lk-1"], (1000, 1)).len(), 2);
    assert_eq!(brought(&carried, &["lk-1"], (0, 0)), [], "more than 1,000 ahead");
    // Another lock's list, a token, a cut document, and a list that is older than the one that is kept.
    let token = document(Rider::Token(Token { issued_at: NOW, nonce: [1; 16] }));
    let cut = bulletin(1003, "lk-1").split_off(1);
    let none = vec![bulletin(1002, "lk-2"), token, cut, bulletin(1000, "lk-1"), vec![]];
    carried.take_riders(HOME, Some("lk-1"), none);
    assert_eq!(brought(&carried, &["lk-1"], (1001, 1)), [("bulletin", 1001)]);
}

#[test]
fn a_group_and_its_lock_are_brought_both_and_the_newest_list() {
    let mut carried = Carried::default();
    carried.take_riders(HOME, Some("g-club"), vec![rotation(1), bulletin(4, "g-club")]);
    carried.take_riders(HOME, Some("lk-1"), vec![rotation(1), rotation(2), bulletin(5, "lk-1")]);
    let names = ["lk-1", "g-club"];
    let both = [("rotation", 1), ("rotation", 2), ("bulletin", 5)];
    assert_eq!(brought(&carried, &names, (0, 0)), both);
}

#[test]
fn a_service_has_no_say_in_what_another_ones_lock_is_brought() {
    let mut carried = Carried::default();
    carried.take_riders(HOME, Some("lk-1"), vec![rotation(1), bulletin(1, "lk-1")]);
    let own = [("rotation", 1), ("bulletin", 1)];
    for sequence in [1, 2, 5000] {
        let strange = vec![rotation(sequence), bulletin(sequence, "lk-1")];
        carried.take_riders(AWAY, Some("lk-1"), strange);
        assert_eq!(brought(&carried, &["lk-1"], (0, 0)), own, "{sequence}");
    }
    let newest = carried.lacking(HOME, &["lk-1"], 0, 0).remove(1).document;
    assert_eq!(newest.as_ref(), bulletin(1, "lk-1"));
    assert_eq!(carried.lacking("http://elsewhere", &["lk-1"], 0, 0).len(), 0);
    carried.want_time(AWAY, "lk-1", &[1; 16], NOW);
    carried.take_token(AWAY, "lk-1", &[1; 16], vec![9]);
    assert!(carried.token(HOME, "lk-1", &[1; 16]).is_none());
}

#[test]
fn a_list_that_the_lock_cannot_take_hides_none_that_it_can() {
    let mut carried = Carried::default();
    carried.take_riders(HOME, Some("lk-1"), vec![bulletin(5, "lk-1")]);
    carried.take_riders(HOME, Some("g-club"), vec![bulletin(5000, "g-club")]);
    assert_eq!(brought(&carried, &["lk-1", "g-club"], (0, 0)), [("bulletin", 5)]);
}

#[test]
fn the_newest_stay_when_there_is_no_room() {
    let mut carried = Carried::default();
    carried.take_riders(HOME, Some("lk-1"), (1..=200).map(rotation).collect());
    assert_eq!(
        brought(&carried, &["lk-1"], (0, 0)),
        [],
        "none is taken after one that is left out"
    );
    let kept = brought(&carried, &["lk-1"], (100, 0));
    assert_eq!((kept.len(), kept.first().unwrap().1, kept.last().unwrap().1), (100, 101, 200));
    for number in 0..=MAX_LOCKS {
        carried.take_riders(HOME, Some(&format!("lk-{number}")), vec![]);
    }
    assert_eq!(carried.names(HOME).count(), MAX_LOCKS);
    assert!(!carried.names(HOME).any(|name| name == "lk-0"));
}

fn journal(server: &str, lock: &str, records: u64) -> Journal {
    Journal { server: server.into(), lock: lock.into(), records, sealed: vec![1].into() }
}

fn kept(carried: &Carried, lock: &str) -> Vec<u64> {
    let all = carried.journals().iter().filter(|journal| journal.lock == lock);
    all.map(|journal| journal.records).collect()
}

#[test]
fn a_newer_journal_takes_the_place_of_what_it_says_again() {
    let mut carried = Carried::default();
    carried.take_journal(journal(HOME, "lk-1", 10));
    carried.take_journal(journal(HOME, "lk-1", 1010));
    assert_eq!(kept(&carried, "lk-1"), [1010]);
    // So far behind that the newer one may not have it; or set back, which its service should see.
    carried.take_journal(journal(HOME, "lk-1", 2011));
    carried.take_journal(journal(HOME, "lk-1", 5));
    assert_eq!(kept(&carried, "lk-1"), [1010, 2011, 5]);
    carried.take_journal(journal(AWAY, "lk-1", 2012));
    assert_eq!(kept(&carried, "lk-1"), [1010, 2011, 5, 2012], "another service's lock");
    carried.delivered(&journal(HOME, "lk-1", 2011));
    assert_eq!(kept(&carried, "lk-1"), [1010, 5, 2012]);
    for number in 0..20 {
        carried.take_journal(journal(HOME, &format!("lk-{number}"), 1));
    }
    assert_eq!(carried.journals().len(), MAX_JOURNALS);
}

#[test]
fn a_question_for_the_time_waits_as_long_as_its_lock_does() {
    let mut carried = Carried::default();
    let (first, second) = ([1; 16], [2; 16]);
    carried.want_time(HOME, "lk-1", &first, NOW);
    assert_eq!(carried.wanted_time(HOME, "lk-1", NOW.later(600)).unwrap().as_ref(), &first);
    assert!(carried.wanted_time(HOME, "lk-1", NOW.later(601)).is_none());
    assert!(carried.wanted_time(AWAY, "lk-1", NOW).is_none());
    carried.want_time(HOME, "lk-1", &first, NOW.later(300));
    assert!(carried.wanted_time(HOME, "lk-1", NOW.later(601)).is_none(), "it asked before");
    carried.take_token(HOME, "lk-1", &second, vec![9]);
    assert!(carried.token(HOME, "lk-1", &second).is_none(), "an answer to nothing");
    carried.take_token(HOME, "lk-1", &first, vec![8]);
    assert_eq!(carried.token(HOME, "lk-1", &first).unwrap().as_ref(), [8]);
    assert!(
        carried.token(HOME, "lk-1", &second).is_none()
            && carried.token(HOME, "lk-2", &first).is_none()
    );
    assert!(carried.wanted_time(HOME, "lk-1", NOW).is_none(), "it is answered");
    carried.want_time(HOME, "lk-1", &second, NOW);
    assert!(carried.token(HOME, "lk-1", &first).is_none(), "the lock asks anew");
}

#[test]
fn a_wallet_is_counted_before_it_is_written_so_that_its_buffer_never_moves() {
    let mut wallet = Wallet::new(HolderKey::make(Algorithm::P256, &mut source(None)));
    for services in 0..2 {
        let written = wallet.write();
        assert_eq!(written.capacity(), written.len(), "{services}");
        assert_eq!(Wallet::read(&written).unwrap().write(), written);
        let all = (1..=100).map(rotation).collect::<Vec<_>>();
        for service in 0..MAX_SERVICES {
            wallet.carried.take_riders(&format!("http://{service}"), None, all.clone());
        }
    }
}
