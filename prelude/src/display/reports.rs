//! What was found about latents, as the tables that it becomes.

use crate::analysis::{
    ActiveLatents, AnswerTable, ComponentAttributions, Composites, CosineHistogram, DecoderCosines,
    LatentLinks, LatentPairs, LatentRanking, LatentTokens, LossIncreases, Norms, SparseCombination,
    UpstreamEffects,
};
use crate::emit::{Bundle, Rich, text};
use crate::sae::metrics::{DensityHistogram, LossReport, SaeComparison, SaeReport};

macro_rules! rich_as_table {
    ($($type:ty),* $(,)?) => {$(
        impl Rich for $type {
            fn bundle(&self) -> Bundle {
                match self.to_df() {
                    Ok(table) => table.bundle(),
                    Err(_) => text(format!("{self:?}")),
                }
            }
        }
    )*};
}

rich_as_table!(
    ActiveLatents,
    Norms,
    SaeReport,
    LossReport,
    SaeComparison,
    DensityHistogram,
    Composites,
    CosineHistogram,
    DecoderCosines,
    LatentPairs,
    LatentRanking,
    LatentTokens,
    SparseCombination,
    ComponentAttributions,
    LatentLinks,
    LossIncreases,
    UpstreamEffects,
);

/// The conditions, one a row.
impl Rich for AnswerTable {
    fn bundle(&self) -> Bundle {
        match self.summary() {
            Ok(table) => table.bundle(),
            Err(_) => text(format!("{self:?}")),
        }
    }
}
