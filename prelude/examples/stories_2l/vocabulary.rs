//! `tokenizer`: a byte-level byte-pair vocabulary of the corpus's own, in GPT-2's form.

use std::path::Path;

use ferrolens::Result;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerBuilder,
};

use crate::corpus;
use crate::sample::MARKER;

/// Learns `size` tokens, of which the first is the end-of-text token and the next 256 are the bytes.
pub fn train(corpus: &Path, size: usize, output: &Path) -> Result<()> {
    let stories = corpus::stories(corpus)?;
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = TokenizerBuilder::<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    >::new()
    .with_model(BPE::default())
    .with_normalizer(None)
    .with_pre_tokenizer(Some(byte_level.into()))
    .with_post_processor(Some(byte_level.into()))
    .with_decoder(Some(byte_level.into()))
    .build()?;
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .special_tokens(vec![AddedToken::from(MARKER, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    tokenizer.train(&mut trainer, stories.iter().map(String::as_str))?;
    tokenizer.save(output, true)?;

    let characters: usize = stories.iter().map(|story| story.chars().count()).sum();
    println!(
        "{} tokens from {} stories with {characters} characters, in {}",
        tokenizer.get_vocab_size(true),
        stories.len(),
        output.display()
    );
    Ok(())
}
