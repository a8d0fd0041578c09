//! Training, step by step.
