//! A booking as it is shown: its true window, the PINs of its holders, and the truth about every PIN of it
//! that should open no more.

use super::warnings::{self, Warning};
use crate::api::v1::locks::{digits, spaced};
use crate::api::v1::passes::view::PassView;
use crate::http::problem::Problem;
use crate::keys::Keys;
use crate::lock_state::Known;
use crate::passes::{Issued, Place};
use crate::store::bookings::Booking;
use crate::store::locks::Lock;
use crate::store::passes as stored;
use crate::store::pins::{self, Because, Pin};
use crate::store::{StoreError, lock_events};
use crate::utc::Utc;
use crate::{issuing, lock_keys, revocation};
use doorstep::keypad::key::RootKey;
use doorstep::keypad::tuple::Form;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A booking.
#[derive(Serialize, ToSchema)]
pub(crate) struct BookingView {
    /// Its id, for ever.
    #[schema(example = "bkg_01m7zpcgdg2c2rbw8qte4qcp8y")]
    id: String,
    /// The business's own name for it.
    reference: Option<String>,
    /// The lock's id.
    lock: String,
    /// `booked` or `cancelled`.
    state: &'static str,
    /// As it was asked for.
    from: Utc,
    until: Utc,
    /// When its PINs open, rounded outward to a window that the lock has.
    opens_from: Utc,
    opens_until: Utc,
    grace: GraceView,
    /// Whether each PIN opens once.
    once: bool,
    /// How its holders come in: with a `pin`, a `pass`, or `both`.
    access: &'static str,
    /// Why its PINs may not open. `clock_unset`: the lock, by its last journal, does not know the time and opens for
    /// nobody until it is told; `POST /v1/locks/{id}/set_time`. `after_fails_on`: the window ends after the day on
    /// which codes will fail if nothing is heard of the lock's clock until then. `epoch_pending`: a code that ends
    /// the epoch was made and not confirmed; these PINs end with it. `epoch_behind`: the code of the epoch was never
    /// typed at the lock, which does not know these PINs.
    warnings: Vec<Warning>,
    /// Who has PINs. Of a cancelled booking nobody has.
    holders: Vec<HolderView>,
    /// Its passes, for exactly the window that was asked for, and those that were revoked. The answer that makes one
    /// has its document or its ticket.
    passes: Vec<PassView>,
    /// What happens at the lock to PINs of this booking that should open no more.
    revocations: Vec<RevocationView>,
    created_at: Utc,
    cancelled_at: Option<Utc>,
}

/// How much earlier and later than its window a PIN is taken, beside the uncertainty of the lock's clock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GraceView {
    early_seconds: u16,
    late_seconds: u16,
}

/// Somebody who has a PIN.
#[derive(Serialize, ToSchema)]
pub(crate) struct HolderView {
    /// The holder's number in the lock's window. Other bookings of the window have others.
    holder: u8,
    /// Which of the holder's PINs it is.
    generation: u8,
    /// For the keypad.
    #[schema(example = "482916357")]
    pin: String,
    #[schema(example = "482 916 357")]
    pin_spaced: String,
    /// For the keypad, when others used up the attempts at PINs: nobody guesses it.
    #[schema(example = "48291635704417")]
    long_form: String,
    #[schema(example = "4829 1635 7044 17")]
    long_form_spaced: String,
    /// The epoch of the PIN.
    epoch: u32,
    /// When it opened first, by the lock's journal.
    first_used_at: Option<Utc>,
    /// How often it opened, by the lock's journal.
    uses: u64,
}

impl Drop for HolderView {
    fn drop(&mut self) {
        self.pin.zeroize();
        self.pin_spaced.zeroize();
        self.long_form.zeroize();
        self.long_form_spaced.zeroize();
    }
}

/// A PIN that should open no more, and what is true of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RevocationView {
    holder: u8,
    generation: u8,
    epoch: u32,
    /// Why: the booking was `cancelled` or `changed`, the PIN `renewed`, its `epoch` ended, or the lock
    /// `provisioned` anew.
    because: &'static str,
    opens_from: Utc,
    opens_until: Utc,
    /// When it opens no more. `now`: it does not, by all that is known. `when_successor_used`: when another PIN
    /// is used for the first time. `when_typed`: when somebody types `cancel_code`. `when_provisioned`: when the
    /// lock is given its new bundle. `at_expiry`: when its window is over.
    takes_effect: &'static str,
    /// What staff, or the next guest, type to end it at once. Null where there is no need, where no code
    /// helps, while its window is too far ahead for a lock to read the code, and when the lock, by its last
    /// journal, can remember no more.
    cancel_code: Option<String>,
    /// From when on there is a cancel code, of a window that is too far ahead for one now.
    cancel_code_from: Option<Utc>,
    /// Since when it opens no more, as far as it is known: from the lock's journal, from staff, or because its
    /// window is over. A lock that goes on after a power loss may be behind for as long as it was without
    /// power, so that of its windows only its journal says that they are over.
    done_at: Option<Utc>,
}

impl Drop for RevocationView {
    fn drop(&mut self) {
        self.cancel_code.zeroize();
    }
}

/// Shows bookings of one lock.
pub(crate) struct Shown<'a> {
    connection: &'a Connection,
    keys: &'a Keys,
    lock: &'a Lock,
    root: RootKey,
    known: Known,
    now: Timestamp,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        keys: &'a Keys,
        lock: &'a Lock,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let root = lock_keys::root(keys, lock, lock.generation)?;
        let known = Known::new(lock, now)?;
        Ok(Self { connection, keys, lock, root, known, now })
    }

    /// A booking; `issued` are passes that were just made.
    pub(crate) fn booking(
        &self,
        booking: &Booking,
        issued: &[Issued],
    ) -> Result<BookingView, Problem> {
        let Self { connection, lock, .. } = *self;
        let (mut holders, mut revocations) = (Vec::new(), Vec::new());
        for pin in pins::of_booking(connection, lock, booking.seq)? {
            match pin.ended {
                None => holders.push(self.holder(&pin)?),
                Some(because) => revocations.push(self.revocation(&pin, because)?),
            }
        }
        let (mut passes, place) = (Vec::new(), Place::of_lock(lock.clone()));
        for pass in stored::of_booking(connection, booking.seq)? {
            passes.push(match issued.iter().find(|issued| issued.pass.seq == pass.seq) {
                Some(issued) => PassView::issued(connection, issued, &place, self.now)?,
                None => PassView::at(connection, &pass, &place, self.now)?,
            });
        }
        let grace = lock.profile.grace();
        Ok(BookingView {
            id: booking.id.clone(),
            reference: booking.reference.clone(),
            lock: lock.id.to_string(),
            state: booking.state.as_str(),
            from: Utc(booking.asked.from()),
            until: Utc(booking.asked.until()),
            opens_from: Utc(booking.opens.from()),
            opens_until: Utc(booking.opens.until()),
            grace: GraceView { early_seconds: grace.early, late_seconds: grace.late },
            once: booking.fit(&lock.profile)?.class.one_time,
            access: booking.access.as_str(),
            warnings: warnings::of(lock, &self.known, booking, self.now)?,
            holders,
            passes,
            revocations,
            created_at: Utc(booking.created_at),
            cancelled_at: booking.cancelled_at.map(Utc),
        })
    }

    fn holder(&self, pin: &Pin) -> Result<HolderView, Problem> {
        // What was over when the lock was provisioned anew keeps the PINs that it had.
        let older = pin.lock_generation != self.lock.generation;
        let root = older.then(|| lock_keys::root(self.keys, self.lock, pin.lock_generation));
        let root = root.transpose()?;
        let codes = issuing::derive(root.as_ref().unwrap_or(&self.root), self.lock, pin)?;
        let (short, long) = (codes.code(Form::Pin), codes.code(Form::Long));
        let used = lock_events::used(self.connection, pin.seq)?;
        Ok(HolderView {
            holder: pin.tuple.holder,
            generation: pin.tuple.generation,
            pin: digits(&short),
            pin_spaced: spaced(&short),
            long_form: digits(&long),
            long_form_spaced: spaced(&long),
            epoch: pin.epoch,
            first_used_at: used.first.map(Utc),
            uses: used.times,
        })
    }

    fn revocation(&self, pin: &Pin, because: Because) -> Result<RevocationView, StoreError> {
        let of = (self.lock, &self.root);
        let truth = revocation::truth(self.connection, of, pin, &self.known, self.now)?;
        Ok(RevocationView {
            holder: pin.tuple.holder,
            generation: pin.tuple.generation,
            epoch: pin.epoch,
            because: because.as_str(),
            opens_from: Utc(pin.opens.from()),
            opens_until: Utc(pin.opens.until()),
            takes_effect: truth.takes_effect.as_str(),
            cancel_code: truth.cancel_code.as_ref().map(digits),
            cancel_code_from: truth.cancel_code_from.map(Utc),
            done_at: truth.done_at.map(Utc),
        })
    }
}
