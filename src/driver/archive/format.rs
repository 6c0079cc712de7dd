//! Which kind of archive a file is, told by its first bytes and not by its name.

use std::io::{self, Read};

/// Kinds of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) enum Format {
    /// Plain tar.
    Tar,
    /// Tar in gzip.
    TarGz,
    /// Tar in Zstandard.
    TarZst,
    /// Zip.
    Zip,
}

impl Format {
    /// By the first bytes of the file (512 are enough); `None` where they are of no known kind.
    pub(in crate::driver) fn of_content(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::TarGz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::TarZst),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            // An archive with nothing in it, or one from before ustar: its checksum tells.
            _ if head.len() >= 512 && (head.iter().all(|byte| *byte == 0) || old_tar(head)) => Some(Self::Tar),
            _ => None,
        }
    }

    /// By the end of a name, for an archive that is to be made.
    pub(in crate::driver) fn of_name(name: &str) -> Option<Self> {
        let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending);
        if ends(".tar.gz") || ends(".tgz") {
            Some(Self::TarGz)
        } else if ends(".tar.zst") || ends(".tzst") {
            Some(Self::TarZst)
        } else if ends(".tar") {
            Some(Self::Tar)
        } else {
            None
        }
    }
}

fn old_tar(head: &[u8]) -> bool {
    let Ok(block) = <[u8; 512]>::try_from(&head[..512]) else { return false };
    let sum: u32 = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    let text = String::from_utf8_lossy(&block[148..156]);
    u32::from_str_radix(text.trim_matches(['\0', ' ']), 8) == Ok(sum)
}

/// What is in a tar, out of its compression.
pub(in crate::driver) fn decompressed<'a>(format: Format, file: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let buffered = io::BufReader::with_capacity(128 * 1024, file);
    Ok(match format {
        Format::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        Format::TarZst => Box::new(zstd::stream::read::Decoder::with_buffer(buffered)?),
        Format::Tar | Format::Zip => Box::new(buffered),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_is_of_no_kind() {
        for head in [&b""[..], b"P", b"PK", b"hello", &[0; 511], &[1; 512]] {
            assert_eq!(Format::of_content(head), None, "{head:?}");
        }
        assert_eq!(Format::of_content(&[0; 512]), Some(Format::Tar));
    }

    #[test]
    fn a_name_that_is_only_an_ending_is_of_no_kind() {
        assert_eq!(Format::of_name(".tar.gz"), None);
        assert_eq!(Format::of_name("a.zip"), None);
        assert_eq!(Format::of_name("a.tgz"), Some(Format::TarGz));
    }
}
