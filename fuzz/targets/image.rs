//! Images that are said to hold a QR code, and texts that are made into one.

#![no_main]

use doorstep_qr::{Qr, read};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes);
    if let Ok(qr) = Qr::of_bytes(bytes)
        && bytes.len() <= 200
        && !bytes.is_empty()
    {
        let found = read(&qr.png(2)).expect("our own code can be read");
        assert!(found.iter().any(|content| content.as_slice() == bytes));
    }
});
