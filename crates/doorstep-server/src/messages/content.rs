//! What a message carries, as it is sealed while it waits.

use doorstep::handover::stop::ScanText;
use doorstep::handover::tag::ScanSecret;
use doorstep::id::DeliveryId;
use doorstep::secret::Secret;
use zeroize::Zeroizing;

/// A code and the secret of its link: 16 bytes of scanned secret, then the code in its groups.
pub(crate) struct Content {
    scan: ScanSecret,
    code: Zeroizing<String>,
}

impl Content {
    pub(crate) fn new(scan: ScanSecret, code: &doorstep::code::Code) -> Self {
        let mut text = Zeroizing::new(String::new());
        // Writing to a string cannot fail.
        let _ = code.write_grouped(&mut *text);
        Self { scan, code: text }
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.scan.expose().as_slice(), self.code.as_bytes()].concat())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (scan, code) = bytes.split_first_chunk::<16>()?;
        let code = Zeroizing::new(std::str::from_utf8(code).ok()?.to_owned());
        Some(Self { scan: ScanSecret::new(Secret::from_bytes(*scan)), code })
    }

    /// The code in its groups.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// The text of a link or QR code.
    pub(super) fn scan_text(
        &self,
        delivery: DeliveryId,
        generation: u32,
        slot: u8,
    ) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        let scan = ScanText { delivery, generation, slot, secret: self.scan.clone() };
        // Writing to a string cannot fail.
        let _ = scan.write(&mut *text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_content_is_none() {
        assert!(Content::from_bytes(&[0; 15]).is_none());
        assert!(Content::from_bytes(&[0xFF; 20]).is_none());
        assert!(Content::from_bytes(&[]).is_none());
    }
}
