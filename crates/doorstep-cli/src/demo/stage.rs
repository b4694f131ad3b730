//! Where the demo plays: one directory with a place for each story, cleared however the demo ends.

use super::world::World;
use crate::error::CliError;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long the demo waits for a process to do what it must.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(20);
/// Exit status after a signal, as shells have it for an interrupt.
const INTERRUPTED: i32 = 130;

/// The directory of a demo and the processes that serve in it.
pub(super) struct Stage {
    dir: PathBuf,
    kept: bool,
    leavings: Arc<Leavings>,
}

/// A process that goes on beside the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A service, or a gate.
    Server,
    /// The reader of a lock.
    Reader,
}

/// What must not stay behind.
pub(super) struct Leavings {
    server: Mutex<Option<Child>>,
    reader: Mutex<Option<Child>>,
    /// The directory, unless it is to be kept.
    dir: Option<PathBuf>,
}

impl Leavings {
    pub(super) fn process(&self, role: Role) -> MutexGuard<'_, Option<Child>> {
        let process = match role {
            Role::Server => &self.server,
            Role::Reader => &self.reader,
        };
        process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all processes and removes the directory. While the guards that come back are held, no
    /// others can be started.
    fn clear(&self) -> [MutexGuard<'_, Option<Child>>; 2] {
        let mut processes = [Role::Server, Role::Reader].map(|role| self.process(role));
        for mut child in processes.iter_mut().filter_map(|process| process.take()) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(dir) = &self.dir {
            // A command of the demo may still be writing its last file.
            let _ = until(|| {
                let removed = std::fs::remove_dir_all(dir);
                let gone = removed.is_ok() || !dir.exists();
                Ok(gone.then_some(()))
            });
        }
        processes
    }

    /// Clears up when the demo is interrupted or told to stop.
    fn watch(self: &Arc<Self>) -> Result<(), CliError> {
        let cannot = |error| CliError::new(format!("cannot listen for signals: {error}"));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
        let [mut interrupt, mut terminate, mut hangup] = {
            let _inside = runtime.enter();
            [
                signal(SignalKind::interrupt()).map_err(cannot)?,
                signal(SignalKind::terminate()).map_err(cannot)?,
                signal(SignalKind::hangup()).map_err(cannot)?,
            ]
        };
        let leavings = Arc::clone(self);
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            let _cleared = leavings.clear();
            std::process::exit(INTERRUPTED);
        });
        Ok(())
    }
}

impl Stage {
    /// Makes the directory, which must not exist yet.
    pub(super) fn new(keep: Option<&Path>) -> Result<Self, CliError> {
        let dir = match keep {
            Some(dir) => dir.to_owned(),
            None => std::env::temp_dir().join(format!("doorstep-demo-{}", std::process::id())),
        };
        let dir = std::fs::create_dir_all(dir.parent().unwrap_or(&dir))
            .and_then(|()| std::fs::create_dir(&dir))
            .and_then(|()| dir.canonicalize())
            .map_err(|error| {
                CliError::io("make the directory", &dir, &error)
                    .hint("name one that does not exist yet")
            })?;
        let kept = keep.is_some();
        let [server, reader] = [Mutex::new(None), Mutex::new(None)];
        let leavings = Leavings { server, reader, dir: (!kept).then(|| dir.clone()) };
        let leavings = Arc::new(leavings);
        leavings.watch()?;
        Ok(Self { dir, kept, leavings })
    }

    /// The world of one story, in a directory of its own.
    pub(super) fn world(&self, story: &str) -> Result<World, CliError> {
        let dir = self.dir.join(story);
        std::fs::create_dir(&dir)
            .map_err(|error| CliError::io("make the directory", &dir, &error))?;
        World::new(dir, Arc::clone(&self.leavings))
    }

    /// The directory, if it stays.
    pub(super) fn kept(&self) -> Option<&Path> {
        self.kept.then_some(self.dir.as_path())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.leavings.clear());
    }
}

/// Looks again and again, for as long as the demo has patience.
pub(super) fn until<T>(
    mut look: impl FnMut() -> Result<Option<T>, CliError>,
) -> Result<Option<T>, CliError> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if waited >= PATIENCE {
            return Ok(None);
        }
        std::thread::sleep(GLANCE);
        waited += GLANCE;
    }
}
