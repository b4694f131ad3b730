//! Records as a file holds them: every byte covered, a torn end told from damage.
//!
//! A frame is `u32 length || u32 complement of the length || record || 8 bytes of the chain's head
//! after it`.

use doorstep::ledger::Head;

const CHECK: usize = 8;

/// The frame of `record`, after which the chain's head is `after`.
pub(crate) fn write(record: &[u8], after: &Head) -> Vec<u8> {
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(record.len() + 8 + CHECK);
    frame.extend(length.to_be_bytes());
    frame.extend((!length).to_be_bytes());
    frame.extend(record);
    frame.extend(after.hash.iter().take(CHECK));
    frame
}

/// Whole frames.
pub(crate) struct Frames<'a> {
    pub(crate) records: Vec<&'a [u8]>,
    /// The chain's head after the last.
    pub(crate) head: Head,
    /// How many bytes they take.
    pub(crate) length: usize,
}

/// Splits whole frames off `bytes`. A torn last frame, which nobody was told about, is left over.
pub(crate) fn read(bytes: &[u8], mut head: Head) -> Result<Frames<'_>, String> {
    let mut records = Vec::new();
    let mut rest = bytes;
    loop {
        let length = bytes.len() - rest.len();
        let Some((body, check, after)) = split(rest, head.seq)? else {
            return Ok(Frames { records, head, length });
        };
        let next = head.then(body);
        if !next.hash.starts_with(check) {
            return if after.is_empty() {
                Ok(Frames { records, head, length })
            } else {
                Err(format!("record {} is not what was written", next.seq))
            };
        }
        records.push(body);
        head = next;
        rest = after;
    }
}

type Parts<'a> = (&'a [u8], &'a [u8; CHECK], &'a [u8]);

/// The record, its check and what follows; `None` for a torn frame.
fn split(rest: &[u8], seq: u64) -> Result<Option<Parts<'_>>, String> {
    let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let Some((complement, after)) = after.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    if u32::from_be_bytes(*complement) != !length {
        // A file may grow before its content arrives; then the new part is zero to the end.
        return if rest.iter().all(|byte| *byte == 0) {
            Ok(None)
        } else {
            Err(format!("the frame after record {seq} has no length"))
        };
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some((body, after)) = after.split_at_checked(length) else { return Ok(None) };
    Ok(after.split_first_chunk().map(|(check, after)| (body, check, after)))
}
