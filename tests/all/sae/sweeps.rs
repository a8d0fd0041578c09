//! Activations over many prompts.
