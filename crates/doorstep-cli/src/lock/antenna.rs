//! Where phones meet a virtual lock: two sockets in its directory, of which one stands for NFC and one for BLE. A
//! packet is a command or a fragment.

use super::BUNDLE;
use crate::error::CliError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, listen, recv, send, socket_with,
};
use std::fs::{self, File, Permissions, TryLockError};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Phones that may wait to be heard.
const WAITING: i32 = 64;

/// Longer packets are cut here, and are too long all the same.
const LONGEST: usize = 512;

/// How a phone speaks to the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Nfc,
    Ble,
}

impl Carrier {
    pub(crate) const ALL: [Self; 2] = [Self::Nfc, Self::Ble];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nfc => "nfc",
            Self::Ble => "ble",
        }
    }
}

/// Both sockets. Their files go when it is dropped.
#[derive(Debug)]
pub(crate) struct Antenna {
    sockets: Vec<Socket>,
    /// Locked as long as this process listens. A killed one holds no lock.
    _alone: File,
}

#[derive(Debug)]
struct Socket {
    carrier: Carrier,
    path: PathBuf,
    socket: OwnedFd,
}

impl Antenna {
    /// Makes the sockets of the lock in `dir`. What a killed process left there is replaced.
    pub(crate) fn put_up(dir: &Path) -> Result<Self, CliError> {
        let bundle = dir.join(BUNDLE);
        let alone = File::open(&bundle).map_err(|error| CliError::io("open", &bundle, &error))?;
        alone.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                CliError::new(format!("another process listens at {}", dir.display()))
                    .hint("one is enough for all phones; end that one first")
                    .code("already_listening")
            }
            TryLockError::Error(error) => CliError::io("lock", &bundle, &error),
        })?;
        let mut antenna = Self { sockets: Vec::with_capacity(2), _alone: alone };
        for carrier in Carrier::ALL {
            let path = dir.join(format!("{}.sock", carrier.name()));
            antenna.sockets.push(Socket::bind(carrier, path)?);
        }
        Ok(antenna)
    }

    pub(crate) fn path(&self, carrier: Carrier) -> Option<&Path> {
        let socket = self.sockets.iter().find(|socket| socket.carrier == carrier);
        socket.map(|socket| socket.path.as_path())
    }

    /// A phone that waits to be heard.
    pub(crate) fn accept(&self, carrier: Carrier) -> Option<Link> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = self.sockets.iter().find(|socket| socket.carrier == carrier)?;
        accept_with(&socket.socket, flags).ok().map(Link)
    }

    /// Waits until a phone says something, or comes when there is room for it, but not longer than `most`.
    pub(crate) fn wait<'a>(
        &self,
        room: bool,
        phones: impl Iterator<Item = &'a Link>,
        most: Timespec,
    ) -> Result<(), CliError> {
        let sockets = self.sockets.iter().filter(|_| room).map(|socket| &socket.socket);
        let all = sockets.chain(phones.map(|link| &link.0));
        let mut all: Vec<PollFd<'_>> = all.map(|one| PollFd::new(one, PollFlags::IN)).collect();
        match poll(&mut all, Some(&most)) {
            // A signal, which is looked at elsewhere.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(CliError::new(format!("cannot wait for phones: {error}"))),
        }
    }
}

impl Socket {
    fn bind(carrier: Carrier, path: PathBuf) -> Result<Self, CliError> {
        let cannot = |error: Errno| {
            let told = CliError::new(format!("cannot listen at {}: {error}", path.display()));
            match error {
                Errno::NAMETOOLONG => told.hint(
                    "the path of a socket has at most 108 characters: change into a directory near it, and give a relative --dir",
                ),
                _ => told,
            }
        };
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(CliError::new(format!("{} is no socket", path.display()))
                    .hint("nothing is overwritten: move the file away"));
            }
            // Nobody listens there, since nobody else has the lock.
            Ok(_) => fs::remove_file(&path).map_err(|e| CliError::io("remove", &path, &e))?,
            Err(_) => {}
        }
        let address = SocketAddrUnix::new(&path).map_err(cannot)?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let socket = socket.map_err(cannot)?;
        bind(&socket, &address).map_err(cannot)?;
        let bound = Self { carrier, path, socket };
        // Before it listens, nobody can come in.
        fs::set_permissions(&bound.path, Permissions::from_mode(0o600))
            .map_err(|error| CliError::io("protect", &bound.path, &error))?;
        listen(&bound.socket, WAITING)
            .map_err(|error| CliError::io("listen at", &bound.path, &error.into()))?;
        Ok(bound)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays is replaced by the next process.
        let _ = fs::remove_file(&self.path);
    }
}

/// A phone's end of a socket, as the lock has it.
#[derive(Debug)]
pub(crate) struct Link(OwnedFd);

/// What comes from a phone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Some(Vec<u8>),
    None,
    /// It went away.
    Gone,
}

impl Link {
    pub(crate) fn receive(&self) -> Packet {
        let mut bytes = vec![0; LONGEST];
        match recv(&self.0, bytes.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((0, _)) => Packet::Gone,
            Ok((length, _)) => {
                bytes.truncate(length);
                Packet::Some(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Packet::None,
            Err(_) => Packet::Gone,
        }
    }

    /// Sends a packet; `false` when the phone went away, or reads nothing.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        send(&self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) == Ok(bytes.len())
    }
}
