//! One presentation of a code to an account: counted, compared, spent and stored within one job of
//! the writer, for every endpoint that takes codes.

use crate::context::Context;
use crate::http::auth::hash;
use crate::ids::make_token;
use crate::store::StoreError;
use crate::store::accounts::{self, Account};
use crate::store::known_devices::{self, KnownDevice};
use crate::utc;
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::otp::record::{Presenter, Record};
use doorstep::refusal::Refusal;
use doorstep::throttle::Bucket;
use doorstep::time::Timestamp;
use doorstep::verifier::{Attempt, Compare, Grant, Matched, Spending, WrongReceipt};
use rusqlite::Connection;

/// An account's ledger, read by a job that nothing comes between.
pub(crate) struct Presentation<'c> {
    connection: &'c Connection,
    pub(crate) account: Account,
    device: Option<KnownDevice>,
    head: Head,
    /// Of the presenter.
    bucket: Bucket,
    pub(crate) now: Timestamp,
}

/// What was granted, and the record that spent it.
pub(crate) struct Granted<F> {
    pub(crate) grant: Grant<F>,
    pub(crate) record: Record,
}

impl<'c> Presentation<'c> {
    /// Begins a presentation by whoever shows `token`. A token that is not known, or another
    /// account's, makes him anybody.
    pub(crate) fn begin(
        connection: &'c Connection,
        account: Account,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let device = match token {
            Some(token) => known_devices::find(connection, account.seq, &hash(token))?,
            None => None,
        };
        let bucket = device.map_or(account.bucket, |device| device.bucket);
        let head = account.head;
        Ok(Self { connection, account, device, head, bucket, now })
    }

    pub(crate) fn presenter(&self) -> Presenter {
        Presenter { source: self.device.map_or(0, |device| device.number), bucket: self.bucket }
    }

    pub(crate) const fn head(&self) -> Head {
        self.head
    }

    /// Draws the token of a device that is known from now on, if it is to be and is not yet.
    pub(crate) fn token(&self, context: &Context, remember: bool) -> Option<String> {
        let wanted = remember && self.device.is_none();
        wanted.then(|| context.with_rng(|rng| make_token("known_", rng)))
    }

    /// Attempts that the presenter has left.
    pub(crate) fn attempts_left(&self) -> u8 {
        self.bucket.filled(self.now).left()
    }

    /// Takes an attempt that the core let through to its end, and stores what became of it.
    ///
    /// Both records, of the attempt and of the spending, are one change of the account's row. A
    /// refusal is a result and not an error, so that no attempt is ever taken back.
    pub(crate) fn run<M: Compare>(
        &mut self,
        begun: Result<(Attempt<M>, Record), Refusal>,
        spend: impl FnOnce(
            &Matched<M>,
            &Presenter,
            Head,
        ) -> Result<(Spending<M::Found>, Record), Refusal>,
    ) -> Result<Result<Granted<M::Found>, Refusal>, StoreError> {
        if self.account.disabled_at.is_some() {
            accounts::count_uncompared(self.connection)?;
            return Ok(Err(Refusal::Revoked));
        }
        let (attempt, record) = match begun {
            Ok(begun) => begun,
            Err(refusal) => {
                accounts::count_uncompared(self.connection)?;
                return Ok(Err(refusal));
            }
        };
        let receipt = self.append(attempt.place(), &record);
        let outcome = match attempt.counted(receipt).map_err(lost)?.compare() {
            Err(refusal) => Err(refusal),
            Ok(matched) => match spend(&matched, &self.presenter(), self.head) {
                Err(refusal) => Err(refusal),
                Ok((spending, record)) => {
                    let receipt = self.append(spending.place(), &record);
                    Ok(Granted { grant: spending.granted(receipt).map_err(lost)?, record })
                }
            },
        };
        self.store()?;
        Ok(outcome)
    }

    /// Puts a record at the end of the chain. It is stored with the rest, and durable before
    /// anybody is answered.
    fn append(&mut self, place: &Place, record: &Record) -> Receipt {
        self.head = place.after;
        self.bucket = record.charge(self.bucket);
        place.appended()
    }

    fn store(&mut self) -> Result<(), StoreError> {
        let Self { connection, account, now, .. } = self;
        let (anybody, before) = match &mut self.device {
            None => (self.bucket, account.bucket),
            Some(device) => {
                known_devices::charge(connection, account.seq, device.number, self.bucket)?;
                (account.bucket, std::mem::replace(&mut device.bucket, self.bucket))
            }
        };
        // No other job runs between reading the head and this, so another head is damage.
        if !accounts::append(connection, account, self.head, anybody)? {
            return Err(StoreError::Corrupt { column: "accounts.head_hash" });
        }
        (account.head, account.bucket) = (self.head, anybody);
        if let Err(Refusal::Throttled { until }) = self.bucket.take(*now)
            && before.take(*now).is_ok()
        {
            let until = until.map(utc::write);
            let known_device = self.device.map(|device| device.number);
            tracing::warn!(account = account.id, known_device, until, "attempts are used up");
        }
        Ok(())
    }

    /// Notes that the presenter was let in. A device that is to be remembered, and is not known
    /// yet, is taken in under `token`.
    pub(crate) fn welcome(&self, token: Option<&str>) -> Result<(), StoreError> {
        match (self.device, token) {
            (Some(device), _) => {
                known_devices::touch(self.connection, self.account.seq, device.number, self.now)
            }
            (None, Some(token)) => {
                known_devices::insert(self.connection, self.account.seq, &hash(token), self.now)
            }
            (None, None) => Ok(()),
        }
    }
}

const fn lost(_: WrongReceipt) -> StoreError {
    StoreError::Corrupt { column: "accounts.head_hash" }
}
