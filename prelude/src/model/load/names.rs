//! The table of models: the names they go by, and where their files are.
//!
//! Source of the names: TransformerLens's table of models and aliases, for the families that are here.

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
        /// The repository of the tokenizer, for those that may come without one.
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
    hub(
        &[
            "distilgpt2",
            "distillgpt2",
            "distill-gpt2",
            "distil-gpt2",
            "gpt2-xs",
        ],
        "distilbert/distilgpt2",
    ),
    with_tokenizer(
        &["gpt2-noln"],
        "apollo-research/gpt2_noLN",
        "openai-community/gpt2",
    ),
    hub(
        &[
            "stanford-gpt2-small-a",
            "alias-gpt2-small-x21",
            "gpt2-mistral-small-a",
            "gpt2-stanford-small-a",
        ],
        "stanford-crfm/alias-gpt2-small-x21",
    ),
    hub(
        &[
            "stanford-gpt2-small-b",
            "battlestar-gpt2-small-x49",
            "gpt2-mistral-small-b",
            "gpt2-stanford-small-b",
        ],
        "stanford-crfm/battlestar-gpt2-small-x49",
    ),
    hub(
        &[
            "stanford-gpt2-small-c",
            "caprica-gpt2-small-x81",
            "gpt2-mistral-small-c",
            "gpt2-stanford-small-c",
        ],
        "stanford-crfm/caprica-gpt2-small-x81",
    ),
    hub(
        &[
            "stanford-gpt2-small-d",
            "darkmatter-gpt2-small-x343",
            "gpt2-mistral-small-d",
            "gpt2-stanford-small-d",
        ],
        "stanford-crfm/darkmatter-gpt2-small-x343",
    ),
    hub(
        &[
            "stanford-gpt2-small-e",
            "expanse-gpt2-small-x777",
            "gpt2-mistral-small-e",
            "gpt2-stanford-small-e",
        ],
        "stanford-crfm/expanse-gpt2-small-x777",
    ),
    hub(
        &[
            "stanford-gpt2-medium-a",
            "arwen-gpt2-medium-x21",
            "gpt2-medium-small-a",
            "gpt2-stanford-medium-a",
        ],
        "stanford-crfm/arwen-gpt2-medium-x21",
    ),
    hub(
        &[
            "stanford-gpt2-medium-b",
            "beren-gpt2-medium-x49",
            "gpt2-medium-small-b",
            "gpt2-stanford-medium-b",
        ],
        "stanford-crfm/beren-gpt2-medium-x49",
    ),
    hub(
        &[
            "stanford-gpt2-medium-c",
            "celebrimbor-gpt2-medium-x81",
            "gpt2-medium-small-c",
            "gpt2-stanford-medium-c",
        ],
        "stanford-crfm/celebrimbor-gpt2-medium-x81",
    ),
    hub(
        &[
            "stanford-gpt2-medium-d",
            "durin-gpt2-medium-x343",
            "gpt2-medium-small-d",
            "gpt2-stanford-medium-d",
        ],
        "stanford-crfm/durin-gpt2-medium-x343",
    ),
    hub(
        &[
            "stanford-gpt2-medium-e",
            "eowyn-gpt2-medium-x777",
            "gpt2-medium-small-e",
            "gpt2-stanford-medium-e",
        ],
        "stanford-crfm/eowyn-gpt2-medium-x777",
    ),
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
    with_tokenizer(
        &["tiny-stories-1M"],
        "roneneldan/TinyStories-1M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-3M"],
        "roneneldan/TinyStories-3M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-8M"],
        "roneneldan/TinyStories-8M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-28M"],
        "roneneldan/TinyStories-28M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-33M"],
        "roneneldan/TinyStories-33M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-instruct-1M"],
        "roneneldan/TinyStories-Instruct-1M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-instruct-3M"],
        "roneneldan/TinyStories-Instruct-3M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-instruct-8M"],
        "roneneldan/TinyStories-Instruct-8M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-instruct-28M"],
        "roneneldan/TinyStories-Instruct-28M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-instruct-33M"],
        "roneneldan/TinyStories-Instruct-33M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-1L-21M"],
        "roneneldan/TinyStories-1Layer-21M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-2L-33M"],
        "roneneldan/TinyStories-2Layers-33M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-instruct-1L-21M"],
        "roneneldan/TinyStories-Instuct-1Layer-21M",
        "EleutherAI/gpt-neo-125m",
    ),
    with_tokenizer(
        &["tiny-stories-instruct-2L-33M"],
        "roneneldan/TinyStories-Instruct-2Layers-33M",
        "EleutherAI/gpt-neo-125m",
    ),
    hub(
        &["gpt-neox-20b", "gpt-neox", "neox"],
        "EleutherAI/gpt-neox-20b",
    ),
    hub(&["pythia-14m"], "EleutherAI/pythia-14m"),
    hub(&["pythia-31m"], "EleutherAI/pythia-31m"),
    hub(
        &[
            "pythia-70m",
            "pythia-19m",
            "EleutherAI/pythia-19m",
            "pythia",
        ],
        "EleutherAI/pythia-70m",
    ),
    hub(
        &["pythia-160m", "pythia-125m", "EleutherAI/pythia-125m"],
        "EleutherAI/pythia-160m",
    ),
    hub(
        &["pythia-410m", "pythia-350m", "EleutherAI/pythia-350m"],
        "EleutherAI/pythia-410m",
    ),
    hub(
        &["pythia-1b", "pythia-800m", "EleutherAI/pythia-800m"],
        "EleutherAI/pythia-1b",
    ),
    hub(
        &["pythia-1.4b", "pythia-1.3b", "EleutherAI/pythia-1.3b"],
        "EleutherAI/pythia-1.4b",
    ),
    hub(
        &["pythia-2.8b", "pythia-2.7b", "EleutherAI/pythia-2.7b"],
        "EleutherAI/pythia-2.8b",
    ),
    hub(
        &["pythia-6.9b", "pythia-6.7b", "EleutherAI/pythia-6.7b"],
        "EleutherAI/pythia-6.9b",
    ),
    hub(
        &["pythia-12b", "pythia-13b", "EleutherAI/pythia-13b"],
        "EleutherAI/pythia-12b",
    ),
    hub(
        &[
            "pythia-70m-deduped",
            "pythia-19m-deduped",
            "EleutherAI/pythia-19m-deduped",
        ],
        "EleutherAI/pythia-70m-deduped",
    ),
    hub(
        &[
            "pythia-160m-deduped",
            "pythia-125m-deduped",
            "EleutherAI/pythia-125m-deduped",
        ],
        "EleutherAI/pythia-160m-deduped",
    ),
    hub(
        &[
            "pythia-410m-deduped",
            "pythia-350m-deduped",
            "EleutherAI/pythia-350m-deduped",
        ],
        "EleutherAI/pythia-410m-deduped",
    ),
    hub(
        &[
            "pythia-1b-deduped",
            "pythia-800m-deduped",
            "EleutherAI/pythia-800m-deduped",
        ],
        "EleutherAI/pythia-1b-deduped",
    ),
    hub(
        &[
            "pythia-1.4b-deduped",
            "pythia-1.3b-deduped",
            "EleutherAI/pythia-1.3b-deduped",
        ],
        "EleutherAI/pythia-1.4b-deduped",
    ),
    hub(
        &[
            "pythia-2.8b-deduped",
            "pythia-2.7b-deduped",
            "EleutherAI/pythia-2.7b-deduped",
        ],
        "EleutherAI/pythia-2.8b-deduped",
    ),
    hub(
        &[
            "pythia-6.9b-deduped",
            "pythia-6.7b-deduped",
            "EleutherAI/pythia-6.7b-deduped",
        ],
        "EleutherAI/pythia-6.9b-deduped",
    ),
    hub(
        &[
            "pythia-12b-deduped",
            "pythia-13b-deduped",
            "EleutherAI/pythia-13b-deduped",
        ],
        "EleutherAI/pythia-12b-deduped",
    ),
    hub(
        &[
            "pythia-70m-v0",
            "pythia-19m-v0",
            "EleutherAI/pythia-19m-v0",
            "pythia-v0",
        ],
        "EleutherAI/pythia-70m-v0",
    ),
    hub(
        &[
            "pythia-160m-v0",
            "pythia-125m-v0",
            "EleutherAI/pythia-125m-v0",
        ],
        "EleutherAI/pythia-160m-v0",
    ),
    hub(
        &[
            "pythia-410m-v0",
            "pythia-350m-v0",
            "EleutherAI/pythia-350m-v0",
        ],
        "EleutherAI/pythia-410m-v0",
    ),
    hub(
        &[
            "pythia-1b-v0",
            "pythia-800m-v0",
            "EleutherAI/pythia-800m-v0",
        ],
        "EleutherAI/pythia-1b-v0",
    ),
    hub(
        &[
            "pythia-1.4b-v0",
            "pythia-1.3b-v0",
            "EleutherAI/pythia-1.3b-v0",
        ],
        "EleutherAI/pythia-1.4b-v0",
    ),
    hub(
        &[
            "pythia-2.8b-v0",
            "pythia-2.7b-v0",
            "EleutherAI/pythia-2.7b-v0",
        ],
        "EleutherAI/pythia-2.8b-v0",
    ),
    hub(
        &[
            "pythia-6.9b-v0",
            "pythia-6.7b-v0",
            "EleutherAI/pythia-6.7b-v0",
        ],
        "EleutherAI/pythia-6.9b-v0",
    ),
    hub(
        &["pythia-12b-v0", "pythia-13b-v0", "EleutherAI/pythia-13b-v0"],
        "EleutherAI/pythia-12b-v0",
    ),
    hub(
        &[
            "pythia-70m-deduped-v0",
            "pythia-19m-deduped-v0",
            "EleutherAI/pythia-19m-deduped-v0",
        ],
        "EleutherAI/pythia-70m-deduped-v0",
    ),
    hub(
        &[
            "pythia-160m-deduped-v0",
            "pythia-125m-deduped-v0",
            "EleutherAI/pythia-125m-deduped-v0",
        ],
        "EleutherAI/pythia-160m-deduped-v0",
    ),
    hub(
        &[
            "pythia-410m-deduped-v0",
            "pythia-350m-deduped-v0",
            "EleutherAI/pythia-350m-deduped-v0",
        ],
        "EleutherAI/pythia-410m-deduped-v0",
    ),
    hub(
        &[
            "pythia-1b-deduped-v0",
            "pythia-800m-deduped-v0",
            "EleutherAI/pythia-800m-deduped-v0",
        ],
        "EleutherAI/pythia-1b-deduped-v0",
    ),
    hub(
        &[
            "pythia-1.4b-deduped-v0",
            "pythia-1.3b-deduped-v0",
            "EleutherAI/pythia-1.3b-deduped-v0",
        ],
        "EleutherAI/pythia-1.4b-deduped-v0",
    ),
    hub(
        &[
            "pythia-2.8b-deduped-v0",
            "pythia-2.7b-deduped-v0",
            "EleutherAI/pythia-2.7b-deduped-v0",
        ],
        "EleutherAI/pythia-2.8b-deduped-v0",
    ),
    hub(
        &[
            "pythia-6.9b-deduped-v0",
            "pythia-6.7b-deduped-v0",
            "EleutherAI/pythia-6.7b-deduped-v0",
        ],
        "EleutherAI/pythia-6.9b-deduped-v0",
    ),
    hub(
        &[
            "pythia-12b-deduped-v0",
            "pythia-13b-deduped-v0",
            "EleutherAI/pythia-13b-deduped-v0",
        ],
        "EleutherAI/pythia-12b-deduped-v0",
    ),
    hub(
        &[
            "pythia-160m-seed1",
            "pythia-125m-seed1",
            "EleutherAI/pythia-125m-seed1",
        ],
        "EleutherAI/pythia-160m-seed1",
    ),
    hub(
        &[
            "pythia-160m-seed2",
            "pythia-125m-seed2",
            "EleutherAI/pythia-125m-seed2",
        ],
        "EleutherAI/pythia-160m-seed2",
    ),
    hub(
        &[
            "pythia-160m-seed3",
            "pythia-125m-seed3",
            "EleutherAI/pythia-125m-seed3",
        ],
        "EleutherAI/pythia-160m-seed3",
    ),
    hub(
        &["gelu-1l", "gelu-1l-new", "gelu-1l-c4-code"],
        "NeelNanda/GELU_1L512W_C4_Code",
    ),
    hub(
        &["gelu-2l", "gelu-2l-new", "gelu-2l-c4-code"],
        "NeelNanda/GELU_2L512W_C4_Code",
    ),
    hub(
        &["gelu-3l", "gelu-3l-new", "gelu-3l-c4-code"],
        "NeelNanda/GELU_3L512W_C4_Code",
    ),
    hub(
        &["gelu-4l", "gelu-4l-new", "gelu-4l-c4-code"],
        "NeelNanda/GELU_4L512W_C4_Code",
    ),
    hub(
        &["solu-1l", "solu-1l-new", "solu-1l-c4-code"],
        "NeelNanda/SoLU_1L512W_C4_Code",
    ),
    hub(
        &["solu-2l", "solu-2l-new", "solu-2l-c4-code"],
        "NeelNanda/SoLU_2L512W_C4_Code",
    ),
    hub(
        &["solu-3l", "solu-3l-new", "solu-3l-c4-code"],
        "NeelNanda/SoLU_3L512W_C4_Code",
    ),
    hub(
        &["solu-4l", "solu-4l-new", "solu-4l-c4-code"],
        "NeelNanda/SoLU_4L512W_C4_Code",
    ),
    hub(
        &["solu-6l", "solu-6l-new", "solu-6l-c4-code"],
        "NeelNanda/SoLU_6L768W_C4_Code",
    ),
    hub(
        &["solu-8l", "solu-8l-new", "solu-8l-c4-code"],
        "NeelNanda/SoLU_8L1024W_C4_Code",
    ),
    hub(
        &["solu-10l", "solu-10l-new", "solu-10l-c4-code"],
        "NeelNanda/SoLU_10L1280W_C4_Code",
    ),
    hub(
        &["solu-12l", "solu-12l-new", "solu-12l-c4-code"],
        "NeelNanda/SoLU_12L1536W_C4_Code",
    ),
    hub(
        &["attn-only-1l", "attn-only-1l-new", "attn-only-1l-c4-code"],
        "NeelNanda/Attn_Only_1L512W_C4_Code",
    ),
    hub(
        &["attn-only-2l", "attn-only-2l-new", "attn-only-2l-c4-code"],
        "NeelNanda/Attn_Only_2L512W_C4_Code",
    ),
    hub(
        &["attn-only-3l", "attn-only-3l-new", "attn-only-3l-c4-code"],
        "NeelNanda/Attn_Only_3L512W_C4_Code",
    ),
    hub(
        &["attn-only-4l", "attn-only-4l-new", "attn-only-4l-c4-code"],
        "NeelNanda/Attn_Only_4L512W_C4_Code",
    ),
    with_tokenizer(
        &["solu-1l-pile", "solu-1l-old"],
        "NeelNanda/SoLU_1L_v9_old",
        "EleutherAI/gpt-neox-20b",
    ),
    with_tokenizer(
        &["solu-2l-pile", "solu-2l-old"],
        "NeelNanda/SoLU_2L_v10_old",
        "EleutherAI/gpt-neox-20b",
    ),
    with_tokenizer(
        &["solu-4l-pile", "solu-4l-old"],
        "NeelNanda/SoLU_4L_v11_old",
        "EleutherAI/gpt-neox-20b",
    ),
    with_tokenizer(
        &["solu-6l-pile", "solu-6l-old"],
        "NeelNanda/SoLU_6L_v13_old",
        "EleutherAI/gpt-neox-20b",
    ),
    with_tokenizer(
        &["solu-8l-pile", "solu-8l-old"],
        "NeelNanda/SoLU_8L_v21_old",
        "EleutherAI/gpt-neox-20b",
    ),
    with_tokenizer(
        &["solu-10l-pile", "solu-10l-old"],
        "NeelNanda/SoLU_10L_v22_old",
        "EleutherAI/gpt-neox-20b",
    ),
    with_tokenizer(
        &["solu-12l-pile", "solu-12l-old"],
        "NeelNanda/SoLU_12L_v23_old",
        "EleutherAI/gpt-neox-20b",
    ),
    hub(
        &[
            "attn-only-2l-demo",
            "attn-only-2l-shortformer-6b-big-lr",
            "attn-only-2l-induction-demo",
            "attn-only-demo",
        ],
        "NeelNanda/Attn-Only-2L512W-Shortformer-6B-big-lr",
    ),
    hub(
        &["solu-1l-wiki", "solu-1l-wiki-finetune", "solu-1l-finetune"],
        "NeelNanda/SoLU_1L512W_Wiki_Finetune",
    ),
    hub(
        &["solu-4l-wiki", "solu-4l-wiki-finetune", "solu-4l-finetune"],
        "NeelNanda/SoLU_4L512W_Wiki_Finetune",
    ),
    with_tokenizer(
        &["redwood_attn_2l"],
        "ArthurConmy/redwood_attn_2l",
        "openai-community/gpt2",
    ),
    hub(&["Llama-2-7b"], "meta-llama/Llama-2-7b-hf"),
    hub(&["Llama-2-7b-chat"], "meta-llama/Llama-2-7b-chat-hf"),
    hub(&["Llama-2-13b"], "meta-llama/Llama-2-13b-hf"),
    hub(&["Llama-2-13b-chat"], "meta-llama/Llama-2-13b-chat-hf"),
    hub(&["Llama-2-70b"], "meta-llama/Llama-2-70b-hf"),
    hub(&["Llama-2-70b-chat"], "meta-llama/Llama-2-70b-chat-hf"),
    hub(
        &["CodeLlama-7b", "CodeLlamallama-2-7b", "CodeLlama-7b-hf"],
        "codellama/CodeLlama-7b-hf",
    ),
    hub(
        &["CodeLlama-7b-python", "CodeLlama-7b-Python-hf"],
        "codellama/CodeLlama-7b-Python-hf",
    ),
    hub(
        &["CodeLlama-7b-instruct", "CodeLlama-7b-Instruct-hf"],
        "codellama/CodeLlama-7b-Instruct-hf",
    ),
    hub(
        &["Llama-3-8B", "Meta-Llama-3-8B"],
        "meta-llama/Meta-Llama-3-8B",
    ),
    hub(
        &["Llama-3-8B-Instruct", "Meta-Llama-3-8B-Instruct"],
        "meta-llama/Meta-Llama-3-8B-Instruct",
    ),
    hub(&["Llama-3.1-8B"], "meta-llama/Llama-3.1-8B"),
    hub(
        &["Llama-3.1-8B-Instruct"],
        "meta-llama/Llama-3.1-8B-Instruct",
    ),
    hub(
        &["Llama-3-70B", "Meta-Llama-3-70B"],
        "meta-llama/Meta-Llama-3-70B",
    ),
    hub(
        &["Llama-3-70B-Instruct", "Meta-Llama-3-70B-Instruct"],
        "meta-llama/Meta-Llama-3-70B-Instruct",
    ),
    hub(&["Llama-3.1-70B"], "meta-llama/Llama-3.1-70B"),
    hub(
        &["Llama-3.1-70B-Instruct"],
        "meta-llama/Llama-3.1-70B-Instruct",
    ),
    hub(&["Llama-3.2-1B"], "meta-llama/Llama-3.2-1B"),
    hub(
        &["Llama-3.2-1B-Instruct"],
        "meta-llama/Llama-3.2-1B-Instruct",
    ),
    hub(&["Llama-3.2-3B"], "meta-llama/Llama-3.2-3B"),
    hub(
        &["Llama-3.2-3B-Instruct"],
        "meta-llama/Llama-3.2-3B-Instruct",
    ),
    hub(
        &["Llama-3.3-70B-Instruct"],
        "meta-llama/Llama-3.3-70B-Instruct",
    ),
    hub(&["SmolLM2-135M"], "HuggingFaceTB/SmolLM2-135M"),
    hub(
        &["SmolLM2-135M-Instruct"],
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    hub(&["SmolLM2-360M"], "HuggingFaceTB/SmolLM2-360M"),
    hub(
        &["SmolLM2-360M-Instruct"],
        "HuggingFaceTB/SmolLM2-360M-Instruct",
    ),
    hub(&["SmolLM2-1.7B"], "HuggingFaceTB/SmolLM2-1.7B"),
    hub(
        &["SmolLM2-1.7B-Instruct"],
        "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    ),
    hub(&["mistral-7b"], "mistralai/Mistral-7B-v0.1"),
    hub(
        &["mistral-7b-instruct"],
        "mistralai/Mistral-7B-Instruct-v0.1",
    ),
    hub(&["qwen2-0.5b"], "Qwen/Qwen2-0.5B"),
    hub(&["qwen2-0.5b-instruct"], "Qwen/Qwen2-0.5B-Instruct"),
    hub(&["qwen2.5-0.5b"], "Qwen/Qwen2.5-0.5B"),
    hub(&["qwen2.5-0.5b-instruct"], "Qwen/Qwen2.5-0.5B-Instruct"),
    hub(&["qwen2-1.5b"], "Qwen/Qwen2-1.5B"),
    hub(&["qwen2-1.5b-instruct"], "Qwen/Qwen2-1.5B-Instruct"),
    hub(&["qwen2.5-1.5b"], "Qwen/Qwen2.5-1.5B"),
    hub(&["qwen2.5-1.5b-instruct"], "Qwen/Qwen2.5-1.5B-Instruct"),
    hub(&["qwen2-7b"], "Qwen/Qwen2-7B"),
    hub(&["qwen2-7b-instruct"], "Qwen/Qwen2-7B-Instruct"),
    hub(&["qwen2.5-7b"], "Qwen/Qwen2.5-7B"),
    hub(&["qwen2.5-7b-instruct"], "Qwen/Qwen2.5-7B-Instruct"),
    hub(&["qwen2.5-3b"], "Qwen/Qwen2.5-3B"),
    hub(&["qwen2.5-3b-instruct"], "Qwen/Qwen2.5-3B-Instruct"),
    hub(&["qwen2.5-14b"], "Qwen/Qwen2.5-14B"),
    hub(&["qwen2.5-14b-instruct"], "Qwen/Qwen2.5-14B-Instruct"),
    hub(&["qwen2.5-32b"], "Qwen/Qwen2.5-32B"),
    hub(&["qwen2.5-32b-instruct"], "Qwen/Qwen2.5-32B-Instruct"),
    hub(&["qwen2.5-72b"], "Qwen/Qwen2.5-72B"),
    hub(&["qwen2.5-72b-instruct"], "Qwen/Qwen2.5-72B-Instruct"),
    hub(&["qwen3-0.6b"], "Qwen/Qwen3-0.6B"),
    hub(&["qwen3-1.7b"], "Qwen/Qwen3-1.7B"),
    hub(&["qwen3-4b"], "Qwen/Qwen3-4B"),
    hub(&["qwen3-8b"], "Qwen/Qwen3-8B"),
    hub(&["qwen3-14b"], "Qwen/Qwen3-14B"),
    hub(&["gemma-2b"], "google/gemma-2b"),
    hub(&["gemma-2b-it"], "google/gemma-2b-it"),
    hub(&["gemma-7b"], "google/gemma-7b"),
    hub(&["gemma-7b-it"], "google/gemma-7b-it"),
    hub(&["gemma-2-2b"], "google/gemma-2-2b"),
    hub(&["gemma-2-2b-it"], "google/gemma-2-2b-it"),
    hub(&["gemma-2-9b"], "google/gemma-2-9b"),
    hub(&["gemma-2-9b-it"], "google/gemma-2-9b-it"),
    hub(&["gemma-2-27b"], "google/gemma-2-27b"),
    hub(&["gemma-2-27b-it"], "google/gemma-2-27b-it"),
];

/// The model of this name, or of this repository, in letters of any case.
pub(super) fn find(name: &str) -> Option<&'static Model> {
    let is_it = |known: &str| known.eq_ignore_ascii_case(name);
    MODELS.iter().find(|model| {
        let repository = match model.files {
            Files::Hub { repository, .. } => is_it(repository),
            Files::Embedded(_) => false,
        };
        repository || model.names.iter().any(|known| is_it(known))
    })
}

const fn hub(names: &'static [&'static str], repository: &'static str) -> Model {
    Model {
        names,
        files: Files::Hub {
            repository,
            tokenizer: None,
        },
    }
}

const fn with_tokenizer(
    names: &'static [&'static str],
    repository: &'static str,
    tokenizer: &'static str,
) -> Model {
    Model {
        names,
        files: Files::Hub {
            repository,
            tokenizer: Some(tokenizer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_model() {
        let mut names: Vec<String> = MODELS
            .iter()
            .flat_map(|model| model.names)
            .map(|name| name.to_lowercase())
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn names_are_found_as_transformer_lens_finds_them() {
        for name in ["gpt2", "GPT2-Small", "openai-community/gpt2"] {
            assert_eq!(find(name).map(|model| model.names[0]), Some("gpt2"));
        }
        for name in [
            "gelu-1l",
            "tiny-stories-2L-33M",
            "pythia-70m",
            "solu-12l-old",
        ] {
            assert!(find(name).is_some(), "{name}");
        }
        for repository in ["meta-llama/Llama-2-7b-hf", "google/gemma-2b"] {
            assert!(find(repository).is_some(), "{repository}");
        }
        assert!(find("gpt5").is_none());
    }
}
