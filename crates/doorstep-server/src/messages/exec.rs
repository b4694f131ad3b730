//! The provider `exec`: a program on this machine that takes each message, as JSON, on its standard
//! input. No shell is asked and nothing of the message is an argument.

use super::provider::{needed, provider_id, timeout};
use super::{MessagesError, Outcome, Outgoing};
use crate::config::messages::Messages;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

/// Bytes of what it says that are kept.
const LONGEST: usize = 4096;
/// How long somebody whom the program left behind may hold its pipes open.
const LEFT_BEHIND: Duration = Duration::from_millis(200);
/// Exit status of programs that were given something they cannot use (EX_DATAERR): this message
/// will not do, however often it is sent.
const DATA_ERROR: i32 = 65;

/// The program.
pub(crate) struct Exec {
    program: PathBuf,
    timeout: Duration,
}

impl Exec {
    pub(super) fn open(settings: &Messages) -> Result<Self, MessagesError> {
        let program = needed("exec_program", settings.exec_program.as_ref())?.clone();
        if !program.is_absolute() {
            return Err(MessagesError::new("exec_program", "is not a whole path, from / on"));
        }
        let metadata = std::fs::metadata(&program).map_err(|error| {
            MessagesError::new("exec_program", format!("{}: {error}", program.display()))
        })?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            let what = format!("{} is not a program", program.display());
            return Err(MessagesError::new("exec_program", what));
        }
        Ok(Self { program, timeout: timeout(settings)? })
    }

    pub(super) async fn send(&self, message: &Outgoing) -> Outcome {
        let child = Command::new(&self.program)
            // What the service knows is none of its business.
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that what it starts can be ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return Outcome::Failed(format!("cannot be started: {error}")),
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Ok(outcome) = tokio::time::timeout(self.timeout, talk(&mut child, message)).await {
            return outcome;
        }
        if let Some(group) = group {
            // It may just have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait().await;
        Outcome::Unknown(format!("did not end within {} s", self.timeout.as_secs()))
    }
}

/// Hands the message over, hears what the program says, and waits for its end.
async fn talk(child: &mut Child, message: &Outgoing) -> Outcome {
    let mut line = message.json();
    line.push(b'\n');
    let input = child.stdin.take();
    let write = async {
        if let Some(mut input) = input {
            // A program may say no without reading to the end; its exit status counts.
            let _ = input.write_all(&line).await;
        }
    };
    let (mut output, mut errors) = (Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new()));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let status = {
        let mut talking = pin!(async {
            tokio::join!(write, hear(stdout, &mut output), hear(stderr, &mut errors));
        });
        tokio::select! {
            status = child.wait() => {
                // All that it said is in the pipes.
                let _ = tokio::time::timeout(LEFT_BEHIND, talking).await;
                status
            }
            () = &mut talking => child.wait().await,
        }
    };
    let status = match status {
        Ok(status) => status,
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    if status.success() {
        return Outcome::Taken(
            String::from_utf8_lossy(&output).lines().next().and_then(provider_id),
        );
    }
    let said = format!("{status}: {}", String::from_utf8_lossy(&errors).trim());
    match status.code() {
        Some(DATA_ERROR) => Outcome::Refused(said),
        Some(_) => Outcome::Failed(said),
        // Ended by a signal, in the middle of something.
        None => Outcome::Unknown(said),
    }
}

/// Reads a pipe to its end, lest the program be ended for what it says, and keeps the first part.
async fn hear(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut part = Zeroizing::new(vec![0_u8; LONGEST]);
    while let Ok(read @ 1..) = pipe.read(&mut part).await {
        let room = LONGEST.saturating_sub(kept.len());
        kept.extend(part.iter().take(read.min(room)));
    }
}
