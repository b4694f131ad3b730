//! Computes a code for each line of standard input, so that scripts can compare thousands of them
//! with those of other programs (`scripts/differential-otp`).
//!
//! `hotp ALGORITHM DIGITS KEY COUNTER`, `totp ALGORITHM DIGITS KEY PERIOD T0 TIME`, or
//! `ocra SUITE KEY COUNTER QUESTION OWN PIN SESSION STEP` with `-` for what is not there; keys and
//! sessions in hex.

use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::{Challenge, Input, PinHash, Question, Response, respond};
use doorstep::otp::text::read_hex;
use doorstep::otp::totp::Totp;
use doorstep::otp::{Algorithm, Digits};
use doorstep::time::Timestamp;
use std::io::{BufRead as _, Write as _};
use std::num::NonZeroU64;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        writeln!(out, "{}", answer(&line).unwrap_or_else(|| "refused".to_owned()))?;
    }
    Ok(())
}

fn answer(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(' ').collect();
    let digits = |text: &str| Digits::new(text.parse().ok()?);
    let code = match *fields.as_slice() {
        ["hotp", algorithm, count, key, counter] => {
            let algorithm = Algorithm::parse(algorithm)?;
            let hotp = Hotp { algorithm, digits: digits(count)? };
            hotp.code(&hotp.keyed(&read_hex(key).ok()?), counter.parse().ok()?)
        }
        ["totp", algorithm, count, key, period, t0, time] => {
            let totp = Totp {
                algorithm: Algorithm::parse(algorithm)?,
                digits: digits(count)?,
                period: NonZeroU64::new(period.parse().ok()?)?,
                t0: Timestamp::from_seconds(t0.parse().ok()?),
            };
            let time = Timestamp::from_seconds(time.parse().ok()?);
            totp.code_at(&totp.keyed(&read_hex(key).ok()?), time)?
        }
        ["ocra", suite, key, counter, question, own, pin, session, step] => {
            let suite = Suite::parse(suite).ok()?;
            let there = |value: &&str| *value != "-";
            let challenge = Challenge::parse(&suite, question)?;
            let question = match Some(own).filter(there) {
                None => Question::one_way(&challenge),
                Some(own) => Question::mutual(&suite, &challenge, &Challenge::parse(&suite, own)?)?,
            };
            let pin = match (suite.pin(), Some(pin).filter(there)) {
                (Some(algorithm), Some(pin)) => Some(PinHash::derive(algorithm, pin)),
                _ => None,
            };
            let session = match Some(session).filter(there) {
                None => None,
                Some(hex) => Some(read_hex(hex).ok()?),
            };
            let number = |text: &str| text.parse::<u64>().ok();
            let input = Input {
                counter: number(counter),
                question: &question,
                pin: pin.as_ref(),
                session: session.as_ref().map(|session| session.expose()),
                time_step: number(step),
            };
            match respond(&suite, &read_hex(key).ok()?, &input).ok()? {
                Response::Code(code) => code,
                Response::Whole(_) => return None,
            }
        }
        _ => return None,
    };
    Some(code.expose().iter().map(|digit| char::from(*digit)).collect())
}
