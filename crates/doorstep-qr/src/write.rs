//! A QR code on its way out: modules from `qrcodegen`, drawn three ways.

use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::{self, Write as _};
use zeroize::Zeroizing;

/// The light margin that readers need, in modules on each side (ISO/IEC 18004, 6.3.8).
const QUIET: usize = 4;

/// The most pixels to a module: a code of the largest size then has 5,920 a side.
const MAX_SCALE: usize = 32;

/// Pixels to a module of a picture that people print or show.
pub const SCALE: u8 = 8;

/// White on black, whatever the terminal's own colours are. Light modules are the ones that are
/// painted, so that a dark terminal shows the code right even where colours are stripped.
const TERMINAL_COLOURS: &str = "\u{1b}[38;5;231;48;5;16m";
const TERMINAL_RESET: &str = "\u{1b}[0m";

/// One QR code.
pub struct Qr {
    /// Row by row with the quiet zone, true where it is dark.
    modules: Zeroizing<Vec<bool>>,
    /// Modules a side, with the quiet zone.
    side: usize,
}

/// More than the largest QR code holds: 2,331 bytes at the correction used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is more than fits a QR code")
    }
}

impl std::error::Error for TooLong {}

impl fmt::Debug for Qr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Qr(..)")
    }
}

impl Qr {
    /// The code of a text; digits and upper case take less room than the rest.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn of_text(text: &str) -> Result<Self, TooLong> {
        QrCode::encode_text(text, CORRECTION).map(|code| Self::of(&code)).map_err(|_| TooLong)
    }

    /// The code of bytes.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, TooLong> {
        QrCode::encode_binary(bytes, CORRECTION).map(|code| Self::of(&code)).map_err(|_| TooLong)
    }

    fn of(code: &QrCode) -> Self {
        let quiet = i32::try_from(QUIET).unwrap_or(0);
        let range = -quiet..code.size() + quiet;
        let side = range.clone().count();
        let mut modules = Zeroizing::new(Vec::with_capacity(side * side));
        for y in range.clone() {
            // Beyond the code every module is light.
            modules.extend(range.clone().map(|x| code.get_module(x, y)));
        }
        Self { modules, side }
    }

    /// The size of the code, 1 to 40.
    #[must_use]
    pub fn version(&self) -> u8 {
        // Each version has four modules a side more than the one before; the first has 21.
        let modules = self.side.saturating_sub(2 * QUIET);
        u8::try_from(modules.saturating_sub(17) / 4).unwrap_or(u8::MAX)
    }

    fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.modules.chunks(self.side)
    }

    /// A scalable drawing for a page: a square of any size, black on white.
    #[must_use]
    pub fn svg(&self) -> Zeroizing<String> {
        let side = self.side;
        let mut svg = Zeroizing::new(String::with_capacity(256 + 10 * self.modules.len()));
        // Writing into a string does not fail.
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\""
        );
        for (y, row) in self.rows().enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|left, right| left == right) {
                let length = run.len();
                if run.first() == Some(&true) {
                    let _ = write!(svg, "M{x} {y}h{length}v1h-{length}z");
                }
                x += length;
            }
        }
        svg.push_str("\"/></svg>\n");
        svg
    }

    /// A PNG with `scale` pixels to a module, from 1 to 32; beyond, the nearest of them.
    #[must_use]
    pub fn png(&self, scale: u8) -> Zeroizing<Vec<u8>> {
        let scale = usize::from(scale).clamp(1, MAX_SCALE);
        let width = self.side * scale;
        let mut pixels = Zeroizing::new(Vec::with_capacity(width.div_ceil(8) * width));
        for row in self.rows() {
            let start = pixels.len();
            let mut dots = row.iter().flat_map(|dark| std::iter::repeat_n(!*dark, scale));
            for _ in 0..width.div_ceil(8) {
                let light = (0..8).map(|bit| u8::from(dots.next().unwrap_or(true)) << (7 - bit));
                pixels.push(light.sum());
            }
            let end = pixels.len();
            for _ in 1..scale {
                pixels.extend_from_within(start..end);
            }
        }
        let mut file = Zeroizing::new(Vec::with_capacity(pixels.len() + 4096));
        let side = u32::try_from(width).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(&mut *file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let written = encoder.write_header().and_then(|mut png| png.write_image_data(&pixels));
        written.expect("a square of whole rows is written into memory");
        file
    }

    /// Lines for a terminal, dark or light, two modules to a character.
    #[must_use]
    pub fn terminal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * self.modules.len() + 2048));
        let rows: Vec<&[bool]> = self.rows().collect();
        for pair in rows.chunks(2) {
            text.push_str(TERMINAL_COLOURS);
            for x in 0..self.side {
                let dark =
                    |row: usize| pair.get(row).and_then(|row| row.get(x)).copied().unwrap_or(true);
                text.push(match (dark(0), dark(1)) {
                    (false, false) => '█',
                    (false, true) => '▀',
                    (true, false) => '▄',
                    (true, true) => ' ',
                });
            }
            text.push_str(TERMINAL_RESET);
            text.push('\n');
        }
        text
    }
}

/// Screens and clean prints lose little: 15 % can be restored, and more where it costs no larger
/// code.
const CORRECTION: QrCodeEcc = QrCodeEcc::Medium;
