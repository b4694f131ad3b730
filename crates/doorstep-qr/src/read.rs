//! QR codes on their way in: found in images that may be anything, and hostile.

use crate::image::Grey;
use std::fmt;
use zeroize::Zeroizing;

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 32 << 20;

/// The most pixels that are unpacked: what a telephone's camera takes, with room to spare. A small
/// file may claim more, to use up the memory of whoever opens it.
pub const MAX_PIXELS: usize = 26_000_000;

/// Why an image gives no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadImage {
    /// More than [`MAX_FILE`] bytes or [`MAX_PIXELS`] pixels.
    TooLarge,
    /// Neither PNG nor JPEG.
    Format,
    /// It breaks off, or contradicts itself.
    Damaged,
    /// An image, but nothing in it reads as a QR code.
    NoCode,
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "larger than an image of 26 million pixels, or 32 MiB",
            Self::Format => "neither a PNG nor a JPEG image",
            Self::Damaged => "a damaged image",
            Self::NoCode => "no QR code in this image that can be read",
        })
    }
}

impl std::error::Error for BadImage {}

/// Reads every QR code in a PNG or JPEG image: what each says, in the order of their places from the
/// top. It may be a secret.
///
/// # Errors
/// [`BadImage`]; an image without any code is one of them.
pub fn read(file: &[u8]) -> Result<Vec<Zeroizing<Vec<u8>>>, BadImage> {
    let mut image = Grey::decode(file)?.enlarged();
    let mut found = codes(&image);
    if found.is_empty() {
        // Screens in dark mode show codes light on dark.
        image.invert();
        found = codes(&image);
    }
    if found.is_empty() { Err(BadImage::NoCode) } else { Ok(found) }
}

fn codes(image: &Grey) -> Vec<Zeroizing<Vec<u8>>> {
    let mut reader = quircs::Quirc::default();
    let grids = reader.identify(image.width, image.height, &image.pixels);
    let mut grids: Vec<quircs::Code> = grids.filter_map(Result::ok).collect();
    grids.sort_by_key(|grid| (grid.corners[0].y, grid.corners[0].x));
    let data = grids.iter().filter_map(|grid| grid.decode().ok());
    data.map(|data| Zeroizing::new(data.payload)).collect()
}
