//! A meeting of the phone with a lock: it brings what the lock lacks, shows the pass, and takes the lock's journal
//! along.

use super::carried::{Carried, Lacking, MAX_JOURNAL};
use super::line::{Line, nonsense};
use super::pass::HeldPass;
use super::{Wallet, present};
use crate::clock::Deadline;
use crate::error::CliError;
use crate::refused::Refused;
use doorstep::pass::exchange::answer::Answer;
use doorstep::pass::exchange::greeting::Greeting;
use doorstep::pass::exchange::message::{PART, Request};
use std::time::Duration;

/// After so many riders that the lock could not prove no more are brought: it counts them as it counts passes.
const MAX_UNPROVEN: usize = 2;

/// However slowly it speaks, a lock's journal is waited for no longer than this.
const JOURNAL_TIME: Duration = Duration::from_secs(60);

/// What the lock said of something that was brought.
pub(crate) struct Brought {
    pub(crate) kind: &'static str,
    pub(crate) sequence: Option<u32>,
    pub(crate) answer: Answer,
}

/// A meeting that has begun.
pub(crate) struct Meeting {
    line: Line,
    greeting: Greeting,
    /// What the next proof has to answer.
    nonce: [u8; 16],
    pub(crate) brought: Vec<Brought>,
}

impl Meeting {
    /// Greets the lock.
    pub(crate) fn begin(mut line: Line) -> Result<Self, CliError> {
        let reply = line.ask(&Request::Greet)?;
        let greeting = Greeting::parse(reply.data()).map_err(|_| nonsense())?;
        Ok(Self { line, nonce: greeting.nonce, greeting, brought: Vec::new() })
    }

    /// What the lock said first.
    pub(crate) const fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Refuses to show a pass to another lock than it names.
    pub(crate) fn refuse_other_lock(&self, held: &HeldPass) -> Result<(), Refused> {
        let lock = &self.greeting.lock;
        match held.lock() {
            Some(named) if named != lock => Err(Refused::new(
                "other_lock",
                format!("this is the lock {lock:?}, and the pass is for {named:?}"),
                "nothing was shown to it; doorstep wallet list has the locks of your passes",
            )),
            _ => Ok(()),
        }
    }

    /// Brings everything of its service that the lock lacks and the wallet has, so that the pass meets a lock that
    /// knows the day.
    pub(crate) fn bring_riders(
        &mut self,
        carried: &Carried,
        server: &str,
        held: &HeldPass,
    ) -> Result<(), CliError> {
        let Greeting { lock, rotation, bulletin, .. } = self.greeting;
        let names: Vec<&str> = std::iter::once(lock.as_str()).chain(held.names()).collect();
        for Lacking { kind, sequence, document } in
            carried.lacking(server, &names, rotation, bulletin)
        {
            let unproven =
                self.brought.iter().filter(|brought| brought.answer == Answer::WrongCode).count();
            if unproven < MAX_UNPROVEN {
                self.bring(kind, Some(sequence), document.as_ref())?;
            }
        }
        if let Some(nonce) = &self.greeting.time_nonce
            && let Some(token) = carried.token(server, lock.as_str(), nonce)
        {
            self.bring("time", None, token.as_ref())?;
        }
        Ok(())
    }

    fn bring(
        &mut self,
        kind: &'static str,
        sequence: Option<u32>,
        document: &[u8],
    ) -> Result<(), CliError> {
        let answer = self.present(document)?;
        self.brought.push(Brought { kind, sequence, answer });
        Ok(())
    }

    /// Shows the pass, proven for this lock and this moment.
    pub(crate) fn show(&mut self, wallet: &Wallet, held: &HeldPass) -> Result<Answer, CliError> {
        let presented = present::answering(&wallet.key, held, &self.greeting.lock, &self.nonce);
        self.present(&presented)
    }

    fn present(&mut self, bytes: &[u8]) -> Result<Answer, CliError> {
        let reply = self.line.ask(&Request::Present(bytes))?;
        let (answer, next) = reply.as_answer().map_err(|_| nonsense())?;
        self.nonce = next;
        Ok(answer)
    }

    /// Reads the lock's journal, which only its service can open.
    pub(crate) fn read_journal(&mut self) -> Result<Vec<u8>, CliError> {
        let mut journal = Vec::new();
        let deadline = Deadline::after(JOURNAL_TIME);
        loop {
            let offset = u32::try_from(journal.len()).map_err(|_| nonsense())?;
            let reply = self.line.ask(&Request::ReadJournal { offset })?;
            journal.extend_from_slice(reply.data());
            if reply.data().len() < PART {
                return Ok(journal);
            }
            if journal.len() > MAX_JOURNAL || deadline.left().is_none() {
                return Err(CliError::new("the lock's journal has no end").code("lock_failed"));
            }
        }
    }
}
