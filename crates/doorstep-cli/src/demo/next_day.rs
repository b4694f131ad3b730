//! The deliveries' story goes on, the morning after: what was too late is tried again, and the forged claim is looked at,
//! proven to somebody else, and ended by a word.

use super::deliveries::{Stop, at, read, text};
use super::report::Report;
use super::world::World;
use crate::error::CliError;

pub(super) fn tell(world: &World, report: &mut Report, stops: &[Stop]) -> Result<(), CliError> {
    world.advance("15h")?;
    // A new day's time for the devices, and what they were handed yesterday is over.
    for dir in ["ana", "bojan"] {
        world.must(&["driver", "sync", "--dir", dir])?;
    }
    nobody_home(world, report, at(stops, 2)?)?;
    proven(world, report, at(stops, 4)?)?;
    again(world, report, at(stops, 4)?)?;
    on_her_way(world, report, at(stops, 6)?)
}

/// The driver says which delivery and when; nobody opens, and the code is as good for the neighbour.
fn nobody_home(world: &World, report: &mut Report, stop: &Stop) -> Result<(), CliError> {
    report.chapter(&format!("Tuesday morning. Ana takes {}'s delivery on again", stop.name));
    let driver =
        |arguments: &[&str]| world.run(&[&["driver"], arguments, &["--dir", "ana"]].concat());
    let reply = driver(&["take", &stop.reference, "--at", "+30m", "--variance", "1h"])?;
    report.expect("she says which delivery, and when she is there", &reply, "done");
    world.message(&stop.id, 2, 0)?;
    let reply = driver(&["fail", &stop.id, "--reason", "absent"])?;
    report.expect("nobody opens, and she says so", &reply, "failed");
    world.must(&["driver", "sync", "--dir", "ana"])?;
    let shown = world.delivery(&stop.id, |shown| shown["state"] == "failed")?;
    report.step("the delivery, for the dispatcher", "", "failed", &text(&shown["state"]));

    let spare = ["delivery", "send-now", &stop.reference, "--spare", "--phone", "+44 20 7946 0999"];
    report.expect("its spare code goes to a neighbour", &world.run(&spare)?, "done");
    let shown = world.must(&["delivery", "show", &stop.id])?;
    let slots = shown.json["messages"].as_array().into_iter().flatten();
    let spare = slots.filter_map(|message| message["slot"].as_u64()).max().unwrap_or_default();
    let code = read(&world.message(&stop.id, 2, spare)?)?.code;
    let reply = driver(&["handover", &stop.id, &code, "--slot", "neighbour"])?;
    report.expect("the neighbour's code, at the neighbour's door", &reply, "granted");
    world.must(&["driver", "sync", "--dir", "ana"])?;
    let shown = world.delivery(&stop.id, |shown| shown["state"] == "delivered")?;
    report.step("the delivery, in the end", "", "delivered", &text(&shown["state"]));
    Ok(())
}

/// What Bojan forged, for whoever does not believe the shop.
fn proven(world: &World, report: &mut Report, stop: &Stop) -> Result<(), CliError> {
    report.chapter(&format!("{} says that nothing came: the evidence", stop.name));
    let open = world.must(&["dispute", "list", "--state", "open"])?;
    let count = open.json["data"].as_array().map_or(0, Vec::len).to_string();
    report.step("disputes that are open", &open.command, "1", &count);
    let key = world.must(&["evidence", "key"])?;
    write(world, "issuer.pub", key.text("public_key").as_bytes())?;
    world.must(&["evidence", "fetch", &stop.reference, "--out", "forged.bundle"])?;
    let verify = |file: &str| world.run(&["evidence", "verify", file, "--issuer", "issuer.pub"]);
    let reply = verify("forged.bundle")?;
    report.expect("an expert verifies the bundle, without the server", &reply, "sound");
    let verdict = text(&reply.json["claims"][0]["verdict"]);
    report.step("what the shop made of Bojan's claim", "", "mismatch", &verdict);
    let path = world.path("forged.bundle");
    let mut bytes = std::fs::read(&path).map_err(|error| CliError::io("read", &path, &error))?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    write(world, "changed.bundle", &bytes)?;
    report.expect("the same with one bit changed", &verify("changed.bundle")?, "not_authentic");
    let ranking = world.must(&["driver", "ranking"])?;
    let first = text(&ranking.json["data"][0]["driver"]);
    report.step("the driver whose claims chance explains least", &ranking.command, "Bojan", &first);
    Ok(())
}

/// The dispute ends by an operator's word, and the parcel still comes.
fn again(world: &World, report: &mut Report, stop: &Stop) -> Result<(), CliError> {
    report.chapter(&format!("The parcel is in Bojan's van; Ana brings it to {}", stop.name));
    let word = ["--outcome", "not-delivered", "--note", "found in the van"];
    let reply = world.run(&[&["dispute", "resolve", &stop.reference], &word[..]].concat())?;
    report.expect("the dispute is ended by a word, which is kept", &reply, "done");
    let plan = [
        "delivery",
        "plan",
        &stop.reference,
        "--driver",
        "Ana",
        "--at",
        "+30m",
        "--variance",
        "1h",
    ];
    report.expect("a new driver, so a new code", &world.run(&plan)?, "done");
    world.must(&["driver", "sync", "--dir", "ana"])?;
    let code = read(&world.message(&stop.id, 2, 0)?)?.code;
    let reply = world.run(&["driver", "handover", &stop.id, &code, "--dir", "ana"])?;
    report.expect("the new code, at the door", &reply, "granted");
    world.must(&["driver", "sync", "--dir", "ana"])?;
    world.delivery(&stop.id, |shown| shown["state"] == "delivered")?;
    world.must(&["receipt", "show", &stop.reference, "--out", "delivered.receipt"])?;
    let reply = world.run(&["receipt", "verify", "delivered.receipt", "--issuer", "issuer.pub"])?;
    report.step(
        "its receipt, verified without the server",
        &reply.command,
        "claim",
        reply.text("basis"),
    );
    let erased = world.run(&["delivery", "erase", &stop.reference])?;
    report.expect("names and numbers are erased when they are not needed", &erased, "done");
    Ok(())
}

/// The day goes on with a delivery that nobody had planned.
fn on_her_way(world: &World, report: &mut Report, stop: &Stop) -> Result<(), CliError> {
    report.chapter(&format!("Nobody has planned {}'s delivery; it is on Ana's way", stop.name));
    let reply = world.run(&["driver", "take", &stop.reference, "--at", "+30m", "--dir", "ana"])?;
    report.expect("she takes it on", &reply, "done");
    let shown = world.delivery(&stop.id, |shown| shown["state"] == "notified")?;
    report.step("the customer is told her code", "", "notified", &text(&shown["state"]));
    Ok(())
}

fn write(world: &World, name: &str, bytes: &[u8]) -> Result<(), CliError> {
    let path = world.path(name);
    std::fs::write(&path, bytes).map_err(|error| CliError::io("write", &path, &error))
}
