//! The frame around one entry: `LENGTH CRC SEQUENCE BATCH JSON`, one line.
//!
//! Length and CRC-32 cover everything after them but the newline. `BATCH` is the sequence number of the first entry that was made
//! durable together with this one: everything before it *was* durable when this line was written. So a reader can tell a write
//! that a crash tore (nobody was told that it is durable) from damage to what was once safe.

use super::Entry;

/// Longest entry that is read: a damaged length must not make the reader ask for the whole memory.
const LONGEST: usize = 256 << 20;
/// `LENGTH` and `CRC` with their spaces.
const HEAD: usize = 8 + 1 + 8 + 1;

/// An entry with its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Framed {
    /// Counts from 1 over all segments of a run.
    pub sequence: u64,
    /// First of the entries made durable together with it.
    pub batch: u64,
    /// What it says.
    pub entry: Entry,
}

/// Appends one framed entry.
pub(super) fn encode(entry: &Entry, sequence: u64, batch: u64, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    use std::io::Write as _;
    let start = out.len();
    out.resize(start + HEAD, b' ');
    let _ = write!(out, "{sequence} {batch} ");
    if let Err(error) = serde_json::to_writer(&mut *out, entry) {
        out.truncate(start);
        return Err(error);
    }
    let body = start + HEAD;
    let head = format!("{:08} {:08x} ", out.len() - body, checksum(&out[body..]));
    // A length of nine digits would move the body: the head is written only where it fits.
    match out.get_mut(start..body) {
        Some(place) if place.len() == head.len() => place.copy_from_slice(head.as_bytes()),
        _ => {
            out.truncate(start);
            return Err(serde::ser::Error::custom("an entry of more than 99,999,999 bytes"));
        }
    }
    out.push(b'\n');
    Ok(())
}

/// Reads the entry at the beginning of `bytes`; answers it with its length, newline included.
pub(super) fn decode(bytes: &[u8]) -> Result<(Framed, usize), String> {
    let (payload, length) = payload(bytes)?;
    let text = std::str::from_utf8(payload).map_err(|_| "it is not UTF-8".to_owned())?;
    let (sequence, batch, json) = numbers(text).ok_or("its numbers cannot be read")?;
    let entry = serde_json::from_str(json).map_err(|error| format!("its content cannot be understood: {error}"))?;
    Ok((Framed { sequence, batch, entry }, length))
}

/// Sequence and batch of a whole, undamaged entry at the beginning of `bytes`.
pub(super) fn peek(bytes: &[u8]) -> Option<(u64, u64)> {
    let (payload, _) = payload(bytes).ok()?;
    let (sequence, batch, _) = numbers(std::str::from_utf8(payload).ok()?)?;
    Some((sequence, batch))
}

fn payload(bytes: &[u8]) -> Result<(&[u8], usize), String> {
    let head = bytes.get(..HEAD).ok_or("it is cut off")?;
    let (Some(length), Some(crc)) = (head.get(..8).and_then(decimal), head.get(9..17).and_then(hexadecimal)) else {
        return Err("its length cannot be read".to_owned());
    };
    if head.get(8) != Some(&b' ') || head.get(17) != Some(&b' ') || length > LONGEST {
        return Err("its length cannot be read".to_owned());
    }
    let payload = bytes.get(HEAD..HEAD + length).ok_or("it is cut off")?;
    if bytes.get(HEAD + length) != Some(&b'\n') {
        return Err("its end is missing".to_owned());
    }
    if checksum(payload) != crc {
        return Err("its checksum is wrong".to_owned());
    }
    Ok((payload, HEAD + length + 1))
}

fn numbers(text: &str) -> Option<(u64, u64, &str)> {
    let mut parts = text.splitn(3, ' ');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?))
}

fn decimal(digits: &[u8]) -> Option<usize> {
    digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let plain = digits.iter().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()).flatten()
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Outcome;

    fn entry() -> Entry {
        Entry::RunEnded { at: jiff::Timestamp::UNIX_EPOCH, outcome: Outcome::Held, message: Some("a\nb".to_owned()) }
    }

    #[test]
    fn an_entry_is_one_line_and_reads_back() {
        let mut out = b"before\n".to_vec();
        encode(&entry(), 7, 5, &mut out).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 2, "an escaped newline stays inside the line");
        let (framed, length) = decode(&out[7..]).unwrap();
        assert_eq!((framed.sequence, framed.batch, &framed.entry), (7, 5, &entry()));
        assert_eq!(length, out.len() - 7);
    }

    #[test]
    fn no_single_changed_byte_is_believed() {
        let mut out = Vec::new();
        encode(&entry(), 7, 5, &mut out).unwrap();
        for place in 0..out.len() {
            for change in [1u8, 0x20, 0x80] {
                let mut damaged = out.clone();
                damaged[place] ^= change;
                // The CRC's own digits may change case without changing value; nothing else may pass.
                if let Ok((framed, _)) = decode(&damaged) {
                    assert_eq!(framed.entry, entry());
                    assert!((9..17).contains(&place), "byte {place} changed and nobody noticed");
                }
            }
        }
    }

    #[test]
    fn no_prefix_and_no_rubbish_panics_or_passes() {
        let mut out = Vec::new();
        encode(&entry(), 1, 1, &mut out).unwrap();
        for end in 0..out.len() {
            assert!(decode(&out[..end]).is_err());
        }
        for rubbish in [&b"99999999 ffffffff x"[..], b"+0000001 00000000 a\n", &[0u8; 64], "é".repeat(20).as_bytes()] {
            assert!(decode(rubbish).is_err());
        }
    }
}
