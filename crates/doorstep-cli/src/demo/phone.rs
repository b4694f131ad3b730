//! The phone of the logins' story: a vault with a clock of its own, in a directory that the service
//! never looks into.

use super::world::{Reply, World};
use crate::clock;
use crate::error::CliError;
use doorstep::otp::OtpSecret;
use doorstep::otp::text::read_hex;
use doorstep::otp::totp::Totp;
use doorstep::time::Timestamp;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

const PASSPHRASE: &str = "correct horse battery staple";

pub(super) struct Phone {
    dir: PathBuf,
    /// Seconds that its clock is behind.
    pub(super) slow: u64,
    secret: OtpSecret,
}

impl Phone {
    /// A phone whose clock is right. The demo knows the secret as well, to choose wrong codes that
    /// are known to be wrong.
    pub(super) fn new(world: &World, secret: &Value) -> Result<Self, CliError> {
        let secret = secret.as_str().and_then(|hex| read_hex(hex).ok());
        let secret = secret.ok_or_else(|| CliError::new("the enrolment shows no secret"))?;
        let dir = world.path("phone");
        std::fs::create_dir(&dir).map_err(|error| CliError::io("make", &dir, &error))?;
        let phone = Self { dir, slow: 0, secret };
        phone.keep("phone/passphrase", PASSPHRASE)?;
        phone.follow(world)?;
        Ok(phone)
    }

    pub(super) const fn secret(&self) -> &OtpSecret {
        &self.secret
    }

    /// Writes a file for its owner alone.
    pub(super) fn keep(&self, name: &str, content: &str) -> Result<(), CliError> {
        let path = self.dir.with_file_name(name);
        let mut options = std::fs::File::options();
        let made = options.write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|mut file| writeln!(file, "{content}"))
            .map_err(|error| CliError::io("write", &path, &error))
    }

    /// Sets its clock to what it shows now.
    pub(super) fn follow(&self, world: &World) -> Result<(), CliError> {
        clock::set(&self.dir.join("clock"), world.now()?.earlier(self.slow))
    }

    pub(super) fn run(&self, world: &World, arguments: &[&str]) -> Result<Reply, CliError> {
        let reply = world.run_with(
            &[
                ("DOORSTEP_VAULT", "phone/vault"),
                ("DOORSTEP_PASSPHRASE_FILE", "phone/passphrase"),
                ("DOORSTEP_CLOCK", "phone/clock"),
            ],
            arguments,
        )?;
        match reply.json["error"]["message"].as_str() {
            None => Ok(reply),
            Some(message) => Err(CliError::new(format!("`{}` failed: {message}", reply.command))),
        }
    }

    /// The code that it shows.
    pub(super) fn code(&self, world: &World, name: &str) -> Result<String, CliError> {
        Ok(self.run(world, &["auth", "code", name])?.text("code").to_owned())
    }

    /// The code that it shows after that.
    pub(super) fn next(&self, world: &World, name: &str) -> Result<String, CliError> {
        Ok(self.run(world, &["auth", "code", name])?.text("next").to_owned())
    }
}

/// Every code of a secret that a verifier might take now.
pub(super) fn around(secret: &OtpSecret, now: Timestamp) -> Vec<String> {
    let step = Totp::default().step(now).unwrap_or(0);
    let steps = step.saturating_sub(50)..=step.saturating_add(2);
    steps.map(|step| code_of(&Totp::default(), secret, step)).collect()
}

/// Whether a verifier takes a code that looks at one step to either side and remembers nothing.
pub(super) fn plain(totp: &Totp, secret: &OtpSecret, typed: &str, now: Timestamp) -> bool {
    let step = totp.step(now).unwrap_or(0);
    (step.saturating_sub(1)..=step.saturating_add(1))
        .any(|step| code_of(totp, secret, step) == typed)
}

/// A code that is none of these.
pub(super) fn other_than(codes: &[String]) -> String {
    let all = (0..=codes.len()).map(|number| format!("{number:06}"));
    all.into_iter().find(|code| !codes.contains(code)).unwrap_or_default()
}

fn code_of(totp: &Totp, secret: &OtpSecret, step: u64) -> String {
    String::from_utf8_lossy(totp.code(&totp.keyed(secret), step).expose()).into_owned()
}
