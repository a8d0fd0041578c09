//! Text, tokens and activations, a batch at a time.
