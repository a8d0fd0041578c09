//! Texts in rows of one length.

use super::options::Packing;

/// Rows of exactly `context` tokens from texts that are token ids, without special tokens in front.
pub(super) fn pack(
    texts: &[Vec<u32>],
    packing: Packing,
    context: usize,
    bos: Option<u32>,
    eos: Option<u32>,
) -> Vec<Vec<u32>> {
    match packing {
        Packing::RowPerText => texts.to_vec(),
        Packing::SaeLens => sae_lens(texts, context, bos),
        Packing::TransformerLens => transformer_lens(texts, context, bos, eos),
    }
}

/// SAELens's `concat_and_batch_sequences` with the beginning-of-sequence token as the first of a row
/// and as the separator: one of them where both would stand.
fn sae_lens(texts: &[Vec<u32>], context: usize, bos: Option<u32>) -> Vec<Vec<u32>> {
    let mut rows = Vec::new();
    let mut row: Vec<u32> = Vec::with_capacity(context);
    for text in texts {
        let mut rest = text.as_slice();
        while let Some(first) = rest.first() {
            // At the start of a row, and where a text begins inside one.
            if bos.is_some_and(|bos| bos != *first) {
                row.extend(bos);
            }
            let (here, later) = rest.split_at(rest.len().min(context - row.len().min(context)));
            row.extend(here);
            rest = later;
            if row.len() >= context {
                rows.push(std::mem::replace(&mut row, Vec::with_capacity(context)));
            }
        }
    }
    rows
}

/// TransformerLens's `tokenize_and_concatenate`: one stream with end-of-sequence tokens between the
/// texts, cut into rows, each with a beginning-of-sequence token in front.
fn transformer_lens(
    texts: &[Vec<u32>],
    context: usize,
    bos: Option<u32>,
    eos: Option<u32>,
) -> Vec<Vec<u32>> {
    let mut stream: Vec<u32> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            stream.extend(eos);
        }
        stream.extend(text);
    }
    let width = context - usize::from(bos.is_some());
    let rows = stream.chunks_exact(width.max(1));
    rows.map(|row| bos.into_iter().chain(row.iter().copied()).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<Vec<u32>> {
        vec![
            vec![1, 2, 3],
            vec![4],
            vec![],
            vec![5, 6, 7, 8, 9, 10],
            vec![0, 11, 12, 13],
        ]
    }

    /// Recorded from SAELens 6.54.12: `concat_and_batch_sequences(texts, 4, 0, None, 0)`.
    #[test]
    fn rows_are_those_of_sae_lens() {
        assert_eq!(
            pack(&texts(), Packing::SaeLens, 4, Some(0), Some(0)),
            SAE_LENS_4
        );
        assert_eq!(
            pack(&texts(), Packing::SaeLens, 5, Some(0), Some(0)),
            SAE_LENS_5
        );
        assert_eq!(
            pack(&texts(), Packing::SaeLens, 3, None, Some(0)),
            SAE_LENS_3_WITHOUT
        );
    }

    const SAE_LENS_4: [[u32; 4]; 5] = [
        [0, 1, 2, 3],
        [0, 4, 0, 5],
        [0, 6, 7, 8],
        [0, 9, 10, 0],
        [0, 11, 12, 13],
    ];
    const SAE_LENS_5: [[u32; 5]; 3] = [[0, 1, 2, 3, 0], [0, 4, 0, 5, 6], [0, 7, 8, 9, 10]];
    const SAE_LENS_3_WITHOUT: [[u32; 3]; 4] = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 0, 11]];

    #[test]
    fn transformer_lens_puts_ends_between_texts() {
        let rows = pack(&texts(), Packing::TransformerLens, 5, Some(0), Some(99));
        assert_eq!(
            rows,
            [
                [0, 1, 2, 3, 99],
                [0, 4, 99, 99, 5],
                [0, 6, 7, 8, 9],
                [0, 10, 99, 0, 11]
            ]
        );
    }
}
