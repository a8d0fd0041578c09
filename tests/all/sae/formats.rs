//! Every format that autoencoders come in.
