//! How good an autoencoder is, each measure with its formula.
