//! Checkpoints by hand, whole and hostile.

use super::super::pickle::writer::Writer;
use super::fixture::{
    Tensor, WriteTensor, checkpoint, floats, legacy, plain_pickle, state_dict, zip,
};
use super::*;
use std::io::Cursor;

fn open(bytes: Vec<u8>) -> Result<TorchFile> {
    TorchFile::open("model.pth".to_owned(), Cursor::new(bytes))
}

fn open_error(bytes: Vec<u8>) -> String {
    match open(bytes) {
        Ok(file) => panic!("{:?} was read", file.names().collect::<Vec<_>>()),
        Err(error) => error.to_string(),
    }
}

fn names(file: &TorchFile) -> Vec<&str> {
    file.names().collect()
}

fn read_error(file: &TorchFile, name: &str) -> String {
    file.read(name).unwrap_err().to_string()
}

fn float(key: &'static str, shape: &[i64]) -> Tensor {
    Tensor::new("FloatStorage", key, shape)
}

const SIX: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// A zip file with six numbers in storage `0`, and this tensor `w`.
fn with_six(w: Tensor) -> TorchFile {
    open(checkpoint(
        &state_dict(&[("w", w)]),
        &[("0", &floats(&SIX))],
    ))
    .unwrap()
}

#[test]
fn both_formats_hold_the_same() {
    let tensors = || {
        [
            ("b.weight", float("0", &[2, 3])),
            ("a.bias", Tensor::new("BFloat16Storage", "k", &[2])),
            ("mask", Tensor::new("BoolStorage", "mask", &[])),
        ]
    };
    let pickle = state_dict(&tensors());
    let six = floats(&SIX);
    let halves: &[u8] = &[0x80, 0x3f, 0, 0x40];
    let new = checkpoint(&pickle, &[("mask", &[1]), ("0", &six), ("k", halves)]);
    let old = legacy(
        &pickle,
        &[("0", 6, &six), ("k", 2, halves), ("mask", 1, &[1])],
    );
    for file in [open(new).unwrap(), open(old).unwrap()] {
        assert_eq!(names(&file), ["b.weight", "a.bias", "mask"]);
        let info = file.info("b.weight").unwrap();
        assert_eq!((info.dtype, info.shape), (Dtype::F32, vec![2, 3]));
        assert_eq!(file.info("c"), None);
        let weight = file.read("b.weight").unwrap();
        assert_eq!(weight, (Dtype::F32, vec![2, 3], six.clone()));
        let bias = file.read("a.bias").unwrap();
        assert_eq!(bias, (Dtype::BF16, vec![2], halves.to_vec()));
        assert_eq!(Dtype::BF16.name(), "bfloat16");
        assert_eq!(file.read("mask").unwrap(), (Dtype::Bool, vec![], vec![1]));
        let error = read_error(&file, "b.wieght");
        assert_eq!(
            error,
            "there is no tensor `b.wieght`. Did you mean `b.weight`?"
        );
    }
}

#[test]
fn views_become_row_major() {
    let read = |w| with_six(w).read("w").unwrap().2;
    let view =
        |offset, shape: &[i64], strides: &[i64]| float("0", &[]).view(offset, shape, strides);
    assert_eq!(read(view(4, &[2], &[1])), floats(&[5.0, 6.0]));
    let turned = floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(read(view(0, &[3, 2], &[1, 3])), turned);
    assert_eq!(
        read(view(1, &[2, 2], &[3, 1])),
        floats(&[2.0, 3.0, 5.0, 6.0])
    );
    let repeated = floats(&[2.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(read(view(1, &[2, 1, 3], &[1, 9, 0])), repeated);
    let cube = floats(&[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(read(view(0, &[2, 2, 2], &[0, 2, 1])), cube);
    assert!(read(view(99, &[0, 5], &[5, 1])).is_empty());
    assert_eq!(read(view(3, &[], &[])), floats(&[4.0]));
}

#[test]
fn views_beyond_the_storage_are_errors() {
    let big = i64::MAX;
    for (offset, shape, strides) in [
        (0, vec![7], vec![1]),
        (6, vec![1], vec![1]),
        (1, vec![2, 3], vec![3, 1]),
        (big, vec![1], vec![1]),
        (0, vec![big, big], vec![1, 1]),
        (0, vec![2], vec![big]),
        (big, vec![big, big, big], vec![big, big, big]),
    ] {
        let file = with_six(float("0", &[]).view(offset, &shape, &strides));
        let error = read_error(&file, "w");
        assert!(error.contains("behind the end of their storage"), "{error}");
    }
    for (shape, strides) in [(vec![1 << 40], vec![0]), (vec![big, big], vec![0, 0])] {
        let file = with_six(float("0", &[]).view(0, &shape, &strides));
        let error = read_error(&file, "w");
        assert!(error.contains("more than 16 times"), "{error}");
    }
    for (offset, shape, strides) in [
        (-1, vec![1], vec![1]),
        (0, vec![-1], vec![1]),
        (0, vec![2], vec![-1]),
        (0, vec![2], vec![]),
        (0, vec![1; 65], vec![1; 65]),
    ] {
        let file = with_six(float("0", &[]).view(offset, &shape, &strides));
        let error = read_error(&file, "w");
        assert!(error.contains("description is damaged"), "{error}");
        assert_eq!(file.info("w").unwrap().dtype, Dtype::Other("unreadable"));
    }
    let error = read_error(&with_six(float("1", &[2])), "w");
    assert!(error.contains("has no storage `1`"), "{error}");
}

#[test]
fn the_state_dict_is_found_where_programs_put_it() {
    let six = floats(&SIX);
    let names_of = |pickle: Vec<u8>| {
        let file = open(checkpoint(&pickle, &[("0", &six)])).unwrap();
        names(&file).join(" ")
    };
    let w = || [("a.w", float("0", &[6]))];
    let start = || Writer::new().raw(b"}");
    assert_eq!(
        names_of(Writer::new().tensor(&float("0", &[6])).stop()),
        "tensor"
    );
    let inner = start().text("x").tensor(&float("0", &[6])).raw(b"s");
    let inner = inner.text("state_dict").dict(&w()).raw(b"s").stop();
    assert_eq!(names_of(inner), "x");
    for key in ["state_dict", "model_state_dict", "model"] {
        let other = start().text("ema").dict(&w()).raw(b"s");
        assert_eq!(names_of(other.text(key).dict(&w()).raw(b"s").stop()), "a.w");
    }
    let twice = start()
        .text("model")
        .raw(b"}")
        .text("state_dict")
        .dict(&w());
    assert_eq!(names_of(twice.raw(b"ss").stop()), "a.w");
    let everywhere = start().text("enc").dict(&w()).raw(b"sK\x07](K\x05");
    let everywhere = everywhere.tensor(&float("0", &[6])).raw(b"es").stop();
    assert_eq!(names_of(everywhere), "enc.a.w 7.1");
    let module = Writer::new().global("m", "Net").raw(b")\x81}");
    let module = module
        .text("training")
        .raw(b"\x88s")
        .text("_modules")
        .raw(b"}");
    let module = module.text("fc").global("m", "Linear").raw(b")\x81}");
    let module = module.text("_parameters").dict(&w()).raw(b"sbssb").stop();
    assert_eq!(names_of(module), "fc.a.w");
    let parameter = start()
        .text("p")
        .global("torch._utils", "_rebuild_parameter");
    let parameter = parameter
        .raw(b"(")
        .tensor(&float("0", &[6]))
        .raw(b"\x89NtRs")
        .stop();
    assert_eq!(names_of(parameter), "p");
}

#[test]
fn what_is_beside_the_tensors_is_readable_and_inert() {
    let pickle = Writer::new().raw(b"}").text("cfg").global("sae", "Config");
    let pickle = pickle.raw(b")\x81}").text("d_in").int(32).raw(b"sbs");
    let pickle = pickle
        .text("evil")
        .global("os", "system")
        .raw(b"(")
        .text("rm -rf /");
    let pickle = pickle
        .raw(b"tRs")
        .text("state_dict")
        .dict(&[("w", float("0", &[6]))]);
    let bytes = checkpoint(&pickle.raw(b"s").stop(), &[("0", &floats(&SIX))]);
    let file = open(bytes).unwrap();
    assert_eq!(names(&file), ["w"]);
    assert_eq!(file.read("w").unwrap().2, floats(&SIX));
    let pickle = file.pickle();
    let config = pickle.get(pickle.root(), "cfg").unwrap();
    assert_eq!(pickle.class_name(config).as_deref(), Some("sae.Config"));
    let d_in = pickle.get(config, "d_in").and_then(|id| pickle.as_i64(id));
    assert_eq!(d_in, Some(32));
    let evil = pickle.get(pickle.root(), "evil").unwrap();
    let call = pickle.call(evil).unwrap();
    assert_eq!((call.module, call.name), ("os", "system"));
}

#[test]
fn a_file_that_is_just_a_call_is_refused() {
    let pickle = Writer::new()
        .global("os", "system")
        .raw(b"(")
        .text("ls")
        .raw(b"tR");
    let part = "calls `os.system`, which this reader never executes; it holds no tensors";
    for bytes in [
        b"cos\nsystem\n(S'ls'\ntR.".to_vec(),
        pickle.clone().stop(),
        checkpoint(&pickle.clone().stop(), &[]),
        legacy(&pickle.stop(), &[]),
    ] {
        let error = open_error(bytes);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn tensors_are_read_however_they_are_written() {
    let six = floats(&SIX);
    let turned = floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let file = open(plain_pickle(&six)).unwrap();
    assert_eq!(file.read("w").unwrap(), (Dtype::F32, vec![3, 2], turned));
    // A storage of bytes, and a tensor that names its type.
    let storage = |writer: Writer, class: &str, view: &[u8]| {
        let storage = writer
            .raw(b"((")
            .text("storage")
            .global("torch.storage", class);
        storage.text("0").text("cpu").int(24).raw(view).raw(b"tQ")
    };
    let start = || Writer::new().raw(b"}").text("w");
    let typed = start().global("torch._utils", "_rebuild_tensor_v3");
    let typed = storage(typed, "UntypedStorage", b"")
        .int(1)
        .ints(&[2])
        .ints(&[1]);
    let typed = typed
        .raw(b"\x89N")
        .global("torch", "int16")
        .raw(b"tRs")
        .stop();
    let file = open(checkpoint(&typed, &[("0", &six)])).unwrap();
    let read = file.read("w").unwrap();
    assert_eq!(read, (Dtype::I16, vec![2], six[2..6].to_vec()));
    // A subclass of a tensor, which is a view of a storage of old.
    let class = start()
        .global("torch._tensor", "_rebuild_from_type_v2")
        .raw(b"(");
    let class = class.global("torch._utils", "_rebuild_tensor_v2");
    let class = class.global("m", "Sub");
    let class = storage(class, "FloatStorage", b"(X\x01\0\0\0vK\x02K\x04t");
    let class = class.int(1).ints(&[2]).ints(&[1]).raw(b"\x89NtNtRs").stop();
    let file = open(legacy(&class, &[("0", 6, &six)])).unwrap();
    assert_eq!(file.read("w").unwrap().2, floats(&[4.0, 5.0]));
}

#[test]
fn types_and_kinds_that_are_not_read_are_listed() {
    let complex = Tensor::new("ComplexFloatStorage", "0", &[3]);
    let file = with_six(complex);
    assert_eq!(file.info("w").unwrap().dtype, Dtype::Other("complex64"));
    assert_eq!(file.info("w").unwrap().shape, [3]);
    assert!(read_error(&file, "w").contains("of type complex64"));

    let sparse = Writer::new().raw(b"}").text("s");
    let sparse = sparse
        .global("torch._utils", "_rebuild_sparse_tensor")
        .raw(b")Rs");
    let file = open(checkpoint(&sparse.stop(), &[])).unwrap();
    assert_eq!(file.info("s").unwrap().dtype, Dtype::Other("sparse"));
    assert!(read_error(&file, "s").contains("`_rebuild_sparse_tensor`"));
}

#[test]
fn other_files_say_what_they_are() {
    let mut tar = vec![0; 600];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, part) in [
        (Vec::new(), "the file is empty"),
        (tar, "this is a tar archive"),
        (b"\x1f\x8b\x08".to_vec(), "compressed with gzip"),
        (
            b"version https://git-lfs.github.com".to_vec(),
            "a pointer of Git LFS",
        ),
        (b"\n<!DOCTYPE html>".to_vec(), "this is a web page"),
        (
            b"\x02\0\0\0\0\0\0\0{}...".to_vec(),
            "this is a safetensors file",
        ),
        (b"hello".to_vec(), "this is no zip file"),
        (Writer::new().int(5).stop(), "holds just a number"),
        (zip(&[("a/readme".into(), vec![])], 0), "it has no data.pkl"),
        (
            zip(&[("a/data.pkl".into(), b"N.".to_vec())], 8),
            "is compressed",
        ),
    ] {
        let error = open_error(bytes);
        assert!(error.starts_with("model.pth: "), "{error}");
        assert!(error.contains(part), "{error}");
    }
    let entry = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let big = [entry("a/data.pkl", b"N."), entry("a/byteorder", b"big")];
    assert!(open_error(zip(&big, 0)).contains("big endian"));
    let prefix = [
        entry("my model/data.pkl", b"}."),
        entry("my model/x/data.pkl", b"N"),
    ];
    assert!(open(zip(&prefix, 0)).is_ok());
}

#[test]
fn cut_files_ask_to_be_downloaded_again() {
    let pickle = state_dict(&[("w", float("0", &[6]))]);
    let six = floats(&SIX);
    for whole in [
        checkpoint(&pickle, &[("0", &six)]),
        legacy(&pickle, &[("0", 6, &six)]),
    ] {
        for length in [whole.len() - 1, whole.len() / 2, 20] {
            let error = open_error(whole[..length].to_vec());
            assert!(error.ends_with("ownload or copy it again."), "{error}");
        }
    }
    for count in [7, u64::MAX, 1 << 62] {
        let error = open_error(legacy(&pickle, &[("0", count, &six)]));
        assert!(error.contains("its storage `0` does not fit"), "{error}");
    }
}

#[test]
fn many_names_of_the_same_tensors_stay_small() {
    // Each of sixty dicts holds the one before it twice.
    let mut laughs = Writer::new().dict(&[("w", float("0", &[6]))]).raw(b"q\0");
    for level in 0..60 {
        laughs = laughs.raw(b"}").text("a").raw(&[b'h', level, b's']);
        laughs = laughs.text("b").raw(&[b'h', level, b's', b'q', level + 1]);
    }
    let error = open_error(checkpoint(&laughs.stop(), &[("0", &floats(&SIX))]));
    assert!(error.contains("would take too long"), "{error}");
    let deep = [vec![b']'; 200_000], vec![b'a'; 199_999], vec![b'.']].concat();
    assert_eq!(names(&open(deep).unwrap()).len(), 0);
    let cycle = Writer::new().raw(b"}q\0").text("a").raw(b"h\0s").text("b");
    let cycle = cycle
        .raw(b"}")
        .text("w")
        .tensor(&float("0", &[6]))
        .raw(b"ss");
    let file = open(checkpoint(&cycle.stop(), &[("0", &floats(&SIX))])).unwrap();
    assert_eq!(names(&file), ["b.w"]);
}

#[test]
fn a_checkpoint_can_cross_threads() {
    fn crosses_threads<T: Send + Sync + 'static>() {}
    crosses_threads::<TorchFile>();
}
