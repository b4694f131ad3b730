//! Everything at once that a server of deliveries does, and what it was heard to say: facts that no crash
//! may take back.

use crate::line::{Down, Line};
use crate::phone::Phone;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::text::read_hex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Of RFC 4226.
pub(crate) const SECRET: &str = "3132333435363738393031323334353637383930";
/// Nobody waits longer for a server that gets nowhere.
const PATIENCE: Duration = Duration::from_secs(120);
/// Refusals that an account's attempts have room for.
const REPLAYS: u64 = 3;

/// What the server said.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// Deliveries that it took in.
    pub(crate) taken: BTreeSet<String>,
    /// The newest generation of each that it planned.
    pub(crate) planned: BTreeMap<String, u64>,
    /// Deliveries that it checks itself, and how often it said yes.
    pub(crate) granted: BTreeMap<String, u32>,
    /// Of each device how many outcomes it has.
    pub(crate) acknowledged: BTreeMap<String, u64>,
    /// Codes of accounts that it took.
    pub(crate) logins: Vec<Login>,
}

impl Facts {
    /// How many plans, outcomes, grants and logins there are.
    pub(crate) fn counts(&self) -> [u64; 4] {
        [
            self.planned.values().sum(),
            self.acknowledged.values().sum(),
            self.granted.values().map(|times| u64::from(*times)).sum(),
            self.logins.len().try_into().unwrap(),
        ]
    }
}

/// A code of an account that counts.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) account: String,
    pub(crate) counter: u64,
}

/// The codes that customers were sent, by delivery; the latest of each.
pub(crate) fn codes(messages: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(messages).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some((line["delivery"].as_str()?.to_owned(), code(&line)?))).collect()
}

pub(crate) fn code(message: &Value) -> Option<String> {
    let (_, rest) = message["text"].as_str()?.split_once("code is ")?;
    Some(rest.split_once('.')?.0.to_owned())
}

/// One run's work: each part goes on until the server is gone.
pub(crate) struct Load<'a> {
    pub(crate) url: &'a str,
    pub(crate) key: &'a str,
    pub(crate) messages: &'a Path,
    /// Names of this run are its own.
    pub(crate) run: usize,
    /// When the deliveries of this run are expected: those that devices check, and those of the server.
    pub(crate) expected_at: (&'a str, &'a str),
    pub(crate) facts: &'a Mutex<Facts>,
    /// Told of each fact.
    pub(crate) heard: &'a Condvar,
}

impl Load<'_> {
    /// Works until the server has said enough, and then dies by `kill`.
    pub(crate) fn until(
        &self,
        phones: &mut [Phone],
        enough: impl Fn(&Facts) -> bool,
        kill: impl FnOnce(),
    ) {
        let devices: Vec<String> = phones.iter().map(|phone| phone.id().to_owned()).collect();
        std::thread::scope(|scope| {
            for part in 0..2 {
                let devices = &devices;
                scope.spawn(move || self.import(part, devices));
                scope.spawn(|| self.verify());
            }
            scope.spawn(|| self.log_in());
            for phone in phones {
                scope.spawn(|| self.drive(phone));
            }
            let facts = self.facts.lock().unwrap();
            let (facts, waited) =
                self.heard.wait_timeout_while(facts, PATIENCE, |facts| !enough(facts)).unwrap();
            drop(facts);
            kill();
            assert!(!waited.timed_out(), "the server gets nowhere");
        });
    }

    fn line(&self) -> Line {
        Line::new(self.url, self.key)
    }

    fn note(&self, note: impl FnOnce(&mut Facts)) {
        note(&mut self.facts.lock().unwrap());
        self.heard.notify_all();
    }

    /// Takes in deliveries and plans them, for devices and for the server itself.
    fn import(&self, part: usize, devices: &[String]) -> Down {
        let line = self.line();
        let work = |batch: usize| -> Result<(), Down> {
            let reference = |n: usize| format!("R{}-{part}-{batch}-{n}", self.run);
            let ids = line.import((0..5).map(reference))?;
            self.note(|facts| facts.taken.extend(ids.iter().cloned()));
            for (n, id) in ids.iter().enumerate() {
                let device = devices.get(n % (devices.len() + 1));
                let (at_door, online) = self.expected_at;
                let plan = match device {
                    Some(device) => json!({ "expected_at": at_door, "device": device }),
                    None => json!({ "expected_at": online, "mode": "online" }),
                };
                // Every third is planned twice: another code, and the first one is void.
                for _ in 0..=usize::from(batch.is_multiple_of(3)) {
                    let (status, planned) =
                        line.ask(&format!("/v1/deliveries/{id}/plan"), &plan)?;
                    if status == 409 {
                        // Already handed over.
                        break;
                    }
                    assert_eq!(status, 200, "{planned}");
                    let generation = planned["generation"].as_u64().unwrap();
                    self.note(|facts| {
                        facts.planned.insert(id.clone(), generation);
                        if device.is_none() {
                            facts.granted.entry(id.clone()).or_default();
                        }
                    });
                }
            }
            Ok(())
        };
        (0..).find_map(|batch| work(batch).err()).unwrap()
    }

    fn drive(&self, phone: &mut Phone) -> Down {
        let line = self.line();
        loop {
            let synced = phone.sync(&line);
            // Also of a sync that was cut off: what was acknowledged was.
            let (id, received) = (phone.id().to_owned(), phone.received());
            self.note(|facts| {
                facts.acknowledged.insert(id, received);
            });
            if let Err(down) = synced {
                return down;
            }
            phone.deliver(&codes(self.messages));
        }
    }

    /// Presents every code of the server's own deliveries, twice, and others do the same meanwhile.
    fn verify(&self) -> Down {
        let line = self.line();
        loop {
            let open: Vec<String> = {
                let facts = self.facts.lock().unwrap();
                facts.granted.iter().filter(|(_, n)| **n == 0).map(|(id, _)| id.clone()).collect()
            };
            let codes = codes(self.messages);
            let known = open.iter().filter_map(|id| Some((id, codes.get(id)?)));
            for (id, code) in known {
                for _ in 0..2 {
                    match present(&line, id, code) {
                        Ok(true) => {
                            self.note(|facts| *facts.granted.entry(id.clone()).or_default() += 1)
                        }
                        Ok(false) => {}
                        Err(down) => return down,
                    }
                }
            }
            if let Err(down) = line.get("/healthz") {
                return down;
            }
        }
    }

    fn log_in(&self) -> Down {
        let line = self.line();
        let name = format!("ana-{}", self.run);
        let work = || -> Result<(), Down> {
            let made = line.post("/v1/accounts", &json!({ "name": name }))?;
            let path = format!("/v1/accounts/{}/authenticators", made["id"].as_str().unwrap());
            let fob = json!({ "kind": "hotp", "secret": SECRET, "encoding": "hex", "active": true, "counter": 0 });
            line.post(&path, &fob)?;
            for counter in 0.. {
                let code = hotp(counter);
                if log_in(&line, &name, &code)? {
                    let login = Login { account: name.clone(), counter };
                    self.note(|facts| facts.logins.push(login.clone()));
                }
                if counter < REPLAYS {
                    assert!(!log_in(&line, &name, &code)?, "{name} was let in twice by one code");
                }
            }
            Ok(())
        };
        work().unwrap_err()
    }
}

/// Presents a code to the server; whether it says yes.
pub(crate) fn present(line: &Line, delivery: &str, code: &str) -> Result<bool, Down> {
    let (_, answer) =
        line.ask(&format!("/v1/deliveries/{delivery}/verify"), &json!({ "code": code }))?;
    Ok(answer["outcome"] == "granted")
}

/// Logs in; whether the server says yes.
pub(crate) fn log_in(line: &Line, account: &str, code: &str) -> Result<bool, Down> {
    let (_, answer) =
        line.ask("/v1/accounts/verify", &json!({ "account": account, "code": code }))?;
    Ok(answer["outcome"] == "granted")
}

pub(crate) fn hotp(counter: u64) -> String {
    let hotp = Hotp::default();
    let secret = read_hex(SECRET).unwrap();
    String::from_utf8(hotp.code(&hotp.keyed(&secret), counter).expose().to_vec()).unwrap()
}
