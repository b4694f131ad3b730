//! A lock that listens: several phones at once, each with the challenge that it was sent, and none of them in
//! another's way.

use super::antenna::{Antenna, Carrier, Link, Packet};
use super::journal::export;
use super::reader::{Challenges, Judged, takes_none};
use super::{VirtualLock, Woken};
use crate::error::CliError;
use crate::randomness::Source;
use doorstep::clock::Belief;
use doorstep::door::sealed::seal;
use doorstep::pass::exchange::ble::{FragmentSize, Peripheral, fragments};
use doorstep::pass::exchange::greeting::Greeting;
use doorstep::pass::exchange::message::{Reply, Request, Status};
use doorstep::pass::exchange::nfc::Card;
use doorstep::pass::exchange::nonces::{Sent, TimeNonce};
use doorstep::pass::proof::Challenge;
use doorstep::pass::rider::Rider;
use rustix::event::Timespec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// The lock's own pulse.
const TICK: Duration = Duration::from_millis(100);
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How many phones are heard at once.
const MOST: usize = 8;

/// After so many ticks of silence a phone gives up its place to one that waits for it,
const YIELDS: u32 = 10;
/// and after so many it is dropped.
const SILENT: u32 = 100;
/// However much it says, no phone stays for longer.
const STAYS: u32 = 1200;

/// How often a lock looks whether it has power, in ticks.
const LOOKS: u32 = 5;

/// What there is to tell whoever runs the lock.
#[derive(Debug)]
pub(crate) enum Happened<'a> {
    /// Something was presented.
    Judged(Carrier, &'a Judged, &'a Belief),
    /// The lock is out of order.
    Failed(CliError),
}

pub(crate) struct Listener {
    lock: VirtualLock,
    rng: Source,
    time: TimeNonce,
    /// How many records the lock had when it looked last, and how often the power was lost since.
    records: u64,
    starts: u32,
    fragment: FragmentSize,
    phones: Vec<Phone>,
    turn: [Carrier; 2],
}

/// A phone that is there.
struct Phone {
    link: Link,
    end: End,
    meeting: Meeting,
    /// Ticks when it came, and when it was heard last.
    came: u32,
    heard: u32,
}

/// The lock's end of what they speak.
enum End {
    Nfc(Card),
    Ble(Peripheral),
}

/// What the lock keeps of one phone until it goes.
#[derive(Default)]
struct Meeting {
    nonce: Option<Sent>,
    /// The journal as it was sealed for it.
    journal: Option<Vec<u8>>,
    /// How often the power had been lost.
    start: u32,
}

impl Phone {
    fn new(carrier: Carrier, link: Link, tick: u32) -> Self {
        let end = match carrier {
            Carrier::Nfc => End::Nfc(Card::default()),
            Carrier::Ble => End::Ble(Peripheral::default()),
        };
        Self { link, end, meeting: Meeting::default(), came: tick, heard: tick }
    }

    fn stays(&self, tick: u32) -> bool {
        tick.wrapping_sub(self.heard) < SILENT && tick.wrapping_sub(self.came) < STAYS
    }

    /// Sends a reply; `false` when the phone does not take it.
    fn send(&self, reply: &Reply, size: FragmentSize) -> bool {
        match &self.end {
            End::Nfc(card) => self.link.send(card.response(reply).as_ref()),
            End::Ble(_) => {
                let message = reply.to_bytes();
                fragments(message.as_ref(), size).all(|part| self.link.send(part.as_ref()))
            }
        }
    }
}

impl Listener {
    pub(crate) fn new(
        mut lock: VirtualLock,
        rng: Source,
        fragment: FragmentSize,
    ) -> Result<Self, CliError> {
        if lock.door().reader().is_none() {
            return Err(takes_none());
        }
        let records = lock.records()?;
        let phones = Vec::with_capacity(MOST);
        let (time, turn) = (TimeNonce::NONE, Carrier::ALL);
        Ok(Self { lock, rng, time, records, starts: 0, fragment, phones, turn })
    }

    /// Listens until it is to stop.
    pub(crate) fn listen(
        &mut self,
        antenna: &Antenna,
        stop: &AtomicBool,
        mut tell: impl FnMut(Happened<'_>),
    ) -> Result<(), CliError> {
        let ticks = ticks();
        let mut looked = 0;
        while !stop.load(Ordering::Relaxed) {
            let tick = ticks.load(Ordering::Relaxed);
            self.phones.retain(|phone| phone.stays(tick));
            let room = self.has_room(tick);
            antenna.wait(room, self.phones.iter().map(|phone| &phone.link), WAIT)?;
            if tick.wrapping_sub(looked) >= LOOKS {
                looked = tick;
                self.look();
            }
            // One packet of each, so that nobody waits for whoever says most.
            for mut phone in std::mem::take(&mut self.phones) {
                let stays = match phone.link.receive() {
                    Packet::None => true,
                    Packet::Gone => false,
                    Packet::Some(packet) => {
                        phone.heard = tick;
                        self.answer(&mut phone, &packet, &mut tell)
                    }
                };
                if stays {
                    self.phones.push(phone);
                }
            }
            self.let_in(antenna, tick);
        }
        Ok(())
    }

    fn has_room(&self, tick: u32) -> bool {
        self.phones.len() < MOST || self.longest_silent(tick).is_some()
    }

    /// Lets one phone in from each side. Whose turn it is first changes, so that neither is in the other's way.
    fn let_in(&mut self, antenna: &Antenna, tick: u32) {
        self.turn.reverse();
        for carrier in self.turn {
            if !self.has_room(tick) {
                continue;
            }
            let Some(link) = antenna.accept(carrier) else { continue };
            if self.phones.len() >= MOST
                && let Some(index) = self.longest_silent(tick)
            {
                self.phones.remove(index);
            }
            self.phones.push(Phone::new(carrier, link, tick));
        }
    }

    /// The phone that was silent for the longest, if it was for long enough to give up its place.
    fn longest_silent(&self, tick: u32) -> Option<usize> {
        let silent = self.phones.iter().map(|phone| tick.wrapping_sub(phone.heard)).enumerate();
        let longest = silent.max_by_key(|(_, silent)| *silent);
        longest.filter(|(_, silent)| *silent >= YIELDS).map(|(index, _)| index)
    }

    /// What the lock does all the time. Without power nobody is with it.
    fn look(&mut self) {
        // What is wrong with it is told to the next who asks something of it.
        if let Ok(Err(_)) = self.lock.tick() {
            self.lose_power();
        }
    }

    /// Everything that was not written down is gone.
    fn lose_power(&mut self) {
        self.time.forget();
        self.starts = self.starts.wrapping_add(1);
        self.phones.clear();
    }

    /// Takes one packet of a phone; `false` when there is no phone any more.
    fn answer(
        &mut self,
        phone: &mut Phone,
        packet: &[u8],
        tell: &mut impl FnMut(Happened<'_>),
    ) -> bool {
        let (carrier, heard) = match &mut phone.end {
            End::Nfc(card) => (Carrier::Nfc, card.take(packet)),
            End::Ble(peripheral) => (Carrier::Ble, peripheral.take(packet)),
        };
        let reply = match heard {
            Ok(Some(request)) => match self.carry_out(&mut phone.meeting, carrier, request, tell) {
                Ok(Some(reply)) => reply,
                Ok(None) => {
                    self.lose_power();
                    return false;
                }
                Err(error) => {
                    tell(Happened::Failed(error));
                    Reply::plain(Status::Failed)
                }
            },
            Ok(None) if carrier == Carrier::Ble => return true,
            Ok(None) => Reply::plain(Status::Done),
            Err(status) => Reply::plain(status),
        };
        phone.send(&reply, self.fragment)
    }

    /// Does what a phone asks; `None` without power.
    fn carry_out(
        &mut self,
        meeting: &mut Meeting,
        carrier: Carrier,
        request: Request<'_>,
        tell: &mut impl FnMut(Happened<'_>),
    ) -> Result<Option<Reply>, CliError> {
        let Woken::Awake(mut awake) = self.lock.wake()? else { return Ok(None) };
        let counter = awake.counter();
        if awake.lost_power_since(self.records) {
            self.time.forget();
            self.starts = self.starts.wrapping_add(1);
        }
        if meeting.start != self.starts {
            *meeting = Meeting { start: self.starts, ..Meeting::default() };
        }
        let reply = match request {
            Request::Greet => {
                let (belief, records) = (awake.belief(), awake.records());
                let reader = awake.door().reader().ok_or_else(takes_none)?;
                let sent = Sent::new(Challenge::make(&mut self.rng), counter);
                let fresh = || Challenge::make(&mut self.rng);
                let time_nonce = self.time.greet(&belief, counter, fresh);
                let passes = &awake.state().passes;
                let greeting = Greeting {
                    nonce: *sent.nonce(),
                    lock: *reader.name(),
                    rotation: passes.rotation(),
                    bulletin: passes.bulletin(),
                    journal: records,
                    time_nonce,
                };
                meeting.nonce = Some(sent);
                Reply::greeting(&greeting)
            }
            Request::Present(bytes) => {
                let proof = meeting.nonce.take().and_then(|sent| sent.aged(counter));
                let challenges = Challenges { proof, time: self.time.challenge(counter) };
                let judged = awake.present(bytes, challenges)?;
                if matches!(judged, Judged::Taken(Rider::Token(_))) {
                    self.time.forget();
                }
                let next = Sent::new(Challenge::make(&mut self.rng), counter);
                let reply = Reply::answered(judged.answer(), next.nonce());
                meeting.nonce = Some(next);
                tell(Happened::Judged(carrier, &judged, &awake.belief()));
                reply
            }
            Request::ReadJournal { offset } => {
                self.records = awake.records();
                drop(awake);
                if offset == 0 {
                    meeting.journal = Some(self.sealed_journal()?);
                }
                return Ok(Some(meeting.journal.as_ref().map_or_else(
                    || Reply::plain(Status::WrongOrder),
                    |sealed| Reply::journal(sealed, offset),
                )));
            }
        };
        self.records = awake.records();
        Ok(Some(reply))
    }

    fn sealed_journal(&mut self) -> Result<Vec<u8>, CliError> {
        let (_, base) = self.lock.base()?;
        let door = self.lock.door();
        let mut journal = export(self.lock.ledger(), door, &base);
        let mut nonce = [0; 12];
        self.rng.fill_bytes(&mut nonce);
        let (header, tag) = seal(door, nonce, &mut journal);
        Ok([header.as_ref(), &journal, &tag].concat())
    }
}

/// Counts ticks on a thread of its own, so that no phone's talk holds them up.
fn ticks() -> Arc<AtomicU32> {
    let ticks = Arc::new(AtomicU32::new(0));
    let count = Arc::downgrade(&ticks);
    std::thread::spawn(move || {
        while let Some(ticks) = count.upgrade() {
            std::thread::sleep(TICK);
            ticks.fetch_add(1, Ordering::Relaxed);
        }
    });
    ticks
}
