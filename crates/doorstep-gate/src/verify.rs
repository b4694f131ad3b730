//! The gate's own verdict: counted before compared, spent before granted, both on the disk, while no
//! other process of this gate can append.

use crate::account::Account;
use crate::error::GateError;
use crate::gate::Gate;
use crate::name::Name;
use crate::state::{DECOYS, Entry, GateState};
use doorstep::code::{Code, Shape};
use doorstep::crockford;
use doorstep::ledger::Head;
use doorstep::otp::OtpSecret;
use doorstep::otp::record::{Presenter, Record, State};
use doorstep::otp::recovery::{self, Held};
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Accepted, Authenticator, Enrolled, begin};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::Timestamp;
use doorstep::verifier::{Attempt, Compare, Matched, Spending};
use doorstep_files::journal::Session;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// By what an account was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By a code of an authenticator.
    Authenticator(Accepted),
    /// By a recovery code, which is spent; so many are left.
    RecoveryCode {
        /// Codes that were not used yet.
        left: usize,
    },
}

/// The yes: the code is spent.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Whose account.
    pub name: Name,
    /// By what.
    pub how: How,
    /// Whether a known device presented it.
    pub known: bool,
}

/// What a known device shows: 128 random bits, as text.
pub struct DeviceToken(Zeroizing<String>);

impl DeviceToken {
    /// Reads a token; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crockford::decode(text).map(|_| Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; 16]);
        rng.fill_bytes(bytes.as_mut());
        let text = crockford::encode(u128::from_be_bytes(*bytes));
        Self(Zeroizing::new(text.iter().copied().map(char::from).collect()))
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The token itself, for the device that keeps it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Gate {
    /// Presents what was typed: a code of an authenticator, or a recovery code. A name that nobody
    /// has is judged by a decoy: the same work, the same throttle, the same words, and never a yes.
    ///
    /// # Errors
    /// [`GateError`]; nobody is let in then.
    pub fn verify(
        &mut self,
        name: Option<&Name>,
        typed: &str,
        device: Option<&DeviceToken>,
        now: Timestamp,
    ) -> Result<Result<Granted, Refusal>, GateError> {
        let find = |state: &GateState| name.and_then(|name| state.account(name)).cloned();
        self.judge(find, name, typed, device, now)
    }

    /// What is told of a refusal of the service, so that nobody learns there who has an account: a
    /// name that nobody has looks, costs and is throttled like one that somebody has.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn disguise(
        &mut self,
        name: Option<&Name>,
        typed: &str,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<Refusal, GateError> {
        if !matches!(refusal, Refusal::Unknown | Refusal::Revoked | Refusal::WrongCode { .. }) {
            return Ok(refusal);
        }
        let decoy = self.judge(|_| None, name, typed, None, now)?;
        match refusal {
            // The service has counted it; the decoy did the same work.
            Refusal::WrongCode { .. } => Ok(Refusal::WrongCode { left: None }),
            _ => decoy.err().ok_or(GateError::Defect("a decoy said yes")),
        }
    }

    fn judge(
        &mut self,
        find: impl FnOnce(&GateState) -> Option<Account>,
        name: Option<&Name>,
        typed: &str,
        device: Option<&DeviceToken>,
        now: Timestamp,
    ) -> Result<Result<Granted, Refusal>, GateError> {
        let (mut session, keys, window) = self.parts()?;
        let account = match find(session.state()).filter(Account::is_active) {
            Some(account) => account,
            None => {
                let number = decoy_number(&keys.decoy, name);
                session.state().subject(number).ok_or(GateError::Defect("there is no decoy"))?
            }
        };
        let presenter = account.presenter(device.map(DeviceToken::hash).as_ref());
        let presented = Presented { account: &account, presenter, now };
        let verdict = if Code::parse(typed, Shape::RECOVERY).is_ok() {
            let decoy = Held { number: u8::MAX, mac: *keys.decoy.expose(), used: None };
            presented.recover(&mut session, &keys.pepper, decoy, typed)?
        } else {
            let mut open = Vec::new();
            for row in account.authenticators.iter().filter(|one| one.active) {
                let authenticator = keys.open_authenticator(account.number, row, window)?;
                open.push(Opened { number: row.number, authenticator, state: row.state.0 });
            }
            if open.is_empty() {
                let secret = OtpSecret::from_bytes(keys.decoy.expose());
                let secret = secret.ok_or(GateError::Defect("a decoy has no secret"))?;
                let authenticator = Authenticator::totp(&secret, Totp::default());
                let state = State::new(Timestamp::from_seconds(0));
                open.push(Opened { number: 0, authenticator, state });
            }
            presented.present(&mut session, &open, typed)?
        };
        let known = presenter.source > 0;
        let verdict = verdict.map_err(|refusal| match refusal {
            // How many are left would tell a stranger whether the name shares them with others.
            Refusal::WrongCode { .. } if !known => Refusal::WrongCode { left: None },
            refusal => refusal,
        });
        Ok(verdict.map(|how| Granted { name: account.name, how, known }))
    }

    /// Whether a device is known to an account of this name.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn knows(&mut self, name: &Name, device: &DeviceToken) -> Result<bool, GateError> {
        let account = self.refresh()?.account(name);
        Ok(account.is_some_and(|account| account.presenter(Some(&device.hash())).source > 0))
    }

    /// Makes a device known, so that its attempts are its own. Whoever calls has just been granted.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn remember(
        &mut self,
        granted: &Granted,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<DeviceToken, GateError> {
        let (mut session, ..) = self.parts()?;
        let account = session.state().account(&granted.name);
        let account = account.ok_or_else(|| GateError::NoAccount(granted.name.to_string()))?;
        let token = DeviceToken::make(rng);
        let entry = Entry::Device {
            account: account.number,
            source: account.next_source(),
            hash: token.hash(),
            at: now.seconds(),
        };
        session.append(&entry.to_bytes())?;
        Ok(token)
    }
}

/// An authenticator with its secret opened.
struct Opened {
    number: u16,
    authenticator: Authenticator,
    state: State,
}

impl Opened {
    const fn enrolled(&self) -> Enrolled<'_> {
        Enrolled { number: self.number, authenticator: &self.authenticator, state: self.state }
    }
}

/// One presentation.
struct Presented<'a> {
    account: &'a Account,
    presenter: Presenter,
    now: Timestamp,
}

impl Presented<'_> {
    fn present(
        &self,
        session: &mut Session<'_, GateState>,
        open: &[Opened],
        typed: &str,
    ) -> Result<Result<How, Refusal>, GateError> {
        let enrolled: Vec<_> = open.iter().map(Opened::enrolled).collect();
        let (presenter, now) = (&self.presenter, self.now);
        let begun = begin(&enrolled, presenter, typed, now, self.account.chain.0);
        let found = carry_out(session, self.account.number, begun, |matched, head| {
            if self.account.number >= DECOYS {
                // A decoy's code may be right by chance, and its account is nobody's.
                return Err(Refusal::WrongCode { left: None });
            }
            let number = matched.found().authenticator;
            let one = enrolled.iter().find(|one| one.number == number).ok_or(Refusal::Unknown)?;
            one.spend(matched, presenter, now, head)
        })?;
        Ok(found.map(How::Authenticator))
    }

    fn recover(
        &self,
        session: &mut Session<'_, GateState>,
        pepper: &Secret<32>,
        decoy: Held,
        typed: &str,
    ) -> Result<Result<How, Refusal>, GateError> {
        let mut held = self.account.held();
        if held.is_empty() {
            // Nobody learns here who has recovery codes.
            held.push(decoy);
        }
        let (presenter, now, head) = (&self.presenter, self.now, self.account.chain.0);
        let name = self.account.name.as_str().as_bytes();
        let begun = recovery::begin(&held, pepper, name, presenter, typed, now, head);
        let found = carry_out(session, self.account.number, begun, |matched, head| {
            recovery::spend(matched, &held, presenter, now, head)
        })?;
        let unused = held.iter().filter(|code| code.used.is_none()).count();
        Ok(found.map(|_| How::RecoveryCode { left: unused.saturating_sub(1) }))
    }
}

/// Takes an attempt through the pipeline: both of its records are on the disk before the yes.
pub(crate) fn carry_out<M: Compare>(
    session: &mut Session<'_, GateState>,
    account: u32,
    begun: Result<(Attempt<M>, Record), Refusal>,
    spend: impl FnOnce(&Matched<M>, Head) -> Result<(Spending<M::Found>, Record), Refusal>,
) -> Result<Result<M::Found, Refusal>, GateError>
where
    M::Found: Copy,
{
    let mut append =
        |record: &Record| session.append(&Entry::presented(account, record).to_bytes());
    let defect = |_| GateError::Defect("a receipt belongs to another record");
    let (attempt, tried) = match begun {
        Ok(begun) => begun,
        Err(refusal) => return Ok(Err(refusal)),
    };
    append(&tried)?;
    let place = *attempt.place();
    let matched = match attempt.counted(place.appended()).map_err(defect)?.compare() {
        Ok(matched) => matched,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (spending, spent) = match spend(&matched, place.after) {
        Ok(spending) => spending,
        Err(refusal) => return Ok(Err(refusal)),
    };
    append(&spent)?;
    let place = *spending.place();
    Ok(Ok(*spending.granted(place.appended()).map_err(defect)?.found()))
}

/// Which decoy stands in for a name: always the same one.
fn decoy_number(key: &Secret<32>, name: Option<&Name>) -> u32 {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose()) else { return DECOYS };
    mac.update(name.map_or("", Name::as_str).as_bytes());
    let [first, second, ..]: [u8; 32] = mac.finalize().into_bytes().into();
    DECOYS | u32::from(u16::from_be_bytes([first, second]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn not_even_the_right_code_of_a_decoy_opens_anything() {
        let dir = tempfile::tempdir().unwrap();
        let settings = dir.path().join("gate.toml");
        std::fs::write(&settings, "verify = \"local\"").unwrap();
        let (config, now) =
            (Config::read(&settings).unwrap(), Timestamp::from_seconds(1_772_452_800));
        Gate::create(&config, true, now, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        let mut gate = Gate::open(&config).unwrap();
        let (totp, secret) =
            (Totp::default(), OtpSecret::from_bytes(gate.keys().decoy.expose()).unwrap());
        let right = totp.code_at(&totp.keyed(&secret), now).unwrap();
        let right = str::from_utf8(right.expose()).unwrap();
        for name in [None, Name::parse("eve")] {
            let refused = gate.verify(name.as_ref(), right, None, now).unwrap().unwrap_err();
            assert_eq!(refused, Refusal::WrongCode { left: None });
        }
    }
}
