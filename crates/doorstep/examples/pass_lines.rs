//! Makes documents and holds them to a lock, a line of JSON for each order on standard input, so that scripts
//! can compare passes with those of other COSE libraries (`scripts/differential-cose`).

use doorstep::clock::{AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::cose::keys::{IssuerKey, Signer, SoftwareKey};
use doorstep::keypad::key::RootKey;
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use doorstep::pass::document::{Content, Document};
use doorstep::pass::issue::{Unsigned, maced};
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::{Presented, with_proof, with_timed_proof};
use doorstep::pass::proof::{Challenge, timed_transcript, transcript};
use doorstep::pass::reader::{Groups, Moment, Reader};
use doorstep::pass::record::Record;
use doorstep::pass::rider::{Bulletin, Revoked, Rider, Rotation, Token};
use doorstep::pass::state::State;
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::num::NonZeroU32;

/// Bytes that stand in JSON as hexadecimal digits.
type Hex = String;

/// The two numbers of a window.
type Times = (u64, u64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Order {
    Issue { key: Key, content: Said },
    Prove { key: Key, pass: Hex, lock: String, fresh: Fresh },
    Challenge { seed: u64 },
    Present { lock: Provisioned, now: u64, presented: Hex, seed: Option<u64> },
}

/// What a holder's proof answers.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fresh {
    /// The challenge of this seed.
    Seed(u64),
    /// Nothing but the phone's time.
    Time(u32),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Ed25519(Hex),
    P256(Hex),
    Root(Hex, u32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Said {
    Pass {
        audience: Option<String>,
        window: Times,
        issued_at: Option<u64>,
        id: Hex,
        holder: Option<Hex>,
        uses: Option<u8>,
        passage: bool,
        exact: bool,
        lasts: Option<NonZeroU32>,
    },
    Bulletin {
        audience: String,
        issued_at: u64,
        sequence: u32,
        revoked: Hex,
    },
    Token {
        issued_at: u64,
        nonce: Hex,
    },
    Rotation {
        issued_at: u64,
        sequence: u32,
        key: Hex,
        window: Times,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provisioned {
    name: String,
    groups: Vec<String>,
    root: Hex,
    epoch: u32,
    keys: Vec<Hex>,
    issuer: Hex,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let order = serde_json::from_str(&line?)?;
        writeln!(out, "{}", answer(order).ok_or("an order that makes no sense")?)?;
    }
    Ok(())
}

fn answer(order: Order) -> Option<Value> {
    let written = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    Some(match order {
        Order::Issue { key, content } => written(&issue(&key, &said(content)?)?),
        Order::Prove { key, pass, lock, fresh } => {
            let (pass, lock) = (bytes(&pass)?, Audience::parse(&lock)?);
            let document = Document::parse(&pass).ok()?;
            let proven = match fresh {
                Fresh::Seed(seed) => {
                    let message = transcript(&document, &lock, challenge(seed).nonce());
                    with_proof(&pass, &key.sign(message.as_ref())?)
                }
                Fresh::Time(time) => {
                    let message = timed_transcript(&document, &lock, time);
                    with_timed_proof(&pass, time, &key.sign(message.as_ref())?)
                }
            };
            written(proven?.as_ref())
        }
        Order::Challenge { seed } => written(challenge(seed).nonce()),
        Order::Present { lock, now, presented, seed } => {
            present(&lock, Timestamp::from_seconds(now), &bytes(&presented)?, seed.map(challenge))?
        }
    })
}

impl Key {
    fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        match self {
            Self::Ed25519(seed) => Some(IssuerKey::from_seed(&secret(seed)?).sign(message)),
            Self::P256(secret_key) => {
                SoftwareKey::from_secret(&secret(secret_key)?).ok().map(|key| key.sign(message))
            }
            Self::Root(..) => None,
        }
    }

    fn public(&self) -> Option<Signer> {
        match self {
            Self::Ed25519(seed) => {
                Some(Signer::Ed25519(IssuerKey::from_seed(&secret(seed)?).public()))
            }
            Self::P256(secret_key) => {
                let key = SoftwareKey::from_secret(&secret(secret_key)?).ok()?;
                Some(Signer::P256(key.public()))
            }
            Self::Root(..) => None,
        }
    }
}

fn issue(key: &Key, content: &Content) -> Option<Vec<u8>> {
    if let Key::Root(root, epoch) = key {
        let key = RootKey::from_secret(secret(root)?).passes(*epoch);
        return Some(maced(content, *epoch, &key).ok()?.as_ref().to_vec());
    }
    let unsigned = Unsigned::new(content, &key.public()?).ok()?;
    Some(unsigned.signed(&key.sign(unsigned.to_be_signed())?).as_ref().to_vec())
}

/// What the lock says to it, when it was installed a moment before.
fn present(
    lock: &Provisioned,
    now: Timestamp,
    presented: &[u8],
    challenge: Option<Challenge>,
) -> Option<Value> {
    let groups: Option<Vec<_>> = lock.groups.iter().map(|group| Audience::parse(group)).collect();
    let key = |key| Some((public(key)?, Window::ALWAYS));
    let keys: Option<Vec<_>> = lock.keys.iter().map(key).collect();
    let root = RootKey::from_secret(secret(&lock.root)?);
    let clock =
        Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
    let lock = Lock {
        reader: Reader::new(
            Audience::parse(&lock.name)?,
            Groups::of(&groups?)?,
            root,
            public(&lock.issuer),
        ),
        state: State::new(TrustedKeys::provisioned(&keys?)?, 0, 0, now),
        belief: Belief::new(clock, now),
        epoch: lock.epoch,
        head: Head::EMPTY,
    };
    let answer = match Presented::parse(presented) {
        Ok(presented) => lock.answer(presented, challenge),
        Err(malformed) => Err(malformed.into()),
    };
    Some(answer.unwrap_or_else(|refusal| json!({ "refused": refusal.code() })))
}

struct Lock {
    reader: Reader,
    belief: Belief,
    state: State<1>,
    epoch: u32,
    head: Head,
}

impl Lock {
    fn moment(&self) -> Moment {
        Moment { belief: self.belief, epoch: self.epoch, elapsed: 0 }
    }

    fn append(&mut self, place: &Place, record: &Record) -> Receipt {
        self.belief = record.believed(self.belief);
        self.state.fold(&self.belief, record);
        self.head = place.after;
        place.appended()
    }

    fn answer(
        mut self,
        presented: Presented<'_>,
        challenge: Option<Challenge>,
    ) -> Result<Value, Refusal> {
        let (reader, moment) = (self.reader.clone(), self.moment());
        match presented {
            Presented::Pass(pass) => {
                let begun = reader.begin(&moment, &self.state, &pass, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried);
                let matched = attempt.counted(receipt).map_err(|_| Refusal::Unknown)?.compare()?;
                let (learning, verified) = reader.verified(&self.moment(), &matched, self.head);
                let receipt = self.append(learning.place(), &verified);
                let learned = learning.learned(receipt).map_err(|_| Refusal::Unknown)?;
                let spent = reader.spend(&self.moment(), &self.state, &learned, self.head);
                let (spending, opened) = spent?;
                let receipt = self.append(spending.place(), &opened);
                let grant = spending.granted(receipt).map_err(|_| Refusal::Unknown)?;
                Ok(json!({ "opened": hex(grant.found().id.as_bytes()) }))
            }
            Presented::Rider(rider) => {
                let begun = reader.begin_rider(&moment, &self.state, &rider, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried);
                let matched = attempt.counted(receipt).map_err(|_| Refusal::Unknown)?.compare()?;
                let spent = reader.spend_rider(&self.moment(), &self.state, &matched, self.head);
                let (spending, taken) = spent?;
                let receipt = self.append(spending.place(), &taken);
                let grant = spending.granted(receipt).map_err(|_| Refusal::Unknown)?;
                Ok(json!({ "taken": grant.found().kind().context() }))
            }
        }
    }
}

fn said(said: Said) -> Option<Content> {
    let at = Timestamp::from_seconds;
    let window = |(from, until)| Window::new(at(from), at(until));
    Some(match said {
        Said::Pass {
            audience,
            window: times,
            issued_at,
            id,
            holder,
            uses,
            passage,
            exact,
            lasts,
        } => {
            let uses = uses.map_or(Some(Uses::Many), Uses::times)?;
            let holder = holder.map(|key| public(&key).as_ref().map(HolderKey::of).ok_or(()));
            Content::Pass(Pass {
                audience: audience
                    .as_deref()
                    .map(|name| Audience::parse(name).ok_or(()))
                    .transpose()
                    .ok()?,
                window: window(times)?,
                issued_at: issued_at.map(at),
                id: PassId::from_bytes(&bytes(&id)?)?,
                holder: holder.transpose().ok()?,
                scope: Scope { uses, passage, exact },
                lasts,
            })
        }
        Said::Bulletin { audience, issued_at, sequence, revoked } => {
            let revoked = bytes(&revoked)?;
            Content::Rider(Rider::Bulletin(Bulletin {
                audience: Audience::parse(&audience)?,
                issued_at: at(issued_at),
                sequence,
                revoked: Revoked::from_prefixes(revoked.as_chunks().0)?,
            }))
        }
        Said::Token { issued_at, nonce } => {
            let nonce = bytes(&nonce)?.try_into().ok()?;
            Content::Rider(Rider::Token(Token { issued_at: at(issued_at), nonce }))
        }
        Said::Rotation { issued_at, sequence, key, window: times } => {
            Content::Rider(Rider::Rotation(Rotation {
                issued_at: at(issued_at),
                sequence,
                key: public(&key)?,
                window: window(times)?,
            }))
        }
    })
}

fn challenge(seed: u64) -> Challenge {
    Challenge::make(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn public(key: &Hex) -> Option<Signer> {
    let bytes = bytes(key)?;
    let long = || bytes.as_slice().try_into().ok().map(HolderKey::P256);
    let short = bytes.as_slice().try_into().ok().map(HolderKey::Ed25519);
    short.or_else(long)?.signer()
}

fn secret(key: &Hex) -> Option<Secret<32>> {
    Some(Secret::from_bytes(bytes(key)?.try_into().ok()?))
}

fn bytes(text: &Hex) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks();
    if !rest.is_empty() {
        return None;
    }
    let pairs = pairs.iter();
    pairs.map(|[high, low]| u8::try_from(digit(high)? << 4 | digit(low)?).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
