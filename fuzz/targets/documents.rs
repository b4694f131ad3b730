//! What devices and issuers send each other, and what a device stores.

#![no_main]

use doorstep::cose::encrypt::Sealed;
use doorstep::cose::sign1::{Signed, key_id_of};
use doorstep::handover::device::Device;
use doorstep::handover::event::Event;
use doorstep::handover::stop::ScanText;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Event::decode(bytes);
    let _ = Sealed::parse(bytes);
    let _ = Signed::parse(bytes);
    let _ = key_id_of(bytes);
    let _ = Device::replay([bytes]);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(read) = ScanText::parse(text)
    {
        let mut written = String::new();
        read.write(&mut written).expect("a string takes everything");
        assert!(ScanText::parse(&written).is_ok());
    }
});
