//! Passes beside tokens of other libraries, in one run. First all of them must agree on which are right; only then
//! are they measured, in the time that they have a processor.

use criterion::{BenchmarkGroup, Criterion, Throughput};
use doorstep_peers::processor::ProcessorTime;
use doorstep_peers::tokens::{BiscuitAuth, DOOR, Doorstep, Jwt, Paseto, Peer, Said, Time};
use std::hint::black_box;
use std::time::Duration;

const SEED: [u8; 32] = [7; 32];
const OTHER_SEED: [u8; 32] = [8; 32];
/// What the lock believes; others ask the machine.
const NOW: u64 = 1_800_057_600;

const BEGAN: Time = (1_577_836_800, "2020-01-01T00:00:00Z");
const ENDED: Time = (1_609_459_200, "2021-01-01T00:00:00Z");
const BEGINS: Time = (2_524_608_000, "2050-01-01T00:00:00Z");
const ENDS: Time = (4_070_908_800, "2099-01-01T00:00:00Z");

const RIGHT: Said<'_> = Said { door: DOOR, from: BEGAN, until: ENDS };

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(ProcessorTime)
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let signed: Vec<Named> = vec![
        ("doorstep", Box::new(|seed| Box::new(Doorstep::signed(seed, NOW)))),
        ("jsonwebtoken", Box::new(|seed| Box::new(Jwt::signed(seed)))),
        ("pasetors", Box::new(|seed| Box::new(Paseto::signed(seed)))),
        ("biscuit-auth", Box::new(|seed| Box::new(BiscuitAuth::signed(seed)))),
    ];
    let maced: Vec<Named> = vec![
        ("doorstep", Box::new(|seed| Box::new(Doorstep::maced(seed, NOW)))),
        ("jsonwebtoken", Box::new(|seed| Box::new(Jwt::maced(seed)))),
    ];
    measure(&mut criterion, "signed", &signed);
    measure(&mut criterion, "under a MAC", &maced);
    criterion.final_summary();
}

/// A library's name, and the library with a key.
type Named = (&'static str, Box<dyn Fn([u8; 32]) -> Box<dyn Peer>>);

fn measure(criterion: &mut Criterion<ProcessorTime>, kind: &str, peers: &[Named]) {
    let mut ready = Vec::new();
    for (name, peer) in peers {
        let (peer, stranger) = (peer(SEED), peer(OTHER_SEED));
        agree(name, &*peer, &*stranger);
        let token = peer.issue(&RIGHT);
        println!("{name}, {kind}: {} bytes", token.len());
        ready.push((*name, peer, token));
    }
    let mut each = |what: &str, run: &dyn Fn(&dyn Peer, &[u8]) -> bool| {
        let mut group = criterion.benchmark_group(format!("{what}, {kind}"));
        group.throughput(Throughput::Elements(1));
        for (name, peer, token) in &ready {
            one(&mut group, name, || run(&**peer, token));
        }
        group.finish();
    };
    each("verified and opened", &|peer, token| peer.opens(token));
    each("taken apart", &|peer, token| peer.parses(token));
    each("issued", &|peer, _| !peer.issue(black_box(&RIGHT)).is_empty());
}

fn one(group: &mut BenchmarkGroup<'_, ProcessorTime>, name: &str, run: impl Fn() -> bool) {
    group.bench_function(name, |b| b.iter(&run));
}

/// What opens, and what does not: too late, too early, another door, a changed token, another key.
fn agree(name: &str, peer: &dyn Peer, stranger: &dyn Peer) {
    let token = peer.issue(&RIGHT);
    assert!(peer.parses(&token) && peer.opens(&token), "{name} refuses what is right");
    let wrong = [
        Said { until: ENDED, ..RIGHT },
        Said { from: BEGINS, ..RIGHT },
        Said { door: "lk-00043", ..RIGHT },
    ];
    for said in wrong {
        assert!(!peer.opens(&peer.issue(&said)), "{name} takes {said:?}");
    }
    assert!(!peer.opens(&stranger.issue(&RIGHT)), "{name} takes what another one signed");
    for at in [token.len() / 2, token.len() - 20, token.len() - 5] {
        let mut changed = token.clone();
        changed[at] ^= 1;
        assert!(!peer.opens(&changed), "{name} takes a token that was changed at byte {at}");
    }
}
