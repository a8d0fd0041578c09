//! Files that are compressed with gzip, as `.pkl.gz` are.

use crate::error::{Context, Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};

/// Weights hardly compress; more than this many times the file, and some room for small files, is a
/// trap.
const MOST_TIMES: u64 = 20;
const ROOM: u64 = 1 << 20;

/// What the file unpacks to. Memory grows with what really comes out, and no further than a file of
/// weights can.
///
/// # Errors
/// The file is damaged, or unpacks to far more than weights do.
pub(super) fn gunzip(file: File) -> Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let most = size.saturating_mul(MOST_TIMES).saturating_add(ROOM);
    let mut bytes = Vec::new();
    MultiGzDecoder::new(BufReader::new(file))
        .take(most + 1)
        .read_to_end(&mut bytes)
        .context(|| "it cannot be unpacked, download or copy it again".to_owned())?;
    if bytes.len() as u64 > most {
        return Err(Error::new(format!(
            "its {size} bytes unpack to more than {most}. Weights do not compress so well: it is made \
             to fill the memory, do not trust it."
        )));
    }
    Ok(bytes)
}
