//! NFC: the lock plays a card (ISO 7816-4), the phone reads it with short commands.

use super::super::presented::MAX_PRESENTED;
use super::message::{GREET, MAX_REPLY, PRESENT, READ_JOURNAL, Reply, Request, Status};
use crate::bytes::Short;

/// The most bytes of a short command.
pub const MAX_COMMAND: usize = 5 + MAX_DATA + 1;

/// The most bytes of data in it.
const MAX_DATA: usize = 255;

/// The bit of a class by which a command says that another part follows.
const CHAINED: u8 = 0x10;

/// A reply to [`Request::Present`] has so many bytes, whatever the answer.
const ANSWER: u8 = 17;

/// The class of an operation's commands: the first is everybody's, the others are ours.
const fn class(operation: u8) -> u8 {
    if operation == GREET { 0x00 } else { 0x80 }
}

/// Its parameters: GREET selects by name.
const fn parameters(operation: u8) -> [u8; 2] {
    if operation == GREET { [0x04, 0x00] } else { [0x00, 0x00] }
}

/// The lock's end: commands go in, requests come out.
#[derive(Debug)]
pub struct Card {
    body: Short<MAX_PRESENTED>,
    /// Parts of a presentation have come, and the last one has not.
    unfinished: bool,
    greeted: bool,
    /// How many bytes of data the last command allows for in its response.
    room: usize,
}

impl Default for Card {
    fn default() -> Self {
        Self { body: Short::EMPTY, unfinished: false, greeted: false, room: 0 }
    }
}

impl Card {
    /// Takes a command; `None` when it was one part and others follow, which is answered by
    /// [`Status::Done`].
    ///
    /// # Errors
    /// The status to answer with. Nothing was done then, and the parts of a presentation that came before are
    /// forgotten.
    pub fn take(&mut self, command: &[u8]) -> Result<Option<Request<'_>>, Status> {
        let began = core::mem::take(&mut self.unfinished);
        self.room = 0;
        let command = Command::parse(command)?;
        if !began {
            self.body = Short::EMPTY;
        } else if command.operation != PRESENT {
            return Err(Status::Unfinished);
        }
        if command.is_chained && command.operation != PRESENT {
            return Err(Status::NotChained);
        }
        if command.is_chained && (command.data.is_empty() || command.room.is_some()) {
            return Err(Status::WrongLength);
        }
        self.body.push(command.data).ok_or(Status::WrongLength)?;
        if command.is_chained {
            self.unfinished = self.greeted;
            return if self.greeted { Ok(None) } else { Err(Status::WrongOrder) };
        }
        self.room = command.room.unwrap_or(0);
        let request = Request::parse(command.operation, self.body.as_ref(), &mut self.greeted)?;
        // What is judged must also be told.
        if command.operation == PRESENT && self.room < usize::from(ANSWER) {
            return Err(Status::TooShort { needed: ANSWER });
        }
        Ok(Some(request))
    }

    /// The response to the command before, if it allows for the reply's length.
    #[must_use]
    pub fn response(&self, reply: &Reply) -> Short<MAX_REPLY> {
        let length = reply.data().len();
        if length <= self.room {
            return reply.to_bytes();
        }
        let needed = u8::try_from(length).unwrap_or(0);
        Reply::plain(Status::TooShort { needed }).to_bytes()
    }
}

/// A short command, taken apart.
struct Command<'a> {
    operation: u8,
    is_chained: bool,
    data: &'a [u8],
    /// How many bytes of data its response may have, if it says so.
    room: Option<usize>,
}

impl<'a> Command<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Status> {
        let ([class_and_chain, operation, first, second], rest) =
            bytes.split_first_chunk().ok_or(Status::WrongLength)?;
        let operation = *operation;
        let (is_chained, of) = (class_and_chain & CHAINED != 0, class_and_chain & !CHAINED);
        if !matches!(of, 0x00 | 0x80) {
            return Err(Status::UnknownClass);
        }
        if !matches!(operation, GREET | PRESENT | READ_JOURNAL) || class(operation) != of {
            return Err(Status::UnknownOperation);
        }
        if [*first, *second] != parameters(operation) {
            return Err(Status::WrongParameters);
        }
        let (data, room) = match rest {
            [] => (rest, None),
            [room] => (Default::default(), Some(*room)),
            [length, rest @ ..] => {
                let split = rest.split_at_checked(usize::from(*length));
                match split.filter(|_| *length > 0).ok_or(Status::WrongLength)? {
                    (data, []) => (data, None),
                    (data, [room]) => (data, Some(*room)),
                    _ => return Err(Status::WrongLength),
                }
            }
        };
        let room = room.map(|room| if room == 0 { 256 } else { usize::from(room) });
        Ok(Self { operation, is_chained, data, room })
    }
}

/// The phone's end: the commands of a request, one after the other. Each but the last is answered by
/// [`Status::Done`] alone.
pub fn command(request: &Request<'_>) -> impl Iterator<Item = Short<MAX_COMMAND>> {
    let (operation, body) = request.parts();
    let parts = body.as_ref().len().div_ceil(MAX_DATA).max(1);
    (0..parts).map(move |part| {
        let from = part.saturating_mul(MAX_DATA);
        let rest = body.as_ref().get(from..).unwrap_or_default();
        let data = rest.get(..MAX_DATA).unwrap_or(rest);
        let is_last = part.saturating_add(1) == parts;
        let chain = if is_last { 0 } else { CHAINED };
        let [first, second] = parameters(operation);
        let mut command = Short::EMPTY;
        let length = u8::try_from(data.len()).unwrap_or(0);
        let header = [class(operation) | chain, operation, first, second, length];
        // The longest is measured by the room.
        let _ =
            command.push(if data.is_empty() { header.get(..4).unwrap_or(&[]) } else { &header });
        let _ = command.push(data);
        let _ = command.push(if is_last { &[0] } else { &[] });
        command
    })
}
