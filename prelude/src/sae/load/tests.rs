//! Files that tests outside cannot write.

use super::*;
use candle_core::Device;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

#[test]
fn a_small_file_that_unpacks_to_a_large_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pkl.gz");
    let file = std::fs::File::create(&path).unwrap();
    let mut packed = GzEncoder::new(file, Compression::best());
    for _ in 0..64 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    packed.finish().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 100_000);
    let options = SaeLoadOptions::new().device(&Device::Cpu);
    let message = Sae::load_with(&path, options).unwrap_err().to_string();
    assert!(
        message.contains(&format!("its {size} bytes unpack to more than")),
        "{message}"
    );
}
