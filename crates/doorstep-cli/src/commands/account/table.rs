//! Tokens in CSV: every fault named by line and column, and no secret repeated.

use super::import::Row;
use crate::spreadsheet;
use zeroize::Zeroizing;

const COLUMNS: [&str; 10] = [
    "serial",
    "account",
    "secret",
    "encoding",
    "kind",
    "digits",
    "period",
    "window",
    "counter",
    "algorithm",
];

/// Reads the rows, or says all that is wrong with them.
pub(super) fn read(text: &str) -> Result<Vec<Row>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| vec![format!("line 1: {error}")])?.clone();
    let mut faults = check_header(&header);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut rows = Vec::new();
    for (line, record) in spreadsheet::rows(&mut reader, &mut faults) {
        let cell = |name: &str| {
            let index = header.iter().position(|column| column == name)?;
            record.get(index).map(str::trim).filter(|cell| !cell.is_empty())
        };
        let mut number = |name: &str| {
            let parsed = cell(name).map(|cell| {
                let plain = cell.bytes().all(|byte| byte.is_ascii_digit());
                plain.then(|| cell.parse().ok()).flatten()
            });
            if parsed == Some(None) {
                faults.push(format!("line {line}, column {name}: is not a plain number"));
            }
            parsed.flatten()
        };
        let (digits, period, counter) = (number("digits"), number("period"), number("counter"));
        let Some(secret) = cell("secret") else {
            faults.push(format!("line {line}, column secret: is empty"));
            continue;
        };
        let Some(account) = cell("account").or_else(|| cell("serial")) else {
            faults.push(format!("line {line}: has neither an account nor a serial"));
            continue;
        };
        let usual = if counter.is_some() { "hotp" } else { "totp" };
        let kind = cell("kind").unwrap_or(usual);
        rows.push(Row {
            place: format!("line {line}"),
            account: account.to_owned(),
            label: cell("serial").unwrap_or_default().to_owned(),
            kind: kind.to_ascii_lowercase(),
            secret: Zeroizing::new(secret.to_owned()),
            encoding: cell("encoding").unwrap_or("base32").to_ascii_lowercase(),
            algorithm: cell("algorithm").map(str::to_owned),
            digits,
            period,
            window: cell("window").map(str::to_owned),
            counter,
            suite: None,
        });
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn check_header(header: &csv::StringRecord) -> Vec<String> {
    let known = COLUMNS.join(", ");
    let mut faults: Vec<String> = header
        .iter()
        .filter(|name| !COLUMNS.contains(name))
        // A file without a first row of names has a secret there.
        .map(|_| format!("line 1: a column that is not one of {known}"))
        .collect();
    if !header.iter().any(|column| column == "secret") {
        faults.push("line 1: there is no column \"secret\"".to_owned());
    }
    for name in COLUMNS {
        if header.iter().filter(|column| *column == name).count() > 1 {
            faults.push(format!("line 1: the column \"{name}\" appears twice"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_by_their_names() {
        let rows = read(
            "serial,secret,kind,counter,account,encoding\n\
             T-1,JBSW Y3DP EHPK 3PXP,,,ana,\n\
             T-2,00112233445566778899,HOTP,7,,hex\n",
        )
        .unwrap();
        assert_eq!((rows[0].account.as_str(), rows[0].kind.as_str()), ("ana", "totp"));
        assert_eq!((rows[1].account.as_str(), rows[1].kind.as_str()), ("T-2", "hotp"));
        assert_eq!((rows[1].counter, rows[1].encoding.as_str()), (Some(7), "hex"));
        assert_eq!(rows[1].place, "line 3");
    }

    #[test]
    fn every_fault_is_named_and_no_secret_repeated() {
        let faults =
            read("serial,secret,digits\nT-1,,6\nT-2,AAAABBBB,six\n,AAAABBBB,6\n").unwrap_err();
        assert_eq!(
            faults,
            [
                "line 2, column secret: is empty",
                "line 3, column digits: is not a plain number",
                "line 4: has neither an account nor a serial",
            ]
        );
        for text in [
            "",
            "\n",
            "serial\nT-1\n",
            "AAAABBBB\n",
            "secret,secret\nA,B\n",
            "secret,serial\nAAAABBBB\n",
            "secret,serial\n",
        ] {
            let faults = read(text).unwrap_err().join("; ");
            assert!(
                faults.starts_with("line ") && !faults.contains("AAAABBBB"),
                "{text:?} {faults}"
            );
        }
    }
}
