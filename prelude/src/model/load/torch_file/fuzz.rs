//! Damaged files of every kind: errors are fine, panics are not.

use super::super::pickle::writer::Writer;
use super::TorchFile;
use super::fixture::{Tensor, WriteTensor, checkpoint, floats, legacy, plain_pickle};
use std::io::Cursor;
use std::time::{Duration, Instant};

/// Marsaglia's xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let started = Instant::now();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let originals = files();
    assert!(originals.iter().all(|file| read_all(file)));
    let mut read = 0;
    for round in 0..4000 {
        for original in &originals {
            if started.elapsed() > Duration::from_millis(900) {
                break;
            }
            let mut file = original.clone();
            for _ in 0..=random.below(4) {
                mutate(&mut file, &mut random);
            }
            if round % 5 == 0 {
                file.truncate(random.below(file.len()) + 1);
            }
            read += usize::from(read_all(&file));
        }
    }
    assert!(read > 0, "some files survive");
}

fn mutate(file: &mut [u8], random: &mut Random) {
    let at = random.below(file.len());
    file[at] = match random.below(4) {
        0 => random.below(256) as u8,
        1 => INTERESTING[random.below(INTERESTING.len())],
        2 => file[random.below(file.len())],
        _ => file[at] ^ (1 << random.below(8)),
    };
}

/// Instructions of pickles, and numbers at their limits.
const INTERESTING: &[u8] = b"\x00\x7f\x80\x81\xff(.0)12abdehijlopqrstuQRX]}\x85\x8a\x92\x93\x94";

/// Opens a file and reads every tensor; whether there was one.
fn read_all(file: &[u8]) -> bool {
    let Ok(file) = TorchFile::open("fuzz".to_owned(), Cursor::new(file.to_vec())) else {
        return false;
    };
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    let read = names.iter().map(|name| {
        file.info(name);
        file.read(name).is_ok()
    });
    read.fold(false, |any, read| any | read)
}

fn files() -> Vec<Vec<u8>> {
    let values = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let tensors = || {
        let whole = Tensor::new("FloatStorage", "0", &[2, 3]);
        let turned = Tensor::new("FloatStorage", "0", &[2]).view(1, &[2, 2], &[1, 3]);
        [("whole", whole), ("turned", turned)]
    };
    let nested = Writer::new().raw(b"}").text("state_dict").dict(&tensors());
    let nested = nested.raw(b"s").stop();
    vec![
        checkpoint(&nested, &[("0", &values)]),
        legacy(&nested, &[("0", 6, &values)]),
        plain_pickle(&values),
    ]
}
