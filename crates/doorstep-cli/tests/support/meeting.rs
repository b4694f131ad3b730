//! A lock that listens, and phones that meet it at its sockets.

use super::court::Court;
use super::wait;
use doorstep::pass::exchange::ble::{self, FragmentSize, Replies};
use doorstep::pass::exchange::greeting::Greeting;
use doorstep::pass::exchange::message::{Reply, Request, Status};
use doorstep::pass::exchange::nfc;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send, socket,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Ends a test that has failed anyway.
const PATIENCE: Duration = Duration::from_secs(30);

/// `doorstep lock listen`.
pub(crate) struct Listening {
    pub(crate) child: Child,
    lines: Receiver<Value>,
}

impl Listening {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(court: &Court, options: &[&str]) -> Self {
        Self::run(court.command(&[&["listen"], options].concat()))
    }

    /// The same for any lock.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        let listening = Self { child, lines };
        assert!(listening.line()["listening"]["nfc"].is_string());
        listening
    }

    /// What it prints next.
    pub(crate) fn line(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Everything that it printed by now.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.try_iter().collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Sends a signal and waits for the end; the exit status, if it has one.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        let mut status = None;
        wait("the lock to listen no more", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A phone at one of the sockets; over BLE with the size of its fragments.
pub(crate) struct Phone {
    link: OwnedFd,
    ble: Option<FragmentSize>,
}

impl Phone {
    pub(crate) fn nfc(court: &Court) -> Self {
        Self::at(court, "lock/nfc.sock", None)
    }

    pub(crate) fn ble(court: &Court, size: u8) -> Self {
        Self::at(court, "lock/ble.sock", FragmentSize::new(size))
    }

    fn at(court: &Court, socket_file: &str, ble: Option<FragmentSize>) -> Self {
        let link = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        set_socket_timeout(&link, Timeout::Recv, Some(PATIENCE)).unwrap();
        connect(&link, &SocketAddrUnix::new(court.path(socket_file)).unwrap()).unwrap();
        Self { link, ble }
    }

    /// Sends a packet as it is; `false` when nobody is there.
    pub(crate) fn send(&self, packet: &[u8]) -> bool {
        send(&self.link, packet, SendFlags::NOSIGNAL).is_ok()
    }

    /// The next packet; `None` when the lock is gone.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 512];
        let read = match recv(&self.link, bytes.as_mut_slice(), RecvFlags::empty()) {
            Ok((length, _)) => length,
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(error) => panic!("the lock says nothing: {error}"),
        };
        bytes.truncate(read);
        (read > 0).then_some(bytes)
    }

    /// Asks for something; `None` when the lock is gone.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Option<Reply> {
        match self.ble {
            None => {
                let mut reply = None;
                for command in nfc::command(request) {
                    let before = reply.replace(Reply::plain(Status::Done));
                    assert!(before.is_none_or(|before| before.status() == Status::Done));
                    self.send(command.as_ref());
                    reply = Some(Reply::parse(&self.receive()?).unwrap());
                }
                reply
            }
            Some(size) => {
                for fragment in ble::fragments(ble::message(request).as_ref(), size) {
                    self.send(fragment.as_ref());
                }
                self.reply()
            }
        }
    }

    /// A reply over BLE.
    pub(crate) fn reply(&self) -> Option<Reply> {
        let mut replies = Replies::default();
        loop {
            if let Some(message) = replies.take(&self.receive()?).unwrap() {
                return Some(Reply::parse(message).unwrap());
            }
        }
    }

    pub(crate) fn greet(&self) -> Greeting {
        Greeting::parse(self.ask(&Request::Greet).unwrap().data()).unwrap()
    }

    /// What the lock answers, and its next nonce.
    pub(crate) fn present(&self, presented: &[u8]) -> (&'static str, [u8; 16]) {
        let reply = self.ask(&Request::Present(presented)).unwrap();
        assert_eq!(reply.status(), Status::Done);
        let (answer, nonce) = reply.as_answer().unwrap();
        (answer.name(), nonce)
    }
}
