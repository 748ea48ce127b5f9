//! Mini debuginfo: the `.gnu_debugdata` section, an xz-compressed ELF file that has only a symbol table.

use std::fmt;
use std::io::Read;

/// Fedora's largest is some 10 MB; beyond this it is damaged or meant harm.
const MAX_INFLATED: u64 = 512 << 20;

/// The decoder's own memory in KiB. `xz -9` needs 64 MiB for its dictionary.
const MAX_DECODER_KIB: u32 = 256 << 10;

/// Why mini debuginfo cannot be used.
#[derive(Debug)]
pub(super) enum MiniDebugError {
    /// The xz data is damaged.
    Xz(std::io::Error),
    /// It inflates to more than [`MAX_INFLATED`] bytes.
    TooLarge,
}

impl fmt::Display for MiniDebugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MiniDebugError::Xz(error) => write!(f, "{error}"),
            MiniDebugError::TooLarge => f.write_str("it inflates to an absurd size"),
        }
    }
}

/// The ELF file inside a `.gnu_debugdata` section.
pub(super) fn inflate(section: &[u8]) -> Result<Vec<u8>, MiniDebugError> {
    let decoder = lzma_rust2::XzReader::new_mem_limit(section, true, MAX_DECODER_KIB);
    let mut elf = Vec::new();
    decoder.take(MAX_INFLATED + 1).read_to_end(&mut elf).map_err(MiniDebugError::Xz)?;
    if elf.len() as u64 > MAX_INFLATED {
        return Err(MiniDebugError::TooLarge);
    }
    Ok(elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf hello | xz`
    const HELLO: [u8; 64] = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16,
        0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x04, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x00, 0x00,
        0x00, 0x00, 0xb1, 0x37, 0xb9, 0xdb, 0xe5, 0xda, 0x1e, 0x9b, 0x00, 0x01, 0x1d, 0x05, 0xb8, 0x2d, 0x80,
        0xaf, 0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];

    #[test]
    fn xz_data_inflates() {
        assert_eq!(inflate(&HELLO).unwrap(), b"hello");
    }

    #[test]
    fn damaged_xz_data_is_an_error_not_a_panic() {
        for at in 0..HELLO.len() {
            assert!(inflate(&HELLO[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = HELLO;
                damaged[at] ^= 1 << bit;
                let _ = inflate(&damaged);
            }
        }
    }
}
