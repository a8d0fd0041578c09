//! How good an autoencoder is, and what its directions are like.
