//! `doorstep serve`: the server, with the clock and randomness wired in.

use super::config::Settings;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness;
use doorstep::time::Timestamp;
use doorstep_server::config::layers::Flag;
use doorstep_server::{Config, Context, Mode, serve};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long threads that still talk to somebody outside keep a stopped server from ending.
const THREADS_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  doorstep serve --data /var/lib/doorstep --listen 127.0.0.1:7070\n  doorstep serve --data doorstep-data --clock doorstep-data/clock\n\nThe address is printed once connections are taken. SIGTERM or Ctrl-C stops in order.\nSettings: doorstep config show. TLS: server.tls_certificate and server.tls_key, read again on SIGHUP; or a proxy in front. Log level: DOORSTEP_LOG=debug."
)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// File that the provider `log` appends messages to; DIR/messages.jsonl by default
    #[arg(long, value_name = "FILE")]
    messages: Option<String>,
    /// Shape of delivery codes: digits-8, digits-10 or crockford-8
    #[arg(long, value_name = "SHAPE")]
    code: Option<String>,
    /// Put a link in the messages: this address, then # and a text to scan
    #[arg(long, value_name = "URL")]
    link_base: Option<String>,
    #[command(flatten)]
    clock: Clock,
    /// Seed of all randomness (test data only)
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

impl Args {
    /// What was said by flags, which is stronger than variables and the file.
    fn flags(&self) -> Vec<Flag> {
        let said = [
            ("--listen", "server", "listen", &self.listen),
            ("--messages", "messages", "file", &self.messages),
            ("--code", "deliveries", "code", &self.code),
            ("--link-base", "messages", "link_base", &self.link_base),
        ];
        let said = said.into_iter().filter_map(|(flag, section, name, value)| {
            Some(Flag { flag, section, name, value: Value::from(value.clone()?) })
        });
        said.collect()
    }
}

impl doorstep_server::Clock for Clock {
    fn now(&self) -> Timestamp {
        // A clock file that vanishes stops time at its beginning, where no window is open.
        Self::now(self).unwrap_or_else(|error| {
            tracing::error!("{error}");
            Timestamp::default()
        })
    }
}

/// Opens a data directory, with a simulated clock or a seed only if it holds test data.
pub(crate) fn open(config: Config, clock: Clock, seed: Option<u64>) -> Result<Context, CliError> {
    // A clock file that cannot be read is better known now than in the log.
    clock.now()?;
    let simulated = clock.is_simulated() || seed.is_some();
    let context = Context::open(config, Arc::new(clock), randomness::source(seed))
        .map_err(|error| CliError::new(chain(&error)).hint(error.hint()))?;
    if simulated && context.mode() != Mode::Test {
        return Err(CliError::new(
            "simulated clocks and seeds are for test data, and this data is real",
        )
        .hint("leave out --clock and --seed, and unset DOORSTEP_CLOCK"));
    }
    Ok(context)
}

pub(crate) fn run(args: Args, json: bool) -> Result<Answer, CliError> {
    let log = EnvFilter::try_from_env("DOORSTEP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();
    let config = args.settings.load(&args.flags())?.config;
    let scheme = if config.server.tls_certificate.is_some() { "https" } else { "http" };
    let context = open(config, args.clock, args.seed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(format!("cannot start: {error}")))?;
    let served = runtime.block_on(async move {
        let mut terminate = signal(SignalKind::terminate())
            .map_err(|error| CliError::new(format!("cannot listen for signals: {error}")))?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        let context = Arc::new(context);
        let mut hang_up = signal(SignalKind::hangup())
            .map_err(|error| CliError::new(format!("cannot listen for signals: {error}")))?;
        let reloading = Arc::clone(&context);
        tokio::spawn(async move {
            while hang_up.recv().await.is_some() {
                match reloading.reload_certificate() {
                    Ok(true) => tracing::info!("the certificate was read again"),
                    Ok(false) => tracing::info!("there is no certificate to read again"),
                    Err(error) => tracing::error!("{}; the one before is served on", chain(&error)),
                }
            }
        });
        let issuer = context.issuer();
        let bound = |address: SocketAddr| {
            if json {
                anstream::println!(
                    "{}",
                    json!({ "listening": format!("{scheme}://{address}"), "issuer": issuer.as_str() })
                );
            } else {
                anstream::println!("{GOOD}listening{GOOD:#} on {scheme}://{address} for {issuer}");
            }
        };
        serve(context, bound, shutdown)
            .await
            .map_err(|error| CliError::new(chain(&error)).hint(error.hint()))
    });
    // A thread that waits for a slow mail server would hold up the end for as long as it likes.
    runtime.shutdown_timeout(THREADS_PATIENCE);
    served?;
    // The one line of this command's answer was printed when it began to listen.
    Ok(Answer::new(Value::Null, String::new()))
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
