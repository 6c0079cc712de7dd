//! Reads a journal, also one that is being written or whose writer was killed.
#![expect(clippy::disallowed_methods, reason = "a door to the journal's files")]

use std::path::{Path, PathBuf};

use super::segment::list;
use super::{Entry, FORMAT, frame};

/// What a journal says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// Number of the last one; 0: there is none.
    pub last: u64,
    /// A write that a crash cut short, in the last segment. Nobody was told that it was durable, so nothing is lost.
    pub torn: Option<Torn>,
}

/// A write that a crash cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Which file.
    pub segment: PathBuf,
    /// In which line.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system says no.
    #[error("{path} cannot be read")]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// What it says.
        #[source]
        error: std::io::Error,
    },
    /// Something that was durable is not there any more.
    #[error("{segment} is damaged in line {line}: {why}")]
    Damaged {
        /// Which file.
        segment: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Written by a newer Windlass.
    #[error("{segment} has format {found}, this Windlass reads up to {FORMAT}")]
    Newer {
        /// Which file.
        segment: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// Reads every entry of the journal in a folder.
///
/// # Errors
/// [`JournalError`]: unreadable, damaged where it had been durable, or of a newer format.
pub fn read(folder: &Path) -> Result<Contents, JournalError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |error| JournalError::Unreadable { path, error }
    };
    let mut segments = Vec::new();
    for (_, segment) in list(folder).map_err(unreadable(folder))? {
        let bytes = std::fs::read(&segment).map_err(unreadable(&segment))?;
        segments.push((segment, bytes));
    }
    let ends = ends(segments.iter().map(|(_, bytes)| bytes.as_slice()));
    let mut contents = Contents::default();
    for ((segment, bytes), end) in segments.iter().zip(ends) {
        contents.torn = None;
        read_segment(segment, bytes, end, &mut contents)?;
    }
    Ok(contents)
}

/// By segment: the number of the first entry that is not its own any more. Who begins a segment goes on where the one before ended;
/// what is written to that one later comes from a process that was paused, overtaken and woken, and counts for nothing.
fn ends<'a>(segments: impl DoubleEndedIterator<Item = &'a [u8]>) -> Vec<u64> {
    let mut end = u64::MAX;
    let mut ends: Vec<u64> = segments
        .rev()
        .map(|bytes| {
            let own = end;
            end = frame::peek(bytes).map_or(end, |(first, _)| first.min(end));
            own
        })
        .collect();
    ends.reverse();
    ends
}

/// The bytes of a journal, of all its segments: whole entries only, nothing that was torn or allocated ahead. Empty where there is no
/// journal.
///
/// # Errors
/// As [`read`].
pub(in crate::apply) fn raw(folder: &Path) -> Result<Vec<u8>, JournalError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    // Damage is found here; below, what is not whole ends a segment.
    read(folder)?;
    let mut segments = Vec::new();
    for (_, segment) in list(folder).map_err(|error| JournalError::Unreadable { path: folder.to_owned(), error })? {
        segments.push(std::fs::read(&segment).map_err(|error| JournalError::Unreadable { path: segment, error })?);
    }
    let ends = ends(segments.iter().map(Vec::as_slice));
    let mut whole = Vec::new();
    for (bytes, end) in segments.iter().zip(ends) {
        let mut length = 0;
        while let Some((framed, taken)) = bytes.get(length..).and_then(|rest| frame::decode(rest).ok())
            && framed.sequence < end
        {
            length += taken;
        }
        whole.extend_from_slice(bytes.get(..length).unwrap_or_default());
    }
    Ok(whole)
}

/// Number of the last entry in bytes that hold whole entries.
pub(in crate::apply) fn last_sequence(mut bytes: &[u8]) -> Option<u64> {
    let mut last = None;
    while let Some((sequence, _)) = frame::peek(bytes) {
        last = Some(sequence);
        let length = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| newline + 1);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    last
}

fn read_segment(segment: &Path, bytes: &[u8], end: u64, contents: &mut Contents) -> Result<(), JournalError> {
    let damaged = |line, why: String| JournalError::Damaged { segment: segment.to_owned(), line, why };
    let mut rest = bytes;
    let mut line = 1;
    // What was allocated and not used is zeros.
    while contents.last + 1 < end && rest.iter().any(|byte| *byte != 0) {
        match frame::decode(rest) {
            Ok((framed, length)) => {
                if framed.sequence != contents.last + 1 {
                    let why = format!("entry {} follows entry {}", framed.sequence, contents.last);
                    return Err(damaged(line, why));
                }
                if let Entry::Opened { format, .. } = framed.entry
                    && format > FORMAT
                {
                    return Err(JournalError::Newer { segment: segment.to_owned(), found: format });
                }
                contents.last = framed.sequence;
                contents.entries.push(framed.entry);
                rest = rest.get(length..).unwrap_or_default();
                line += 1;
                if rest.first() == Some(&0) {
                    // Usually the end; a batch that was torn in its middle may go on behind zeros.
                    if let Some(proof) = proof_of_loss(rest, contents.last) {
                        return Err(damaged(line, proof));
                    }
                    break;
                }
            }
            // Whole, and yet not understood: not a crash's doing.
            Err(why) if frame::peek(rest).is_some() => return Err(damaged(line, why)),
            Err(why) => {
                if let Some(proof) = proof_of_loss(rest, contents.last) {
                    return Err(damaged(line, format!("{why}, and {proof}")));
                }
                contents.torn = Some(Torn { segment: segment.to_owned(), line, why });
                break;
            }
        }
    }
    Ok(())
}

/// Looks for a later, whole entry that proves that the one after `last` had been durable: one of a later batch.
fn proof_of_loss(rest: &[u8], last: u64) -> Option<String> {
    let mut place = 0;
    while let Some(newline) = rest.get(place..)?.iter().position(|byte| *byte == b'\n') {
        place += newline + 1;
        if let Some((sequence, batch)) = frame::peek(rest.get(place..)?)
            && batch > last + 1
        {
            return Some(format!("entry {sequence}, which was written after it was safe, follows"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Outcome;

    fn lines(batches: &[(u64, u64)]) -> Vec<Vec<u8>> {
        batches
            .iter()
            .map(|(sequence, batch)| {
                let entry = Entry::RunEnded {
                    at: jiff::Timestamp::UNIX_EPOCH,
                    outcome: Outcome::Held,
                    message: Some(format!("number {sequence}")),
                };
                let mut out = Vec::new();
                frame::encode(&entry, *sequence, *batch, &mut out).unwrap();
                out
            })
            .collect()
    }

    fn read_bytes(segments: &[Vec<u8>]) -> Result<Contents, JournalError> {
        let dir = tempfile::tempdir().unwrap();
        for (number, bytes) in segments.iter().enumerate() {
            std::fs::write(dir.path().join(format!("{:06}.log", number + 1)), bytes).unwrap();
        }
        read(dir.path())
    }

    #[test]
    fn a_cut_at_any_byte_gives_the_whole_entries_before_it() {
        let lines = lines(&[(1, 1), (2, 2), (3, 2), (4, 4)]);
        let whole = lines.concat();
        for end in 0..=whole.len() {
            for padding in [0, 100] {
                let mut bytes = whole[..end].to_vec();
                bytes.resize(end + padding, 0);
                let contents = read_bytes(&[bytes]).unwrap();
                let mut expected = 0;
                let mut length = 0;
                for line in &lines {
                    length += line.len();
                    expected += usize::from(length <= end);
                }
                assert_eq!(contents.entries.len(), expected, "cut at {end}");
            }
        }
    }

    #[test]
    fn what_a_process_wrote_after_it_was_overtaken_counts_for_nothing() {
        let late = lines(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
        let next: Vec<Vec<u8>> = lines(&[(3, 3), (4, 3)]);
        // Its last write may be torn, too, or end where the other's begins.
        for (count, cut) in [(5, 0), (5, 10), (4, 3), (2, 0)] {
            let mut first = late[..count].concat();
            first.truncate(first.len() - cut);
            let dir = tempfile::tempdir().unwrap();
            for (number, bytes) in [(1, &first), (2, &next.concat())] {
                std::fs::write(dir.path().join(format!("{number:06}.log")), bytes).unwrap();
            }
            let contents = read(dir.path()).unwrap();
            assert_eq!((contents.entries.len(), contents.last, contents.torn), (4, 4, None));
            assert_eq!(raw(dir.path()).unwrap(), [late[..2].concat(), next.concat()].concat());
        }
    }

    #[test]
    fn damage_to_what_was_durable_is_reported_with_its_line() {
        let mut lines = lines(&[(1, 1), (2, 2), (3, 3)]);
        lines[1][30] ^= 1;
        let error = read_bytes(&[lines.concat()]).unwrap_err();
        assert!(matches!(&error, JournalError::Damaged { line: 2, .. }), "{error}");
    }

    #[test]
    fn a_batch_torn_in_its_middle_was_never_promised() {
        // Power failed while entries 2 to 4 were written together: the page of 2 was lost, that of 4 reached the disk.
        let mut lines = lines(&[(1, 1), (2, 2), (3, 2), (4, 2)]);
        let length = lines[1].len();
        lines[1] = vec![0; length];
        let contents = read_bytes(&[lines.concat()]).unwrap();
        assert_eq!(contents.last, 1);
    }

    #[test]
    fn zeros_where_something_was_durable_are_damage() {
        let mut lines = lines(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
        let length = lines[1].len();
        lines[1] = vec![0; length];
        assert!(matches!(read_bytes(&[lines.concat()]).unwrap_err(), JournalError::Damaged { line: 2, .. }));
    }

    #[test]
    fn a_segment_that_goes_on_after_a_torn_one_is_read() {
        let first = lines(&[(1, 1), (2, 2)]);
        let second = lines(&[(2, 2), (3, 3)]);
        let torn = [&first[0][..], &first[1][..20]].concat();
        let contents = read_bytes(&[torn, Vec::new(), second.concat()]).unwrap();
        assert_eq!((contents.last, contents.torn), (3, None));
    }

    #[test]
    fn a_missing_end_of_an_earlier_segment_is_damage() {
        let first = lines(&[(1, 1)]);
        let second = lines(&[(3, 3)]);
        assert!(matches!(read_bytes(&[first.concat(), second.concat()]).unwrap_err(), JournalError::Damaged { .. }));
    }

    #[test]
    fn rubbish_is_not_read_and_does_not_panic() {
        for rubbish in [&b"\n\n\n"[..], &[255; 300], b"{\"entry\":\"opened\"}\n"] {
            let contents = read_bytes(&[rubbish.to_vec()]).unwrap();
            assert!(contents.entries.is_empty() && contents.torn.is_some());
        }
    }
}
