//! What a lock and a phone say to each other: the example of the specification byte for byte, every refusal of
//! a card and of fragments, and what nobody thought of.

use crate::support::*;
use doorstep::clock::{Belief, Event};
use doorstep::pass::claims::Pass;
use doorstep::pass::document::Content;
use doorstep::pass::exchange::answer::Answer;
use doorstep::pass::exchange::ble::{self, Assembler, FragmentSize, Peripheral, Replies};
use doorstep::pass::exchange::greeting::{Greeting, MAX_GREETING};
use doorstep::pass::exchange::message::{APPLICATION, PART, Reply, Request, Status};
use doorstep::pass::exchange::nfc::{self, Card};
use doorstep::pass::exchange::nonces::{Sent, TimeNonce};
use doorstep::pass::hint;
use doorstep::pass::presented::MAX_PRESENTED;
use doorstep::refusal::Refusal;
use proptest::prelude::*;

const SPECIFICATION: &str = include_str!("../../../../docs/dp1.md");

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the specification's example has these bytes, in lines of any length.
fn is_printed(bytes: impl AsRef<[u8]>) -> bool {
    let example: String = SPECIFICATION
        .split_once("### An example")
        .unwrap()
        .1
        .lines()
        .filter_map(|line| line.split("  #").next())
        .flat_map(str::split_whitespace)
        .collect();
    example.contains(&hex(bytes))
}

fn greeting() -> Greeting {
    Greeting {
        nonce: [0x11; 16],
        lock: name("lk-00042"),
        rotation: 2,
        bulletin: 300,
        journal: 4711,
        time_nonce: None,
    }
}

/// A pass of 43 bytes.
fn small_pass() -> Vec<u8> {
    mac(Content::Pass(Pass { audience: None, issued_at: None, ..booking() }), 0)
}

/// A lock that was greeted.
fn card() -> Card {
    let mut card = Card::default();
    let select = nfc::command(&Request::Greet).next().unwrap();
    assert_eq!(card.take(select.as_ref()), Ok(Some(Request::Greet)));
    card
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[test]
fn the_example_of_the_specification_is_what_is_sent() {
    let mut card = Card::default();
    let select: Vec<_> = nfc::command(&Request::Greet).collect();
    assert!(select.len() == 1 && is_printed(select[0]), "{}", hex(select[0]));
    assert_eq!(card.take(select[0].as_ref()), Ok(Some(Request::Greet)));
    let reply = card.response(&Reply::greeting(&greeting()));
    assert!(is_printed(reply), "{}", hex(reply));

    let pass = small_pass();
    assert_eq!(pass.len(), 43);
    let present: Vec<_> = nfc::command(&Request::Present(&pass)).collect();
    assert!(present.len() == 1 && is_printed(present[0]), "{}", hex(present[0]));
    assert_eq!(card.take(present[0].as_ref()), Ok(Some(Request::Present(&pass))));
    let answered = Reply::answered(Answer::Opened, &[0x22; 16]);
    assert!(is_printed(card.response(&answered)), "{}", hex(card.response(&answered)));

    let read: Vec<_> = nfc::command(&Request::ReadJournal { offset: 240 }).collect();
    assert!(read.len() == 1 && is_printed(read[0]), "{}", hex(read[0]));
    assert_eq!(card.take(read[0].as_ref()), Ok(Some(Request::ReadJournal { offset: 240 })));

    let mut peripheral = Peripheral::default();
    for request in [Request::Greet, Request::Present(&pass)] {
        let message = ble::message(&request);
        let mut heard = None;
        for fragment in ble::fragments(message.as_ref(), FragmentSize::LEAST) {
            assert!(heard.is_none() && is_printed(fragment), "{}", hex(fragment));
            heard = peripheral.take(fragment.as_ref()).unwrap().map(|heard| heard == request);
        }
        assert_eq!(heard, Some(true));
    }
    let bytes = answered.to_bytes();
    assert!(ble::fragments(bytes.as_ref(), FragmentSize::LEAST).all(is_printed));
}

#[test]
fn the_tables_of_the_specification_are_the_codes() {
    for answer in Answer::ALL {
        let row = format!("| {} | `{}` |", answer.code(), answer.name());
        assert!(SPECIFICATION.contains(&row), "{row}");
        assert_eq!(Answer::from_code(answer.code()), Some(answer));
        assert_eq!(answer.hint().is_empty(), !answer.is_refusal());
    }
    assert_eq!(Answer::from_code(11), None);
    let mut known = 0;
    for word in 0..=u16::MAX {
        let Some(status) = Status::from_bytes(word.to_be_bytes()) else { continue };
        assert_eq!(status.to_bytes(), word.to_be_bytes());
        let short = matches!(status, Status::TooShort { .. });
        let row = if short { "| `6Cxx` |".to_owned() } else { format!("| `{word:04X}` |") };
        assert!(SPECIFICATION.contains(&row), "{row} {status}");
        known += u32::from(!short);
    }
    assert_eq!(known, 11);
    // What a lock says of a refusal has the refusal's name, unless no lock gives it.
    let at = at(NOW);
    for refusal in [
        Refusal::AlreadyUsed { at },
        Refusal::ClockUnset,
        Refusal::Expired { until: at },
        Refusal::LedgerFull,
        Refusal::NotYetValid { from: at },
        Refusal::Revoked,
        Refusal::Throttled { until: None },
        UNPROVEN,
        Refusal::WrongVerifier,
    ] {
        assert_eq!(Answer::of(&refusal).name(), refusal.code());
        assert!(!hint(&refusal).contains("PIN"));
    }
}

#[test]
fn a_card_refuses_what_is_no_command_of_it() {
    let aid = hex(APPLICATION);
    let select = format!("00a40400 09 {aid} 00");
    let refused = |command: &str, status| {
        let bytes = from_hex(command);
        let mut card = card();
        assert_eq!(card.take(&bytes), Err(status), "{command}");
        // Whatever it was, the card goes on.
        let after =
            Card::default().take(&from_hex(&select)).map(|heard| heard == Some(Request::Greet));
        assert_eq!(after, Ok(true));
    };
    for command in
        ["", "80", "802000", "80200000", "80200000 00", "80200000 02 01", "80200000 01 01 00 00"]
    {
        refused(command, Status::WrongLength);
    }
    // Extended lengths.
    refused("80200000 00 0001 01 0000", Status::WrongLength);
    for command in
        ["81200000 01 01 00", "c0200000 01 01 00", "08a40400", "84200000 01 01 00", "ff200000"]
    {
        refused(command, Status::UnknownClass);
    }
    for command in
        ["80210000 01 01 00", "00200000 01 01 00", "80a40400 00", "00b00000 00", "80000000"]
    {
        refused(command, Status::UnknownOperation);
    }
    for command in
        ["80200100 01 01 00", "80200001 01 01 00", "00a40000 00", "00a4040c 00", "80b00001 00"]
    {
        refused(command, Status::WrongParameters);
    }
    for name in ["", "f0646f6f727374", "f0646f6f727374657021", "a0000002480400"] {
        let length =
            if name.is_empty() { String::new() } else { format!("{:02x}", name.len() / 2) };
        refused(&format!("00a40400 {length} {name} 00"), Status::UnknownApplication);
    }
    for offset in ["", "03 000000", "05 0000000000"] {
        refused(&format!("80b00000 {offset} 00"), Status::WrongLength);
    }
    refused(&format!("10a40400 09 {aid}"), Status::NotChained);
    refused("90b00000 04 00000000", Status::NotChained);
    refused("90200000", Status::WrongLength);
    refused("90200000 01 01 00", Status::WrongLength);
    for room in ["", "01", "10"] {
        refused(&format!("80200000 01 01 {room}"), Status::TooShort { needed: 17 });
    }
    for room in ["11", "ff", "00"] {
        let command = from_hex(&format!("80200000 01 01 {room}"));
        assert_eq!(card().take(&command), Ok(Some(Request::Present(&[1]))));
    }
}

#[test]
fn a_card_does_nothing_before_it_is_selected() {
    for command in ["80200000 01 01 00", "90200000 01 01", "80b00000 04 00000000 00"] {
        let mut fresh = Card::default();
        assert_eq!(fresh.take(&from_hex(command)), Err(Status::WrongOrder), "{command}");
        let mut left = card();
        let other = left.take(&from_hex("00a40400 01 a0 00")).map(|_| ());
        assert_eq!(other, Err(Status::UnknownApplication));
        assert_eq!(left.take(&from_hex(command)), Err(Status::WrongOrder), "{command}");
        assert!(card().take(&from_hex(command)).is_ok());
    }
}

#[test]
fn a_response_is_as_long_as_its_command_allows() {
    let sealed: Vec<u8> = (0..=255).cycle().take(PART * 2).collect();
    for (room, short) in [("", true), ("01", true), ("ef", true), ("f0", false), ("00", false)] {
        let mut card = card();
        assert!(card.take(&from_hex(&format!("80b00000 04 00000000 {room}"))).is_ok());
        let response = card.response(&Reply::journal(&sealed, 0));
        let expected =
            if short { vec![0x6C, 240] } else { [&sealed[..PART], &[0x90, 0x00]].concat() };
        assert_eq!(response.as_ref(), expected);
    }
    let lengths = [0, 1, 239, 240, 241, 479, 480, 481, u32::MAX]
        .map(|offset| Reply::journal(&sealed, offset).data().len());
    assert_eq!(lengths, [240, 240, 240, 240, 239, 1, 0, 0, 0]);
}

#[test]
fn a_presentation_in_parts_is_one_or_nothing() {
    let long: Vec<u8> = (0..=255).cycle().take(MAX_PRESENTED).collect();
    let parts: Vec<_> = nfc::command(&Request::Present(&long)).collect();
    assert_eq!(parts.len(), 2);
    let mut whole = card();
    assert_eq!(whole.take(parts[0].as_ref()), Ok(None));
    assert_eq!(whole.response(&Reply::plain(Status::Done)).as_ref(), [0x90, 0x00]);
    assert_eq!(whole.take(parts[1].as_ref()), Ok(Some(Request::Present(&long))));
    // What comes next begins anew.
    let next = nfc::command(&Request::Present(&[7])).next().unwrap();
    assert_eq!(whole.take(next.as_ref()), Ok(Some(Request::Present(&[7]))));

    for (between, status) in [
        ("00a40400 01 01 00", Status::Unfinished),
        ("80b00000 04 00000000 00", Status::Unfinished),
        ("80210000 00", Status::UnknownOperation),
        ("80200000", Status::TooShort { needed: 17 }),
        ("", Status::WrongLength),
    ] {
        let mut broken = card();
        assert_eq!(broken.take(parts[0].as_ref()), Ok(None));
        assert_eq!(broken.take(&from_hex(between)), Err(status), "{between}");
        // The first part is forgotten.
        let rest = broken.take(parts[1].as_ref()).unwrap();
        assert_eq!(rest, Some(Request::Present(&long[255..])), "{between}");
    }
    let mut endless = card();
    assert_eq!(endless.take(parts[0].as_ref()), Ok(None));
    assert_eq!(endless.take(parts[0].as_ref()), Err(Status::WrongLength));
    // A proof of a P-256 holder is one command each way.
    let proven = phone().prove(
        &issuer().pass(Pass { holder: Some(phone().holder()), ..booking() }),
        "lk-00042",
        &[1; 16],
    );
    assert_eq!(nfc::command(&Request::Present(&proven)).count(), 1);
}

#[test]
fn fragments_that_do_not_fit_together_are_told_once_and_passed_over() {
    let message: Vec<u8> = (0..100).collect();
    let parts: Vec<_> = ble::fragments(&message, FragmentSize::LEAST).collect();
    let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
    assert_eq!(parts.len(), 6);
    let mut lost = Assembler::<100>::default();
    let told: Vec<_> = [0, 1, 3, 4, 5, 0, 1, 2, 3, 4, 5]
        .iter()
        .map(|part| lost.take(parts[*part]).map(|message| message.map(<[u8]>::len)))
        .collect();
    let (more, end) = (Ok(None), Ok(Some(100)));
    assert_eq!(told[..5], [more, more, Err(Status::WrongParts), more, more]);
    assert_eq!(told[5..], [more, more, more, more, more, end]);
    for (before, fragment, status) in [
        (0, parts[2], Status::WrongParts),
        (1, parts[2], Status::WrongParts),
        (2, parts[1], Status::WrongParts),
        (6, parts[5], Status::WrongParts),
        (0, &[], Status::WrongParts),
        (0, &[0x00], Status::WrongParts),
        (0, &[0x80], Status::WrongParts),
        (1, &[0x81], Status::WrongParts),
        (0, &[0x00; 245], Status::WrongLength),
        (0, &[0x00; 102], Status::WrongLength),
        (1, &[0x01; 83], Status::WrongLength),
    ] {
        let mut assembler = Assembler::<100>::default();
        for part in &parts[..before] {
            assert!(assembler.take(part).is_ok());
        }
        assert_eq!(assembler.take(fragment), Err(status), "{before} {fragment:?}");
        let again: Vec<_> =
            parts.iter().map(|part| assembler.take(part).unwrap().is_some()).collect();
        assert_eq!(again, [false, false, false, false, false, true]);
    }
    // There are 128 numbers.
    let mut endless = Assembler::<300>::default();
    for number in 0..=126 {
        assert_eq!(endless.take(&[number, 1]), Ok(None));
    }
    assert_eq!(endless.take(&[127, 1]), Err(Status::WrongLength));
    for size in [0, 19, 245, 255] {
        assert_eq!(FragmentSize::new(size), None);
    }
}

#[test]
fn a_peripheral_refuses_what_is_no_request() {
    let mut peripheral = Peripheral::default();
    let mut take = |message: &[u8]| {
        let fragment = [&[0x80], message].concat();
        peripheral.take(&fragment).map(|request| format!("{:?}", request.unwrap()))
    };
    assert_eq!(take(&[0x20, 1]), Err(Status::WrongOrder));
    assert_eq!(take(&[0xB0, 0, 0, 0, 0]), Err(Status::WrongOrder));
    assert_eq!(take(&[0xA4]), Err(Status::UnknownApplication));
    assert_eq!(take(&[&[0xA4][..], &APPLICATION].concat()), Ok("Greet".to_owned()));
    assert_eq!(take(&[0x20]), Err(Status::WrongLength));
    assert_eq!(take(&[0x20, 1]), Ok("Present(1 bytes)".to_owned()), "not its bytes");
    assert_eq!(take(&[0xB0, 0, 0, 1, 0]), Ok("ReadJournal(256)".to_owned()));
    assert_eq!(take(&[0xB0, 0, 0, 0]), Err(Status::WrongLength));
    assert_eq!(take(&[0x21, 1]), Err(Status::UnknownOperation));
    assert_eq!(take(&[0xA4, 1]), Err(Status::UnknownApplication));
    assert_eq!(take(&[0x20, 1]), Err(Status::WrongOrder), "it left");
}

#[test]
fn a_greeting_has_one_encoding() {
    let longest = Greeting {
        lock: name("abcdefghijklmnop"),
        rotation: u32::MAX,
        bulletin: u32::MAX,
        journal: u64::MAX,
        time_nonce: Some([0x33; 16]),
        ..greeting()
    };
    assert_eq!(longest.to_bytes().as_ref().len(), MAX_GREETING);
    for greeting in [greeting(), longest] {
        let bytes = greeting.to_bytes();
        let bytes = bytes.as_ref();
        assert_eq!(Greeting::parse(bytes), Ok(greeting));
        for end in 0..bytes.len() {
            assert!(Greeting::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(Greeting::parse(&[bytes, &[0]].concat()).is_err());
        // Longer numbers, an endless array, a name that is none.
        let with = |from: &[u8], to: &[u8]| {
            let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
            Greeting::parse(&[&bytes[..at], to, &bytes[at + from.len()..]].concat())
        };
        assert!(with(&[0x86], &[0x9F]).is_err());
        assert!(with(&[0x86], &[0x85]).is_err());
        assert!(with(&[0x50], &[0x58, 16]).is_err());
        if greeting.time_nonce.is_none() {
            assert!(with(&[0x02], &[0x18, 0x02]).is_err());
            assert!(with(b"lk", b"LK").is_err());
            assert!(with(&[0xF6], &[0xF7]).is_err());
        }
    }
}

#[test]
fn replies_are_read_back_and_nothing_else_is() {
    let answered = Reply::answered(Answer::Revoked, &[5; 16]);
    let read = Reply::parse(answered.to_bytes().as_ref()).unwrap();
    assert_eq!((read, read.as_answer()), (answered, Ok((Answer::Revoked, [5; 16]))));
    for wrong in [&[][..], &[0x90], &[0x91, 0x00], &[0x61, 0x10], &[0x90; 243]] {
        assert!(Reply::parse(wrong).is_err(), "{wrong:?}");
    }
    for wrong in [&[][..], &[0], &[11; 17], &[0; 16], &[0; 18]] {
        let reply = Reply::parse(&[wrong, &[0x90, 0x00]].concat()).unwrap();
        assert!(reply.as_answer().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_nonce_grows_old_with_the_counter_and_is_void_when_it_went_back() {
    let aged = |counter| Sent::new(challenge(7), 100).aged(counter).map(|sent| sent.age());
    assert_eq!(aged(100), Some(0));
    assert_eq!(aged(131), Some(31));
    assert_eq!(aged(99), None);
    assert_eq!(aged(u64::MAX), Some(u32::MAX));
}

#[test]
fn a_time_nonce_is_out_while_the_time_is_wanted() {
    let sure = Belief::new(CLOCK, at(NOW));
    let lost = sure.then(&Event::PowerLost);
    let mut nonce = TimeNonce::NONE;
    let mut greet = |belief: &Belief, counter, byte| {
        let sent = nonce.greet(belief, counter, || challenge(byte)).map(|nonce| nonce[0]);
        let out = nonce.challenge(counter).map(|sent| (sent.nonce()[0], sent.age()));
        assert_eq!(sent, out.map(|(nonce, _)| nonce));
        out
    };
    assert_eq!(greet(&sure, 0, 1), None);
    assert_eq!(greet(&lost, 10, 2), Some((2, 0)));
    assert_eq!(greet(&lost, 609, 3), Some((2, 599)), "the same for ten minutes");
    assert_eq!(greet(&lost, 610, 4), Some((4, 0)));
    assert_eq!(greet(&lost, 600, 5), Some((5, 0)), "the counter began anew");
    assert_eq!(greet(&sure, 601, 6), None);
    assert_eq!(greet(&lost, 602, 7), Some((7, 0)), "it was forgotten");
    // A year without a guest leaves the clock set, and unsure by more than a quarter of an hour.
    let unsure = sure.then(&Event::Elapsed { seconds: 365 * DAY });
    let now = unsure.now().unwrap();
    assert!(now.latest.since(now.earliest) > 900);
    assert_eq!(greet(&unsure, 603, 8), Some((7, 1)));
    nonce.forget();
    assert!(nonce.challenge(604).is_none());
}

fn sizes() -> impl Strategy<Value = FragmentSize> {
    (20..=244_u8).prop_map(|size| FragmentSize::new(size).unwrap())
}

proptest! {
    #[test]
    fn whatever_is_said_arrives(
        body in prop::collection::vec(any::<u8>(), 1..=MAX_PRESENTED), offset: u32, size in sizes(), other in sizes()
    ) {
        let (mut card, mut peripheral) = (card(), Peripheral::default());
        for request in [Request::Greet, Request::Present(&body), Request::ReadJournal { offset }] {
            let commands: Vec<_> = nfc::command(&request).collect();
            let (last, parts) = commands.split_last().unwrap();
            for part in parts {
                prop_assert_eq!(card.take(part.as_ref()), Ok(None));
            }
            prop_assert_eq!(card.take(last.as_ref()), Ok(Some(request)));
            let mut fragments: Vec<_> = ble::fragments(ble::message(&request).as_ref(), size).collect();
            let last = fragments.pop().unwrap();
            for part in fragments {
                prop_assert_eq!(peripheral.take(part.as_ref()), Ok(None));
            }
            prop_assert_eq!(peripheral.take(last.as_ref()), Ok(Some(request)));
        }
        let reply = Reply::journal(&body, offset % 500);
        let mut replies = Replies::default();
        let mut arrived = None;
        for fragment in ble::fragments(reply.to_bytes().as_ref(), other) {
            prop_assert!(fragment.as_ref().len() <= usize::from(other.get()) && arrived.is_none());
            arrived = replies.take(fragment.as_ref()).unwrap().map(|bytes| Reply::parse(bytes).unwrap());
        }
        prop_assert_eq!(arrived, Some(reply));
    }

    #[test]
    fn whatever_arrives_is_answered(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..260), 1..8)) {
        let (mut card, mut peripheral) = (card(), Peripheral::default());
        for packet in packets {
            let status = card.take(&packet).err().unwrap_or(Status::Done);
            prop_assert!(card.response(&Reply::plain(status)).as_ref().len() == 2);
            let _ = peripheral.take(&packet);
            let _ = Greeting::parse(&packet);
            let _ = Reply::parse(&packet).map(|reply| reply.as_answer());
        }
    }
}
