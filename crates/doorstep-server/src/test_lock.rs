//! A lock in the test's own hands, installed from its bundle and typed at as guests do, and the requests
//! that tests make of locks and bookings.

use crate::http::base64url::write;
use crate::test_server::TestServer;
use doorstep::clock::Event as Clock;
use doorstep::door::bundle::Bundle;
use doorstep::door::journal::Writer;
use doorstep::door::record::Record;
use doorstep::door::state::State;
use doorstep::door::{Door, MARKS, Typed};
use doorstep::keypad::record::{Event, Record as Keypad};
use doorstep::ledger::Head;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use serde_json::{Value, json};

/// What a lock holds, and its whole journal.
#[derive(Clone)]
pub(crate) struct TestLock {
    pub(crate) id: String,
    pub(crate) door: Door,
    pub(crate) state: State<MARKS>,
    pub(crate) head: Head,
    installed: State<MARKS>,
    records: Vec<Record>,
    at: Timestamp,
}

impl TestLock {
    /// Installs the lock of an answer that shows its bundle.
    pub(crate) fn install(provisioned: &Value, now: u64) -> Self {
        let bundle = Bundle::parse(provisioned["bundle"].as_str().unwrap()).unwrap();
        assert!(bundle.test, "test data");
        let door = Door::new(&bundle);
        let at = Timestamp::from_seconds(now);
        let state = door.install(at);
        let id = provisioned["lock"]["id"].as_str().unwrap().to_owned();
        assert_eq!(id, bundle.lock.as_str());
        Self { id, door, state, head: Head::EMPTY, installed: state, records: Vec::new(), at }
    }

    pub(crate) fn append(&mut self, record: Record) {
        self.head = self.head.then(record.to_bytes().as_ref());
        self.state = self.door.then(&self.state, &record);
        self.records.push(record);
    }

    /// Lets the time pass until `now`.
    pub(crate) fn wait_until(&mut self, now: u64) {
        let now = Timestamp::from_seconds(now);
        let seconds = now.since(self.at);
        self.at = self.at.max(now);
        self.tell(Clock::Elapsed { seconds });
    }

    /// Takes the power away until `now`.
    pub(crate) fn without_power_until(&mut self, now: u64) {
        self.at = Timestamp::from_seconds(now);
        self.tell(Clock::PowerLost);
    }

    pub(crate) fn tell(&mut self, event: Clock) {
        self.append(Record::Keypad(Keypad { elapsed: 0, event: Event::Clock(event) }));
    }

    /// Types a code at `now`.
    pub(crate) fn press(&mut self, typed: &str, now: u64) -> Result<(), Refusal> {
        self.wait_until(now);
        let head = self.head;
        let door = self.door.clone();
        match door.read(typed)? {
            Typed::Pin(pin) => {
                let keypad = &self.state.keypad;
                let (attempt, record) = door.lock().begin(keypad, 0, pin, head)?;
                let receipt = attempt.place().appended();
                self.append(record.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (spending, record) =
                    door.lock().spend(&self.state.keypad, 0, &matched, self.head)?;
                let receipt = spending.place().appended();
                self.append(record.into());
                spending.granted(receipt).unwrap();
            }
            Typed::Control(order) => {
                let keypad = &self.state.keypad;
                let (attempt, record) = door.lock().begin_control(keypad, 0, order, head)?;
                let receipt = attempt.place().appended();
                self.append(record.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (spending, record) =
                    door.lock().spend_control(&self.state.keypad, 0, &matched, self.head)?;
                let receipt = spending.place().appended();
                self.append(record.into());
                spending.granted(receipt).unwrap();
            }
            Typed::Step(step) => {
                let moment = door.moment(&self.state)?;
                let enrolled = moment.enrolled();
                let (attempt, record) = moment.begin(&enrolled, &step, head)?;
                let receipt = attempt.place().appended();
                self.append(record);
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let moment = door.moment(&self.state)?;
                let (spending, record) = moment.spend(&matched, self.head)?;
                let receipt = spending.place().appended();
                self.append(record);
                spending.granted(receipt).unwrap();
            }
        }
        Ok(())
    }

    /// Why a code does not open at `now`; `None` if it would.
    pub(crate) fn refuses(&self, typed: &str, now: u64) -> Option<&'static str> {
        self.clone().press(typed, now).err().map(|refusal| refusal.code())
    }

    /// The journal from the record after `first` on.
    pub(crate) fn journal_from(&self, first: usize) -> Vec<u8> {
        let (mut state, mut head) = (self.installed, Head::EMPTY);
        for record in &self.records[..first] {
            state = self.door.then(&state, record);
            head = head.then(record.to_bytes().as_ref());
        }
        let mut bytes = Vec::new();
        let count = u32::try_from(self.records.len() - first).unwrap();
        let mut writer =
            Writer::new(&self.door, &state, head, count, |part| bytes.extend_from_slice(part));
        for record in &self.records[first..] {
            writer.record(record.to_bytes().as_ref());
        }
        writer.finish();
        bytes
    }

    pub(crate) fn count(&self) -> usize {
        self.records.len()
    }

    /// Brings the whole journal home.
    pub(crate) async fn bring_home(&self, server: &TestServer) -> Value {
        self.bring(server, &self.journal_from(0)).await
    }

    pub(crate) async fn bring(&self, server: &TestServer, journal: &[u8]) -> Value {
        let path = format!("/v1/locks/{}/journal", self.id);
        server.answer(&path, json!({"journal": write(journal)})).await
    }
}

/// Hours and minutes of the first day of tests, 2027-01-15.
pub(crate) fn at(time: &str) -> String {
    format!("2027-01-15T{time}:00Z")
}

/// The same in seconds.
pub(crate) fn seconds(time: &str) -> u64 {
    crate::utc::read(&at(time)).unwrap().seconds()
}

impl TestServer {
    /// Makes a lock of a profile, and installs it now.
    pub(crate) async fn lock(&self, name: &str, profile: Value) -> TestLock {
        self.lock_with(json!({"site": "demo", "name": name, "profile": profile})).await
    }

    pub(crate) async fn lock_with(&self, body: Value) -> TestLock {
        let (status, made) = self.post("/v1/locks", body).await;
        assert_eq!(status, 201, "{made}");
        TestLock::install(&made, self.now())
    }

    /// Books from one time of the first day to another.
    pub(crate) async fn book(&self, lock: &str, from: &str, until: &str) -> Value {
        let (status, booking) = self.try_book(lock, from, until, json!({})).await;
        assert_eq!(status, 201, "{booking}");
        booking
    }

    pub(crate) async fn try_book(
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
        self.post("/v1/bookings", body).await
    }

    /// Does something to a booking.
    pub(crate) async fn to_booking(&self, booking: &Value, what: &str, body: Value) -> Value {
        let path = format!("/v1/bookings/{}/{what}", booking["id"].as_str().unwrap());
        let (status, answer) = self.post(&path, body).await;
        assert!(status < 300, "{status} {answer}");
        answer
    }

    pub(crate) async fn booking(&self, booking: &Value) -> Value {
        let path = format!("/v1/bookings/{}", booking["id"].as_str().unwrap());
        let (status, answer) = self.get(&path).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// The PIN of the booking's holder of this place in the list.
pub(crate) fn pin(booking: &Value, place: usize) -> String {
    booking["holders"][place]["pin"].as_str().unwrap().to_owned()
}
