//! Where a list goes on: an opaque text, so that clients do not come to rely on what is inside.

use super::problem::{Code, Problem};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Items on a page when nobody says otherwise.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The cursor that goes on after `seq`.
pub(crate) fn write(seq: i64) -> String {
    URL_SAFE_NO_PAD.encode(seq.to_be_bytes())
}

/// Where to go on; from the start without a cursor.
pub(crate) fn read(cursor: Option<&str>) -> Result<i64, Problem> {
    let Some(cursor) = cursor else { return Ok(0) };
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .map(i64::from_be_bytes)
        .filter(|seq| *seq >= 0)
        .ok_or_else(|| {
            Problem::new(Code::InvalidQuery, "cursor: not one that this server gave out")
                .hint("take next_cursor of the previous page as it is, or leave it out")
        })
}

/// How many items a page has.
pub(crate) fn limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        other => Err(Problem::new(
            Code::InvalidQuery,
            format!("limit: {other} is not between 1 and {MAX_LIMIT}"),
        )),
    }
}

/// Cuts a page that was read with one item too many, and says where the next one starts.
pub(crate) fn cut<T>(
    mut page: Vec<T>,
    limit: u32,
    seq: impl Fn(&T) -> i64,
) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if page.len() <= limit {
        return (page, None);
    }
    page.truncate(limit);
    let next = page.last().map(|item| write(seq(item)));
    (page, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_and_refuses_others() {
        assert_eq!(read(Some(&write(7))).unwrap(), 7);
        assert_eq!(read(None).unwrap(), 0);
        for bad in ["", "7", "AAAA", "!!!!", &write(-1), &"A".repeat(1000)] {
            assert_eq!(read(Some(bad)).unwrap_err().code(), Code::InvalidQuery, "{bad}");
        }
    }
}
