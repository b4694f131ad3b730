//! Tokens in PSKC (RFC 6030), the XML of hardware vendors: plain secrets only.

use super::import::Row;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node, ParsingOptions};
use zeroize::Zeroizing;

const NAMESPACE: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
const ALGORITHMS: &str = "urn:ietf:params:xml:ns:keyprov:pskc:";

/// More elements than any file of 5,000 tokens has.
const MOST_NODES: u32 = 500_000;

/// Reads the keys, or says all that is wrong with them. Entities of a document's own are refused,
/// so that none can grow.
pub(super) fn read(text: &str) -> Result<Vec<Row>, Vec<String>> {
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..Default::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        vec![match error {
            roxmltree::Error::DtdDetected => {
                "a document type, with entities of its own, is not read".to_owned()
            }
            // The parser's own words quote the document, which holds secrets.
            error => format!("line {}: not well-formed XML", error.pos().row),
        }]
    })?;
    let root = document.root_element();
    if !is(root, "KeyContainer") {
        return Err(vec!["not PSKC: the document is no KeyContainer of RFC 6030".to_owned()]);
    }
    if descendant(root, "EncryptionKey").is_some() || descendant(root, "MACMethod").is_some() {
        return Err(vec![
            "this PSKC is encrypted, which is not read: ask for a plain one, or decrypt it with pskctool"
                .to_owned(),
        ]);
    }
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for package in root.children().filter(|node| is(*node, "KeyPackage")) {
        let place = format!("line {}", document.text_pos_at(package.range().start).row);
        match read_package(package) {
            Ok(row) => rows.push(Row { place, ..row }),
            Err(fault) => faults.push(format!("{place}: {fault}")),
        }
    }
    if rows.is_empty() && faults.is_empty() {
        faults.push("there is no KeyPackage".to_owned());
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn read_package(package: Node<'_, '_>) -> Result<Row, String> {
    let key = child(package, "Key").ok_or("there is no Key")?;
    let algorithm = key.attribute("Algorithm").unwrap_or_default();
    let (kind, suite) = match algorithm.strip_prefix(ALGORITHMS) {
        Some("totp") => ("totp", None),
        Some("hotp") => ("hotp", None),
        Some("ocra") => ("ocra", Some(suite(key).ok_or("there is no Suite for OCRA")?)),
        _ => return Err("the key is for neither TOTP, HOTP nor OCRA".to_owned()),
    };
    let serial = child(package, "DeviceInfo").and_then(|info| content(info, "SerialNo"));
    let label = serial.or_else(|| key.attribute("Id").map(str::to_owned)).unwrap_or_default();
    let user = content(key, "UserId")
        .or_else(|| child(package, "DeviceInfo").and_then(|info| content(info, "UserId")));
    let account = user.as_deref().map_or_else(|| label.clone(), common_name);
    if account.is_empty() {
        return Err("has neither a UserId, nor a serial number, nor an id".to_owned());
    }
    let data = child(key, "Data").ok_or("there is no Data")?;
    let secret = child(data, "Secret").ok_or("there is no Secret")?;
    if child(secret, "EncryptedValue").is_some() {
        return Err("the secret is encrypted, which is not read".to_owned());
    }
    let plain =
        Zeroizing::new(content(secret, "PlainValue").ok_or("the secret has no PlainValue")?);
    let packed: Zeroizing<String> =
        Zeroizing::new(plain.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let bytes = STANDARD.decode(packed.as_str()).map_err(|_| "the secret is not base64")?;
    let bytes = Zeroizing::new(bytes);
    let format = child(key, "AlgorithmParameters").and_then(|p| child(p, "ResponseFormat"));
    if format.is_some_and(|format| format.attribute("Encoding").is_some_and(|e| e != "DECIMAL")) {
        return Err("the response is not in decimal digits".to_owned());
    }
    // An OCRA suite says its digits itself.
    let digits = match format.and_then(|format| format.attribute("Length")) {
        Some(length) if kind != "ocra" => {
            Some(length.parse().map_err(|_| "the length of the response is no number")?)
        }
        _ => None,
    };
    Ok(Row {
        place: String::new(),
        account,
        label,
        kind: kind.to_owned(),
        secret: Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        encoding: "hex".to_owned(),
        algorithm: if kind == "ocra" { None } else { suite_hash(key)? },
        digits,
        period: if kind == "totp" { number(data, "TimeInterval")? } else { None },
        counter: if kind == "totp" { None } else { number(data, "Counter")? },
        suite,
    })
}

/// The hash of a TOTP or HOTP key, as `Suite` names it; SHA-1 when nothing does.
fn suite_hash(key: Node<'_, '_>) -> Result<Option<String>, String> {
    match suite(key) {
        None => Ok(None),
        Some(name) => match name.strip_prefix("HMAC-").unwrap_or(&name) {
            "SHA1" | "SHA256" | "SHA512" => Ok(Some(name)),
            _ => Err("the Suite is no HMAC with SHA1, SHA256 or SHA512".to_owned()),
        },
    }
}

fn suite(key: Node<'_, '_>) -> Option<String> {
    content(child(key, "AlgorithmParameters")?, "Suite")
}

/// `CN=ana, O=Example` is a user's name in X.500; others stand as they are.
fn common_name(user: &str) -> String {
    let parts = user.split(',').map(str::trim);
    let names =
        parts.filter_map(|part| part.strip_prefix("CN=").or_else(|| part.strip_prefix("UID=")));
    names.map(str::trim).next().unwrap_or(user).to_owned()
}

fn number(data: Node<'_, '_>, name: &str) -> Result<Option<u64>, String> {
    let Some(node) = child(data, name) else { return Ok(None) };
    if child(node, "EncryptedValue").is_some() {
        return Err(format!("{name} is encrypted, which is not read"));
    }
    let text = content(node, "PlainValue").ok_or_else(|| format!("{name} has no PlainValue"))?;
    text.parse().map(Some).map_err(|_| format!("{name} is no number"))
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((NAMESPACE, name))
}

fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    node.children().find(|child| is(*child, name))
}

fn descendant<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    node.descendants().find(|child| is(*child, name))
}

fn content(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = child(node, name)?.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
