//! CSV of spreadsheets: rows that are read name their faults by line; in what is written no cell is a formula,
//! for names and notes are other people's words, and a spreadsheet would carry out what begins like one.

use crate::error::CliError;
use std::borrow::Cow;

/// The rows below the header, each with the line on which it begins. What cannot be read is left out
/// and becomes a fault, and so does a file without rows.
pub(crate) fn rows(
    reader: &mut csv::Reader<&[u8]>,
    faults: &mut Vec<String>,
) -> Vec<(u64, csv::StringRecord)> {
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => rows.push((record.position().map_or(0, csv::Position::line), record)),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let what = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("{len} columns where the first row has {expected_len}")
                    }
                    _ => "not readable as CSV".to_owned(),
                };
                faults.push(format!("line {line}: {what}"));
            }
        }
    }
    if rows.is_empty() && faults.is_empty() {
        faults.push("line 2: there are no rows".to_owned());
    }
    rows
}

/// Writes rows; the first names the columns.
pub(crate) fn csv(rows: &[Vec<String>]) -> Result<String, CliError> {
    let failed = |what: &dyn std::fmt::Display| CliError::new(format!("cannot write CSV: {what}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        let cells = row.iter().map(|cell| harmless(cell));
        writer.write_record(cells.map(|cell| cell.into_owned())).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// The cell as a spreadsheet shows it and does nothing with it. Numbers with a sign, such as those of
/// phones, are no danger and stay as they are.
fn harmless(cell: &str) -> Cow<'_, str> {
    let plain = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    let number = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    // Full-width forms are read like the others by some.
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if formula && !number { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_wrote_is_carried_out() {
        for cell in [
            "=1+1",
            "=HYPERLINK(\"http://evil.example\")",
            "+cmd|' /C calc'!A0",
            "-2+3+cmd",
            "@SUM(1)",
            "\t=1",
            "\r=1",
            "＝1",
            "+",
            "-",
            "+34 612=1",
        ] {
            assert_eq!(harmless(cell), format!("'{cell}"), "{cell:?}");
        }
        for cell in ["", "Zoë", "+34612345678", "-5", "1 High St", "a=b", "'x"] {
            assert_eq!(harmless(cell), cell);
        }
    }

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let rows = [vec!["a,b".to_owned(), "say \"hi\"\nthen go".to_owned(), "=x".to_owned()]];
        assert_eq!(csv(&rows).unwrap(), "\"a,b\",\"say \"\"hi\"\"\nthen go\",'=x\n");
    }
}
