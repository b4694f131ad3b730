//! Bytes as they stand in the sealed file: base64url.

use crate::text::{base64url, from_base64url};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes that nobody else is to read.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "Zeroizing<String>", into = "Zeroizing<String>")]
pub(crate) struct Bytes(pub(crate) Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Zeroizing<String> {
    fn from(bytes: Bytes) -> Self {
        Self::new(base64url(&bytes.0))
    }
}

impl TryFrom<Zeroizing<String>> for Bytes {
    type Error = &'static str;

    fn try_from(text: Zeroizing<String>) -> Result<Self, Self::Error> {
        from_base64url(&text).map(Self::from).map_err(|_| "not base64url")
    }
}
