//! `doorstep gate`: the web gate, with the clock and randomness wired in.

use super::{At, told};
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness;
use doorstep::time::Timestamp;
use doorstep_gate::config::Verify;
use doorstep_gate::gate::Gate;
use doorstep_gate::session::BootId;
use doorstep_gate::web::{Web, serve};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Where Linux says which start of the system this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

pub(super) fn run(at: &At, json: bool) -> Result<Answer, CliError> {
    let log = EnvFilter::try_from_env("DOORSTEP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();
    let config = at.read()?;
    let clock = at.clock(&Gate::open(&config).map_err(|error| told(&error))?)?;
    let boot = boot_id().unwrap_or_else(|| {
        tracing::warn!("this system does not say when it was started: sessions survive that");
        BootId::default()
    });
    let now = move || {
        // A clock file that vanishes stops time at its beginning, where no code is right.
        clock.now().unwrap_or_else(|error| {
            tracing::error!("{error}");
            Timestamp::default()
        })
    };
    let (listen, verify) = (config.listen, config.verify);
    let web = Web::open(config, boot, Box::new(now), randomness::source(None))
        .map_err(|error| told(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(format!("cannot start: {error}")))?;
    runtime.block_on(async move {
        let mut terminate = signal(SignalKind::terminate())
            .map_err(|error| CliError::new(format!("cannot listen for signals: {error}")))?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        let who = match verify {
            Verify::Local => "the state file",
            Verify::Service => "the service",
        };
        let bound = |address: SocketAddr| {
            if json {
                anstream::println!("{}", json!({ "listening": format!("http://{address}") }));
            } else {
                anstream::println!("{GOOD}listening{GOOD:#} on http://{address}; {who} decides");
            }
        };
        serve(Arc::new(web), bound, shutdown).await.map_err(|error| {
            CliError::new(format!("cannot listen on {listen}: {error}"))
                .hint("choose another address: listen in gate.toml; port 0 takes any free one")
        })
    })?;
    // The one line of this command's answer was printed when it began to listen.
    Ok(Answer::new(Value::Null, String::new()))
}

fn boot_id() -> Option<BootId> {
    let text = std::fs::read_to_string(BOOT_ID).ok()?.trim().replace('-', "");
    let bytes = u128::from_str_radix(&text, 16).ok().filter(|_| text.len() == 32)?;
    Some(bytes.to_be_bytes())
}
