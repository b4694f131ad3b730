//! Debug prints no key, no stored secret and no code: a scan for canaries in all of it.

use crate::bench::{Issuer, NOON, Presentation, Scene, rng, split, text};
use doorstep::code::{Code, Shape};
use doorstep::cose::encrypt::{Sealed, seal};
use doorstep::cose::sign1::{Signed, Signer, Unsigned};
use doorstep::cose::{Invalid, Kind};
use doorstep::handover::issue::code_mac;
use doorstep::handover::judge::{AtServer, Held};
use doorstep::handover::stop::{Presented, ScanText};
use doorstep::secret::Secret;
use std::fmt::Write as _;

/// Every way in which bytes might show up in a text.
fn spellings(secret: &[u8]) -> Vec<String> {
    let mut hex = String::new();
    for byte in secret {
        write!(hex, "{byte:02x}").unwrap();
    }
    let list = format!("{secret:?}");
    let list = list.trim_matches(['[', ']']).to_owned();
    let pretty = secret.iter().map(|byte| format!("{byte},")).collect::<Vec<_>>().join("\n");
    let mut all = vec![hex.to_uppercase(), hex, list, pretty];
    if let Ok(text) = std::str::from_utf8(secret) {
        all.push(text.to_owned());
    }
    all
}

struct Scan {
    canaries: Vec<(&'static str, Vec<String>)>,
    printed: usize,
}

impl Scan {
    fn hide(&mut self, name: &'static str, secret: &[u8]) {
        self.canaries.push((name, spellings(secret)));
    }

    fn print(&mut self, value: &dyn std::fmt::Debug) {
        let plain = format!("{value:?}");
        // Indentation depends on the depth.
        let pretty = format!("{value:#?}").replace(' ', "");
        for (name, spellings) in &self.canaries {
            for spelling in spellings {
                assert!(!plain.contains(spelling), "{name} in {plain}");
                assert!(!pretty.contains(spelling), "{name} in {pretty}");
            }
        }
        self.printed += 1;
    }
}

#[test]
fn the_scan_finds_what_is_printed() {
    let mut scan = Scan { canaries: Vec::new(), printed: 0 };
    scan.hide("bytes", &[1, 200, 3]);
    for bad in ["[9, 1, 200, 3, 4]", "01c803", "01C803"] {
        let found = std::panic::catch_unwind(|| {
            let mut scan = Scan { canaries: scan.canaries.clone(), printed: 0 };
            struct As(&'static str);
            impl std::fmt::Debug for As {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(self.0)
                }
            }
            scan.print(&As(bad));
        });
        assert!(found.is_err(), "{bad}");
    }
}

#[test]
fn debug_prints_no_secret() {
    let mut scene = Scene::new();
    let mut scan = Scan { canaries: Vec::new(), printed: 0 };
    let pepper = Secret::from_bytes([0xA5; 32]);
    scan.hide("issuer seed", &[1; 32]);
    scan.hide("device scalar", &[2; 32]);
    scan.hide("pepper", pepper.expose());
    let slots = split(&scene.made.stop).1.to_vec();
    for (slot, holder) in slots.iter().zip(&scene.made.holders) {
        scan.hide("code", holder.code.expose());
        scan.hide("scan secret", holder.scan.expose());
        scan.hide("salt", &slot.salt);
        scan.hide("scan hash", &slot.scan);
        scan.hide("scan text", &scene.scan_text(usize::from(holder.slot)).as_bytes()[14..]);
    }
    let tag = slots[0].code;
    assert!(!format!("{tag:?}").contains(&tag.value().to_string()));

    let document = scene
        .issuer
        .seal(&scene.phone, &scene.issuer.route(&scene.phone, 1, &[&scene.made.stop], &[]));
    let route = scene.phone.open(&document).unwrap();
    scan.print(&scene.issuer.signing);
    scan.print(&scene.issuer.agreement);
    scan.print(&scene.phone.key);
    scan.print(&scene.phone.key.secret());
    scan.print(&scene.made);
    scan.print(&route);
    let fresh = Issuer::new("iss_1", 1).enrol("dev_1", 2);
    let record = fresh.device().take_in(route, NOON).unwrap();
    scan.print(&record);
    scan.print(&doorstep::handover::event::Event::decode(record.body()).unwrap());
    let sealed = Sealed::parse(&document).unwrap();
    let shared = scene.phone.key.agree(sealed.ephemeral());
    scan.hide("shared secret", shared.expose());
    scan.print(&sealed);
    scan.print(&shared);
    let plain = sealed.open(Kind::Route, &scene.phone.key.public(), &shared).unwrap();
    scan.print(&Signed::parse(&plain).unwrap());
    let signer = Signer::Ed25519(scene.issuer.signing.public());
    scan.print(&Unsigned::new(Kind::Route, &signer, "iss_1", plain.to_vec()));
    scan.print(&seal(Kind::Route, &scene.phone.key.public(), &plain, &mut rng(1)).map(|_| ()));

    let code = &scene.made.holders[0].code;
    let mac = code_mac(&pepper, &scene.delivery, 1, 0, code);
    scan.hide("code mac", &mac);
    scan.print(&Held { code_mac: mac, scan: slots[0].scan });
    scan.print(&AtServer {
        delivery: scene.delivery,
        generation: 1,
        slots: vec![(0, mac)],
        code: code.clone(),
        pepper: pepper.clone(),
    });
    scan.print(&Presented::Typed(code.clone()));
    scan.print(&ScanText::parse(&scene.scan_text(0)).unwrap());
    scan.print(&Presented::Scanned(scene.made.holders[0].scan.clone()));

    for presentation in [scene.typed(&text(code)), Presentation::Scanned(scene.scan_text(1))] {
        let device = scene.phone.device();
        let (record, attempt) = presentation.attempt(&device, NOON).unwrap();
        scan.print(&record);
        scan.print(&attempt);
        let receipt = scene.phone.journal.append(&record).unwrap();
        let counted = attempt.counted(receipt).unwrap();
        scan.print(&counted);
        let matched = counted.compare().unwrap();
        scan.print(&matched);
        let device = scene.phone.device();
        let claiming = device.claim(&matched, NOON, &mut rng(3)).unwrap().unwrap();
        scan.print(&claiming);
        let signature = scene.phone.key.sign(&claiming.to_be_signed());
        let (record, spending) = claiming.signed(&signature).unwrap();
        scan.print(&record);
        scan.print(&spending);
        scan.print(&device);
    }
    let typed = scene.code(0);
    scene.phone.type_in(scene.delivery, &typed, NOON).unwrap();
    scan.print(&scene.phone.device());
    scan.print(&scene.phone.device().upload(5));
    scan.print(&scene.phone.claims());
    assert!(scan.printed > 25);
}

#[test]
fn refusals_and_errors_say_nothing_of_what_was_presented() {
    let canary = "73551928";
    for (typed, shape) in [
        ("73551928x", Shape::DIGITS_8),
        ("735519281", Shape::DIGITS_8),
        ("73551928", Shape::DIGITS_10),
    ] {
        let error = Code::parse(typed, shape).unwrap_err();
        for text in [format!("{error:?}"), error.to_string()] {
            assert!(!text.contains(canary), "{text}");
        }
    }
    let error = ScanText::parse(&format!("HO1:dlv_1:1:0:{canary}")).unwrap_err();
    assert!(!format!("{error:?} {error}").contains(canary));
    assert_eq!(Invalid::Seal.to_string(), "not sealed to this key, or changed on the way");
}
