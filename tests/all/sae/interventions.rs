//! Interventions as values.
