//! Checkpoints for tests, put together by hand.

use super::super::pickle::writer::Writer;

/// A tensor to write: its class of storage, and how it lies in the storage of this key.
pub(super) struct Tensor {
    pub(super) class: &'static str,
    pub(super) key: &'static str,
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

impl Tensor {
    pub(super) fn new(class: &'static str, key: &'static str, shape: &[i64]) -> Self {
        let strides = (0..shape.len()).map(|at| shape[at + 1..].iter().product());
        Self {
            class,
            key,
            offset: 0,
            shape: shape.to_vec(),
            strides: strides.collect(),
        }
    }

    pub(super) fn view(mut self, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        self.offset = offset;
        self.shape = shape.to_vec();
        self.strides = strides.to_vec();
        self
    }
}

/// What tests write on top of the instructions of a pickle.
pub(super) trait WriteTensor: Sized {
    fn tensor(self, tensor: &Tensor) -> Self;
    fn dict(self, tensors: &[(&str, Tensor)]) -> Self;
}

impl WriteTensor for Writer {
    fn tensor(self, tensor: &Tensor) -> Self {
        let start = self.global("torch._utils", "_rebuild_tensor_v2");
        let storage = start.raw(b"((").text("storage");
        let storage = storage.global("torch", tensor.class).text(tensor.key);
        let storage = storage.text("cpu").int(0).raw(b"NtQ");
        let place = storage.int(tensor.offset).ints(&tensor.shape);
        let place = place.ints(&tensor.strides).raw(b"\x89");
        place.global("collections", "OrderedDict").raw(b")RtR")
    }

    fn dict(self, tensors: &[(&str, Tensor)]) -> Self {
        let start = self.global("collections", "OrderedDict").raw(b")R(");
        let add = |writer: Self, (name, tensor): &(&str, Tensor)| writer.text(name).tensor(tensor);
        tensors.iter().fold(start, add).raw(b"u")
    }
}

/// A state dict of these tensors.
pub(super) fn state_dict(tensors: &[(&str, Tensor)]) -> Vec<u8> {
    Writer::new().dict(tensors).stop()
}

pub(super) fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A checkpoint as PyTorch writes it since 1.6.
pub(super) fn checkpoint(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let named = |(key, bytes): &(&str, &[u8])| (format!("archive/data/{key}"), bytes.to_vec());
    let mut entries = vec![("archive/data.pkl".to_owned(), pickle.to_vec())];
    entries.push(("archive/byteorder".to_owned(), b"little".to_vec()));
    entries.extend(storages.iter().map(named));
    zip(&entries, 0)
}

/// A zip archive; method 0 stores, 8 says that the entries are compressed.
pub(super) fn zip(entries: &[(String, Vec<u8>)], method: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, bytes) in entries {
        let mut common = Vec::new();
        for number in [20_u16, 0, method, 0, 0x21] {
            common.extend_from_slice(&number.to_le_bytes());
        }
        for number in [0_u32, bytes.len() as u32, bytes.len() as u32] {
            common.extend_from_slice(&number.to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        let start = file.len() as u32;
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), bytes].concat());
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10]].concat());
        directory.extend_from_slice(&start.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let start = (file.len() as u32).to_le_bytes();
    let length = (directory.len() as u32).to_le_bytes();
    file.extend_from_slice(&directory);
    file.extend(
        [
            b"PK\x05\x06\0\0\0\0",
            &count[..],
            &count,
            &length,
            &start,
            &[0, 0],
        ]
        .concat(),
    );
    file
}

/// A checkpoint as PyTorch wrote it before 1.6. The counts are of values.
pub(super) fn legacy(pickle: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let system = Writer::new().raw(b"}").text("little_endian").raw(b"\x88s");
    let keys = Writer::new().raw(b"](");
    let keys = storages.iter().fold(keys, |keys, (key, ..)| keys.text(key));
    let mut file = [
        &magic[..],
        &Writer::new().int(1001).stop(),
        &system.stop(),
        pickle,
        &keys.raw(b"e").stop(),
    ]
    .concat();
    for (_, count, bytes) in storages {
        file.extend_from_slice(&count.to_le_bytes());
        file.extend_from_slice(bytes);
    }
    file
}

/// What plain `pickle.dump` writes: a dict of one tensor `w` of six numbers, of which the pickle
/// holds the storage as a file of its own.
pub(super) fn plain_pickle(six: &[u8]) -> Vec<u8> {
    let storage = Writer::new().raw(b"(").text("storage");
    let storage = storage.global("torch", "FloatStorage").text("7");
    let storage = storage.text("cpu").int(6).raw(b"NtQ").stop();
    let storage = legacy(&storage, &[("7", 6, six)]);
    let tensor = Writer::new().raw(b"}").text("w");
    let tensor = tensor
        .global("torch._utils", "_rebuild_tensor_v2")
        .raw(b"(");
    let tensor = tensor.global("torch.storage", "_load_from_bytes");
    let tensor = tensor.bytes(&storage).raw(b"\x85R").int(0);
    let tensor = tensor.ints(&[3, 2]).ints(&[1, 3]).raw(b"\x89N");
    tensor.raw(b"tRs").stop()
}
