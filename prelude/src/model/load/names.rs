//! The table of models: the names they go by, and where their files are.

/// One model, or one family of names for it.
pub(super) struct Model {
    /// What `from_pretrained` accepts; the first is the model's own name.
    pub(super) names: &'static [&'static str],
    /// Where its files are.
    pub(super) files: Files,
}

pub(super) enum Files {
    /// In this library.
    Embedded(&'static [(&'static str, &'static [u8])]),
    /// In a repository of the Hugging Face Hub.
    Hub {
        repository: &'static str,
        /// The repository of the tokenizer, where it is another one.
        tokenizer: Option<&'static str>,
    },
}

macro_rules! embedded {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $path))
    };
}

/// Every model known by name.
pub(super) const MODELS: &[Model] = &[
    Model {
        names: &["stories-2l"],
        files: Files::Embedded(&[
            ("config.json", embedded!("stories-2l/config.json")),
            (
                "model.safetensors",
                embedded!("stories-2l/model.safetensors"),
            ),
            ("tokenizer.json", embedded!("stories-2l/tokenizer.json")),
        ]),
    },
    hub(&["gpt2", "gpt2-small"], "openai-community/gpt2"),
    hub(&["gpt2-medium"], "openai-community/gpt2-medium"),
    hub(&["gpt2-large"], "openai-community/gpt2-large"),
    hub(&["gpt2-xl"], "openai-community/gpt2-xl"),
    hub(&["distilgpt2", "distillgpt2"], "distilbert/distilgpt2"),
];

const fn hub(names: &'static [&'static str], repository: &'static str) -> Model {
    Model {
        names,
        files: Files::Hub {
            repository,
            tokenizer: None,
        },
    }
}
