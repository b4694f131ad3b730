//! Codes that are written read back, in every form; images that are damaged or hostile are refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use doorstep_qr::{BadImage, MAX_FILE, Qr, TooLong, read};
use proptest::prelude::*;
use std::sync::LazyLock;

const URI: &str =
    "otpauth://totp/Example:ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example";

fn grey_png(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..width * height).map(|at| pixel(at % width, at / width)).collect();
    encode(width, height, png::ColorType::Grayscale, &pixels)
}

fn encode(width: usize, height: usize, colour: png::ColorType, samples: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let side = |side: usize| u32::try_from(side).unwrap();
    let mut encoder = png::Encoder::new(&mut file, side(width), side(height));
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(samples).unwrap();
    file
}

/// The modules of a code with its quiet zone, as a terminal shows them.
fn modules(qr: &Qr) -> Vec<Vec<bool>> {
    let mut rows = Vec::new();
    for line in qr.terminal().lines() {
        let line = line.strip_prefix("\u{1b}[38;5;231;48;5;16m").unwrap();
        let line = line.strip_suffix("\u{1b}[0m").unwrap();
        let half = |dark: &[char]| line.chars().map(|c| dark.contains(&c)).collect();
        rows.push(half(&[' ', '▄']));
        rows.push(half(&[' ', '▀']));
    }
    // The number of rows is odd; the last half line is not part of the code.
    rows.pop();
    rows
}

fn text(found: &[u8]) -> &str {
    std::str::from_utf8(found).unwrap()
}

#[test]
fn a_png_reads_back_at_every_scale() {
    for scale in [1, 2, 3, 4, 8, 32] {
        let found = read(&Qr::of_text(URI).unwrap().png(scale)).unwrap();
        assert_eq!(found.len(), 1, "scale {scale}");
        assert_eq!(text(&found[0]), URI, "scale {scale}");
    }
}

#[test]
fn what_a_terminal_shows_reads_back_on_dark_and_on_light() {
    let rows = modules(&Qr::of_text(URI).unwrap());
    let side = rows.len();
    assert!(rows.iter().all(|row| row.len() == side), "a square");
    for (dark, light) in [(0, 255), (30, 220), (255, 0)] {
        let image =
            grey_png(side * 5, side * 5, |x, y| if rows[y / 5][x / 5] { dark } else { light });
        assert_eq!(text(&read(&image).unwrap()[0]), URI, "{dark} on {light}");
    }
}

#[test]
fn an_svg_draws_the_same_modules() {
    let qr = Qr::of_text(URI).unwrap();
    let rows = modules(&qr);
    let svg = qr.svg();
    assert!(svg.contains(&format!("viewBox=\"0 0 {0} {0}\"", rows.len())));
    let mut drawn = vec![vec![false; rows.len()]; rows.len()];
    let path = svg.split("<path d=\"").nth(1).unwrap().split('"').next().unwrap();
    for run in path.split('M').skip(1) {
        let (start, rest) = run.split_once('h').unwrap();
        let (x, y) = start.split_once(' ').unwrap();
        let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
        let length: usize = rest.split_once('v').unwrap().0.parse().unwrap();
        drawn[y][x..x + length].fill(true);
    }
    assert_eq!(drawn, rows);
    for edge in [0, 1, 2, 3, rows.len() - 1] {
        assert!(!drawn[edge].contains(&true), "row {edge} is in the quiet zone");
    }
}

#[test]
fn several_codes_in_one_image_are_read_from_the_top() {
    let codes = ["first", "SECOND", "3333"].map(|text| modules(&Qr::of_text(text).unwrap()));
    let side = codes[0].len();
    let image = grey_png(side * 4, side * 12, |x, y| {
        if codes[y / (4 * side)][y / 4 % side][x / 4] { 0 } else { 255 }
    });
    let found = read(&image).unwrap();
    let texts: Vec<&str> = found.iter().map(|found| text(found)).collect();
    assert_eq!(texts, ["first", "SECOND", "3333"]);
}

#[test]
fn colours_and_see_through_backgrounds_are_read() {
    let rows = modules(&Qr::of_text(URI).unwrap());
    let side = rows.len() * 3;
    let draw = |dark: &[u8], light: &[u8]| -> Vec<u8> {
        let at = |at: usize| if rows[at / side / 3][at % side / 3] { dark } else { light };
        (0..side * side).flat_map(at).copied().collect()
    };
    for (colour, dark, light) in [
        (png::ColorType::Rgb, &[120, 0, 30][..], &[250, 240, 200][..]),
        (png::ColorType::Rgba, &[0, 0, 0, 255], &[0, 0, 0, 0]),
        (png::ColorType::GrayscaleAlpha, &[0, 255], &[0, 0]),
    ] {
        let image = encode(side, side, colour, &draw(dark, light));
        assert_eq!(text(&read(&image).unwrap()[0]), URI, "{colour:?}");
    }
}

#[test]
fn a_jpeg_that_another_program_made_is_read() {
    let found = read(include_bytes!("data/photo.jpg")).unwrap();
    let texts: Vec<&str> = found.iter().map(|found| text(found)).collect();
    assert_eq!(texts, ["otpauth://totp/Example:photo?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"]);
}

#[test]
fn what_is_too_long_is_refused() {
    assert!(Qr::of_bytes(&[0xFF; 2331]).is_ok());
    assert_eq!(Qr::of_bytes(&[0xFF; 2332]).err(), Some(TooLong));
    assert_eq!(Qr::of_text(&"x".repeat(2332)).err(), Some(TooLong));
}

#[test]
fn nothing_of_a_code_is_printed() {
    assert_eq!(format!("{:?}", Qr::of_text(URI).unwrap()), "Qr(..)");
}

#[test]
fn what_is_no_image_with_a_code_is_refused_by_its_reason() {
    let whole = Qr::of_text(URI).unwrap().png(4);
    let mut huge = whole.to_vec();
    huge[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let mut wide = whole.to_vec();
    wide[16..24].copy_from_slice(&[0, 0x10, 0, 0, 0, 0, 0, 1]);
    for (file, why) in [
        (&b""[..], BadImage::Format),
        (b"GIF89a", BadImage::Format),
        (URI.as_bytes(), BadImage::Format),
        (b"\x89PNG", BadImage::Damaged),
        (b"\xFF\xD8\xFF", BadImage::Damaged),
        (&whole[..whole.len() / 2], BadImage::Damaged),
        (&grey_png(50, 50, |_, _| 255), BadImage::NoCode),
        (&grey_png(1, 1, |_, _| 0), BadImage::NoCode),
        (&vec![0x89; MAX_FILE + 1], BadImage::TooLarge),
    ] {
        assert_eq!(read(file).err(), Some(why), "{:02x?}", &file[..file.len().min(30)]);
    }
    // Their headers' checksums are wrong as well.
    for bomb in [huge, wide] {
        assert!(matches!(read(&bomb), Err(BadImage::TooLarge | BadImage::Damaged)));
    }
}

/// A file of a few kilobytes that unpacks to more than anyone should allocate.
#[test]
fn a_small_file_that_claims_a_large_image_is_refused_before_it_is_unpacked() {
    for (width, height) in [(16_385, 1), (1, 16_385), (6_000, 6_000)] {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let row = usize::try_from(width.div_ceil(8)).unwrap();
        let samples = vec![0; row * usize::try_from(height).unwrap()];
        encoder.write_header().unwrap().write_image_data(&samples).unwrap();
        assert!(file.len() < 20_000, "{}", file.len());
        assert_eq!(read(&file).err(), Some(BadImage::TooLarge), "{width}x{height}");
    }
    // A JPEG may claim as much in its frame header.
    let mut photo = include_bytes!("data/photo.jpg").to_vec();
    let frame = photo.windows(2).position(|bytes| bytes == [0xFF, 0xC0]).unwrap();
    photo[frame + 5..frame + 9].copy_from_slice(&[0x3F, 0xFF, 0x3F, 0xFF]);
    assert_eq!(read(&photo).err(), Some(BadImage::TooLarge));
}

/// Finder patterns wherever one looks: a search that tries them all against each other never ends.
#[test]
fn a_field_of_finder_patterns_costs_no_more_than_another_image() {
    let image = grey_png(1800, 1800, |x, y| match (x % 9).abs_diff(4).max((y % 9).abs_diff(4)) {
        0 | 1 | 3 => 0,
        _ => 255,
    });
    assert_eq!(read(&image).err(), Some(BadImage::NoCode));
}

static PHOTO: &[u8] = include_bytes!("data/photo.jpg");
static PNG: LazyLock<Vec<u8>> = LazyLock::new(|| Qr::of_text(URI).unwrap().png(3).to_vec());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_text_reads_back(content in "\\PC{1,200}", scale in 2_u8..5) {
        let found = read(&Qr::of_text(&content).unwrap().png(scale)).unwrap();
        prop_assert_eq!(text(&found[0]), content);
    }

    #[test]
    fn bytes_read_back(content in proptest::collection::vec(any::<u8>(), 1..300)) {
        let found = read(&Qr::of_bytes(&content).unwrap().png(3)).unwrap();
        prop_assert_eq!(&*found[0], &content);
    }

    #[test]
    fn mutated_files_never_panic(
        jpeg in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = if jpeg { PHOTO.to_vec() } else { PNG.clone() };
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let _ = read(&file);
    }

    /// Beyond the checksums of PNG: damaged modules, skewed and cropped codes.
    #[test]
    fn mutated_pictures_never_panic(
        version in 1_usize..300,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_usize..40), 0..40),
        (skew_x, skew_y) in (-300_i64..300, -300_i64..300),
        (from_x, from_y) in (-60_i64..60, -60_i64..60),
        scale in 2_i64..6,
    ) {
        let mut rows = modules(&Qr::of_bytes(&vec![0xA5; version]).unwrap());
        let side = rows.len();
        for (at, length) in flips {
            let at = at.index(side * side);
            for at in at..(at + length).min(side * side) {
                rows[at / side][at % side] ^= true;
            }
        }
        let image = grey_png(300, 300, |x, y| {
            let (x, y) = (i64::try_from(x).unwrap(), i64::try_from(y).unwrap());
            let column = (x + from_x + y * skew_x / 1000).div_euclid(scale);
            let row = (y + from_y + x * skew_y / 1000).div_euclid(scale);
            let dark = usize::try_from(row).ok().zip(usize::try_from(column).ok());
            let dark = dark.and_then(|(row, column)| rows.get(row)?.get(column));
            if dark == Some(&true) { 0 } else { 255 }
        });
        let _ = read(&image);
    }
}
