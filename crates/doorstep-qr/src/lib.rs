//! QR codes: written as SVG, as PNG and for a terminal, and read from images.
//!
//! What a code says is often a secret, so nothing here prints it, and what this crate allocates for
//! it is wiped. The libraries below keep copies for a moment that nobody can reach to wipe.
//!
//! ```
//! let qr = doorstep_qr::Qr::of_text("https://example.com/")?;
//! let found = doorstep_qr::read(&qr.png(4))?;
//! assert_eq!(&*found[0], b"https://example.com/");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod image;
mod read;
mod write;

pub use read::{BadImage, MAX_FILE, MAX_PIXELS, read};
pub use write::{Qr, SCALE, TooLong};
