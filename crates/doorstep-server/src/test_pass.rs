//! A phone in the test's own hands, with its key, and what tests hold to their locks: passes and riders as the
//! service issues them, through the core's own reader.

use crate::holder_key;
use crate::http::base64url::read;
use crate::test_lock::{TestLock, at};
use crate::test_server::TestServer;
use doorstep::cose::keys::{Signer, SoftwareKey};
use doorstep::ledger::Place;
use doorstep::pass::claims::{Audience, HolderKey};
use doorstep::pass::document::{Content, Document};
use doorstep::pass::presented::{Presented, with_proof};
use doorstep::pass::proof::{Challenge, transcript};
use doorstep::refusal::Refusal;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};

/// A phone with a P-256 key.
pub(crate) struct TestPhone(SoftwareKey);

impl TestPhone {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SoftwareKey::make(&mut ChaCha20Rng::seed_from_u64(seed)))
    }

    /// Its public key as text.
    pub(crate) fn holder(&self) -> String {
        holder_key::write(&HolderKey::of(&Signer::P256(self.0.public())))
    }

    /// Answers a lock's challenge.
    fn proven(&self, pass: &[u8], lock: &Audience, challenge: &Challenge) -> Vec<u8> {
        let message = transcript(&Document::parse(pass).unwrap(), lock, challenge.nonce());
        let proof = self.0.sign(message.as_ref());
        with_proof(pass, &proof).unwrap().as_ref().to_vec()
    }
}

/// The bytes of a document that an answer has.
pub(crate) fn bytes(document: &Value) -> Vec<u8> {
    read("document", document.as_str().unwrap()).unwrap()
}

impl TestLock {
    /// Holds a pass of an answer to the lock.
    pub(crate) fn tap(&mut self, pass: &Value, now: u64) -> Result<(), Refusal> {
        self.present(&bytes(&pass["document"]), None, now)
    }

    /// The same with a phone that has the holder's key.
    pub(crate) fn tap_with(
        &mut self,
        phone: &TestPhone,
        pass: &Value,
        now: u64,
    ) -> Result<(), Refusal> {
        let challenge = Challenge::make(&mut ChaCha20Rng::seed_from_u64(now));
        let name = *self.door.reader().unwrap().name();
        let presented = phone.proven(&bytes(&pass["document"]), &name, &challenge);
        self.present(&presented, Some(challenge), now)
    }

    /// Why a pass does not open at `now`; `None` if it would.
    pub(crate) fn refuses_pass(&self, pass: &Value, now: u64) -> Option<&'static str> {
        self.clone().tap(pass, now).err().map(|refusal| refusal.code())
    }

    /// Brings riders, one a second, and says how many the lock took.
    pub(crate) fn bring_riders(&mut self, documents: &Value, now: u64) -> usize {
        let documents = documents.as_array().unwrap();
        documents.iter().filter(|one| self.present(&bytes(one), None, now).is_ok()).count()
    }

    /// Holds anything to the lock.
    pub(crate) fn present(
        &mut self,
        bytes: &[u8],
        challenge: Option<Challenge>,
        now: u64,
    ) -> Result<(), Refusal> {
        self.wait_until(now);
        let door = self.door.clone();
        let Some(reader) = door.reader() else { return Err(Refusal::WrongCode { left: None }) };
        let moment = |this: &Self| door.pass_moment(&this.state, 0);
        let appended = |this: &mut Self, place: &Place, record| {
            this.append(record);
            place.appended()
        };
        match Presented::parse(bytes)? {
            Presented::Pass(pass) => {
                let state = &self.state.passes;
                let begun = reader.begin(&moment(self), state, &pass, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = appended(self, attempt.place(), tried.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (learning, verified) = reader.verified(&moment(self), &matched, self.head);
                let receipt = appended(self, learning.place(), verified.into());
                let learned = learning.learned(receipt).unwrap();
                let spent = reader.spend(&moment(self), &self.state.passes, &learned, self.head);
                let (spending, opened) = spent?;
                let receipt = appended(self, spending.place(), opened.into());
                spending.granted(receipt).unwrap();
            }
            Presented::Rider(rider) => {
                let state = &self.state.passes;
                let begun = reader.begin_rider(&moment(self), state, &rider, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = appended(self, attempt.place(), tried.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let state = &self.state.passes;
                let (spending, taken) =
                    reader.spend_rider(&moment(self), state, &matched, self.head)?;
                let receipt = appended(self, spending.place(), taken.into());
                spending.granted(receipt).unwrap();
            }
        }
        Ok(())
    }
}

impl TestServer {
    /// Issues a pass for a lock from one time of the first day to another.
    pub(crate) async fn pass(&self, lock: &str, from: &str, until: &str, more: Value) -> Value {
        let (status, pass) = self.try_pass(lock, from, until, more).await;
        assert_eq!(status, 201, "{pass}");
        pass
    }

    pub(crate) async fn try_pass(
        &self,
        lock: &str,
        from: &str,
        until: &str,
        more: Value,
    ) -> (u16, Value) {
        let mut body = json!({"lock": lock, "from": at(from), "until": at(until)});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        self.post("/v1/passes", body).await
    }

    /// The pass as it is now.
    pub(crate) async fn shown_pass(&self, pass: &Value) -> Value {
        let path = format!("/v1/passes/{}", pass["id"].as_str().unwrap());
        let (status, shown) = self.get(&path).await;
        assert_eq!(status, 200, "{shown}");
        shown
    }

    pub(crate) async fn revoke_pass(&self, pass: &Value) -> Value {
        let path = format!("/v1/passes/{}/revoke", pass["id"].as_str().unwrap());
        let (status, revoked) = self.post(&path, json!({})).await;
        assert_eq!(status, 200, "{revoked}");
        revoked
    }

    /// Asks without an API key, as phones do.
    pub(crate) async fn ask_openly(&self, path: &str, body: Value) -> (u16, Value) {
        let headers = [("content-type", "application/json")];
        let answer = self.request("POST", path, &headers, body.to_string()).await;
        (answer.status, answer.json)
    }

    /// What may be brought to a lock.
    pub(crate) async fn riders(&self, lock: &str) -> Value {
        let (status, riders) = self.get(&format!("/v1/locks/{lock}/riders")).await;
        assert_eq!(status, 200, "{riders}");
        riders
    }
}

/// What a presentation says, for a test that looks inside.
pub(crate) fn content(document: &Value) -> Content {
    *Document::parse(&bytes(document)).unwrap().content().unwrap()
}
