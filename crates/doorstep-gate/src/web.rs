//! The web gate: endpoints that nginx, Caddy and Traefik ask whether a request may pass, and the page
//! where people type their code (`docs/gate.md`).

mod answer;
mod check;
mod cookie;
mod limits;
mod login;
mod page;
mod path;
mod serve;

pub use serve::serve;

use crate::config::{Config, Verify};
use crate::error::GateError;
use crate::gate::Gate;
use crate::service::Service;
use crate::session::{BootId, Terms};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use doorstep::time::Timestamp;
use limits::Addresses;
use rand_core::CryptoRng;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

/// Bytes of a form.
const BODY_LIMIT: usize = 4096;

/// Tells the time.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Draws randomness.
pub type Rng = Box<dyn CryptoRng + Send>;

/// A web gate: the state file, opened twice, so that pages do not wait behind a login.
pub struct Web {
    config: Config,
    terms: Terms,
    reader: Mutex<Gate>,
    writer: Mutex<Gate>,
    service: Option<Service>,
    addresses: Mutex<Addresses>,
    /// Whether it was said that the proxy names nobody.
    unnamed: Once,
    clock: Clock,
    rng: Mutex<Rng>,
}

impl Web {
    /// Opens the gate that `config` describes.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn open(config: Config, boot: BootId, clock: Clock, rng: Rng) -> Result<Self, GateError> {
        let terms = Terms { session: config.session, verify: config.verify, boot };
        let service = match (config.verify, &config.service) {
            (Verify::Service, Some(service)) => Some(Service::open(service)?),
            _ => None,
        };
        Ok(Self {
            reader: Mutex::new(Gate::open(&config)?),
            writer: Mutex::new(Gate::open(&config)?),
            addresses: Mutex::new(Addresses::new(&config.limits)),
            unnamed: Once::new(),
            terms,
            service,
            config,
            clock,
            rng: Mutex::new(rng),
        })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn reader(&self) -> MutexGuard<'_, Gate> {
        lock(&self.reader)
    }

    fn writer(&self) -> MutexGuard<'_, Gate> {
        lock(&self.writer)
    }
}

/// What a panicking request left behind is whole: every state is folded from the file.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From which address a connection comes.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

fn router(web: &Arc<Web>) -> Router {
    Router::new()
        .route("/_doorstep/check", get(check::check))
        .route("/_doorstep/forward", get(check::forward))
        .route("/_doorstep/login", get(login::show).post(login::submit))
        .route("/_doorstep/logout", post(login::logout))
        .route("/_doorstep/style.css", get(page::style))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(axum::middleware::from_fn(answer::guard))
        .with_state(Arc::clone(web))
}
