//! A driver's device under concurrency, sudden death, false clocks and restored backups.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::fs::File;
use std::process::Stdio;
use support::{Shop, WRITES, code_in, copy, link_in, wait, wait_at_lock, wrong};

const PROCESSES: usize = 16;

/// Presents one code by many processes that have all read the same state.
fn present_at_once(shop: &Shop, delivery: &str, code: &str) -> Vec<String> {
    let check = || shop.command(&["driver", "handover", delivery, code, "--dir", "ana"]);
    let replies = support::all_at_once(&shop.path("ana/journal"), PROCESSES, check);
    replies.iter().map(|reply| reply.outcome().to_owned()).collect()
}

fn grants(outcomes: &[String]) -> usize {
    outcomes.iter().filter(|outcome| *outcome == "granted").count()
}

#[test]
fn sixteen_processes_present_one_code_and_one_is_granted() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    let outcomes = present_at_once(&shop, &delivery, &code);
    assert_eq!(grants(&outcomes), 1, "{outcomes:?}");
    assert!(
        outcomes.iter().all(|o| ["granted", "already_used", "throttled"].contains(&o.as_str())),
        "{outcomes:?}"
    );
    assert_eq!(shop.status("ana")["claims"], 1);
}

#[test]
fn the_last_token_of_the_budget_grants_once() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    use_up(&shop, &delivery, &code, 4);
    let outcomes = present_at_once(&shop, &delivery, &code);
    assert_eq!(grants(&outcomes), 1, "{outcomes:?}");
    assert_eq!(shop.stop_of("ana")["attempts"], 5);
}

fn use_up(shop: &Shop, delivery: &str, code: &str, attempts: u32) {
    for nth in 0..attempts {
        assert_eq!(shop.check("ana", delivery, &wrong(code, nth)).outcome(), "wrong_code");
    }
}

#[test]
fn a_used_up_budget_takes_no_typing_and_still_a_scan() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    use_up(&shop, &delivery, &code, 5);
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "throttled");
    let link = link_in(&shop.message(&delivery, 1, 0));
    let mut forged = link.clone();
    let last = if forged.ends_with('0') { '1' } else { '0' };
    forged.pop();
    forged.push(last);
    for (text, outcome) in [
        (forged.as_str(), "wrong_code"),
        (&link.replace(":1:0:", ":2:0:"), "unknown"),
        ("https://shop.example/d#HO1:dlv_0:1:0:00000000000000000000000000", "unknown"),
        ("HO1:", "mistyped"),
        (&link, "granted"),
        (&link, "already_used"),
    ] {
        let reply = shop.run(&["driver", "scan", text, "--dir", "ana"]);
        assert_eq!(reply.outcome(), outcome, "{text}");
    }
}

/// Runs a command and kills it on entering its nth call of `syscall`; what it said by then. `None`
/// once the process gets to its end.
fn killed_at(shop: &Shop, arguments: &[&str], syscall: &str, nth: u32) -> Option<String> {
    let (said, killed) =
        support::killed_at(|command| shop.surround(command), arguments, syscall, nth);
    killed.then(|| said.outcome().to_owned())
}

fn check_killed_at(
    shop: &Shop,
    delivery: &str,
    code: &str,
    syscall: &str,
    nth: u32,
) -> Option<String> {
    killed_at(shop, &["driver", "handover", delivery, code, "--dir", "ana"], syscall, nth)
}

#[test]
fn killed_at_every_write_a_device_never_grants_twice_nor_forgets_a_grant() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    let fresh = shop.path("fresh");
    copy(&shop.path("ana"), &fresh);
    let mut kills = 0;
    for syscall in WRITES {
        for nth in 1.. {
            copy(&fresh, &shop.path("ana"));
            let said = check_killed_at(&shop, &delivery, &code, syscall, nth);
            kills += u32::from(said.is_some());
            let after = shop.check("ana", &delivery, &code).outcome().to_owned();
            let told = said.as_deref() == Some("granted") || said.is_none();
            let point = format!("{syscall} {nth}: said {said:?}, then {after}");
            if told {
                assert_eq!(after, "already_used", "{point}");
            } else {
                // The grant was not told, so it may or may not have been recorded; either way the
                // delivery is granted once in the journal and the outcome is there to be synced.
                assert!(["granted", "already_used"].contains(&after.as_str()), "{point}");
            }
            assert_eq!(shop.status("ana")["claims"], 1, "{point}");
            assert_eq!(shop.stop_of("ana")["state"], "accepted", "{point}");
            if said.is_none() {
                break;
            }
        }
    }
    assert!(kills >= 10, "only {kills} kills: the trace missed the writes");
}

#[test]
fn killed_at_every_write_no_guess_is_free() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    let guess = wrong(&code, 0);
    let fresh = shop.path("fresh");
    copy(&shop.path("ana"), &fresh);
    for syscall in WRITES {
        for nth in 1.. {
            copy(&fresh, &shop.path("ana"));
            let said = check_killed_at(&shop, &delivery, &guess, syscall, nth);
            let attempts = shop.stop_of("ana")["attempts"].as_u64().unwrap();
            let told = said.as_deref() == Some("wrong_code") || said.is_none();
            assert!(
                attempts == 1 || (attempts == 0 && !told),
                "{syscall} {nth}: {said:?}, {attempts} counted"
            );
            if said.is_none() {
                break;
            }
        }
    }
}

#[test]
fn killed_at_every_write_of_a_sync_nothing_is_lost_and_nothing_taken_twice() {
    let shop = Shop::open();
    let device = shop.driver("ana");
    let mut stop: Option<(String, String)> = None;
    for (round, syscall) in WRITES.into_iter().enumerate() {
        // Each round has an outcome to bring home and a stop to fetch.
        if let Some((delivery, code)) = &stop {
            assert_eq!(shop.check("ana", delivery, code).outcome(), "granted");
        }
        let next = shop.delivery(&format!("ORDER-{round}"));
        shop.plan(&next, &device);
        let mut nth = 1;
        while killed_at(&shop, &["driver", "sync", "--dir", "ana"], syscall, nth).is_some() {
            nth += 1;
        }
        if let Some((delivery, _)) = &stop {
            let shown = shop.wait_for(delivery, "delivered");
            assert_eq!(shown["claims"].as_array().unwrap().len(), 1, "{syscall}");
        }
        let listed = shop.must(&["driver", "list", "--dir", "ana"]).json;
        let open = listed["stops"].as_array().unwrap().iter().filter(|s| s["state"] == "open");
        assert_eq!(open.count(), 1, "{syscall}");
        let code = code_in(&shop.message(&next, 1, 0));
        stop = Some((next, code));
    }
    assert_eq!(shop.sync("ana").status, 0, "the device was never taken for one that was set back");
}

#[test]
fn killed_at_every_write_an_enrolment_can_be_finished() {
    let shop = Shop::open();
    let mut kills = 0;
    for syscall in WRITES {
        for nth in 1.. {
            let ticket = shop.must(&["driver", "invite", "Ana"]).text("ticket");
            std::fs::write(shop.path("ticket"), ticket).unwrap();
            let dir = format!("{syscall}-{nth}");
            let enrol = ["driver", "enrol", "--ticket", "ticket", "--dir", &dir];
            let killed = killed_at(&shop, &enrol, syscall, nth).is_some();
            kills += u32::from(killed);
            if !shop.path(&dir).join("journal").exists() {
                shop.must(&enrol);
            }
            assert_eq!(shop.status(&dir)["journal_records"], 1, "{dir}");
            assert_eq!(shop.sync(&dir).status, 0, "{dir}");
            if !killed {
                break;
            }
        }
    }
    assert!(kills >= 6, "only {kills} kills: the trace missed the writes");
}

#[test]
fn a_clock_that_is_set_back_revives_nothing_and_one_set_forward_heals_at_sync() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    shop.set_clock("2026-03-02T14:00:00Z");
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "expired");
    shop.set_clock("2026-03-02T12:30:00Z");
    assert_eq!(
        shop.check("ana", &delivery, &code).outcome(),
        "expired",
        "the device remembers later times"
    );
    shop.set_clock("1970-01-01T00:00:00Z");
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "expired");
    // The clock was wrong, not the code: a time signed by the issuer is worth more than the memory.
    shop.set_clock("2026-03-02T12:31:00Z");
    assert_eq!(shop.sync("ana").status, 0);
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
}

#[test]
fn a_restored_backup_grants_again_offline_and_is_seen_at_sync() {
    let mut shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    copy(&shop.path("ana"), &shop.path("backup"));
    shop.stop();
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    shop.start();
    assert_eq!(shop.sync("ana").status, 0);
    shop.wait_for(&delivery, "delivered");

    // Offline nobody can tell the copy from the device: it grants again. This is not promised away.
    shop.stop();
    copy(&shop.path("backup"), &shop.path("ana"));
    shop.advance("1m");
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    shop.start();
    let synced = shop.sync("ana");
    assert_eq!(
        (synced.status, synced.json["refused"]["error"]["code"].as_str()),
        (3, Some("device_forked"))
    );
    let shown = shop.must(&["delivery", "show", &delivery]).json;
    let forked: Vec<_> = shown["claims"].as_array().unwrap().iter().map(|c| &c["forked"]).collect();
    assert_eq!(forked, [false, true], "the second claim is kept as evidence");
    assert_eq!(shown["state"], "delivered", "and changes nothing");
    // From now on it gets no stops, until it is enrolled anew.
    let again = shop.sync("ana");
    assert_eq!(again.json["refused"]["error"]["code"], "device_forked");
}

#[test]
fn a_device_set_back_without_a_claim_gets_no_route() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    copy(&shop.path("ana"), &shop.path("backup"));
    assert_eq!(shop.check("ana", &delivery, &wrong(&code, 0)).outcome(), "wrong_code");
    assert_eq!(shop.sync("ana").status, 0);
    copy(&shop.path("backup"), &shop.path("ana"));
    let synced = shop.sync("ana");
    assert_eq!(synced.json["refused"]["error"]["code"], "device_rolled_back", "{}", synced.json);
}

#[test]
fn a_damaged_journal_grants_nothing_and_a_torn_end_costs_nothing() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    let journal = shop.path("ana/journal");
    let whole = std::fs::read(&journal).unwrap();

    for position in [0, 20, 24, 30, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        std::fs::write(&journal, &damaged).unwrap();
        let reply = shop.check("ana", &delivery, &code);
        assert_eq!((reply.status, reply.outcome()), (1, "journal_damaged"), "byte {position}");
        assert_eq!(std::fs::read(&journal).unwrap(), damaged, "nothing is mended by guessing");
    }

    std::fs::write(&journal, &whole).unwrap();
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    let granted = std::fs::read(&journal).unwrap();
    // A crash may tear the last frame at any byte. Those before it stand, and the attempt with them.
    for length in [granted.len() - 1, granted.len() - 9, granted.len() - 100] {
        std::fs::write(&journal, &granted[..length]).unwrap();
        assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted", "cut at {length}");
        assert_eq!(shop.stop_of("ana")["attempts"], 2);
    }
    let mut zeros = whole.clone();
    zeros.extend([0; 64]);
    std::fs::write(&journal, &zeros).unwrap();
    assert_eq!(
        shop.check("ana", &delivery, &code).outcome(),
        "granted",
        "a file that grew before its content came"
    );
}

#[test]
fn a_new_driver_means_a_new_code() {
    let mut shop = Shop::open();
    let (delivery, old) = shop.one_stop("ana");
    let bojan = shop.driver("bojan");
    shop.plan(&delivery, &bojan);
    shop.sync("bojan");
    let new = code_in(&shop.message(&delivery, 2, 0));
    shop.stop();
    assert_eq!(shop.check("bojan", &delivery, &old).outcome(), "wrong_code");
    assert_eq!(shop.check("ana", &delivery, &old).outcome(), "granted", "still offline");
    assert_eq!(shop.check("bojan", &delivery, &new).outcome(), "granted");
    shop.start();
    shop.sync("ana");
    shop.sync("bojan");
    let shown = shop.wait_for(&delivery, "delivered");
    wait("both verdicts", || {
        let shown = shop.must(&["delivery", "show", &delivery]).json;
        shown["claims"].as_array().unwrap().iter().all(|claim| claim["verdict"].is_string())
    });
    assert_eq!(shown["generation"], 2);
    let shown = shop.must(&["delivery", "show", &delivery]).json;
    let mut verdicts: Vec<_> = shown["claims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["verdict"].as_str().unwrap())
        .collect();
    verdicts.sort_unstable();
    assert_eq!(verdicts, ["match", "superseded"]);
}

/// Holds up whoever wants to enrol or sync in a directory until `count` processes wait.
fn all_at_once(shop: &Shop, arguments: &[&str], dir: &str, count: usize) -> Vec<i32> {
    std::fs::create_dir_all(shop.path(dir)).unwrap();
    let lock = File::create(shop.path(dir).join("lock")).unwrap();
    lock.lock().unwrap();
    let children: Vec<_> = (0..count)
        .map(|_| {
            let mut command = shop.command(arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    wait_at_lock(&lock, count);
    lock.unlock().unwrap();
    children.into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect()
}

#[test]
fn two_enrolments_in_one_directory_make_one_journal() {
    let shop = Shop::open();
    let ticket = shop.must(&["driver", "invite", "Ana"]).text("ticket");
    std::fs::write(shop.path("ticket"), ticket).unwrap();
    let enrol = ["driver", "enrol", "--ticket", "ticket", "--dir", "ana"];
    let mut statuses = all_at_once(&shop, &enrol, "ana", 2);
    statuses.sort_unstable();
    assert_eq!(statuses, [0, 1], "the second overwrites nothing");
    assert_eq!(shop.status("ana")["journal_records"], 1);
}

#[test]
fn syncs_of_one_device_wait_for_each_other() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    let statuses = all_at_once(&shop, &["driver", "sync", "--dir", "ana"], "ana", 8);
    assert_eq!(statuses, [0; 8]);
    shop.wait_for(&delivery, "delivered");
}

#[test]
fn a_withdrawn_stop_is_refused_once_the_old_device_has_synced() {
    let shop = Shop::open();
    let (delivery, old) = shop.one_stop("ana");
    let bojan = shop.driver("bojan");
    shop.plan(&delivery, &bojan);
    assert_eq!(shop.sync("ana").json["withdrawn"], 1);
    assert_eq!(shop.check("ana", &delivery, &old).outcome(), "superseded");
    assert_eq!(shop.sync("ana").json["withdrawn"], 0, "told once");
}
