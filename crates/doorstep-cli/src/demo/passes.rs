//! The part of the locks' story that is told with phones: the same court opened by passes, which also bring the
//! lock its time, its revocations and its keys.

use super::relay::Relay;
use super::report::Report;
use super::stage::Role;
use super::world::{Reply, World};
use crate::error::CliError;
use serde_json::Value;
use std::cell::Cell;

const COURT: &str = "Court 3";
const LOCKER: &str = "Locker 7";
const PASSPHRASE: &str = "passphrase";

/// Two guests with phones, and how often they opened the court.
pub(super) struct Guests<'a> {
    world: &'a World,
    opened: &'a Cell<u32>,
}

/// Takes one day, from Monday evening to Tuesday evening.
pub(super) fn tell(world: &World, report: &mut Report, opened: &Cell<u32>) -> Result<(), CliError> {
    let guests = Guests { world, opened };
    let ana = guests.a_phone(report)?;
    guests.copies(report, &ana)?;
    guests.overheard(report, &ana)?;
    guests.late(report, &ana)?;
    guests.counted(report)?;
    guests.revoked(report)?;
    guests.rotated(report)?;
    guests.a_lost_clock(report)
}

impl Guests<'_> {
    /// A command on a guest's phone.
    fn phone(&self, guest: &str, arguments: &[&str]) -> Result<Reply, CliError> {
        let wallet = format!("{guest}.wallet");
        let environment =
            [("DOORSTEP_WALLET", wallet.as_str()), ("DOORSTEP_PASSPHRASE_FILE", PASSPHRASE)];
        let all = [&["wallet"], arguments].concat();
        self.world.run_with(&environment, &all)
    }

    /// The phone is held to the reader of a lock.
    fn tap(&self, guest: &str, pass: &str, more: &[&str]) -> Result<Reply, CliError> {
        let reply = self.phone(guest, &[&["tap", pass, "--lock", "court"], more].concat())?;
        Ok(self.counted_in(reply))
    }

    /// A picture, a sheet or a file is held to the court's reader.
    fn show(&self, file: &str) -> Result<Reply, CliError> {
        Ok(self.counted_in(self.world.run(&["lock", "tap", file, "--dir", "court"])?))
    }

    fn counted_in(&self, reply: Reply) -> Reply {
        let opened = reply.text("shown") == "opened" || reply.text("answer") == "opened";
        self.opened.set(self.opened.get() + u32::from(opened));
        reply
    }

    /// A pass that the guest's phone fetches; its id.
    fn give(&self, guest: &str, terms: &[&str]) -> Result<String, CliError> {
        let issue = [&["pass", "issue", "--collect"], terms].concat();
        let ticket = self.world.must(&issue)?;
        let collected = self.phone(guest, &["collect", ticket.text("ticket")])?;
        match collected.json["error"]["message"].as_str() {
            None => Ok(ticket.text("id").to_owned()),
            Some(message) => Err(CliError::new(format!("the pass was not collected: {message}"))),
        }
    }

    fn a_phone(&self, report: &mut Report) -> Result<String, CliError> {
        let world = self.world;
        report.chapter("Tuesday 12:00. The same court, with phones");
        world.advance("15h 58m")?;
        std::fs::write(world.path(PASSPHRASE), "a guest's passphrase\n")
            .map_err(|error| CliError::io("write", &world.path(PASSPHRASE), &error))?;
        report.expect("Ana's phone makes its key", &self.phone("ana", &["init"])?, "done");
        self.phone("ben", &["init", "--algorithm", "ed25519"])?;
        let booking = ["booking", "add", COURT, "--from", "14:00", "--for", "1h"];
        let booking = world.run(&[&booking[..], &["--access", "both", "--collect"]].concat())?;
        report.expect("a booking from 14:00, with a PIN and a pass", &booking, "done");
        let pass = &booking.json["passes"][0];
        let ticket = text(&pass["ticket"]);
        let collected = self.phone("ana", &["collect", &ticket])?;
        report.expect("her phone fetches the pass by its ticket", &collected, "done");
        let again = self.phone("ben", &["collect", &ticket])?;
        report.step(
            "another phone with the same ticket",
            &again.command,
            "refused",
            if again.outcome() == "done" { "collected" } else { "refused" },
        );
        world.start(Role::Reader, &["lock", "listen", "--dir", "court"])?;
        let id = text(&pass["id"]);
        world.advance("1h 44m")?;
        report.expect("13:44, her phone at the lock", &self.tap("ana", &id, &[])?, "not_yet_valid");
        world.advance("2m")?;
        report.expect(
            "13:46, within its quarter of an hour",
            &self.tap("ana", &id, &[])?,
            "granted",
        );
        let ble = self.tap("ana", &id, &["--ble", "--fragment", "20"])?;
        report.expect("by BLE, in the smallest fragments", &ble, "granted");
        world.advance("10m")?;
        let pin = text(&booking.json["holders"][0]["pin"]);
        let pressed = self.counted_in(world.run(&["lock", "press", &pin, "--dir", "court"])?);
        report.expect("13:56, her PIN opens as well", &pressed, "granted");
        report.row(&["a pass, 13:44 early and 15:16 late", "refused, and the phone is told why"]);
        Ok(id)
    }

    fn copies(&self, report: &mut Report, ana: &str) -> Result<(), CliError> {
        report.chapter("Somebody copies what Ana shows");
        let copy = self.world.must(&["pass", "show", ana, "--png", "copy.png"])?;
        report.expect("her pass itself, copied from the server's mail", &copy, "done");
        report.expect("held to the lock", &self.show("copy.png")?, "wrong_code");
        let shown = self.phone("ana", &["show", ana, "--png", "screen.png"])?;
        report.expect("her screen, proven by her phone's time", &shown, "done");
        report.expect("she holds it to the lock's camera", &self.show("screen.png")?, "granted");
        report.expect(
            "the picture that somebody took of it",
            &self.show("screen.png")?,
            "already_used",
        );
        self.world.advance("1m")?;
        self.phone("ana", &["show", ana, "--png", "later.png"])?;
        self.world.advance("4m")?;
        report.expect("a picture of four minutes ago", &self.show("later.png")?, "expired");
        report.row(&["a copied QR code of a pass with a holder", "refused"]);
        Ok(())
    }

    fn overheard(&self, report: &mut Report, ana: &str) -> Result<(), CliError> {
        report.chapter("A thief holds his reader between her phone and the lock");
        let (thief, court) = (self.world.path("thief"), self.world.path("court"));
        let relay = Relay::put_up(&thief, &court)?.listen();
        let tap = self.phone("ana", &["tap", ana, "--lock", "thief"])?;
        report.expect("he passes on all that they say", &self.counted_in(tap), "granted");
        let overheard = relay.join().map_err(|_| CliError::new("the thief's reader broke"))??;
        let answer = overheard.replay(&court)?;
        report.step("and says it to the lock again", "", "wrong_code", answer.name());
        report.row(&["an old transcript, replayed", "refused: its challenge is gone"]);
        report.note("Whoever relays in the same moment opens the door where the phone is not: docs/dp1.md says so.");
        Ok(())
    }

    fn late(&self, report: &mut Report, ana: &str) -> Result<(), CliError> {
        report.chapter("Her hour ends at 15:00");
        self.world.advance("1h 13m")?;
        report.expect("15:14", &self.tap("ana", ana, &[])?, "granted");
        self.world.advance("2m")?;
        report.expect("15:16", &self.tap("ana", ana, &[])?, "expired");
        Ok(())
    }

    fn counted(&self, report: &mut Report) -> Result<(), CliError> {
        report.chapter(
            "16:00. Passes on paper: one that opens once, one for two hours from its first use",
        );
        let world = self.world;
        world.advance("44m")?;
        let at = ["pass", "issue", "--lock", COURT, "--from", "+0s"];
        let once = [&at[..], &["--for", "1h", "--once", "--png", "once.png"]].concat();
        report.expect("a delivery's pass, printed", &world.run(&once)?, "done");
        report.expect("its first use", &self.show("once.png")?, "granted");
        report.expect("its second", &self.show("once.png")?, "already_used");
        let mac = ["--for", "6h", "--lasts", "2h", "--kind", "mac", "--bin", "short.bin"];
        let short = world.run(&[&at[..], &mac].concat())?;
        report.expect("a short one, under the lock's own key", &short, "done");
        report.expect(
            "at the wrong lock",
            &world.run(&["lock", "tap", "short.bin", "--dir", "locker"])?,
            "wrong_code",
        );
        world.advance("10m")?;
        report.expect("16:10, its first use", &self.show("short.bin")?, "granted");
        world.advance("1h 50m")?;
        report.expect("18:00", &self.show("short.bin")?, "granted");
        world.advance("30m")?;
        report.expect("18:30, its two hours are over", &self.show("short.bin")?, "expired");
        report.row(&["a single-use pass twice", "already used"]);
        report.row(&["two hours from the first opening", "opens, then expired"]);
        Ok(())
    }

    fn revoked(&self, report: &mut Report) -> Result<(), CliError> {
        report.chapter("18:30. A pass is revoked, and the next guest's phone tells the lock");
        let at = ["--lock", COURT, "--from", "+0s", "--for", "3h"];
        let (ana, ben) = (self.give("ana", &at)?, self.give("ben", &at)?);
        report.expect("Ana's pass", &self.tap("ana", &ana, &["--offline"])?, "granted");
        let revoked = self.world.run(&["pass", "revoke", &ana])?;
        report.expect("it is revoked", &revoked, "done");
        let truth = text(&revoked.json["revocation"]["takes_effect"]);
        report.step("  when it ends, says the server", "", "when_list_delivered", &truth);
        report.expect("the lock cannot know", &self.tap("ana", &ana, &["--offline"])?, "granted");
        self.world.advance("15m")?;
        let synced = self.phone("ben", &["sync"])?;
        report.expect("Ben's phone is online before he comes", &synced, "done");
        let tap = self.tap("ben", &ben, &["--offline"])?;
        report.expect("he opens, and his phone brings the bulletin", &tap, "granted");
        report.expect("Ana's pass", &self.tap("ana", &ana, &["--offline"])?, "revoked");
        let before = self.world.must(&["pass", "show", &ana])?;
        let known = before.json["revocation"]["done_at"].is_string();
        report.step(
            "  the server does not know that yet",
            &before.command,
            "false",
            &known.to_string(),
        );
        self.phone("ben", &["sync"])?;
        let after = self.world.must(&["pass", "show", &ana])?;
        let known = after.json["revocation"]["done_at"].is_string();
        report.step(
            "  Ben's phone brings the lock's journal home",
            &after.command,
            "true",
            &known.to_string(),
        );
        report.row(&["a revoked pass", "opens until a phone brings the bulletin, then revoked"]);
        Ok(())
    }

    fn rotated(&self, report: &mut Report) -> Result<(), CliError> {
        report.chapter("19:00. The issuer's key is changed");
        let world = self.world;
        let at = ["--lock", COURT, "--from", "+0s", "--for", "3h"];
        let ben = self.give("ben", &at)?;
        let rotated = world.run(&["pass", "rotate", "--ends-old", "now"])?;
        report.expect("a new key; the old one ends, with all that it signed", &rotated, "done");
        report.expect(
            "Ben's pass, while the lock knows nothing",
            &self.tap("ben", &ben, &["--offline"])?,
            "granted",
        );
        report.expect("his phone hears of it", &self.phone("ben", &["sync"])?, "done");
        report.expect(
            "and brings both the key and a new pass",
            &self.tap("ben", &ben, &["--offline"])?,
            "granted",
        );
        let status = world.must(&["lock", "status", "--dir", "court"])?;
        let rotation = status.json["passes"]["rotation"].to_string();
        let latest = rotated.json["rotation"].to_string();
        report.step("the last rotation that the lock knows", &status.command, &latest, &rotation);
        self.phone("ben", &["sync"])?;
        let paper = ["pass", "issue", "--lock", COURT, "--from", "+0s", "--for", "1h"];
        world.must(&[&paper[..], &["--sheet", "sheet.html", "--reference", "paper"]].concat())?;
        let listed = world.must(&["pass", "list", "--lock", COURT])?;
        let last =
            listed.json["data"].as_array().and_then(|all| all.last()).map(|pass| text(&pass["id"]));
        let show = ["pass", "show", &last.unwrap_or_default(), "--png", "paper.png"];
        world.must(&show)?;
        report.expect("a pass on paper, under the new key", &self.show("paper.png")?, "granted");
        report.row(&["a rotated key", "comes with a phone; what the old one signed ends"]);
        Ok(())
    }

    fn a_lost_clock(&self, report: &mut Report) -> Result<(), CliError> {
        report.chapter("The locker's battery fell out, and a guest's phone brings the time");
        let world = self.world;
        let ben = self.give("ben", &["--lock", LOCKER, "--from", "+0s", "--for", "5h"])?;
        world.must(&["lock", "pull-power", "--for", "20m", "--dir", "locker"])?;
        world.advance("30m")?;
        world.stop(Role::Reader)?;
        world.start(Role::Reader, &["lock", "listen", "--dir", "locker"])?;
        let tap = |more: &[&str]| {
            self.phone("ben", &[&["tap", ben.as_str(), "--lock", "locker"], more].concat())
        };
        report.expect("Ben's pass, without a network", &tap(&["--offline"])?, "clock_unset");
        report.expect("with one: the server answers the lock's question", &tap(&[])?, "granted");
        report.expect("and from then on without", &tap(&["--offline"])?, "granted");
        world.stop(Role::Reader)?;
        report.row(&[
            "a lost clock",
            "opens for nobody until a phone that is online brings the time",
        ]);
        let evening = world.now()?;
        let monday = doorstep::time::Timestamp::from_seconds(evening.seconds() / 86_400 * 86_400);
        // Where the story of the keypad goes on.
        world.set(monday.later((20 * 60 + 2) * 60).max(evening))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
