//! Texts that a model writes itself: what there is to read where no corpus is at hand.

use super::fingerprint::{Fingerprint, of_model};
use super::store::{cache_folder, write_whole};
use super::texts::Texts;
use crate::emit;
use crate::error::{Error, Result};
use crate::model::{Generate, HookedTransformer};
use std::path::Path;

/// How many texts are written together.
const TOGETHER: usize = 128;

impl Texts {
    /// `count` texts that begin with `opener` and that the model goes on with, as the options say; texts
    /// written together share a seed, the next ones have the next seed. A text ends where the model ended
    /// it. They are kept on disk (see [`crate::data`]), so that the same question is answered at once.
    ///
    /// ```no_run
    /// use ferrolens::data::Texts;
    /// use ferrolens::model::{Generate, HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let options = Generate::new(20).temperature(0.7).seed(1);
    /// let stories = Texts::written_by(&model, "Once upon a time", 4, &options)?;
    /// assert_eq!(stories.len(), 4);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`HookedTransformer::generate`]; no texts are asked for; there are hooks.
    pub fn written_by(
        model: &HookedTransformer,
        opener: &str,
        count: usize,
        options: &Generate,
    ) -> Result<Self> {
        Self::written_in(&cache_folder()?, model, opener, count, options)
    }

    fn written_in(
        folder: &Path,
        model: &HookedTransformer,
        opener: &str,
        count: usize,
        options: &Generate,
    ) -> Result<Self> {
        if count == 0 {
            return Err(Error::new("no texts were asked for: ask for at least one."));
        }
        if model.is_in_scope() || options.has_hooks() {
            return Err(Error::new(
                "texts are kept on disk by model and options, and hooks have no name there: write them \
                 without hooks, or use `model.generate(..)`.",
            ));
        }
        let mut key = Fingerprint::new("texts");
        let last = model.hook_point("ln_final.hook_normalized")?;
        key.text(&of_model(model, last)?.finish());
        key.text(&format!("{opener:?} {count} {options:?}"));
        let file = folder.join("texts").join(format!("{}.json", key.finish()));
        if let Some(known) = read(&file, count) {
            return Ok(Self::new(known));
        }
        let mut line = emit::Progress::new(count).labelled("texts written");
        let mut texts = Vec::with_capacity(count);
        while texts.len() < count {
            let some = TOGETHER.min(count - texts.len());
            let options = options.clone().later_seed(texts.len() / TOGETHER);
            let written = model.generate(vec![opener; some], &options)?;
            texts.extend(written.texts().iter().map(|text| until_end(model, text)));
            line.advance(some);
        }
        line.end();
        let bytes = serde_json::to_vec(&texts)
            .map_err(|error| Error::with_source("the texts cannot be kept.", error))?;
        write_whole(&file, &bytes)?;
        Ok(Self::new(texts))
    }
}

/// What was written before, where it is whole.
fn read(file: &Path, count: usize) -> Option<Vec<String>> {
    let bytes = std::fs::read(file).ok()?;
    let texts: Vec<String> = serde_json::from_slice(&bytes).ok()?;
    Some(texts).filter(|texts| texts.len() == count)
}

/// A text without what fills its row behind the end.
fn until_end(model: &HookedTransformer, text: &str) -> String {
    let end = model.tokenizer().ok().and_then(|tokenizer| {
        let end = tokenizer.eos()?;
        tokenizer.decode(&[end]).ok()
    });
    match end
        .filter(|end| !end.is_empty())
        .and_then(|end| text.find(&end))
    {
        Some(at) => text[..at].to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_again_and_end_where_the_model_ended_them() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let options = Generate::new(12).temperature(1.).seed(3);
        let folder = tempfile::tempdir().unwrap();
        let write = |count| Texts::written_in(folder.path(), &model, "The end", count, &options);
        let (texts, again) = (write(3).unwrap(), write(3).unwrap());
        assert_eq!(texts.to_vec(), again.to_vec());
        for text in texts.to_vec() {
            assert!(
                text.starts_with("The end") && !text.contains("endoftext"),
                "{text}"
            );
        }
        assert_eq!(
            until_end(&model, "A cat.<|endoftext|><|endoftext|>"),
            "A cat."
        );
        assert!(write(0).unwrap_err().to_string().contains("at least one"));
    }
}
