use super::*;

#[test]
fn numbers_are_those_that_were_written() {
    assert_eq!(shortest(1e-5), 1e-5);
    assert_eq!(shortest(500_000.), 500_000.);
    assert!(shortest(f32::NAN).is_nan());
}

#[test]
fn other_files_are_told_apart() {
    let of = |bytes: &[u8]| Header::read(bytes).unwrap_err().to_string();
    assert_eq!(of(b"ABCDEFGH"), "this is not a GGUF file.");
    assert!(of(b"GGUF\0\0\0\x03").contains("big-endian"));
    assert!(of(b"GGUF\x09\0\0\0").contains("version 9"));
    assert!(of(b"GG").contains("cut off"));
}

#[test]
fn counts_that_make_no_sense_end_with_the_file() {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([0xff; 16]);
    assert!(
        Header::read(bytes.as_slice())
            .unwrap_err()
            .to_string()
            .contains("cut off")
    );
    // A text of 2^63 bytes.
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([0; 8]);
    bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0x80]);
    assert!(
        Header::read(bytes.as_slice())
            .unwrap_err()
            .to_string()
            .contains("damaged")
    );
}
