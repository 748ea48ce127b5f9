//! Bundles: a trace and the names that it needs in one file, which opens where neither the program nor its debug info is.
//!
//! A bundle is a tar archive, compressed by gzip, so that what is in it can be had without us, too:
//!
//! ```text
//! names.json   the answers to all that reports look up (the symbolizer's)
//! running      seconds since 1970 when the copy was made; only of a process that had not ended then
//! trace.bin    the trace, byte for byte; what was never used is zeros, which take no room
//! ```
//!
//! None of it is trusted. How much is unpacked depends on the file's length, and zeros take no memory either.

use super::error::OpenError;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};

/// What every file that gzip compressed begins with (RFC 1952).
const MAGIC: [u8; 2] = [0x1f, 0x8b];
const NAMES: &str = "names.json";
const RUNNING: &str = "running";
const TRACE: &str = "trace.bin";

/// A bundle unpacks to this much, bytes, and so many times its own length at most. Traces are 5 to 20 times as long as what is made of them,
/// but for space that was never used.
const ALWAYS: u64 = 64 << 20;
const RATIO: u64 = 256;

/// What is in a bundle besides the trace.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// The names, as they were written.
    pub(super) names: Vec<u8>,
    /// When the copy was made, seconds since 1970, if the process had not ended then.
    pub(super) running: Option<f64>,
}

/// Whether these bytes are to be unpacked.
pub(super) fn is_bundle(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The words of a bundle's trace, their length in bytes, and what else there is.
pub(super) fn unpack(packed: &[u8]) -> Result<(Vec<u64>, usize, Contents), OpenError> {
    let limit = limit(packed.len() as u64);
    let mut archive = tar::Archive::new(GzDecoder::new(packed).take(limit));
    let (mut trace, mut contents) = (None, Contents::default());
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        match &*entry.path_bytes() {
            name if name == NAMES.as_bytes() => {
                (&mut entry).take(limit).read_to_end(&mut contents.names).map_err(damaged)?;
            }
            name if name == RUNNING.as_bytes() => {
                let mut text = String::new();
                (&mut entry).take(64).read_to_string(&mut text).map_err(damaged)?;
                contents.running = text.trim().parse().ok().filter(|seconds: &f64| seconds.is_finite());
            }
            name if name == TRACE.as_bytes() => {
                let length = usize::try_from(entry.size()).ok().filter(|_| entry.size() <= limit);
                let length = length.ok_or_else(|| damaged(io::ErrorKind::FileTooLarge.into()))?;
                trace = Some((words(&mut entry, length).map_err(damaged)?, length));
            }
            // A later version may add to it.
            _ => {}
        }
    }
    // The checksum is at the end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    let (words, length) = trace
        .ok_or_else(|| OpenError::Bundle("is compressed, but no bundle: there is no trace in it".into()))?;
    Ok((words, length, contents))
}

/// Reads bytes as words, because records must be aligned to eight bytes. Zeros are left alone: their pages are never touched.
fn words(bytes: &mut impl Read, length: usize) -> io::Result<Vec<u64>> {
    let mut words = vec![0u64; length.div_ceil(8)];
    let mut buffer = vec![0u8; 64 << 10];
    for (part, words) in words.chunks_mut(buffer.len() / 8).enumerate() {
        let start = part * buffer.len();
        let bytes_here = (length - start).min(buffer.len());
        buffer[bytes_here..].fill(0);
        bytes.read_exact(&mut buffer[..bytes_here])?;
        if buffer.iter().any(|byte| *byte != 0) {
            for (word, bytes) in words.iter_mut().zip(buffer.as_chunks().0) {
                *word = u64::from_ne_bytes(*bytes);
            }
        }
    }
    Ok(words)
}

fn limit(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).saturating_add(ALWAYS)
}

fn damaged(error: io::Error) -> OpenError {
    OpenError::Bundle(match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::FileTooLarge => {
            "is a bundle that is cut short, or would become far too large".to_owned()
        }
        _ => format!("is a damaged bundle ({error})"),
    })
}

/// Writes a bundle.
///
/// # Errors
///
/// Those of `out`, and if the bundle could not be opened again because there is next to nothing in the trace.
pub(super) fn pack(out: &mut dyn Write, trace: &[u8], contents: &Contents) -> io::Result<()> {
    let counted = Counted { out, written: 0 };
    let mut archive = tar::Builder::new(GzEncoder::new(counted, Compression::default()));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, name, bytes)
    };
    add(NAMES, &contents.names)?;
    if let Some(seconds) = contents.running {
        add(RUNNING, format!("{seconds}\n").as_bytes())?;
    }
    add(TRACE, trace)?;
    let written = archive.into_inner()?.finish()?.written;
    let whole = (contents.names.len() + trace.len()) as u64;
    // The archive's own blocks are a few KiB.
    if whole.saturating_add(64 << 10) > limit(written) {
        return Err(io::Error::other("there is next to nothing in the trace, for its length"));
    }
    Ok(())
}

/// Counts what goes through.
struct Counted<'a> {
    out: &'a mut dyn Write,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(trace: &[u8], running: Option<f64>) -> Vec<u8> {
        let mut out = Vec::new();
        pack(&mut out, trace, &Contents { names: b"{}".to_vec(), running }).expect("memory");
        out
    }

    fn message(bytes: &[u8]) -> String {
        unpack(bytes).expect_err("it is damaged").to_string()
    }

    #[test]
    fn what_went_in_comes_out() {
        let mut trace = vec![0u8; 300_001];
        (trace[0], trace[70_000], trace[300_000]) = (1, 2, 3);
        let bundle = packed(&trace, Some(1234.5));
        assert!(is_bundle(&bundle) && bundle.len() < 2000);
        let (words, length, contents) = unpack(&bundle).expect("it is sound");
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert!(bytes[..length] == trace[..] && bytes.len() == 300_008);
        assert_eq!((contents.names.as_slice(), contents.running), (&b"{}"[..], Some(1234.5)));
        assert_eq!(bundle, packed(&trace, Some(1234.5)), "always the same");
    }

    #[test]
    fn what_is_cut_short_or_changed_is_refused() {
        let bundle = packed(&[7; 5000], None);
        for length in 2..bundle.len() {
            assert!(unpack(&bundle[..length]).is_err(), "{length} of {} bytes", bundle.len());
        }
        for place in 10..bundle.len() {
            let mut wrong = bundle.clone();
            wrong[place] ^= 0x10;
            assert!(unpack(&wrong).is_err(), "byte {place}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        // Ten gigabytes of zeros, compressed twice as much as is believed.
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        let mut header = tar::Header::new_gnu();
        header.set_size(10 << 30);
        header.set_path(TRACE).expect("a short name");
        header.set_cksum();
        out.write_all(header.as_bytes()).expect("memory");
        for _ in 0..100 {
            out.write_all(&[0; 1 << 20]).expect("memory");
        }
        assert!(message(&out.finish().expect("memory")).contains("too large"));
    }

    #[test]
    fn other_compressed_files_are_no_bundles() {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(&[0; 1024]).expect("memory");
        assert!(message(&out.finish().expect("memory")).contains("no bundle"));
    }
}
