//! Writes pickles for tests.

/// A pickle that is being written, one instruction after the other.
#[derive(Clone, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A pickle of protocol 2, which is what torch writes.
    pub(crate) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        let length = (text.len() as u32).to_le_bytes();
        self.raw(b"X").raw(&length).raw(text.as_bytes())
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let length = (bytes.len() as u32).to_le_bytes();
        self.raw(b"B").raw(&length).raw(bytes)
    }

    pub(crate) fn int(self, value: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub(crate) fn ints(self, values: &[i64]) -> Self {
        let start = self.raw(b"(");
        let all = values
            .iter()
            .fold(start, |writer, value| writer.int(*value));
        all.raw(b"t")
    }

    /// The pickle with its closing mark.
    pub(crate) fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}
