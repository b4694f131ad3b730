//! The state file and its key, opened; and what an operator does with it.

use crate::account::{Account, Attempts, Authenticator as Row, RecoveryCode, Remembered};
use crate::config::{Config, Verify};
use crate::error::GateError;
use crate::keys::Keys;
use crate::name::Name;
use crate::session::SKEW;
use crate::state::{About, COMPACT_AFTER, Entry, GateState};
use crate::verify::carry_out;
use doorstep::code::Code;
use doorstep::ledger::Head;
use doorstep::otp::OtpSecret;
use doorstep::otp::otpauth::{self, Kind};
use doorstep::otp::record::{Presenter, State};
use doorstep::otp::recovery;
use doorstep::otp::verify::{Accepted, Authenticator, Drift, Enrolled, Method, begin};
use doorstep::otp::window::Window;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep_files::journal::{Journal, Session};
use doorstep_files::seal::Place;
use doorstep_files::{FileError, private};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The most authenticators that an account has. Each is as good as the other for whoever guesses.
const MOST_AUTHENTICATORS: usize = 4;

/// How many codes an authenticator that counts may have made that were never presented.
const LOOK_AHEAD: u8 = 10;

/// How far a resync looks, in steps or counters.
const REACH: u16 = 1000;

/// An open gate.
pub struct Gate {
    journal: Journal<GateState>,
    keys: Keys,
    window: Window,
    verify: Verify,
}

/// An account as an operator sees it.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// Its name.
    pub name: Name,
    /// Its authenticators: their numbers, and whether they are active.
    pub authenticators: Vec<(u16, bool)>,
    /// Attempts left for whoever is not known.
    pub attempts_left: u8,
    /// Recovery codes that were not used yet.
    pub recovery_codes: usize,
    /// Devices that were let in before.
    pub known_devices: usize,
    /// From when on attempts come back, if that lies in the future: the clock was once ahead.
    pub stalled_until: Option<Timestamp>,
}

/// An authenticator that was just enrolled.
pub struct Enrolment {
    /// Its number in the account.
    pub number: u16,
    /// The secret and its parameters, to be shown once.
    pub entry: otpauth::Entry,
}

impl Gate {
    /// Makes the state file and its key. Neither may exist.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn create(
        config: &Config,
        test: bool,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), GateError> {
        for path in [&config.key, &config.state] {
            private::refuse_open_directory(path)?;
            if path.symlink_metadata().is_ok() {
                return Err(FileError::Exists { path: path.clone() }.into());
            }
        }
        // Of two that get here at once, one makes the key and goes on.
        let keys = Keys::create(&config.key, rng)?;
        let about = About { test, check: keys.check, made: now.seconds() };
        Journal::<GateState>::create(&config.state, &[Entry::Gate(about).to_bytes()])?;
        Ok(())
    }

    /// Opens the state file with its key. Files that others could have touched are refused.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn open(config: &Config) -> Result<Self, GateError> {
        private::refuse_open_directory(&config.key)?;
        private::refuse_open_directory(&config.state)?;
        let keys = Keys::open(&config.key)?;
        let journal = Journal::<GateState>::open(&config.state)?;
        if journal.state().about.check != keys.check {
            return Err(GateError::WrongKey { path: config.key.clone() });
        }
        Ok(Self { journal, keys, window: config.window, verify: config.verify })
    }

    /// Whether this is test data, which takes a simulated clock.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        self.journal.state().about.test
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What the file says now, with what other processes wrote.
    pub(crate) fn refresh(&mut self) -> Result<&GateState, GateError> {
        Ok(self.journal.refresh()?)
    }

    /// Locks the state file.
    pub(crate) fn parts(&mut self) -> Result<(Session<'_, GateState>, &Keys, Window), GateError> {
        Ok((self.journal.session()?, &self.keys, self.window))
    }

    /// Whether the state file holds an authenticator for this name that opens it.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn has_authenticator(&mut self, name: &Name) -> Result<bool, GateError> {
        Ok(self.refresh()?.account(name).is_some_and(Account::is_active))
    }

    /// Writes the state file anew when it has grown. A failure changes nothing: it will be tried
    /// again.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn compact(&mut self, now: Timestamp) -> Result<(), GateError> {
        if self.journal.state().presented < COMPACT_AFTER {
            return Ok(());
        }
        let session = self.journal.session()?;
        // Another process may have been faster.
        if session.state().presented >= COMPACT_AFTER {
            let summary = session.state().summary(now);
            session.replace(&summary)?;
        }
        Ok(())
    }

    /// All accounts.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn list(&mut self, now: Timestamp) -> Result<Vec<AccountView>, GateError> {
        let view = |account: &Account| AccountView {
            stalled_until: account.filled_from().filter(|from| *from > now.later(SKEW)),
            name: account.name.clone(),
            authenticators: account
                .authenticators
                .iter()
                .map(|one| (one.number, one.active))
                .collect(),
            attempts_left: account.attempts.bucket().filled(now).left(),
            recovery_codes: account.recovery.iter().filter(|code| code.used.is_none()).count(),
            known_devices: account.devices.len(),
        };
        let mut views: Vec<_> = self.refresh()?.accounts.values().map(view).collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(views)
    }

    /// Enrols an authenticator, for a new account or one more of an account. It opens nothing before
    /// its first code is accepted ([`Gate::activate`]); one that never was is replaced.
    ///
    /// # Errors
    /// [`GateError::Unfit`] when the account has too many.
    pub fn enrol(
        &mut self,
        name: &Name,
        kind: Kind,
        issuer: &str,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Enrolment, GateError> {
        let keys = &self.keys;
        let mut session = self.journal.session()?;
        let fresh =
            || Account::new(session.state().next_number(), name.clone(), Attempts::full(now));
        let mut account = session.state().account(name).cloned().unwrap_or_else(fresh);
        account.authenticators.retain(|one| one.active);
        if account.authenticators.len() >= MOST_AUTHENTICATORS {
            return Err(GateError::Unfit("the account has four authenticators, which is the most"));
        }
        let numbers = account.authenticators.iter().map(|one| one.number);
        let number = numbers.max().unwrap_or(0).saturating_add(1);
        let secret = OtpSecret::make(rng);
        let entry =
            otpauth::Entry { issuer: issuer.to_owned(), account: name.to_string(), secret, kind };
        let uri = otpauth::write(&entry).map_err(|_| {
            GateError::Unfit("an authenticator app would not read the issuer's name")
        })?;
        let row = row_name(account.number, number);
        let sealed =
            keys.seal.seal(place(&row), uri.as_bytes(), rng).map_err(|_| GateError::Sealed)?;
        let state = match entry.kind {
            Kind::Totp(_) => State::new(now),
            Kind::Hotp { counter, .. } => State::counting_from(now, counter),
        };
        account.authenticators.push(Row {
            number,
            sealed,
            active: false,
            state: Remembered(state),
        });
        session.append(&Entry::Account(account).to_bytes())?;
        Ok(Enrolment { number, entry })
    }

    /// Activates the authenticator enrolled last by its first code, which is spent by it.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn activate(
        &mut self,
        name: &Name,
        typed: &str,
        now: Timestamp,
    ) -> Result<Result<Accepted, Refusal>, GateError> {
        let (mut session, keys, window) = self.parts()?;
        single(
            &mut session,
            (keys, window),
            name,
            |row| !row.active,
            |session, number, presenter, head, one| {
                let enrolled = [*one];
                let begun = begin(&enrolled, presenter, typed, now, head);
                carry_out(session, number, begun, |matched, head| {
                    one.spend(matched, presenter, now, head)
                })
            },
        )
    }

    /// Finds an authenticator again whose clock or counter is far off, by two codes that follow each
    /// other. It never goes back. Which one must be said if the account has several.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn resync(
        &mut self,
        name: &Name,
        authenticator: Option<u16>,
        codes: [&str; 2],
        now: Timestamp,
    ) -> Result<Result<Accepted, Refusal>, GateError> {
        let [first, second] = codes;
        // Both under one lock: nothing comes between them.
        let (mut session, keys, window) = self.parts()?;
        let wanted = active(&known(session.state(), name)?, authenticator)?;
        let half = single(
            &mut session,
            (keys, window),
            name,
            |row| row.number == wanted,
            |session, number, presenter, head, one| {
                let begun = one.begin_first(presenter, first, REACH, now, head);
                carry_out(session, number, begun, |matched, head| {
                    one.spend_first(matched, presenter, now, head)
                })
            },
        )?;
        if let Err(refusal) = half {
            return Ok(Err(refusal));
        }
        single(
            &mut session,
            (keys, window),
            name,
            |row| row.number == wanted,
            |session, number, presenter, head, one| {
                let begun = one.begin_second(presenter, second, now, head);
                carry_out(session, number, begun, |matched, head| {
                    one.spend_second(matched, presenter, now, head)
                })
            },
        )
    }

    /// Makes a new set of recovery codes, in place of the old one.
    ///
    /// # Errors
    /// [`GateError::NoAccount`].
    pub fn make_recovery_codes(
        &mut self,
        name: &Name,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<Code>, GateError> {
        let keys = &self.keys;
        let mut session = self.journal.session()?;
        let mut account = known(session.state(), name)?;
        let codes: Vec<Code> = (0..recovery::SET).map(|_| recovery::make(rng)).collect();
        let row = |(number, code): (u8, &Code)| RecoveryCode {
            number,
            mac: recovery::derive_mac(&keys.pepper, name.as_str().as_bytes(), code),
            used: None,
        };
        account.recovery = (0..).zip(&codes).map(row).collect();
        session.append(&Entry::Account(account).to_bytes())?;
        Ok(codes)
    }

    /// Gives an account and its known devices all their attempts back.
    ///
    /// # Errors
    /// [`GateError::NoAccount`].
    pub fn unlock(&mut self, name: &Name, now: Timestamp) -> Result<(), GateError> {
        let mut session = self.journal.session()?;
        let mut account = known(session.state(), name)?;
        account.attempts = Attempts::full(now);
        for device in &mut account.devices {
            device.attempts = Attempts::full(now);
        }
        session.append(&Entry::Account(account).to_bytes())?;
        Ok(())
    }

    /// Removes an account, and ends its sessions.
    ///
    /// # Errors
    /// [`GateError::NoAccount`].
    pub fn remove(&mut self, name: &Name) -> Result<(), GateError> {
        let mut session = self.journal.session()?;
        let account = known(session.state(), name)?;
        // The sessions first: should the second record fail, the account is still there to remove.
        let epoch = session.state().epoch_of(name).saturating_add(1);
        session.append(&Entry::Epoch(Some(name.clone()), epoch).to_bytes())?;
        session.append(&Entry::Removed(account.number).to_bytes())?;
        Ok(())
    }

    /// Removes one authenticator of an account, and ends the account's sessions.
    ///
    /// # Errors
    /// [`GateError::NoAccount`]; [`GateError::Unfit`] when there is no such authenticator, or no
    /// other one that opens the account.
    pub fn remove_authenticator(&mut self, name: &Name, number: u16) -> Result<(), GateError> {
        let mut session = self.journal.session()?;
        let mut account = known(session.state(), name)?;
        let before = account.authenticators.len();
        account.authenticators.retain(|one| one.number != number);
        if account.authenticators.len() == before {
            return Err(GateError::Unfit("the account has no such authenticator"));
        }
        if !account.is_active() {
            return Err(GateError::Unfit(
                "no other authenticator opens the account: remove it as a whole, or add one first",
            ));
        }
        let epoch = session.state().epoch_of(name).saturating_add(1);
        session.append(&Entry::Epoch(Some(name.clone()), epoch).to_bytes())?;
        session.append(&Entry::Account(account).to_bytes())?;
        Ok(())
    }

    /// Ends the sessions of a name, or of everybody. With accounts at the service any name will do.
    ///
    /// # Errors
    /// [`GateError::File`]; [`GateError::NoAccount`].
    pub fn sign_out(&mut self, name: Option<&Name>) -> Result<(), GateError> {
        let here = self.verify == Verify::Local;
        let mut session = self.journal.session()?;
        let state = session.state();
        if let Some(name) = name.filter(|_| here) {
            known(state, name)?;
        }
        let epoch = name.map_or(state.epoch, |name| state.epoch_of(name));
        session.append(&Entry::Epoch(name.cloned(), epoch.saturating_add(1)).to_bytes())?;
        Ok(())
    }

    /// Ends one session.
    pub(crate) fn end(&mut self, session: [u8; 16], until: Timestamp) -> Result<(), GateError> {
        self.journal.session()?.append(&Entry::Ended(session, until.seconds()).to_bytes())?;
        Ok(())
    }
}

/// Does something with the last authenticator of an account that is as wanted.
fn single<T>(
    session: &mut Session<'_, GateState>,
    (keys, window): (&Keys, Window),
    name: &Name,
    wanted: impl Fn(&Row) -> bool,
    act: impl FnOnce(
        &mut Session<'_, GateState>,
        u32,
        &Presenter,
        Head,
        &Enrolled<'_>,
    ) -> Result<T, GateError>,
) -> Result<T, GateError> {
    let account = known(session.state(), name)?;
    let row = account.authenticators.iter().rfind(|row| wanted(row));
    let row = row.ok_or(GateError::Unfit("the account has no such authenticator"))?;
    let authenticator = keys.open_authenticator(account.number, row, window)?;
    let one = Enrolled { number: row.number, authenticator: &authenticator, state: row.state.0 };
    let presenter = Presenter::anybody(account.attempts.bucket());
    act(session, account.number, &presenter, account.chain.0, &one)
}

/// The active authenticator with this number, or the only one.
fn active(account: &Account, number: Option<u16>) -> Result<u16, GateError> {
    let wanted = |row: &&Row| row.active && number.is_none_or(|number| number == row.number);
    let mut active = account.authenticators.iter().filter(wanted);
    match (active.next(), active.next()) {
        (Some(row), None) => Ok(row.number),
        (None, _) => Err(GateError::Unfit("the account has no such authenticator")),
        (Some(_), Some(_)) => {
            Err(GateError::Unfit("the account has several authenticators: say --authenticator N"))
        }
    }
}

impl Keys {
    /// Opens the secret of an authenticator, ready to be compared with.
    pub(crate) fn open_authenticator(
        &self,
        account: u32,
        row: &Row,
        window: Window,
    ) -> Result<Authenticator, GateError> {
        let name = row_name(account, row.number);
        let uri = self.seal.open(place(&name), &row.sealed).map_err(|_| GateError::Sealed)?;
        let text = str::from_utf8(&uri).map_err(|_| GateError::Sealed)?;
        let (entry, _) = otpauth::parse(text).map_err(|_| GateError::Sealed)?;
        let method = match entry.kind {
            Kind::Totp(totp) => Method::Totp { totp, window, drift: Drift::QUARTZ },
            Kind::Hotp { hotp, .. } => Method::Hotp { hotp, look_ahead: LOOK_AHEAD },
        };
        Ok(Authenticator::new(&entry.secret, method))
    }
}

fn known(state: &GateState, name: &Name) -> Result<Account, GateError> {
    state.account(name).cloned().ok_or_else(|| GateError::NoAccount(name.to_string()))
}

fn row_name(account: u32, number: u16) -> Zeroizing<String> {
    Zeroizing::new(format!("{account}/{number}"))
}

const fn place(row: &str) -> Place<'_> {
    Place { table: "authenticators", column: "secret", row }
}
