//! The signatures of Wycheproof (C2SP), through the keys that passes are verified with.

use doorstep::cose::keys::{IssuerPublicKey, PublicKey, Signer};
use serde_json::Value;

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn check(document: &str, key: impl Fn(&[u8]) -> Option<Signer>, valid: usize, all: usize) {
    let document: Value = serde_json::from_str(document).unwrap();
    let (mut fits, mut count) = (0, 0);
    for group in document["groups"].as_array().unwrap() {
        let signer = key(&bytes(&group["key"]));
        for case in group["cases"].as_array().unwrap() {
            let signature = <[u8; 64]>::try_from(bytes(&case["signature"]));
            let verified = signer.zip(signature.ok()).is_some_and(|(signer, signature)| {
                signer.verify(&[&bytes(&case["message"])], &signature).is_ok()
            });
            assert_eq!(verified, case["valid"].as_bool().unwrap(), "{}", case["number"]);
            fits += usize::from(verified);
            count += 1;
        }
    }
    assert_eq!((fits, count), (valid, all));
}

#[test]
fn ed25519() {
    let key = |key: &[u8]| IssuerPublicKey::from_bytes(key).ok().map(Signer::Ed25519);
    check(include_str!("../../../../vectors/wycheproof/ed25519.json"), key, 88, 151);
}

#[test]
fn p256() {
    let key = |key: &[u8]| PublicKey::from_bytes(key).ok().map(Signer::P256);
    check(include_str!("../../../../vectors/wycheproof/p256.json"), key, 173, 262);
}
