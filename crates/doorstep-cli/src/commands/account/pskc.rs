//! Tokens in PSKC (RFC 6030), the XML of hardware vendors: plain secrets only.

use super::import::Row;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep::otp::Algorithm;
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
        window: None,
        counter: if kind == "totp" { None } else { number(data, "Counter")? },
        suite,
    })
}

/// The hash of a TOTP or HOTP key, as `Suite` names it; SHA-1 when nothing does.
fn suite_hash(key: Node<'_, '_>) -> Result<Option<String>, String> {
    match suite(key) {
        None => Ok(None),
        Some(name) => match Algorithm::parse(&name) {
            Some(algorithm) => Ok(Some(algorithm.name().to_owned())),
            None => Err("the Suite is no HMAC with SHA1, SHA256 or SHA512".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6030, figure 3: a HOTP key in plain, with what goes along with it.
    const FIGURE_3: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer Version="1.0" Id="exampleID1" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
  <KeyPackage>
    <DeviceInfo>
      <Manufacturer>Manufacturer</Manufacturer>
      <SerialNo>987654321</SerialNo>
      <UserId>DC=example-bank,DC=net</UserId>
    </DeviceInfo>
    <CryptoModuleInfo><Id>CM_ID_001</Id></CryptoModuleInfo>
    <Key Id="12345678" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
      <Issuer>Issuer</Issuer>
      <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
      <Data>
        <Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>
        <Counter><PlainValue>0</PlainValue></Counter>
      </Data>
      <UserId>UID=jsmith,DC=example-bank,DC=net</UserId>
    </Key>
  </KeyPackage>
</KeyContainer>"#;

    /// Figure 6 begins so: the values are encrypted under a key that both sides have.
    const FIGURE_6: &str = r#"<KeyContainer Version="1.0"
  xmlns="urn:ietf:params:xml:ns:keyprov:pskc" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"
  xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">
  <EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>
  <MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"/>
  <KeyPackage><Key Id="12345678" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><Data><Secret>
    <EncryptedValue><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
    </EncryptedValue></Secret></Data></Key></KeyPackage>
</KeyContainer>"#;

    /// As pskctool and vendors write TOTP: with a prefix, a hash and a period.
    fn totp(key: &str) -> String {
        format!(
            r#"<pskc:KeyContainer Version="1.0" xmlns:pskc="urn:ietf:params:xml:ns:keyprov:pskc">
<pskc:KeyPackage><pskc:DeviceInfo><pskc:SerialNo>2600000000001</pskc:SerialNo></pskc:DeviceInfo>
{key}</pskc:KeyPackage></pskc:KeyContainer>"#
        )
    }

    const TOTP_KEY: &str = r#"<pskc:Key Id="2600000000001" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp">
<pskc:AlgorithmParameters><pskc:Suite>HMAC-SHA256</pskc:Suite><pskc:ResponseFormat Length="6" Encoding="DECIMAL"/></pskc:AlgorithmParameters>
<pskc:Data><pskc:Secret><pskc:PlainValue>MTIzNDU2Nzg5MDEy
MzQ1Njc4OTA=</pskc:PlainValue></pskc:Secret><pskc:Time><pskc:PlainValue>0</pskc:PlainValue></pskc:Time>
<pskc:TimeInterval><pskc:PlainValue>60</pskc:PlainValue></pskc:TimeInterval></pskc:Data></pskc:Key>"#;

    #[test]
    fn the_figure_of_the_rfc_is_read() {
        let rows = read(FIGURE_3).unwrap();
        let [row] = rows.as_slice() else { panic!("one key") };
        assert_eq!((row.account.as_str(), row.label.as_str()), ("jsmith", "987654321"));
        assert_eq!((row.kind.as_str(), row.digits, row.counter), ("hotp", Some(8), Some(0)));
        assert_eq!(row.secret.as_str(), "3132333435363738393031323334353637383930");
        assert_eq!(row.place, "line 3");
    }

    #[test]
    fn a_clock_has_its_hash_and_its_period() {
        let rows = read(&totp(TOTP_KEY)).unwrap();
        let [row] = rows.as_slice() else { panic!("one key") };
        assert_eq!((row.account.as_str(), row.period), ("2600000000001", Some(60)));
        assert_eq!((row.algorithm.as_deref(), row.counter), (Some("SHA256"), None));
    }

    #[test]
    fn encrypted_secrets_are_refused_by_name() {
        assert!(read(FIGURE_6).unwrap_err()[0].contains("encrypted"));
        let only_the_value = FIGURE_6.replace("EncryptionKey", "X").replace("MACMethod", "Y");
        assert!(read(&only_the_value).unwrap_err()[0].contains("encrypted"));
    }

    #[test]
    fn entity_bombs_and_other_documents_are_refused() {
        let bomb =
            "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><x>&b;</x>";
        let deep = "<a>".repeat(100_000);
        let wide = format!("<x>{}</x>", "<a/>".repeat(600_000));
        for text in
            [bomb, &deep, &wide, "", "<", "<x/>", "<?xml version=\"1.0\"?>", "<KeyContainer/>"]
        {
            let faults = read(text).unwrap_err();
            assert_eq!(faults.len(), 1, "{}", text.chars().take(20).collect::<String>());
        }
        assert!(read(bomb).unwrap_err()[0].contains("document type"));
    }

    #[test]
    fn faults_are_named_by_line_and_no_secret_repeated() {
        for (from, to, fault) in [
            (":totp\"", ":pin\"", "neither TOTP"),
            ("PlainValue>MTI", "PlainValue>!MTI", "not base64"),
            ("HMAC-SHA256", "HMAC-MD5", "Suite"),
            ("DECIMAL", "HEXADECIMAL", "decimal"),
            ("Length=\"6\"", "Length=\"six\"", "no number"),
            (">60<", ">sixty<", "TimeInterval"),
            ("pskc:Secret", "pskc:Other", "Secret"),
        ] {
            let faults = read(&totp(&TOTP_KEY.replace(from, to))).unwrap_err();
            assert_eq!(faults.len(), 1, "{to}");
            assert!(faults[0].starts_with("line 2: ") && faults[0].contains(fault), "{faults:?}");
            assert!(!faults[0].contains("MTI"), "{faults:?}");
        }
    }
}
