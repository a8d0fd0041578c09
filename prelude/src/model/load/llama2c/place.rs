//! A tensor in a llama2.c checkpoint.

/// Where a tensor is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) shape: Vec<usize>,
    pub(super) start: u64,
    /// In bytes.
    pub(super) size: usize,
    /// For queries and keys, how many heads turn by position.
    pub(super) rotary_heads: Option<usize>,
    /// Numbers for each scale, where they are bytes.
    pub(super) group: Option<usize>,
}

impl Place {
    /// The numbers that these bytes stand for: in groups, all bytes of a tensor are followed by the
    /// scales, as `runq.c` reads them.
    pub(super) fn numbers(&self, bytes: &[u8]) -> Vec<f32> {
        let floats = |bytes: &[u8]| -> Vec<f32> {
            let (words, _) = bytes.as_chunks::<4>();
            words.iter().map(|word| f32::from_le_bytes(*word)).collect()
        };
        let Some(group) = self.group else {
            return floats(bytes);
        };
        let numbers = self.shape.iter().product::<usize>().min(bytes.len());
        let (quantised, scales) = bytes.split_at(numbers);
        let groups = quantised.chunks(group.max(1)).zip(floats(scales));
        let scaled = |(group, scale): (&[u8], f32)| -> Vec<f32> {
            let number = |byte: &u8| f32::from(i8::from_le_bytes([*byte])) * scale;
            group.iter().map(number).collect()
        };
        groups.flat_map(scaled).collect()
    }
}
