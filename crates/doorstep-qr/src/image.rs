//! Images as grey pixels: PNG and JPEG, with their size known before anything is unpacked.

use crate::read::{BadImage, MAX_FILE, MAX_PIXELS};
use std::io::Cursor;
use zeroize::Zeroizing;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The longest side; its square is beyond [`MAX_PIXELS`].
const MAX_SIDE: usize = 16_384;

/// What a PNG decoder may allocate beside the image: chunks of text and colour profiles.
const PNG_CHUNKS: usize = 16 << 20;

/// The longest side of an image that is enlarged before it is searched.
const SMALL: usize = 512;

/// Passes over a progressive JPEG; cameras write about ten.
const MAX_SCANS: usize = 64;

/// An image without its colours.
pub(crate) struct Grey {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Row by row, 0 is black.
    pub(crate) pixels: Zeroizing<Vec<u8>>,
}

impl Grey {
    pub(crate) fn decode(file: &[u8]) -> Result<Self, BadImage> {
        if file.len() > MAX_FILE {
            return Err(BadImage::TooLarge);
        }
        match file {
            [0x89, b'P', b'N', b'G', ..] => png(file),
            [0xFF, 0xD8, ..] => jpeg(file),
            _ => Err(BadImage::Format),
        }
    }

    fn of(width: usize, height: usize, pixels: Zeroizing<Vec<u8>>) -> Result<Self, BadImage> {
        if pixels.is_empty() || pixels.len() != width * height {
            return Err(BadImage::Damaged);
        }
        Ok(Self { width, height, pixels })
    }

    /// A small image three times as large: readers lose modules of one or two pixels.
    pub(crate) fn enlarged(self) -> Self {
        if self.width > SMALL || self.height > SMALL {
            return self;
        }
        let mut pixels = Zeroizing::new(Vec::with_capacity(9 * self.pixels.len()));
        for row in self.pixels.chunks(self.width) {
            for _ in 0..3 {
                pixels.extend(row.iter().flat_map(|pixel| [*pixel; 3]));
            }
        }
        Self { width: 3 * self.width, height: 3 * self.height, pixels }
    }

    pub(crate) fn invert(&mut self) {
        for pixel in self.pixels.iter_mut() {
            *pixel = u8::MAX - *pixel;
        }
    }
}

fn bounded(width: usize, height: usize) -> Result<(), BadImage> {
    let fits = width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_PIXELS;
    if fits { Ok(()) } else { Err(BadImage::TooLarge) }
}

fn png(file: &[u8]) -> Result<Grey, BadImage> {
    let bad = |error| match error {
        png::DecodingError::LimitsExceeded => BadImage::TooLarge,
        _ => BadImage::Damaged,
    };
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(file),
        png::Limits { bytes: PNG_CHUNKS + 8 * MAX_PIXELS },
    );
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(bad)?;
    let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
    let (width, height) = (side(header.width), side(header.height));
    bounded(width, height)?;
    let mut reader = decoder.read_info().map_err(bad)?;
    let size = reader.output_buffer_size().ok_or(BadImage::TooLarge)?;
    let mut samples = Zeroizing::new(vec![0; size]);
    let frame = reader.next_frame(&mut samples).map_err(bad)?;
    let channels = frame.color_type.samples();
    let pixels = samples.chunks_exact(channels).map(|pixel| match *pixel {
        [grey] => grey,
        [grey, alpha] => over_white(grey, alpha),
        [red, green, blue] => luminance(red, green, blue),
        [red, green, blue, alpha] => over_white(luminance(red, green, blue), alpha),
        _ => u8::MAX,
    });
    Grey::of(width, height, Zeroizing::new(pixels.collect()))
}

fn jpeg(file: &[u8]) -> Result<Grey, BadImage> {
    let options = DecoderOptions::new_safe()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|_| BadImage::Damaged)?;
    let info = decoder.info().ok_or(BadImage::Damaged)?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    bounded(width, height)?;
    let pixels = Zeroizing::new(decoder.decode().map_err(|_| BadImage::Damaged)?);
    Grey::of(width, height, pixels)
}

/// How bright a colour looks (ITU-R BT.601).
fn luminance(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    u8::try_from(sum / 1000).unwrap_or(u8::MAX)
}

/// A see-through pixel as a white page shows it.
fn over_white(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u32::from(grey), u32::from(alpha));
    u8::try_from((grey * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
}
