//! Autoencoders inside a model.
