//! Whatever is said to a lock, or to a phone: nothing panics, a lock answers each command, and what one end reads it
//! would send again.

#![no_main]

use doorstep::pass::exchange::ble::{self, FragmentSize, Peripheral, Replies};
use doorstep::pass::exchange::greeting::Greeting;
use doorstep::pass::exchange::message::{PART, Reply, Request, Status};
use doorstep::pass::exchange::nfc::{self, Card};

/// What a lock replies, whatever is asked.
fn reply(heard: Result<Option<Request<'_>>, Status>) -> Reply {
    match heard {
        Ok(Some(Request::ReadJournal { offset })) => Reply::journal(&[7; 500], offset),
        Ok(Some(request)) => {
            read_again(&request);
            Reply::plain(Status::Done)
        }
        Ok(None) => Reply::plain(Status::Done),
        Err(status) => Reply::plain(status),
    }
}

/// What was heard arrives the same when it is sent again.
fn read_again(request: &Request<'_>) {
    let select = nfc::command(&Request::Greet).next().expect("one command");
    let mut card = Card::default();
    assert!(card.take(select.as_ref()).is_ok());
    let heard = nfc::command(request).fold(false, |_, command| {
        card.take(command.as_ref())
            .expect("it was heard before")
            .is_some_and(|heard| heard == *request)
    });
    assert!(heard);
}

// A case is packets of an action, a length in 16 bits and so many bytes.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (mut card, mut peripheral, mut replies) =
        (Card::default(), Peripheral::default(), Replies::default());
    let mut rest = bytes;
    while let Some(([action, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (packet, after) = after.split_at(length);
        rest = after;
        match action % 3 {
            0 => {
                let reply = reply(card.take(packet));
                let response = card.response(&reply);
                assert!((2..=PART + 2).contains(&response.as_ref().len()));
                assert!(Reply::parse(response.as_ref()).is_ok());
            }
            1 => {
                let reply = reply(peripheral.take(packet));
                let size = FragmentSize::new(*low).unwrap_or(FragmentSize::LEAST);
                let mut arrived = None;
                let mut phone = Replies::default();
                for fragment in ble::fragments(reply.to_bytes().as_ref(), size) {
                    arrived = phone.take(fragment.as_ref()).expect("in order").map(Reply::parse);
                }
                assert_eq!(arrived, Some(Ok(reply)));
            }
            _ => {
                if let Ok(greeting) = Greeting::parse(packet) {
                    assert_eq!(greeting.to_bytes().as_ref(), packet);
                }
                if let Ok(Some(message)) = replies.take(packet)
                    && let Ok(reply) = Reply::parse(message)
                {
                    assert_eq!(reply.to_bytes().as_ref(), message);
                    let _ = reply.as_answer();
                }
            }
        }
    }
});
