//! What people hand over in files, images or by standard input, read within bounds.

use crate::error::CliError;
use doorstep_qr::MAX_FILE;
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Reads what was exported, or a picture, from a file, or from standard input for `-`. Longer than
/// any of them is refused, never cut.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut content = Zeroizing::new(Vec::new());
    let longest = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let beyond = longest.saturating_add(1);
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(beyond).read_to_end(&mut content)
    } else {
        std::fs::File::open(path).and_then(|open| open.take(beyond).read_to_end(&mut content))
    };
    read.map_err(|error| CliError::io("read", path, &error))?;
    if content.len() > MAX_FILE {
        return Err(CliError::new(format!("{} is larger than 32 MiB", path.display()))
            .hint("name an export, or an image of a QR code"));
    }
    Ok(content)
}

/// Whether a file is an image, by how it begins.
pub(crate) fn is_image(file: &[u8]) -> bool {
    file.starts_with(b"\x89PNG") || file.starts_with(b"\xFF\xD8")
}

/// What the QR codes of an image say, from the top.
pub(crate) fn read_codes(image: &[u8]) -> Result<Vec<Zeroizing<Vec<u8>>>, CliError> {
    doorstep_qr::read(image).map_err(|bad| {
        CliError::new(format!("cannot read the image: {bad}"))
            .hint("take a sharp picture or screenshot, as PNG or JPEG, with the whole code in it")
            .code("bad_image")
    })
}
