//! Who gets which PIN: a booking is rounded to a window that the lock has, and each holder is given a
//! tuple that nobody was given before and whose PIN no other PIN around that time equals.

use crate::http::problem::{Code, Problem};
use crate::keys::Keys;
use crate::lock_keys;
use crate::lock_state::Known;
use crate::store::bookings::{self, Booking};
use crate::store::locks::Lock;
use crate::store::pins::{self, Because, Pin as Given};
use crate::store::{StoreError, lock_events};
use crate::utc;
use doorstep::door::MARKS;
use doorstep::keypad::issue::Pin;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::LOOK_AROUND;
use doorstep::keypad::mark::{self, Mark, Marks, What};
use doorstep::keypad::profile::{Fit, Profile};
use doorstep::keypad::tuple::{Form, Tuple};
use doorstep::time::{Timestamp, Window};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap};

/// How far around a window that is taken a free one is looked for, and at most how many beginnings of
/// long grids.
const AROUND: u64 = 7 * 86_400;
const BEGINNINGS: u64 = 30;

/// Rounds a booking outward to a window of the lock.
pub(crate) fn fit(profile: &Profile, asked: &Window, once: bool) -> Result<Fit, Problem> {
    profile.fit(asked, once).ok_or_else(|| {
        let mut classes = profile.classes().iter();
        if !classes.any(|class| class.one_time == once) {
            let uses = if once { "once" } else { "many times" };
            return Problem::new(
                Code::NoSuchUse,
                format!("this lock has no PINs that open {uses}"),
            )
            .hint("the lock's profile says which it has: GET /v1/locks/{id}");
        }
        let longest = profile.longest() / 60;
        Problem::new(
            Code::TooLong,
            format!("no window of this lock holds that; its longest has {longest} minutes"),
        )
        .hint("windows begin on the grid of their length, so make it shorter or begin on the grid, or make several bookings")
    })
}

/// PINs around a time, by their digits.
#[derive(Default)]
struct Around(HashMap<Vec<u8>, Vec<Window>>);

impl Around {
    /// Whether another PIN has the same digits and may be looked for at the same time.
    fn has(&self, digits: &[u8], window: &Window) -> bool {
        let meets = |other: &Window| {
            let wide = around(other);
            wide.from() < window.until() && window.from() < wide.until()
        };
        self.0.get(digits).is_some_and(|windows| windows.iter().any(meets))
    }

    fn add(&mut self, digits: &[u8], window: Window) {
        self.0.entry(digits.to_vec()).or_default().push(window);
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        for (mut digits, _) in self.0.drain() {
            zeroize::Zeroize::zeroize(&mut digits);
        }
    }
}

/// The span in which a lock that looks for a PIN of this window looks for others.
fn around(window: &Window) -> Window {
    // Each is looked for by so much before and after its own window.
    let margin = LOOK_AROUND.saturating_mul(2);
    let wide = Window::new(window.from().earlier(margin), window.until().later(margin));
    wide.unwrap_or(*window)
}

/// Gives PINs of one lock, in one of its generations and epochs, inside a job that nothing comes
/// between.
pub(crate) struct Issuer<'a> {
    connection: &'a Connection,
    lock: &'a Lock,
    generation: u32,
    epoch: u32,
    root: RootKey,
    /// What the lock is known to remember, of the generation that PINs are given in.
    marks: Marks<MARKS>,
    now: Timestamp,
}

impl<'a> Issuer<'a> {
    /// Gives PINs as the lock is now.
    pub(crate) fn new(
        connection: &'a Connection,
        keys: &Keys,
        lock: &'a Lock,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let root = lock_keys::root(keys, lock, lock.generation)?;
        let Lock { generation, epoch, .. } = *lock;
        let marks = Known::new(lock, now)?.marks;
        Ok(Self { connection, lock, generation, epoch, root, marks, now })
    }

    /// Refuses a window of an exclusive place that meets somebody else's, other than that of `except`. The
    /// lock lets whoever comes later end whoever came earlier, so two parties have no moment in common.
    pub(crate) fn require_free(
        &self,
        fit: &Fit,
        asked: &Window,
        except: Option<i64>,
    ) -> Result<(), Problem> {
        let profile = &self.lock.profile;
        if !profile.is_exclusive() {
            return Ok(());
        }
        let standing = |span: &Window| {
            let mut all =
                bookings::meeting(self.connection, self.lock.seq, span, profile.longest())?;
            all.retain(|other| Some(other.seq) != except);
            Ok::<_, StoreError>(all)
        };
        let around = standing(&fit.window)?;
        let Some(other) = around.first() else { return Ok(()) };
        let reach = AROUND.max(u64::from(fit.class.quantum).saturating_mul(60 * BEGINNINGS));
        let wide = Window::new(fit.window.from().earlier(reach), fit.window.until().later(reach));
        let taken = standing(&wide.unwrap_or(fit.window))?;
        let nearest = self.nearest(fit, asked, reach, &taken);
        let detail = format!(
            "taken from {} until {} by booking {}, whose PINs open from {} until {}",
            utc::write(other.asked.from()),
            utc::write(other.asked.until()),
            other.id,
            utc::write(other.opens.from()),
            utc::write(other.opens.until()),
        );
        let problem = Problem::new(Code::WindowUnavailable, detail);
        Err(match nearest {
            Some(free) => problem
                .hint(format!(
                    "the nearest free window of this length is from {} until {}",
                    utc::write(free.from()),
                    utc::write(free.until())
                ))
                .nearest_free(free),
            None => problem.hint("nothing of this length is free around that time"),
        })
    }

    /// The free window nearest to the one asked for, as long, on the grid of its class and not over.
    fn nearest(&self, fit: &Fit, asked: &Window, reach: u64, taken: &[Booking]) -> Option<Window> {
        let profile = &self.lock.profile;
        let quantum = u64::from(fit.class.quantum).saturating_mul(60);
        let free = |from: Timestamp| {
            let window = Window::new(from, from.later(asked.length()))?;
            let fit = profile.fit(&window, fit.class.one_time).filter(|_| from >= self.now)?;
            let meets = |other: &Window| {
                other.from() < fit.window.until() && fit.window.from() < other.until()
            };
            (!taken.iter().any(|other| meets(&other.opens))).then_some(window)
        };
        let steps = reach.checked_div(quantum).unwrap_or(0);
        (0..=steps).find_map(|step| {
            let by = step.saturating_mul(quantum);
            let begin = fit.window.from();
            free(begin.later(by)).or_else(|| free(begin.earlier(by)))
        })
    }

    /// Gives so many new holders of a booking their PINs.
    pub(crate) fn give(&self, booking: i64, fit: &Fit, holders: u8) -> Result<(), Problem> {
        // Against a holder that nobody is speaks only what shuts out the whole window.
        let nobody = fit.tuple(u8::MAX, u8::MAX);
        if self.marks.against(&nobody, self.epoch).is_some() {
            return Err(Problem::new(
                Code::WindowUnavailable,
                "somebody whose window begins later was let in, so that the lock refuses this one",
            )
            .hint("take a window that begins later, or end the epoch: POST /v1/locks/{id}/epoch"));
        }
        let mut around = self.around(&fit.window)?;
        for _ in 0..holders {
            let given = self.given(fit)?;
            let mut places = self.places(&given);
            let found =
                places.find_map(|(holder, first)| self.choose(fit, holder, first, &mut around));
            let tuple = found.ok_or_else(|| self.no_pins_left())?;
            self.insert(booking, &tuple)?;
        }
        if fit.class.one_time { self.require_room(&fit.window) } else { Ok(()) }
    }

    /// Refuses PINs that open once when the lock, if everybody came, could not remember all that did.
    fn require_room(&self, window: &Window) -> Result<(), Problem> {
        let room = Marks::<MARKS>::new().room(true);
        let all = pins::meeting(self.connection, (self.lock, self.generation), window)?;
        let spent = |pin: &Given| {
            let of = |mark: &&Mark| (mark.tuple, mark.epoch) == (pin.tuple, pin.epoch);
            self.marks.iter().filter(of).any(|mark| mark.what == What::Spent)
        };
        let marks = |pin: &Given| {
            let marks = mark::of_use(&pin.tuple, pin.epoch, self.now, &self.lock.profile);
            // What a window began is one mark, whoever comes, and has a place of its own.
            marks.iter().flatten().filter(|mark| mark.what != What::Began).count()
        };
        let may_be = all.iter().filter(|pin| pin.ended.is_none() || spent(pin));
        if may_be.map(marks).sum::<usize>() <= room {
            return Ok(());
        }
        Err(Problem::new(
            Code::LockFull,
            format!("a lock remembers {room} PINs that opened once or were renewed, and more would be given for this time"),
        )
        .hint("take another window, or PINs that open many times if the lock has them"))
    }

    /// Gives a holder the next generation of a PIN that should open no more.
    pub(crate) fn renew(&self, old: &Given) -> Result<(), Problem> {
        let fit = Fit { class: old.tuple.class, index: old.tuple.index, window: old.opens };
        let mut around = self.around(&fit.window)?;
        let holder = old.tuple.holder;
        let given = self.given(&fit)?;
        let first = next_generation(&given, holder);
        let tuple = self.choose(&fit, holder, first, &mut around);
        let tuple = tuple.ok_or_else(|| {
            Problem::new(Code::NoPinsLeft, "this holder has no PIN left for this window").hint(
                "give the booking another holder: POST /v1/bookings/{id}/holders, or cancel it and book anew",
            )
        })?;
        pins::end(self.connection, old.seq, Because::Renewed, self.now)?;
        self.insert(old.booking, &tuple)?;
        Ok(())
    }

    /// The holders of a window that nobody has, each with the first generation that is left. Those come
    /// first whose PINs were given up: the first use of the new one ends the old at the lock.
    fn places(&self, given: &[Given]) -> impl Iterator<Item = (u8, u8)> {
        let holders = 0..self.lock.profile.holders();
        let has = |holder: u8, open: bool| {
            let of = |pin: &Given| pin.tuple.holder == holder && pin.ended.is_none() == open;
            given.iter().any(of)
        };
        let free: Vec<u8> = holders.filter(|holder| !has(*holder, true)).collect();
        let (mut places, fresh): (Vec<u8>, Vec<u8>) =
            free.into_iter().partition(|holder| has(*holder, false));
        places.extend(fresh);
        let first: Vec<_> =
            places.iter().map(|holder| (*holder, next_generation(given, *holder))).collect();
        first.into_iter()
    }

    /// The first generation from `first` on whose PIN no other around that time equals.
    fn choose(&self, fit: &Fit, holder: u8, first: u8, around: &mut Around) -> Option<Tuple> {
        (first..self.lock.profile.generations()).find_map(|generation| {
            let tuple = fit.tuple(holder, generation);
            let pin = Pin::derive(&self.root, self.epoch, &self.lock.profile, &tuple)?;
            let code = pin.code(Form::Pin);
            let unlike = !around.has(code.expose(), &fit.window);
            unlike.then(|| {
                around.add(code.expose(), fit.window);
                tuple
            })
        })
    }

    fn given(&self, fit: &Fit) -> Result<Vec<Given>, StoreError> {
        pins::of_window(self.connection, (self.lock, self.generation), fit)
    }

    fn insert(&self, booking: i64, tuple: &Tuple) -> Result<i64, StoreError> {
        let of = (self.lock, self.generation);
        pins::insert(self.connection, of, booking, tuple, self.epoch, self.now)
    }

    /// All PINs that were given around a window, also those that should open no more: the lock compares
    /// with all of them.
    fn around(&self, window: &Window) -> Result<Around, StoreError> {
        let mut found = Around::default();
        let of = (self.lock, self.generation);
        for given in pins::meeting(self.connection, of, &around(window))? {
            let profile = &self.lock.profile;
            if let Some(pin) = Pin::derive(&self.root, given.epoch, profile, &given.tuple) {
                found.add(pin.code(Form::Pin).expose(), given.opens);
            }
        }
        Ok(found)
    }

    fn no_pins_left(&self) -> Problem {
        let (holders, generations) = (self.lock.profile.holders(), self.lock.profile.generations());
        Problem::new(
            Code::NoPinsLeft,
            format!(
                "all PINs of this window were given: {holders} holders, {generations} each, and none is given twice"
            ),
        )
        .hint("take another window; a lock that is made with more holders or generations has more")
    }
}

/// What it meant for bookings that all their PINs were made anew.
pub(crate) struct Reissued {
    /// Bookings with other PINs.
    pub(crate) bookings: usize,
    /// PINs that have no successor, since every one left equals another.
    pub(crate) lost: usize,
}

/// Gives all PINs of a lock that are to open anew, in another generation of the lock or another epoch.
pub(crate) fn reissue(
    connection: &Connection,
    keys: &Keys,
    lock: &Lock,
    (generation, epoch): (u32, u32),
    because: Because,
    now: Timestamp,
) -> Result<Reissued, Problem> {
    let root = lock_keys::root(keys, lock, generation)?;
    let issuer = Issuer { connection, lock, generation, epoch, root, marks: Marks::new(), now };
    let open = pins::open_after(connection, lock, now)?;
    let end = open.iter().map(|pin| pin.opens.until()).max();
    let span = end.and_then(|end| Window::new(now, end));
    let Some(span) = span else { return Ok(Reissued { bookings: 0, lost: 0 }) };
    let mut around = issuer.around(&span)?;
    let (mut changed, mut lost) = (BTreeSet::new(), 0_usize);
    for old in open {
        // Who used up a PIN that opens once is given no second.
        if old.tuple.class.one_time && lock_events::used(connection, old.seq)?.times > 0 {
            continue;
        }
        let fit = Fit { class: old.tuple.class, index: old.tuple.index, window: old.opens };
        // In a new generation of the lock nothing was given; in a new epoch the same tuple is another PIN.
        let first = if generation == old.lock_generation { old.tuple.generation } else { 0 };
        pins::end(connection, old.seq, because, now)?;
        changed.insert(old.booking);
        match issuer.choose(&fit, old.tuple.holder, first, &mut around) {
            Some(tuple) => drop(issuer.insert(old.booking, &tuple)?),
            None => lost = lost.saturating_add(1),
        }
    }
    Ok(Reissued { bookings: changed.len(), lost })
}

/// The digits of a PIN that was given.
pub(crate) fn derive(root: &RootKey, lock: &Lock, given: &Given) -> Result<Pin, StoreError> {
    let pin = Pin::derive(root, given.epoch, &lock.profile, &given.tuple);
    pin.ok_or(StoreError::Corrupt { column: "pins.holder" })
}

fn next_generation(given: &[Given], holder: u8) -> u8 {
    let of = given.iter().filter(|pin| pin.tuple.holder == holder);
    of.map(|pin| pin.tuple.generation.saturating_add(1)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use doorstep::door::bundle::Bundle;
    use doorstep::keypad::issue::Pin;
    use doorstep::keypad::tuple::{Class, Form, Tuple};
    use doorstep::time::{Timestamp, Window};
    use serde_json::{Value, json};
    use std::collections::HashMap;

    const HOLDERS: u8 = 8;

    fn code(bundle: &Bundle, epoch: u32, tuple: &Tuple) -> String {
        let pin = Pin::derive(&bundle.root, epoch, &bundle.profile, tuple).unwrap();
        String::from_utf8(pin.code(Form::Pin).expose().to_vec()).unwrap()
    }

    /// Two tuples of a lock, of windows that hold one noon, whose PINs would be the same six digits in an epoch:
    /// found by deriving some thousand.
    fn equal(bundle: &Bundle, epoch: u32) -> Option<(Tuple, Tuple)> {
        let noon = Timestamp::from_seconds(crate::test_lock::seconds("12:00") + 40 * 86_400);
        let mut seen = HashMap::new();
        for class in bundle.profile.classes() {
            let Class { quantum, .. } = class;
            let last = class.index_at(noon).unwrap();
            let first = class.index_at(noon.earlier(class.seconds())).unwrap() + 1;
            for index in first..=last.min(first + 40 * 1440 / u32::from(*quantum)) {
                for holder in 0..HOLDERS {
                    let tuple = Tuple { class: *class, index, holder, generation: 0 };
                    let other = seen.insert(code(bundle, epoch, &tuple), tuple);
                    let other = other.filter(|other: &Tuple| {
                        (other.class, other.index) != (tuple.class, tuple.index)
                    });
                    if let Some(other) = other {
                        return Some((other, tuple));
                    }
                }
            }
        }
        None
    }

    /// A lock of six digits at which two PINs would be equal in an epoch.
    async fn unlucky(server: &TestServer, epoch: u32) -> (Bundle, Tuple, Tuple) {
        for name in 0..50 {
            let profile =
                json!({"kind": "general", "digits": 6, "holders": HOLDERS, "generations": 2});
            let body = json!({"site": "demo", "name": name.to_string(), "profile": profile});
            let (_, made) = server.post("/v1/locks", body).await;
            let bundle = Bundle::parse(made["bundle"].as_str().unwrap()).unwrap();
            if let Some((one, two)) = equal(&bundle, epoch) {
                return (bundle, one, two);
            }
        }
        panic!("fifty lucky locks")
    }

    /// Books the window of a tuple for as many holders as make it the last.
    async fn book(server: &TestServer, bundle: &Bundle, tuple: &Tuple) -> Value {
        let write = crate::utc::write;
        let body = json!({"lock": bundle.lock.as_str(), "from": write(tuple.from()),
            "until": write(tuple.until()), "holders": tuple.holder + 1});
        let (status, booking) = server.post("/v1/bookings", body).await;
        assert_eq!(status, 201, "{booking}");
        booking
    }

    fn pins(bookings: &[Value]) -> Vec<(String, u64, u64)> {
        let holders = bookings.iter().flat_map(|one| one["holders"].as_array().unwrap());
        holders
            .map(|one| {
                let number = |field: &str| one[field].as_u64().unwrap();
                (one["pin"].as_str().unwrap().to_owned(), number("generation"), number("epoch"))
            })
            .collect()
    }

    fn all_differ(pins: &[(String, u64, u64)]) -> bool {
        let digits: std::collections::BTreeSet<_> = pins.iter().map(|(pin, ..)| pin).collect();
        digits.len() == pins.len()
    }

    #[test]
    fn pins_within_eight_hours_are_around_each_other() {
        let hour = |hour: u64| Timestamp::from_seconds(1_800_000_000 + 3600 * hour);
        let window = |from, until| Window::new(hour(from), hour(until)).unwrap();
        let mut around = super::Around::default();
        around.add(b"482916", window(10, 11));
        for (from, until, near) in [
            (10, 11, true),
            (1, 2, false),
            (2, 3, true),
            (1, 30, true),
            (18, 19, true),
            (19, 20, false),
        ] {
            assert_eq!(around.has(b"482916", &window(from, until)), near, "{from}");
            assert!(!around.has(b"482917", &window(from, until)));
        }
    }

    #[tokio::test]
    async fn of_two_pins_that_would_be_equal_one_is_of_the_next_generation() {
        let server = TestServer::new().await;
        let (bundle, one, two) = unlucky(&server, 0).await;
        let bookings = [book(&server, &bundle, &one).await, book(&server, &bundle, &two).await];
        let given = pins(&bookings);
        assert!(all_differ(&given), "{given:?}");
        let shared = code(&bundle, 0, &one);
        assert!(given.contains(&(shared.clone(), 0, 0)), "the first has it");
        assert_eq!(given.last().unwrap().1, 1, "the second has the next");
        // It is not freed by cancelling, since the lock goes on comparing with it.
        let body = json!({});
        server.to_booking(&bookings[0], "cancel", body.clone()).await;
        server.to_booking(&bookings[1], "cancel", body).await;
        let again = book(&server, &bundle, &two).await;
        assert!(!pins(&[again]).iter().any(|(pin, ..)| *pin == shared));
    }

    #[tokio::test]
    async fn pins_made_anew_for_an_epoch_differ_as_well() {
        let server = TestServer::new().await;
        let (bundle, one, two) = unlucky(&server, 1).await;
        let mut bookings = [book(&server, &bundle, &one).await, book(&server, &bundle, &two).await];
        assert!(all_differ(&pins(&bookings)));
        let path = format!("/v1/locks/{}/epoch", bundle.lock);
        server.answer(&path, json!({"how": "announce"})).await;
        let answer = server.answer(&format!("{path}/confirm"), json!({"epoch": 1})).await;
        assert_eq!((&answer["bookings_changed"], &answer["pins_lost"]), (&json!(2), &json!(0)));
        let mut all = pins(&bookings);
        for booking in &mut bookings {
            *booking = server.booking(booking).await;
        }
        let given = pins(&bookings);
        assert_eq!(given.iter().filter(|(_, generation, _)| *generation == 1).count(), 1);
        assert!(given.iter().all(|(.., epoch)| *epoch == 1));
        // The lock takes PINs of both epochs for a while.
        all.extend(given);
        assert!(all_differ(&all), "{all:?}");
    }
}
