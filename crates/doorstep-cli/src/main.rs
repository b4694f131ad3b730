//! The `doorstep` command: the server, the driver's device, and a demo of both.

mod advise;
mod auth;
mod client;
mod clock;
mod commands;
mod demo;
mod device;
mod error;
mod input;
mod lock;
mod output;
mod pass_file;
mod randomness;
mod refused;
mod spreadsheet;
mod terminal;
mod text;
mod vault;
mod wallet;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// One-time codes that are verified where there is no network.
#[derive(Debug, Parser)]
#[command(
    name = "doorstep",
    version,
    propagate_version = true,
    after_help = "Start with:  doorstep demo\n\nExit status: 0 done or granted, 1 something went wrong, 2 wrong usage, 3 refused."
)]
struct Cli {
    /// Answer with one JSON document on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole story: server, messages, driver, door, sync
    Demo(commands::demo::Args),
    /// Make the directory of a new issuer: its keys and its database
    Init(commands::init::Args),
    /// Run the server
    Serve(commands::serve::Args),
    /// Look at what the server stands on: directory, keys, disk, clock, certificate
    Doctor(commands::doctor::Args),
    /// Settings of the server, and who set them
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Copy the database to one file; a server may be running
    Backup(commands::backup::Args),
    /// Bring a backup back, and make void what it cannot vouch for
    Restore(commands::restore::Args),
    /// API keys of the server
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Deliveries: add, plan, send, look up
    #[command(subcommand)]
    Delivery(commands::delivery::Command),
    /// Disputes: claims without the right code behind them, and your word on them
    #[command(subcommand)]
    Dispute(commands::dispute::Command),
    /// Receipts of deliveries, verified without the server
    #[command(subcommand)]
    Receipt(commands::receipt::Command),
    /// Everything that was claimed about a delivery, examined without the server
    #[command(subcommand)]
    Evidence(commands::evidence::Command),
    /// Messages to customers: what became of them, and again
    #[command(subcommand)]
    Message(commands::message::Command),
    /// Webhooks: programs of yours that are told what happens
    #[command(subcommand)]
    Webhook(commands::webhook::Command),
    /// A driver's device: enrol, sync, check codes at the door
    #[command(subcommand)]
    Driver(commands::driver::Command),
    /// Locks: at the server, and a virtual one that never talks to it
    #[command(subcommand)]
    Lock(commands::lock::Command),
    /// Bookings: who may open a lock, and when
    #[command(subcommand)]
    Booking(commands::booking::Command),
    /// Passes: signed tokens that open a lock from a phone or from paper
    #[command(subcommand)]
    Pass(commands::pass::Command),
    /// A wallet: passes for locks, as a guest's phone keeps them
    #[command(subcommand)]
    Wallet(commands::wallet::Command),
    /// An authenticator: your own codes, in a vault under a passphrase
    #[command(subcommand)]
    Auth(commands::auth::Command),
    /// Codes of an authenticator, for scripts
    #[command(subcommand)]
    Code(commands::code::Command),
    /// Accounts and their authenticators: enrol, verify, recover, look up
    #[command(subcommand)]
    Account(commands::account::Command),
    /// Login gates: codes in front of web pages and of PAM, from one state file
    Gate(commands::gate::Args),
    /// The simulated clock of test data
    #[command(subcommand)]
    Clock(commands::clock::Command),
    /// Which method fits: from what you need to the lengths, the odds and the commands to begin with
    Advise(Box<commands::advise::Args>),
    /// The odds of guesses, typos and forgeries of a delivery code of any shape
    Odds(commands::odds::Args),
    /// Print the OpenAPI document of the server
    #[command(hide = true)]
    Openapi,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            let message = error.to_string();
            let message = message.trim().trim_start_matches("error: ");
            return output::emit(Err(error::CliError::usage(message)), true);
        }
        Err(error) => error.exit(),
    };
    let answer = match cli.command {
        Command::Demo(args) => commands::demo::run(&args, cli.json),
        Command::Init(args) => commands::init::run(&args),
        Command::Serve(args) => commands::serve::run(args, cli.json),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Config(command) => commands::config::run(&command),
        Command::Backup(args) => commands::backup::run(&args),
        Command::Restore(args) => commands::restore::run(&args),
        Command::Key(command) => commands::key::run(&command),
        Command::Delivery(command) => commands::delivery::run(&command),
        Command::Dispute(command) => commands::dispute::run(&command),
        Command::Receipt(command) => commands::receipt::run(&command),
        Command::Evidence(command) => commands::evidence::run(&command),
        Command::Message(command) => commands::message::run(&command),
        Command::Webhook(command) => commands::webhook::run(&command),
        Command::Driver(command) => commands::driver::run(command),
        Command::Lock(command) => commands::lock::run(&command, cli.json),
        Command::Booking(command) => commands::booking::run(&command),
        Command::Pass(command) => commands::pass::run(&command),
        Command::Wallet(command) => commands::wallet::run(&command),
        Command::Auth(command) => commands::auth::run(&command),
        Command::Code(command) => commands::code::run(&command),
        Command::Account(command) => commands::account::run(command),
        Command::Gate(args) => commands::gate::run(args, cli.json),
        Command::Clock(command) => commands::clock::run(&command),
        Command::Advise(args) => commands::advise::run(*args, cli.json),
        Command::Odds(args) => commands::odds::run(&args),
        Command::Openapi => commands::openapi(),
    };
    output::emit(answer, cli.json)
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn no_two_arguments_of_a_command_are_in_each_other_s_way() {
        Cli::command().debug_assert();
    }
}
