//! How a lock and a phone speak (`docs/dp1.md`, section 12), over NFC and over BLE: both ends, without a heap and
//! without IO, so that a phone, a virtual lock and firmware say the same.
//!
//! The phone asks ([`message::Request`]) and the lock answers ([`message::Reply`]). [`nfc`] carries that in the
//! commands of a card, which the lock plays; [`ble`] in fragments. What becomes of a presentation is
//! [`answer::Answer`], and [`nonces`] are the challenges that are out.
//!
//! A lock turns what arrives into a request, does it, and turns the reply into what it sends:
//!
//! ```
//! # use doorstep::pass::exchange::message::{Request, Reply, Status};
//! # use doorstep::pass::exchange::nfc::{self, Card};
//! let mut card = Card::default();
//! let select = nfc::command(&Request::Greet).next().ok_or("one command")?;
//! let reply = match card.take(select.as_ref()) {
//!     Ok(Some(Request::Greet)) => Reply::plain(Status::Failed), // or a greeting
//!     Ok(Some(_)) => return Err("not asked for".into()),
//!     Ok(None) => Reply::plain(Status::Done), // the rest of a chain is to come
//!     Err(status) => Reply::plain(status),
//! };
//! assert_eq!(card.response(&reply).as_ref(), [0x6F, 0x00]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod answer;
pub mod ble;
pub mod greeting;
pub mod message;
pub mod nfc;
pub mod nonces;
