//! What QR codes of authenticators hold: whatever is read and can be written reads back the same.

#![no_main]

use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::otpauth::Warning;
use doorstep::otp::text::{read_base32, read_hex};
use doorstep::otp::{migration, otpauth};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok((entry, _)) = otpauth::parse(text)
        && let Ok(written) = otpauth::write(&entry)
    {
        let (again, warnings) = otpauth::parse(&written).expect("what was written can be read");
        assert!(entry.is_same(&again));
        assert!(warnings.iter().all(|warning| *warning == Warning::WeakSecret));
    }
    if let Ok(payload) = migration::parse(text)
        && let Ok(codes) = migration::write(&payload.entries, 1)
    {
        let read = codes.iter().map(|code| migration::parse(code).expect("our own"));
        let read: Vec<_> = read.flat_map(|payload| payload.entries).collect();
        assert_eq!(read.len(), payload.entries.len());
        assert!(read.iter().zip(&payload.entries).all(|(one, other)| one.is_same(other)));
    }
    if let Ok(suite) = Suite::parse(text) {
        assert_eq!(suite.as_str(), text);
    }
    let _ = read_base32(text);
    let _ = read_hex(text);
});
