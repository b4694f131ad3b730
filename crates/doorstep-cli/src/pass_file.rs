//! What is held to a lock, as people hand it around: an image of a QR code, bytes, or text.

use crate::error::CliError;
use crate::input::{is_image, read_codes, read_file};
use doorstep::pass::presented::MAX_PRESENTED;
use doorstep::pass::text;
use std::path::Path;
use zeroize::Zeroizing;

/// Reads what `source` names: the text `DP1:...` itself, a file (PNG, JPEG, bytes or text), or `-` for standard
/// input. Whether it is a pass, and whose, is for others to say.
pub(crate) fn read(source: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    if source.starts_with(text::PREFIX) {
        return of_text(source);
    }
    let content = read_file(Path::new(source))?;
    if is_image(&content) {
        return of_image(&content);
    }
    if content.starts_with(text::PREFIX.as_bytes()) {
        let line = str::from_utf8(&content).map_err(|_| not_one("it is no text"))?;
        // A space is a digit of base45, so only the end of the line is taken off.
        return of_text(line.trim_end_matches(['\r', '\n']));
    }
    if content.is_empty() || content.len() > MAX_PRESENTED {
        return Err(not_one(&format!("it has {} bytes", content.len())));
    }
    Ok(content)
}

fn of_text(line: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let bytes = text::read(line).map_err(|bad| not_one(&bad.to_string()))?;
    Ok(Zeroizing::new(bytes.as_ref().to_vec()))
}

fn of_image(image: &[u8]) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let codes = read_codes(image)?;
    let mut passes = codes.iter().filter(|code| code.starts_with(text::PREFIX.as_bytes()));
    match (passes.next(), passes.next()) {
        (Some(code), None) => of_text(str::from_utf8(code).map_err(|_| not_one("it is no text"))?),
        (None, _) => Err(not_one("no QR code in the image begins with DP1:")),
        (Some(_), Some(_)) => Err(CliError::new("the image shows several passes")
            .hint("cut it to the one that is meant")
            .code("not_a_pass")),
    }
}

/// What is read as a pass and is none. The text itself is never repeated.
pub(crate) fn not_one(why: &str) -> CliError {
    CliError::new(format!("this is no pass: {why}"))
        .hint("give an image of its QR code (PNG, JPEG), the file with its bytes, or the text that begins with DP1:")
        .code("not_a_pass")
}

/// The text of a QR code for what is held to a lock.
pub(crate) fn to_text(presented: &[u8]) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(8 + 2 * presented.len()));
    // Writing into a string does not fail.
    let _ = text::write(presented, &mut *out);
    out
}
