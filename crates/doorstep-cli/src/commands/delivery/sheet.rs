//! Reads the spreadsheets of dispatchers: CSV with columns of any name, every fault told by line and column.

use crate::error::CliError;
use crate::spreadsheet;
use std::path::Path;

/// More faults than this help nobody.
const MAX_FAULTS: usize = 100;

/// How a file is laid out.
#[derive(Debug, clap::Args)]
pub(crate) struct Layout {
    /// Which column of the file is meant, where it has another name; others are then left out
    #[arg(long = "map", value_name = "NAME=COLUMN")]
    maps: Vec<String>,
    /// What stands between cells: one character, or "tab"
    #[arg(long, default_value = ",", value_name = "CHARACTER")]
    delimiter: String,
}

/// The columns that a command reads, and those of them that every row needs.
pub(super) struct Columns {
    pub(super) known: &'static [&'static str],
    pub(super) required: &'static [&'static str],
    /// What is not done if anything is wrong: `imported`.
    pub(super) done: &'static str,
}

/// What a file holds.
pub(super) struct Sheet {
    pub(super) rows: Vec<Row>,
    /// Columns that nothing was read from.
    pub(super) left_out: Vec<String>,
}

/// One row; cells that are empty are left out.
pub(super) struct Row {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    cells: Vec<(&'static str, String)>,
}

impl Row {
    pub(super) fn cell(&self, name: &str) -> Option<&str> {
        self.cells.iter().find(|(column, _)| *column == name).map(|(_, cell)| cell.as_str())
    }
}

impl Sheet {
    /// Reads a file.
    pub(super) fn read(file: &Path, columns: &Columns, layout: &Layout) -> Result<Self, CliError> {
        let bytes = std::fs::read(file).map_err(|error| CliError::io("read", file, &error))?;
        let text = decode(&bytes).map_err(|fault| columns.wrong(file, vec![fault]))?;
        let mut reader =
            csv::ReaderBuilder::new().delimiter(layout.delimiter()?).from_reader(text.as_bytes());
        let header = reader
            .headers()
            .map_err(|error| columns.wrong(file, vec![format!("line 1: {error}")]))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let places =
            layout.places(&header, columns)?.map_err(|faults| columns.wrong(file, faults))?;
        let left_out = header.iter().zip(&places).filter(|(_, place)| place.is_none());
        let left_out = left_out.map(|(name, _)| name.clone()).collect();
        let (mut rows, mut faults) = (Vec::new(), Vec::new());
        for (line, record) in spreadsheet::rows(&mut reader, &mut faults) {
            let cells = places.iter().zip(&record).filter_map(|(place, cell)| {
                let cell = cell.trim();
                place.filter(|_| !cell.is_empty()).map(|name| (name, cell.to_owned()))
            });
            let row = Row { line, cells: cells.collect() };
            for name in columns.required.iter().filter(|name| row.cell(name).is_none()) {
                faults.push(format!("line {line}, column {name}: is empty"));
            }
            rows.push(row);
        }
        if faults.is_empty() {
            Ok(Self { rows, left_out })
        } else {
            Err(columns.wrong(file, faults))
        }
    }
}

impl Columns {
    /// The error of a file with these faults.
    pub(super) fn wrong(&self, file: &Path, mut faults: Vec<String>) -> CliError {
        let mut message = self.not_done(file);
        if faults.len() > MAX_FAULTS {
            message.push_str(&format!(
                "; it has {} faults, of which these are the first",
                faults.len()
            ));
            faults.truncate(MAX_FAULTS);
        }
        CliError::new(message)
            .details(faults.into_iter().map(Into::into).collect())
            .hint("mend the file and try again; every row is taken, or none")
            .code("malformed_csv")
    }

    pub(super) fn not_done(&self, file: &Path) -> String {
        format!("{} was not {}; nothing was changed", file.display(), self.done)
    }
}

impl Layout {
    fn delimiter(&self) -> Result<u8, CliError> {
        match self.delimiter.as_bytes() {
            [one] if one.is_ascii() && !matches!(one, b'"' | b'\n' | b'\r') => Ok(*one),
            b"tab" | b"\\t" => Ok(b'\t'),
            _ => Err(CliError::usage(format!("\"{}\" cannot stand between cells", self.delimiter))
                .hint("use one character such as \";\", or tab")),
        }
    }

    /// What each column of the file is read as; the inner error is the file's fault, the outer one of
    /// what was typed.
    fn places(
        &self,
        header: &[String],
        columns: &Columns,
    ) -> Result<Result<Vec<Option<&'static str>>, Vec<String>>, CliError> {
        let known = columns.known.join(", ");
        let mut maps = Vec::new();
        for map in &self.maps {
            let (name, column) = map.split_once('=').unwrap_or((map, ""));
            let name = columns.known.iter().find(|known| **known == name.trim());
            let (Some(name), false) = (name, column.trim().is_empty()) else {
                return Err(CliError::usage(format!("--map \"{map}\" names no column"))
                    .hint(format!("write it as phone=\"Mobile No\"; there are {known}")));
            };
            maps.push((*name, column.trim()));
        }
        let mut faults = Vec::new();
        let places: Vec<Option<&'static str>> = header
            .iter()
            .map(|column| {
                let mapped = maps.iter().find(|(_, from)| from == column).map(|(name, _)| *name);
                let own = columns.known.iter().copied().find(|name| name == column);
                // A column that another one stands in for is left out.
                mapped.or_else(|| own.filter(|own| maps.iter().all(|(name, _)| name != own)))
            })
            .collect();
        for (_, column) in &maps {
            if !header.iter().any(|name| name == column) {
                faults.push(format!("line 1: there is no column \"{column}\" to map"));
            }
        }
        if maps.is_empty() {
            let unknown = header.iter().zip(&places).filter(|(_, place)| place.is_none());
            faults.extend(unknown.map(|(name, _)| {
                format!("line 1: unknown column {name:?}; known are {known}, or use --map")
            }));
        }
        for name in columns.known {
            let count = places.iter().filter(|place| **place == Some(*name)).count();
            if count > 1 {
                faults.push(format!("line 1: the column \"{name}\" appears twice"));
            }
            if count == 0 && columns.required.contains(name) {
                faults.push(format!("line 1: there is no column \"{name}\""));
            }
        }
        if let ([only], false) = (header, faults.is_empty())
            && let Some(found) = [';', '\t', '|'].into_iter().find(|c| only.contains(*c))
        {
            let name = if found == '\t' { "tab".to_owned() } else { format!("\"{found}\"") };
            faults.push(format!("line 1: cells look separated by {name}; try --delimiter {name}"));
        }
        Ok(if faults.is_empty() { Ok(places) } else { Err(faults) })
    }
}

/// The text of a file, without the mark in front that spreadsheets write.
fn decode(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err("line 1: is UTF-16; save the file as \"CSV UTF-8\"".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.iter().take(error.valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line}: not UTF-8; save the file as \"CSV UTF-8\"")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
