//! The logins' story: a service and an authenticator that share a secret and nothing else, over two
//! weeks in which their clocks part.

use super::browser::Browser;
use super::phone::{Phone, around, other_than, plain};
use super::report::Report;
use super::stage::Role;
use super::world::{Reply, World};
use crate::error::CliError;
use doorstep::otp::text::read_base32;
use doorstep::otp::totp::Totp;
use doorstep::time::Timestamp;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// The account, and what the phone calls it.
const ANA: &str = "ana@club.example";
const ON_THE_PHONE: &str = "harbour";
const ON_THE_PHONE_GATE: &str = "club page";
/// The settings of the gate: any free port, and no TLS in front of it.
const GATE: &str = "verify = \"local\"\nlisten = \"127.0.0.1:0\"\nissuer = \"Club page\"\n\n[proxy]\nplain_http = true";
const SUITE: &str = "OCRA-1:HOTP-SHA1-6:QN08";
/// The file in which Ana's browser keeps the token of a known device.
const TOKEN: &str = "browser.token";

pub(super) fn tell(world: &mut World, report: &mut Report) -> Result<(), CliError> {
    let mut phone = enrol(world, report)?;
    a_login(world, report, &phone)?;
    two_weeks(world, report, &mut phone)?;
    resync(world, report, &mut phone)?;
    guesses(world, report, &phone)?;
    challenge(world, report, &phone)?;
    no_network(world, report, &phone)
}

/// Monday noon: a service, an account, a QR code, a phone.
fn enrol(world: &mut World, report: &mut Report) -> Result<Phone, CliError> {
    report.chapter("Monday 12:00. A club starts its service, and Ana gets an authenticator");
    world.must(&["init", "--test", "--at", World::dawn(), "--seed", "3000"])?;
    world.must(&["key", "create", "--name", "website", "--out", "api.key"])?;
    world.start_server()?;
    let reply = world.run(&["account", "add", ANA])?;
    report.expect("an account", &reply, "done");
    let enrol = ["account", "enrol", ANA, "--issuer", "Harbour Club", "--png", "enrol.png"];
    let enrolled = world.run(&enrol)?;
    report.expect("an authenticator is made, and shown once as a QR code", &enrolled, "done");
    let phone = Phone::new(world, &enrolled.json["provisioning"]["secret_hex"])?;
    let reply = phone.run(world, &["auth", "add", "--image", "enrol.png"])?;
    report.expect("Ana's phone, a process of its own, reads the image", &reply, "done");
    let code = phone.code(world, ON_THE_PHONE)?;
    let wrong = other_than(&around(phone.secret(), world.now()?));
    let reply = world.run(&["account", "verify", ANA, &code])?;
    report.expect("before it is activated, its code opens nothing", &reply, "unknown");
    let reply = world.run(&["account", "activate", ANA, &wrong])?;
    report.expect("a wrong code does not activate it", &reply, "wrong_code");
    let reply = world.run(&["account", "activate", ANA, &code])?;
    report.expect("the first code does", &reply, "granted");
    let period = reply.json["period"].to_string();
    report.step("and shows that a step has 30 seconds", "", "30", &period);
    phone.follow(world)?;
    Ok(phone)
}

/// One code, three tries, and one that was typed slowly.
fn a_login(world: &World, report: &mut Report, phone: &Phone) -> Result<(), CliError> {
    report.chapter("A login: one code, once");
    world.advance("30s")?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    let reply = verify(world, &code)?;
    report.expect("the code that the phone shows", &reply, "granted");
    report.step("  why it was taken", "", "current", reply.text("why"));
    report.expect("the same code again", &verify(world, &code)?, "already_used");
    let spaced = format!("{} {}", code.get(..3).unwrap_or(""), code.get(3..).unwrap_or(""));
    report.expect("and in another spelling", &verify(world, &spaced)?, "already_used");

    report.chapter("A code is read one second before its step ends, and typed ten seconds later");
    let now = world.now()?;
    let end = now.seconds().next_multiple_of(30);
    world.set(Timestamp::from_seconds(end + 59))?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    world.advance("10s")?;
    let reply = verify(world, &code)?;
    report.expect("the code of the step before", &reply, "granted");
    let shift = format!("{} {}", reply.json["shift"], reply.text("why"));
    report.step("  which step, and why", "", "-1 window", &shift);
    report.expect("now it is spent as well", &verify(world, &code)?, "already_used");
    Ok(())
}

/// The phone's clock loses three seconds a day. Who looks at one step to either side shuts Ana out.
fn two_weeks(world: &World, report: &mut Report, phone: &mut Phone) -> Result<(), CliError> {
    report.chapter("Two weeks in which the phone's clock loses 3 seconds a day");
    let (mut ours, mut naive) = (0, 0);
    let mut last = String::new();
    for _ in 0..14 {
        world.advance("1d")?;
        phone.slow += 3;
        // Near the start of a step a slow clock shows.
        world.set(Timestamp::from_seconds(world.now()?.seconds().next_multiple_of(30) + 5))?;
        phone.follow(world)?;
        let code = phone.code(world, ON_THE_PHONE)?;
        naive += u32::from(plain(&Totp::default(), phone.secret(), &code, world.now()?));
        let reply = verify(world, &code)?;
        ours += u32::from(reply.outcome() == "granted");
        reply.text("why").clone_into(&mut last);
    }
    report.note("each day one login; the clock is 42 seconds behind in the end");
    report.step(
        "logins granted by one step to either side, and no memory",
        "",
        "11",
        &naive.to_string(),
    );
    report.step(
        "logins granted by the service, which remembers the drift",
        "",
        "14",
        &ours.to_string(),
    );
    report.step("  why the last one was taken", "", "drift", &last);
    let shown = world.must(&["account", "show", ANA])?;
    let drift = shown.json["authenticators"][0]["drift_seconds"].to_string();
    report.step("  the drift that it knows, in seconds", &shown.command, "-60", &drift);
    Ok(())
}

/// The phone lay in a drawer with an empty battery: its clock is twenty minutes off.
fn resync(world: &World, report: &mut Report, phone: &mut Phone) -> Result<(), CliError> {
    report.chapter("The phone's battery was empty; its clock is 20 minutes behind");
    let recorded = phone.code(world, ON_THE_PHONE)?;
    world.advance("1h")?;
    phone.slow = 20 * 60;
    phone.follow(world)?;
    let first = phone.code(world, ON_THE_PHONE)?;
    report.expect("its code is too old", &verify(world, &first)?, "wrong_code");
    let reply = world.run(&["account", "resync", ANA, &recorded, &first])?;
    report.expect("a resync with a code that was used before", &reply, "already_used");
    let second = phone.next(world, ON_THE_PHONE)?;
    let reply = world.run(&["account", "resync", ANA, &first, &second])?;
    report.expect("a resync with two codes that follow each other", &reply, "granted");
    world.advance("1m")?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    report.expect("from now on its codes are taken", &verify(world, &code)?, "granted");
    phone.slow = 0;
    world.advance("1m")?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    report.expect("also after Ana sets the clock right", &verify(world, &code)?, "granted");
    Ok(())
}

/// Somebody guesses. What is used up are the attempts of strangers.
fn guesses(world: &World, report: &mut Report, phone: &Phone) -> Result<(), CliError> {
    report.chapter("Somebody guesses at Ana's account");
    world.advance("2d")?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    let reply = world.run(&["account", "verify", ANA, &code, "--remember"])?;
    report.expect("Ana logs in, and her browser is remembered", &reply, "granted");
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(world.path(TOKEN))
        .map_err(|error| CliError::io("make", &world.path(TOKEN), &error))?;
    writeln!(file, "{}", reply.text("known_device"))
        .map_err(|error| CliError::io("write", &world.path(TOKEN), &error))?;
    let recovery = world.must(&["account", "recovery", ANA])?;
    let mut guesses = 0;
    let last = loop {
        let reply = verify(world, &other_than(&around(phone.secret(), world.now()?)))?;
        if reply.outcome() != "wrong_code" || guesses > 20 {
            break reply;
        }
        guesses += 1;
    };
    report.step("wrong codes that are compared", "", "10", &guesses.to_string());
    report.expect("another one", &last, "throttled");
    world.advance("30s")?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    report.expect("even the right code, from anywhere", &verify(world, &code)?, "throttled");
    let known = ["account", "verify", ANA, &code, "--known-device-file", TOKEN];
    report.expect("the right code from Ana's browser", &world.run(&known)?, "granted");
    let codes = recovery.json["codes"].as_array().into_iter().flatten();
    let code = codes.filter_map(|code| code.as_str()).next().unwrap_or_default();
    let reply = world.run(&["account", "recover", ANA, code])?;
    report.expect("a recovery code, from anywhere", &reply, "granted");
    let reply = world.run(&["account", "recover", ANA, code])?;
    report.expect("the same recovery code again", &reply, "already_used");
    world.must(&["account", "unlock", ANA])?;
    world.advance("30s")?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    report.expect("after the club unlocks her", &verify(world, &code)?, "granted");
    Ok(())
}

/// A second authenticator, that answers challenges.
fn challenge(world: &World, report: &mut Report, phone: &Phone) -> Result<(), CliError> {
    report.chapter("A transfer has to be confirmed: a challenge, and its answer (OCRA)");
    let enrol = ["account", "enrol", ANA, "--kind", "ocra", "--suite", SUITE, "--label", "vault"];
    let enrolled = world.run(&enrol)?;
    report.expect("Ana gets a second authenticator", &enrolled, "done");
    let secret = enrolled.json["provisioning"]["secret"].as_str().unwrap_or_default();
    phone.keep("ocra.secret", secret)?;
    let add = ["auth", "add", "--issuer", "Vault", "--account", ANA, "--ocra", SUITE];
    phone.run(world, &[&add[..], &["--secret-file", "ocra.secret"]].concat())?;
    let asked = world.run(&["account", "challenge", ANA])?;
    report.expect("the service asks", &asked, "done");
    let (id, question) = (asked.text("id"), asked.text("challenge"));
    let answered = phone.run(world, &["auth", "code", "vault", "--challenge", question])?;
    let answer = answered.text("response");
    let wrong = other_than(&[answer.to_owned()]);
    let reply = world.run(&["account", "answer", id, &wrong])?;
    report.expect("a wrong answer", &reply, "wrong_code");
    let reply = world.run(&["account", "answer", id, answer])?;
    report.expect("the phone's answer", &reply, "granted");
    let reply = world.run(&["account", "answer", id, answer])?;
    report.expect("the same answer again", &reply, "already_used");
    Ok(())
}

/// The service is away. A gate has an authenticator of its own, and needs nobody.
fn no_network(world: &mut World, report: &mut Report, phone: &Phone) -> Result<(), CliError> {
    report
        .chapter("A page of the club is behind a gate of its own, with a state file and no server");
    phone.keep("gate.toml", GATE)?;
    let reply = world.run(&["gate", "init", "--test"])?;
    report.expect("a gate", &reply, "done");
    let added = world.run(&["gate", "add", "ana", "--png", "gate.png"])?;
    report.expect("an authenticator for this gate alone", &added, "done");
    phone.run(world, &["auth", "add", "--image", "gate.png"])?;
    let code = phone.code(world, ON_THE_PHONE_GATE)?;
    let reply = world.run(&["gate", "activate", "ana", &code])?;
    report.expect("its first code", &reply, "granted");

    report.chapter("The network is gone");
    world.stop(Role::Server)?;
    world.advance("30s")?;
    phone.follow(world)?;
    let code = phone.code(world, ON_THE_PHONE)?;
    report.expect("the service cannot be asked", &verify(world, &code)?, "unreachable");
    report.step(
        "the phone shows codes all the same",
        "doorstep auth code harbour",
        "6",
        &code.len().to_string(),
    );
    let gate = world.start(Role::Server, &["gate"])?;
    let gate = gate.as_str().unwrap_or_default();
    let seen = |passes: bool| if passes { "shown" } else { "kept back" };
    let mut browser = Browser::new(gate);
    report.step("the page, before the login", "", "kept back", seen(browser.passes()?));
    let secret = read_base32(added.text("secret"))
        .map_err(|error| CliError::new(format!("the gate shows no secret: {error}")))?;
    let wrong = other_than(&around(&secret.secret, world.now()?));
    let said = browser.sign_in("ana", &wrong)?;
    report.step("a wrong code in the form", "", "wrong code", &said);
    let code = phone.code(world, ON_THE_PHONE_GATE)?;
    report.step("the code that the phone shows", "", "granted", &browser.sign_in("ana", &code)?);
    report.step("the page, after the login", "", "shown", seen(browser.passes()?));
    let mut other = Browser::new(gate);
    let said = other.sign_in("ana", &code)?;
    let said = said.split(',').next().unwrap_or_default();
    report.step("the same code in another browser", "", "already used", said);
    report.step("the page there", "", "kept back", seen(other.passes()?));
    world.must(&["gate", "sign-out", "ana"])?;
    report.step(
        "after Ana is signed out, the page",
        "doorstep gate sign-out ana",
        "kept back",
        seen(browser.passes()?),
    );
    Ok(())
}

fn verify(world: &World, code: &str) -> Result<Reply, CliError> {
    world.run(&["account", "verify", ANA, code])
}
