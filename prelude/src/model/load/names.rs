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
    hub(
        &["gpt-neo-125M", "gpt-neo-small", "neo-small", "neo"],
        "EleutherAI/gpt-neo-125m",
    ),
    hub(
        &["gpt-neo-1.3B", "gpt-neo-medium", "neo-medium"],
        "EleutherAI/gpt-neo-1.3B",
    ),
    hub(
        &["gpt-neo-2.7B", "gpt-neo-large", "neo-large"],
        "EleutherAI/gpt-neo-2.7B",
    ),
    hub(&["pythia-14m"], "EleutherAI/pythia-14m"),
    hub(&["pythia-31m"], "EleutherAI/pythia-31m"),
    hub(&["pythia-70m", "pythia"], "EleutherAI/pythia-70m"),
    hub(&["pythia-160m"], "EleutherAI/pythia-160m"),
    hub(&["pythia-410m"], "EleutherAI/pythia-410m"),
    hub(&["pythia-1b"], "EleutherAI/pythia-1b"),
    hub(&["pythia-1.4b"], "EleutherAI/pythia-1.4b"),
    hub(&["pythia-2.8b"], "EleutherAI/pythia-2.8b"),
    hub(&["pythia-6.9b"], "EleutherAI/pythia-6.9b"),
    hub(&["pythia-12b"], "EleutherAI/pythia-12b"),
    hub(&["pythia-70m-deduped"], "EleutherAI/pythia-70m-deduped"),
    hub(&["pythia-160m-deduped"], "EleutherAI/pythia-160m-deduped"),
    hub(&["pythia-410m-deduped"], "EleutherAI/pythia-410m-deduped"),
    hub(&["pythia-1b-deduped"], "EleutherAI/pythia-1b-deduped"),
    hub(&["pythia-1.4b-deduped"], "EleutherAI/pythia-1.4b-deduped"),
    hub(&["pythia-2.8b-deduped"], "EleutherAI/pythia-2.8b-deduped"),
    hub(&["Llama-2-7b"], "meta-llama/Llama-2-7b-hf"),
    hub(&["Llama-2-13b"], "meta-llama/Llama-2-13b-hf"),
    hub(&["mistral-7b"], "mistralai/Mistral-7B-v0.1"),
    hub(&["gemma-2b"], "google/gemma-2b"),
    hub(&["gemma-2b-it"], "google/gemma-2b-it"),
    hub(&["gemma-7b"], "google/gemma-7b"),
    hub(&["gemma-7b-it"], "google/gemma-7b-it"),
    hub(&["gemma-2-2b"], "google/gemma-2-2b"),
    hub(&["gemma-2-2b-it"], "google/gemma-2-2b-it"),
    hub(&["gemma-2-9b"], "google/gemma-2-9b"),
    hub(&["gemma-2-27b"], "google/gemma-2-27b"),
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
