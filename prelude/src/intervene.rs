//! Interventions as values that become hooks.
