//! Vaults of the app Aegis: JSON, plain or sealed under a passphrase with scrypt (RFC 7914) and
//! AES-256-GCM, as its `docs/vault.md` describes them.

use super::authenticator::{Authenticator, label};
use super::incoming::Incoming;
use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::otpauth::{BadUri, Entry, Kind, MAX_PERIOD, Warning};
use doorstep::otp::text::{read_base32, read_hex, write_base32};
use doorstep::otp::totp::Totp;
use doorstep::otp::{Algorithm, Digits};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use std::num::NonZeroU64;
use zeroize::Zeroizing;

/// What the app itself spends on a passphrase: 32 MiB.
const SCRYPT: Cost = Cost { n: 1 << 15, r: 8, p: 1 };

/// The most memory that a slot may ask for, in bytes.
const MOST_MEMORY: u64 = 256 << 20;

/// The most passes and slots that are worked through: each costs as much as the memory above.
const MOST_PASSES: u64 = 8;
const MOST_SLOTS: usize = 8;

const SLOT_PASSWORD: u64 = 1;
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;

/// The parameters of scrypt.
#[derive(Clone, Copy)]
struct Cost {
    n: u64,
    r: u64,
    p: u64,
}

/// Why a file is no Aegis vault that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadAegis {
    /// Not JSON of this kind.
    Format,
    /// A newer version than is known.
    Version,
    /// It asks for more memory or time than is reasonable.
    Cost,
    /// No slot opens under this passphrase.
    Passphrase,
    /// The passphrase is right and the content is not what was written.
    Content,
}

impl BadAegis {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Format => "it is not an Aegis vault",
            Self::Version => "a newer version of Aegis wrote it",
            Self::Cost => "its key would take more memory or time than is reasonable",
            Self::Passphrase => "wrong passphrase",
            Self::Content => "it is damaged",
        }
    }
}

/// An Aegis file: its content, or what has to be opened first.
pub(crate) enum Aegis {
    Plain(Vec<Incoming>),
    Sealed(Box<Value>),
}

/// Reads an Aegis file as far as it goes without a passphrase.
pub(crate) fn parse(file: &[u8]) -> Result<Aegis, BadAegis> {
    let mut file: Value = serde_json::from_slice(file).map_err(|_| BadAegis::Format)?;
    match file.get("version").and_then(Value::as_u64) {
        Some(1) => {}
        Some(_) => return Err(BadAegis::Version),
        None => return Err(BadAegis::Format),
    }
    match file.get_mut("db").map(Value::take) {
        Some(db @ Value::Object(_)) => Ok(Aegis::Plain(entries(&db)?)),
        Some(Value::String(sealed)) => {
            if let Some(db) = file.get_mut("db") {
                *db = Value::String(sealed);
            }
            Ok(Aegis::Sealed(Box::new(file)))
        }
        _ => Err(BadAegis::Format),
    }
}

/// Opens a sealed Aegis file.
pub(crate) fn open(file: &Value, passphrase: &str) -> Result<Vec<Incoming>, BadAegis> {
    let header = file.get("header").ok_or(BadAegis::Format)?;
    let slots = header.get("slots").and_then(Value::as_array).ok_or(BadAegis::Format)?;
    let passwords = slots.iter().filter(|slot| number(slot, "type") == Some(SLOT_PASSWORD));
    let mut master = None;
    for slot in passwords.take(MOST_SLOTS) {
        let cost = Cost {
            n: number(slot, "n").ok_or(BadAegis::Format)?,
            r: number(slot, "r").ok_or(BadAegis::Format)?,
            p: number(slot, "p").ok_or(BadAegis::Format)?,
        };
        let key = cost.derive(passphrase, &hex(slot, "salt")?)?;
        let params = slot.get("key_params").ok_or(BadAegis::Format)?;
        if let Some(opened) = unseal(key.as_ref(), params, &hex(slot, "key")?)? {
            master = Some(opened);
            break;
        }
    }
    let master = master.ok_or(BadAegis::Passphrase)?;
    let sealed = file.get("db").and_then(Value::as_str).ok_or(BadAegis::Format)?;
    let sealed = STANDARD.decode(sealed).map_err(|_| BadAegis::Format)?;
    let params = header.get("params").ok_or(BadAegis::Format)?;
    let db = unseal(&master, params, &sealed)?.ok_or(BadAegis::Content)?;
    entries(&serde_json::from_slice(&db).map_err(|_| BadAegis::Content)?)
}

impl Cost {
    fn derive(self, passphrase: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, BadAegis> {
        let memory = self.n.checked_mul(self.r).and_then(|blocks| blocks.checked_mul(128));
        let fits = memory.is_some_and(|memory| memory <= MOST_MEMORY) && self.p <= MOST_PASSES;
        if !fits || self.n < 2 || !self.n.is_power_of_two() {
            return Err(BadAegis::Cost);
        }
        let small = |number: u64| u32::try_from(number).map_err(|_| BadAegis::Cost);
        let log_n = u8::try_from(self.n.ilog2()).map_err(|_| BadAegis::Cost)?;
        let params = scrypt::Params::new(log_n, small(self.r)?, small(self.p)?)
            .map_err(|_| BadAegis::Cost)?;
        let mut key = Zeroizing::new([0; 32]);
        scrypt::scrypt(passphrase.as_bytes(), salt, &params, key.as_mut())
            .map_err(|_| BadAegis::Cost)?;
        Ok(key)
    }
}

fn number(of: &Value, name: &str) -> Option<u64> {
    of.get(name).and_then(Value::as_u64)
}

fn hex(of: &Value, name: &str) -> Result<Zeroizing<Vec<u8>>, BadAegis> {
    let text = of.get(name).and_then(Value::as_str).ok_or(BadAegis::Format)?;
    let bytes = read_hex(text).map_err(|_| BadAegis::Format)?;
    Ok(Zeroizing::new(bytes.expose().to_vec()))
}

/// Opens one sealed value; `None` under the wrong key.
fn unseal(
    key: &[u8],
    params: &Value,
    sealed: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, BadAegis> {
    let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| BadAegis::Format)?;
    let nonce: [u8; NONCE_LENGTH] =
        hex(params, "nonce")?.as_slice().try_into().map_err(|_| BadAegis::Format)?;
    let tag = hex(params, "tag")?;
    if tag.len() != TAG_LENGTH {
        return Err(BadAegis::Format);
    }
    let whole = [sealed, &tag].concat();
    Ok(cipher.decrypt(&nonce.into(), Payload::from(whole.as_slice())).ok().map(Zeroizing::new))
}

fn entries(db: &Value) -> Result<Vec<Incoming>, BadAegis> {
    match number(db, "version") {
        Some(1..=3) => {}
        Some(_) => return Err(BadAegis::Version),
        None => return Err(BadAegis::Format),
    }
    let entries = db.get("entries").and_then(Value::as_array).ok_or(BadAegis::Format)?;
    Ok(entries.iter().map(incoming).collect())
}

fn incoming(value: &Value) -> Incoming {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    match entry(value, text("type"), text("issuer"), text("name")) {
        Ok((entry, warnings)) => Incoming::of_entry(entry, &warnings),
        Err(why) => Incoming::refused(&label(text("issuer"), text("name")), why),
    }
}

fn entry(
    value: &Value,
    kind: &str,
    issuer: &str,
    account: &str,
) -> Result<(Entry, Vec<Warning>), String> {
    match kind {
        "totp" | "hotp" => {}
        "steam" => return Err(BadUri::Steam.to_string()),
        "motp" | "yandex" => {
            return Err(format!("{kind} codes follow no standard and are not supported"));
        }
        _ => return Err("its type is not known".to_owned()),
    }
    let info = value.get("info").ok_or("it has no secret")?;
    let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default();
    let secret = read_base32(text("secret")).map_err(|why| why.to_string())?;
    let algorithm = Algorithm::parse(text("algo")).ok_or_else(|| BadUri::Algorithm.to_string())?;
    let digits = number(info, "digits").and_then(|digits| u8::try_from(digits).ok());
    let digits = digits
        .and_then(Digits::for_enrolment)
        .ok_or_else(|| BadUri::Range("digits").to_string())?;
    let kind = if kind == "hotp" {
        let counter = number(info, "counter").ok_or_else(|| BadUri::Counter.to_string())?;
        Kind::Hotp { hotp: Hotp { algorithm, digits }, counter }
    } else {
        let period = number(info, "period").filter(|period| *period <= MAX_PERIOD);
        let period =
            period.and_then(NonZeroU64::new).ok_or_else(|| BadUri::Range("period").to_string())?;
        Kind::Totp(Totp { algorithm, digits, period, ..Totp::default() })
    };
    let mut warnings = Vec::new();
    if secret.secret.is_weak() {
        warnings.push(Warning::WeakSecret);
    }
    if !secret.canonical {
        warnings.push(Warning::NonCanonicalBase32);
    }
    let (issuer, account) = (issuer.to_owned(), account.to_owned());
    Ok((Entry { issuer, account, secret: secret.secret, kind }, warnings))
}

/// Writes an Aegis file, sealed if there is a passphrase. The app knows no OCRA: those are left out.
pub(crate) fn write(
    authenticators: &[Authenticator],
    passphrase: Option<&str>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Zeroizing<String> {
    let entries = authenticators.iter().filter_map(|authenticator| match authenticator {
        Authenticator::Otp(entry) => Some(written(entry, rng)),
        Authenticator::Ocra(_) => None,
    });
    let db = json!({ "version": 3, "entries": entries.collect::<Vec<_>>(), "groups": [] });
    let file = match passphrase {
        None => json!({ "version": 1, "header": { "slots": null, "params": null }, "db": db }),
        Some(passphrase) => sealed(&db, passphrase, rng),
    };
    Zeroizing::new(format!("{file:#}\n"))
}

fn sealed(db: &Value, passphrase: &str, rng: &mut (impl CryptoRng + ?Sized)) -> Value {
    let (mut master, mut salt) = (Zeroizing::new([0; 32]), [0; 32]);
    rng.fill_bytes(master.as_mut());
    rng.fill_bytes(&mut salt);
    let key = SCRYPT.derive(passphrase, &salt).expect("the cost is below the limit");
    let (slot_key, slot_params) = seal(&key, master.as_ref(), rng);
    let content = Zeroizing::new(db.to_string());
    let (content, params) = seal(&master, content.as_bytes(), rng);
    let slot = json!({
        "type": SLOT_PASSWORD, "uuid": uuid(rng), "key": to_hex(&slot_key),
        "key_params": slot_params, "n": SCRYPT.n, "r": SCRYPT.r, "p": SCRYPT.p,
        "salt": to_hex(&salt), "repaired": true, "is_backup": false,
    });
    json!({
        "version": 1, "header": { "slots": [slot], "params": params },
        "db": STANDARD.encode(content),
    })
}

fn seal(key: &[u8; 32], content: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> (Vec<u8>, Value) {
    let mut nonce = [0; NONCE_LENGTH];
    rng.fill_bytes(&mut nonce);
    let sealed = Aes256Gcm::new(key.into()).encrypt(&nonce.into(), content);
    let mut sealed = sealed.expect("a vault is shorter than the 64 GiB of this cipher");
    let tag = sealed.split_off(sealed.len() - TAG_LENGTH);
    (sealed, json!({ "nonce": to_hex(&nonce), "tag": to_hex(&tag) }))
}

fn written(entry: &Entry, rng: &mut (impl CryptoRng + ?Sized)) -> Value {
    let mut secret = String::new();
    // Writing into a string does not fail.
    let _ = write_base32(&entry.secret, &mut secret);
    let (kind, algorithm, digits, rest) = match entry.kind {
        Kind::Totp(totp) => ("totp", totp.algorithm, totp.digits, ("period", totp.period.get())),
        Kind::Hotp { hotp, counter } => ("hotp", hotp.algorithm, hotp.digits, ("counter", counter)),
    };
    let mut info = json!({ "secret": secret, "algo": algorithm.name(), "digits": digits.get() });
    info[rest.0] = json!(rest.1);
    json!({
        "type": kind, "uuid": uuid(rng), "name": entry.account, "issuer": entry.issuer,
        "note": "", "favorite": false, "icon": null, "info": info, "groups": [],
    })
}

/// A random UUID (RFC 9562, version 4).
fn uuid(rng: &mut (impl CryptoRng + ?Sized)) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex = to_hex(&bytes);
    let (a, rest) = hex.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    [a, b, c, d, e].join("-")
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::incoming::of_lines;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn some() -> Vec<Authenticator> {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let lines = format!(
            "otpauth://totp/Ex:jürgen?secret={secret}&algorithm=SHA512&digits=8&period=60\n\
             otpauth://hotp/Bank:a?secret={secret}&counter=18446744073709551615"
        );
        of_lines(&lines).into_iter().map(|one| one.read.unwrap()).collect()
    }

    fn same(read: &[Incoming], written: &[Authenticator]) -> bool {
        let read = read.iter().map(|one| one.read.as_ref().unwrap());
        read.len() == written.len() && read.zip(written).all(|(read, one)| read.is_copy_of(one))
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let plain = write(&some(), None, &mut rng);
        let Ok(Aegis::Plain(read)) = parse(plain.as_bytes()) else { panic!("plain") };
        assert!(same(&read, &some()));
        let file = write(&some(), Some("passphrase"), &mut rng);
        assert!(!file.contains("Bank") && !file.contains("GEZDG"));
        let Ok(Aegis::Sealed(file)) = parse(file.as_bytes()) else { panic!("sealed") };
        assert!(same(&open(&file, "passphrase").unwrap(), &some()));
        assert_eq!(open(&file, "Passphrase").err(), Some(BadAegis::Passphrase));
        for (field, value, why) in [
            ("n", json!(1 << 22), BadAegis::Cost),
            ("n", json!(32_767), BadAegis::Cost),
            ("n", json!(1), BadAegis::Cost),
            ("n", json!(0), BadAegis::Cost),
            ("r", json!(0), BadAegis::Cost),
            ("r", json!(u64::MAX), BadAegis::Cost),
            ("p", json!(0), BadAegis::Cost),
            ("p", json!(9), BadAegis::Cost),
            ("p", json!(-1), BadAegis::Format),
            ("salt", json!("00"), BadAegis::Passphrase),
            ("salt", json!(""), BadAegis::Format),
            ("key", json!("zz"), BadAegis::Format),
            ("type", json!(2), BadAegis::Passphrase),
        ] {
            let mut bad = file.clone();
            bad["header"]["slots"][0][field] = value.clone();
            assert_eq!(open(&bad, "passphrase").err(), Some(why), "{field} {value}");
        }
        let mut damaged = file;
        damaged["header"]["params"]["tag"] = json!("00".repeat(16));
        assert_eq!(open(&damaged, "passphrase").err(), Some(BadAegis::Content));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_entry() {
        let read = |field: &str, value: Value| {
            let mut info = json!({ "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "algo": "SHA1", "digits": 6, "period": 30 });
            let mut entry = json!({ "type": "totp", "name": "al", "issuer": "Ex" });
            if info.get(field).is_some() {
                info[field] = value
            } else {
                entry[field] = value
            }
            entry["info"] = info;
            let file =
                json!({ "version": 1, "header": {}, "db": { "version": 3, "entries": [entry] } });
            let Ok(Aegis::Plain(mut read)) = parse(file.to_string().as_bytes()) else { panic!() };
            read.remove(0).read.err()
        };
        assert_eq!(read("note", json!("")), None);
        assert!(read("type", json!("steam")).unwrap().contains("Steam"));
        for (field, value) in [
            ("type", json!("yandex")),
            ("type", json!("hotp")),
            ("type", json!(1)),
            ("secret", json!("")),
            ("secret", json!("018")),
            ("secret", json!(5)),
            ("algo", json!("MD5")),
            ("digits", json!(10)),
            ("digits", json!("6")),
            ("period", json!(0)),
            ("period", json!(86_401)),
            ("period", json!(-30)),
            ("name", json!("a\u{1b}[2J")),
        ] {
            assert!(read(field, value.clone()).is_some(), "{field} {value}");
        }
    }

    proptest! {
        #[test]
        fn hostile_files_never_panic(
            at in any::<prop::sample::Index>(), value in any::<u8>(), text in "\\PC{0,60}",
        ) {
            let mut file = write(&some(), None, &mut ChaCha20Rng::seed_from_u64(1)).as_bytes().to_vec();
            let at = at.index(file.len());
            file[at] = value;
            let _ = parse(&file);
            let _ = parse(text.as_bytes());
            let _ = parse(format!("{{\"version\":1,\"db\":{text}}}").as_bytes());
            let _ = open(&json!({ "header": text, "db": text }), "x");
        }
    }
}
