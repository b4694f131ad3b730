//! What a phone may ask and what a lock replies, whatever carries it.

use super::super::document::Malformed;
use super::super::presented::MAX_PRESENTED;
use super::answer::Answer;
use super::greeting::Greeting;
use crate::bytes::Short;
use core::fmt;

/// The name of the application on a card (ISO 7816-4, an unregistered one): `F0` and "doorstep".
pub const APPLICATION: [u8; 9] = *b"\xF0doorstep";

/// How many bytes of a journal are told at once. A part that is shorter is the last.
pub const PART: usize = 240;

/// The most bytes of a reply, with its status.
pub const MAX_REPLY: usize = PART + 2;

/// The most bytes of a request, with its operation.
pub const MAX_REQUEST: usize = 1 + MAX_PRESENTED;

/// A request's first byte: the instruction of a card's command, or what a message begins with.
pub(super) const GREET: u8 = 0xA4;
pub(super) const PRESENT: u8 = 0x20;
pub(super) const READ_JOURNAL: u8 = 0xB0;

/// What a phone asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// To begin. The body is [`APPLICATION`].
    Greet,
    /// To judge a pass, a pass with its proof, or a rider.
    Present(&'a [u8]),
    /// For the sealed journal, from this byte on. From 0 on it is sealed anew, as it is then.
    ReadJournal {
        /// The first byte.
        offset: u32,
    },
}

impl fmt::Debug for Request<'_> {
    /// Without what is presented: a pass is as good as its bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greet => f.write_str("Greet"),
            Self::Present(bytes) => write!(f, "Present({} bytes)", bytes.len()),
            Self::ReadJournal { offset } => write!(f, "ReadJournal({offset})"),
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a request, its operation and its body, from a phone that has greeted the lock or not.
    ///
    /// # Errors
    /// What is wrong with it, as the lock replies then.
    pub(super) fn parse(operation: u8, body: &'a [u8], greeted: &mut bool) -> Result<Self, Status> {
        if operation == GREET {
            *greeted = body == APPLICATION;
        }
        match operation {
            PRESENT | READ_JOURNAL if !*greeted => Err(Status::WrongOrder),
            GREET if body == APPLICATION => Ok(Self::Greet),
            GREET => Err(Status::UnknownApplication),
            PRESENT if body.is_empty() => Err(Status::WrongLength),
            PRESENT => Ok(Self::Present(body)),
            READ_JOURNAL => {
                let offset = body.try_into().map_err(|_| Status::WrongLength)?;
                Ok(Self::ReadJournal { offset: u32::from_be_bytes(offset) })
            }
            _ => Err(Status::UnknownOperation),
        }
    }

    /// The operation and the body, as they are carried.
    pub(super) fn parts(&self) -> (u8, Short<MAX_PRESENTED>) {
        let mut body = Short::EMPTY;
        let (operation, pushed) = match self {
            Self::Greet => (GREET, body.push(&APPLICATION)),
            Self::Present(bytes) => (PRESENT, body.push(bytes)),
            Self::ReadJournal { offset } => (READ_JOURNAL, body.push(&offset.to_be_bytes())),
        };
        // What is too long for a presentation is none: it is sent without a body, and refused for that.
        let _ = pushed;
        (operation, body)
    }
}

/// How a request was carried out (status words of ISO 7816-4). A refusal is an answer and [`Status::Done`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was.
    Done,
    /// It is longer or shorter than it can be.
    WrongLength,
    /// Something else came before the last part of a request.
    Unfinished,
    /// A request of one part was sent in several.
    NotChained,
    /// The lock was not greeted, or the journal not read from its beginning.
    WrongOrder,
    /// The parts do not follow one another.
    WrongParts,
    /// There is no such application here.
    UnknownApplication,
    /// The parameters are no such.
    WrongParameters,
    /// The command allows for fewer bytes than the reply has; so many are needed.
    TooShort {
        /// Bytes.
        needed: u8,
    },
    /// There is no such operation.
    UnknownOperation,
    /// There is no such class of commands here.
    UnknownClass,
    /// The lock is out of order.
    Failed,
}

impl Status {
    /// The two bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Done => [0x90, 0x00],
            Self::WrongLength => [0x67, 0x00],
            Self::Unfinished => [0x68, 0x83],
            Self::NotChained => [0x68, 0x84],
            Self::WrongOrder => [0x69, 0x85],
            Self::WrongParts => [0x6A, 0x80],
            Self::UnknownApplication => [0x6A, 0x82],
            Self::WrongParameters => [0x6A, 0x86],
            Self::TooShort { needed } => [0x6C, needed],
            Self::UnknownOperation => [0x6D, 0x00],
            Self::UnknownClass => [0x6E, 0x00],
            Self::Failed => [0x6F, 0x00],
        }
    }

    /// Reads the two bytes; `None` for others.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        let [first, second] = bytes;
        let plain = [
            Self::Done,
            Self::WrongLength,
            Self::Unfinished,
            Self::NotChained,
            Self::WrongOrder,
            Self::WrongParts,
            Self::UnknownApplication,
            Self::WrongParameters,
            Self::UnknownOperation,
            Self::UnknownClass,
            Self::Failed,
        ];
        let short = (first == 0x6C).then_some(Self::TooShort { needed: second });
        plain.into_iter().find(|status| status.to_bytes() == bytes).or(short)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::WrongLength => "the request is too long or too short",
            Self::Unfinished => "the last part of a request is missing",
            Self::NotChained => "a request of one part came in several",
            Self::WrongOrder => "the lock was not greeted before",
            Self::WrongParts => "the parts do not follow one another",
            Self::UnknownApplication => "this is no lock that takes passes",
            Self::WrongParameters => "the parameters are wrong",
            Self::TooShort { .. } => "the reply is longer than the command allows",
            Self::UnknownOperation => "the lock knows no such operation",
            Self::UnknownClass => "the lock knows no such class of commands",
            Self::Failed => "the lock is out of order",
        })
    }
}

/// What a lock replies: data, and how it went.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    data: Short<PART>,
    status: Status,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?}, {:?})", self.data, self.status)
    }
}

impl Reply {
    /// To [`Request::Greet`].
    #[must_use]
    pub fn greeting(greeting: &Greeting) -> Self {
        Self::with(&[greeting.to_bytes().as_ref()])
    }

    /// To [`Request::Present`]: what became of it, and the nonce that the next proof has to answer.
    #[must_use]
    pub fn answered(answer: Answer, next: &[u8; 16]) -> Self {
        Self::with(&[&[answer.code()], next])
    }

    /// To [`Request::ReadJournal`]: the part of the sealed journal that begins there.
    #[must_use]
    pub fn journal(sealed: &[u8], offset: u32) -> Self {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = sealed.get(from..).unwrap_or_default();
        Self::with(&[rest.get(..PART).unwrap_or(rest)])
    }

    /// How it went and nothing else, to what could not be carried out.
    #[must_use]
    pub const fn plain(status: Status) -> Self {
        Self { data: Short::EMPTY, status }
    }

    fn with(parts: &[&[u8]]) -> Self {
        let mut data = Short::EMPTY;
        // The longest is a part of a journal, by which the room is measured.
        let _ = parts.iter().try_for_each(|part| data.push(part));
        Self { data, status: Status::Done }
    }

    /// How it went.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// What the lock says.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// The reply as it is sent: its data, then the two bytes of its status.
    #[must_use]
    pub fn to_bytes(&self) -> Short<MAX_REPLY> {
        let mut bytes = Short::EMPTY;
        let parts = [self.data(), &self.status.to_bytes()];
        let _ = parts.iter().try_for_each(|part| bytes.push(part));
        bytes
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// [`Malformed`] when it is too long or too short, or has no status.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (data, status) = bytes.split_last_chunk().ok_or(Malformed("reply"))?;
        let status = Status::from_bytes(*status).ok_or(Malformed("status"))?;
        let mut reply = Self::plain(status);
        reply.data.push(data).ok_or(Malformed("length"))?;
        Ok(reply)
    }

    /// Reads what became of a presentation, and the nonce that the next proof has to answer.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn as_answer(&self) -> Result<(Answer, [u8; 16]), Malformed> {
        let (code, next) = self.data().split_first().ok_or(Malformed("answer"))?;
        let answer = Answer::from_code(*code).ok_or(Malformed("answer"))?;
        Ok((answer, next.try_into().map_err(|_| Malformed("nonce"))?))
    }
}
