//! The phone's end of the way to a lock: one of the sockets that a virtual lock listens at, which stand for NFC
//! and BLE.

use crate::clock::Deadline;
use crate::error::CliError;
use doorstep::pass::exchange::ble::{self, FragmentSize, Replies, fragments};
use doorstep::pass::exchange::message::{Reply, Request, Status};
use doorstep::pass::exchange::nfc;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// No packet of a lock is longer.
const LONGEST: usize = 512;

/// No reply has more of them.
const MOST_PACKETS: usize = 128;

/// How the phone speaks to the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// As to a card.
    Nfc,
    /// In fragments that are no longer than this.
    Ble(FragmentSize),
}

/// A line to a lock. It ends when it is dropped.
pub(crate) struct Line {
    socket: OwnedFd,
    carrier: Carrier,
    patience: Duration,
    replies: Replies,
}

impl Line {
    /// Reaches for the lock in this directory; a reply that is not whole within `patience` never is.
    pub(crate) fn open(dir: &Path, carrier: Carrier, patience: Duration) -> Result<Self, CliError> {
        let path = dir.join(match carrier {
            Carrier::Nfc => "nfc.sock",
            Carrier::Ble(_) => "ble.sock",
        });
        let reach = || {
            let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
            let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
            for timeout in [Timeout::Recv, Timeout::Send] {
                set_socket_timeout(&socket, timeout, Some(patience))?;
            }
            connect(&socket, &SocketAddrUnix::new(&path)?)?;
            Ok(socket)
        };
        let socket = reach().map_err(|error: Errno| {
            CliError::new(format!("no lock answers at {}: {error}", path.display()))
                .hint(match error {
                    Errno::NAMETOOLONG => {
                        "go nearer to the lock's directory, and name it from there"
                    }
                    _ => "is `doorstep lock listen` running there?",
                })
                .code("no_lock")
        })?;
        Ok(Self { socket, carrier, patience, replies: Replies::default() })
    }

    /// Asks, and waits for the reply.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<Reply, CliError> {
        let reply = match self.carrier {
            Carrier::Nfc => self.ask_card(request)?,
            Carrier::Ble(size) => self.ask_in_fragments(request, size)?,
        };
        match reply.status() {
            Status::Done => Ok(reply),
            status => Err(CliError::new(format!("the lock did not do it: {status}"))
                .hint(
                    "hold the phone to the lock once more; if it stays so, tell who runs the lock",
                )
                .code("lock_failed")),
        }
    }

    fn ask_card(&mut self, request: &Request<'_>) -> Result<Reply, CliError> {
        let mut last = Reply::plain(Status::Failed);
        for command in nfc::command(request) {
            self.send(command.as_ref())?;
            last = self.receive(|packet| Reply::parse(packet).ok().map(Some))?;
            if last.status() != Status::Done {
                break;
            }
        }
        Ok(last)
    }

    fn ask_in_fragments(
        &mut self,
        request: &Request<'_>,
        size: FragmentSize,
    ) -> Result<Reply, CliError> {
        for fragment in fragments(ble::message(request).as_ref(), size) {
            self.send(fragment.as_ref())?;
        }
        let mut replies = std::mem::take(&mut self.replies);
        self.receive(|fragment| match replies.take(fragment) {
            Ok(None) => Some(None),
            Ok(Some(message)) => Reply::parse(message).ok().map(Some),
            Err(_) => None,
        })
    }

    /// Sends a packet as it is and waits for the one that answers it, for whoever stands in between.
    pub(crate) fn pass_on(&self, packet: &[u8]) -> Result<Vec<u8>, CliError> {
        self.send(packet)?;
        let mut buffer = [0; LONGEST];
        let (length, _) =
            recv(&self.socket, &mut buffer[..], RecvFlags::empty()).map_err(silent)?;
        Ok(buffer.get(..length).unwrap_or_default().to_vec())
    }

    fn send(&self, packet: &[u8]) -> Result<(), CliError> {
        match send(&self.socket, packet, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(error) => Err(silent(error)),
        }
    }

    /// Reads packets until `read` has a reply; for it `None` is what no lock says.
    fn receive(
        &self,
        mut read: impl FnMut(&[u8]) -> Option<Option<Reply>>,
    ) -> Result<Reply, CliError> {
        let mut buffer = [0; LONGEST];
        let deadline = Deadline::after(self.patience);
        for _ in 0..MOST_PACKETS {
            let Some(left) = deadline.left() else { return Err(silent(Errno::TIMEDOUT)) };
            set_socket_timeout(&self.socket, Timeout::Recv, Some(left)).map_err(silent)?;
            let received = recv(&self.socket, &mut buffer[..], RecvFlags::empty());
            let (length, _) = received.map_err(silent)?;
            let packet = buffer.get(..length).unwrap_or_default();
            if packet.is_empty() {
                return Err(silent(Errno::CONNRESET));
            }
            match read(packet) {
                Some(None) => {}
                Some(Some(reply)) => return Ok(reply),
                None => return Err(nonsense()),
            }
        }
        // Parts that never make a whole.
        Err(nonsense())
    }
}

/// What no lock says.
pub(super) fn nonsense() -> CliError {
    CliError::new("what answers there does not speak as a lock does")
        .hint("hold the phone to the lock once more")
        .code("lock_failed")
}

fn silent(error: Errno) -> CliError {
    let message = match error {
        Errno::AGAIN | Errno::TIMEDOUT => "the lock says nothing, or no end of it".to_owned(),
        Errno::CONNRESET | Errno::PIPE => "the lock hung up".to_owned(),
        other => format!("the way to the lock broke: {other}"),
    };
    CliError::new(message)
        .hint("hold the phone to the lock once more; without power it answers nothing. If the pass opens once, try the door first: the answer may have been lost")
        .code("lock_silent")
}
