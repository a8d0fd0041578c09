//! Training autoencoders on the activations of a model.
