//! The commands to begin with, for each method, to be pasted as one block; a server begins with test data.
//! Tests read every one of them with the program's own parser, and run the blocks.

use super::methods::pass::{Proof, bound};
use super::needs::{Contact, Needs, Phone, Places, Uses, Verifier};
use super::number::span;
use doorstep::keypad::profile::Profile;
use doorstep::otp::Digits;

/// The suite for challenges of eight digits and answers of six.
pub(super) const SUITE: &str = "OCRA-1:HOTP-SHA1-6:QN08";

/// A secret for firmware to hold, made by what every system has.
pub(super) const LOCK_SECRET: &str =
    "(umask 077; head -c 20 /dev/urandom | od -An -tx1 | tr -d ' \\n' > lock.secret)";

fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).to_vec()
}

/// A server to try it on.
fn server() -> Vec<String> {
    lines([
        "export DOORSTEP_CLOCK=doorstep-data/clock",
        "doorstep init --test",
        "doorstep key create --name me --out doorstep.key",
        // What is pasted next must not be faster than the server.
        "doorstep serve & sleep 1",
    ])
}

fn with_server<const N: usize>(more: [&str; N]) -> Vec<String> {
    [server(), lines(more)].concat()
}

const DELIVERY: &str = "doorstep delivery add --reference A-1 --recipient Zoe --phone \"+44 20 7946 0000\" --address \"1 High St\"";

/// With codes that live for so many minutes, if that is not the usual time.
pub(super) fn online(minutes: Option<u64>) -> Vec<String> {
    let set = minutes
        .map(|minutes| format!("export DOORSTEP_DELIVERIES_ONLINE_LIFETIME={minutes}m"))
        .into_iter();
    let more = with_server([
        DELIVERY,
        "doorstep delivery plan A-1 --online --at +5m",
        "doorstep delivery verify A-1 CODE",
    ]);
    set.chain(more).collect()
}

pub(super) fn split(around: u64) -> Vec<String> {
    offline("Ana", "", around, "")
}

pub(super) fn full(around: u64) -> Vec<String> {
    offline("Leo", " --managed", around, " --check full")
}

/// A code that works from its message on, for so many seconds before the expected time and as many after it.
fn offline(driver: &str, managed: &str, around: u64, check: &str) -> Vec<String> {
    let (dir, around) = (driver.to_lowercase(), span(around));
    let mut all = with_server([DELIVERY]);
    all.extend([
        format!("doorstep driver invite {driver}{managed} > {dir}.ticket"),
        format!("doorstep driver enrol --ticket {dir}.ticket --dir {dir}"),
        format!(
            "doorstep delivery plan A-1 --driver {driver} --at +{around} --variance {around} --lead {around}{check}"
        ),
        format!("doorstep driver sync --dir {dir}"),
        format!("doorstep driver handover 1 CODE --dir {dir}"),
    ]);
    all
}

/// How a lock is made; what its oscillator is when it is not the usual one.
fn new_lock(needs: &Needs, more: &str) -> String {
    use doorstep::clock::Oscillator;
    let oscillator = match needs.oscillator.class() {
        None | Some(Oscillator::Crystal) => String::new(),
        Some(other) => format!(" --oscillator {}", other.name()),
    };
    format!("doorstep lock new \"Front door\" --site home{oscillator}{more}")
}

/// A window of the length that was asked for.
fn when(needs: &Needs) -> String {
    format!("--from +0s --for {}", span(needs.lifetime))
}

pub(super) fn pin(needs: &Needs, kind: &str, profile: &Profile) -> Vec<String> {
    let uses = if needs.uses == Uses::Once { " --uses once" } else { "" };
    let mut more = format!(" --profile {kind}{uses}");
    if profile.holders() != Profile::courts().map_or(0, |courts| courts.holders()) {
        more.push_str(&format!(" --holders {}", profile.holders()));
    }
    if profile.generations() != Profile::courts().map_or(0, |courts| courts.generations()) {
        more.push_str(&format!(" --generations {}", profile.generations()));
    }
    let chosen = profile.digits().get();
    more.push_str(&format!(" --digits {chosen}"));
    let once = if needs.uses == Uses::Once { " --once" } else { "" };
    let mut all = server();
    all.push(new_lock(needs, &more));
    all.push(format!("doorstep booking add \"Front door\" {}{once}", when(needs)));
    all.push("doorstep lock press PIN --dir front-door".to_owned());
    all
}

pub(super) fn totp_door(needs: &Needs, digits: Digits) -> Vec<String> {
    let mut all = server();
    all.push(new_lock(needs, &format!(" --totp {}", digits.get())));
    all.extend(lines([
        "doorstep lock code \"Front door\"",
        "doorstep lock press CODE --dir front-door",
    ]));
    all
}

pub(super) fn pass(needs: &Needs, proof: Proof) -> Vec<String> {
    let kind = match proof {
        Proof::Signed => "",
        Proof::Mac => " --kind mac",
        Proof::Encrypted => " --kind encrypted",
    };
    let once = if needs.uses == Uses::Once { " --once" } else { "" };
    let several = needs.places == Places::Several;
    let (group, place) =
        if several { (" --group all", "--group all") } else { ("", "--lock \"Front door\"") };
    let takes = if proof == Proof::Mac { " --passes mac" } else { "" };
    let mut all = server();
    all.push(new_lock(needs, &format!("{group}{takes}")));
    let issue = format!("doorstep pass issue {place} {}{kind}{once}", when(needs));
    if bound(needs) {
        all.push(format!("{issue} --collect"));
        all.extend(lines([
            "doorstep wallet init",
            "doorstep wallet collect TICKET",
            "doorstep lock listen --dir front-door & sleep 1",
            "doorstep wallet tap 1 --lock front-door",
        ]));
    } else {
        let out = if needs.phone == Phone::None { "--sheet pass.html" } else { "--png pass.png" };
        all.push(format!("{issue} {out}"));
        if needs.phone != Phone::None {
            all.push("doorstep lock tap pass.png --dir front-door".to_owned());
        }
    }
    all
}

/// A service where several ask it, else a gate on the host itself.
pub(super) fn totp(needs: &Needs, digits: Digits) -> Vec<String> {
    let digits = digits.get();
    if needs.places == Places::Several && needs.contact == Contact::Always {
        let mut all = with_server(["doorstep account add ana@example.com"]);
        all.push(format!("doorstep account enrol ana@example.com --digits {digits} --png ana.png"));
        all.extend(lines([
            "doorstep account activate ana@example.com CODE",
            "doorstep account verify ana@example.com CODE",
            "doorstep account recovery ana@example.com",
        ]));
        return all;
    }
    gate(&format!("doorstep gate add ana --digits {digits} --png ana.png"))
}

fn gate(add: &str) -> Vec<String> {
    lines([
        "doorstep gate init",
        add,
        "doorstep gate activate ana CODE",
        "doorstep gate recovery ana",
        "doorstep gate",
    ])
}

pub(super) fn hotp(needs: &Needs, digits: Digits) -> Vec<String> {
    let digits = digits.get();
    if needs.verifier == Verifier::Login {
        return gate(&format!("doorstep gate add ana --hotp --digits {digits}"));
    }
    let list = format!(
        "doorstep code hotp --hex --key-file lock.secret --digits {digits} --counter 0 --window 9"
    );
    vec![LOCK_SECRET.to_owned(), list]
}

pub(super) fn ocra() -> Vec<String> {
    let mut all = with_server(["doorstep account add ana@example.com"]);
    all.push(format!("doorstep account enrol ana@example.com --kind ocra --suite {SUITE}"));
    all.push(format!(
        "doorstep auth add --issuer home --account ana --ocra {SUITE} --secret-file ana.secret"
    ));
    all.extend(lines([
        "doorstep account challenge ana@example.com",
        "doorstep auth code home --challenge CHALLENGE",
        "doorstep account answer CHALLENGE_ID ANSWER",
    ]));
    all
}
