//! Messages that others printed (`vectors/rfc/cose.json`), through what signs and verifies passes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::document::{Check, Document, Header, Malformed, structure, whole};
use super::key::PassKey;
use crate::bytes::Short;
use crate::cose::keys::{IssuerPublicKey, PublicKey, Signer};
use hmac::{Hmac, KeyInit as _};
use minicbor::Decoder;
use serde_json::Value;
use std::string::ToString as _;
use std::vec::Vec;

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The protected header, the payload and the signature of any message, with or without a tag.
fn parts(document: &[u8]) -> [Vec<u8>; 3] {
    let mut d = Decoder::new(document);
    while d.tag().is_ok() {}
    // What did not read a tag has read nothing.
    let at = document.iter().position(|byte| *byte == 0x84).unwrap();
    d.set_position(at);
    assert_eq!(d.array().unwrap(), Some(4));
    let protected = d.bytes().unwrap().to_vec();
    d.skip().unwrap();
    [protected, d.bytes().unwrap().to_vec(), d.bytes().unwrap().to_vec()]
}

fn fits(case: &Value, message: &[u8], check: &[u8]) -> bool {
    let key = bytes(&case["key"]);
    let signer = match case["kind"].as_str().unwrap() {
        "Ed25519" => Signer::Ed25519(IssuerPublicKey::from_bytes(&key).unwrap()),
        "P-256" => Signer::P256(PublicKey::from_bytes(&key).unwrap()),
        "HMAC" => {
            // Of longer tags the part that passes have.
            let key = PassKey(Hmac::new_from_slice(&key).unwrap());
            return key.fits(&[message], check.first_chunk().unwrap());
        }
        _ => return false,
    };
    check.try_into().is_ok_and(|signature| signer.verify(&[message], signature).is_ok())
}

#[test]
fn messages_of_rfcs() {
    let document = include_str!("../../../../vectors/rfc/cose.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let (mut fitting, mut count) = (0, 0);
    for case in document["cases"].as_array().unwrap() {
        let (name, document) = (case["source"].as_str().unwrap(), bytes(&case["document"]));
        let [protected, payload, check] = parts(&document);
        let signed = ["Ed25519", "P-256"].iter().any(|kind| case["kind"] == *kind);
        let context = if signed { "Signature1" } else { "MAC0" };
        let external = bytes(&case["external"]);
        let message: Short<256> = structure(context, &protected, &external, &payload).unwrap();
        assert_eq!(message.as_ref(), bytes(&case["structure"]), "{name}");
        let verified = fits(case, message.as_ref(), &check);
        assert_eq!(verified, case["fits"].as_bool().unwrap(), "{name}");
        let refused = Document::parse(&document).unwrap_err();
        assert_eq!(refused.to_string(), case["malformed"].as_str().unwrap(), "{name}");
        // What they say is nothing that a pass says, whoever had signed it.
        let own = whole(&Header::Mac { epoch: 0 }, &payload, &Check::Mac(&[0; 8])).unwrap();
        let refused = Document::parse(own.as_ref()).unwrap_err();
        assert_eq!(refused, Malformed("claims"), "{name}");
        fitting += usize::from(verified);
        count += 1;
    }
    assert_eq!((fitting, count), (15, 25));
}
