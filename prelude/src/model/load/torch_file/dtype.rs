//! The types of a tensor's values.

/// The type of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
    /// A type by its name in torch, whose values this reader does not read.
    Other(&'static str),
}

/// Name in torch, name of the storages of old, bytes per value.
const TYPES: [(Dtype, &str, &str, usize); 28] = [
    (Dtype::F64, "float64", "DoubleStorage", 8),
    (Dtype::F32, "float32", "FloatStorage", 4),
    (Dtype::F16, "float16", "HalfStorage", 2),
    (Dtype::BF16, "bfloat16", "BFloat16Storage", 2),
    (Dtype::I64, "int64", "LongStorage", 8),
    (Dtype::I32, "int32", "IntStorage", 4),
    (Dtype::I16, "int16", "ShortStorage", 2),
    (Dtype::I8, "int8", "CharStorage", 1),
    (Dtype::U8, "uint8", "ByteStorage", 1),
    (Dtype::Bool, "bool", "BoolStorage", 1),
    other("complex128", "ComplexDoubleStorage", 16),
    other("complex64", "ComplexFloatStorage", 8),
    other("complex32", "", 4),
    other("uint64", "", 8),
    other("uint32", "", 4),
    other("uint16", "", 2),
    other("float8_e4m3fn", "", 1),
    other("float8_e4m3fnuz", "", 1),
    other("float8_e5m2", "", 1),
    other("float8_e5m2fnuz", "", 1),
    other("float8_e8m0fnu", "", 1),
    other("float4_e2m1fn_x2", "", 1),
    other("quint8", "QUInt8Storage", 1),
    other("qint8", "QInt8Storage", 1),
    other("qint32", "QInt32Storage", 4),
    other("quint4x2", "QUInt4x2Storage", 1),
    other("quint2x4", "QUInt2x4Storage", 1),
    // A storage of bytes, whose tensors name their type themselves.
    (Dtype::U8, "", "UntypedStorage", 1),
];

const fn other(
    name: &'static str,
    storage: &'static str,
    size: usize,
) -> (Dtype, &'static str, &'static str, usize) {
    (Dtype::Other(name), name, storage, size)
}

impl Dtype {
    /// The type that torch calls so, as in `torch.float32`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = match name {
            "double" => "float64",
            "float" => "float32",
            "half" => "float16",
            "long" => "int64",
            "int" => "int32",
            "short" => "int16",
            name => name,
        };
        let found = TYPES.iter().find(|row| row.1 == name && !name.is_empty());
        found.map(|row| row.0)
    }

    /// The type of the values in a storage of this class.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        let found = TYPES.iter().find(|row| row.2 == class && !class.is_empty());
        found.map(|row| row.0)
    }

    /// Bytes per value.
    pub(crate) fn size(self) -> usize {
        let found = TYPES.iter().find(|row| row.0 == self);
        found.map_or(1, |row| row.3)
    }

    /// What torch calls the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Other(name) => name,
            known => TYPES
                .iter()
                .find(|row| row.0 == known)
                .map_or("", |row| row.1),
        }
    }
}
