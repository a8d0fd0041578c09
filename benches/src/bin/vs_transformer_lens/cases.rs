//! What is measured.

use serde_json::{Value, json};

/// One row of the table.
pub struct Case {
    pub name: String,
    /// What is done, for both sides.
    what: Value,
    pub theirs: Vec<Theirs>,
    /// Prompts or tokens that are gone through, where the row is a rate.
    pub work: Option<(f64, &'static str)>,
    pub must: f64,
    pub aim: f64,
    /// The largest difference of outputs, as a share of the largest value.
    pub tolerance: f64,
}

/// One of the ways in which Python does it.
pub struct Theirs {
    pub label: String,
    /// The environment: `ht` or `tb`.
    pub side: &'static str,
    pub way: Option<&'static str>,
}

impl Case {
    fn new(name: impl Into<String>, what: Value, must: f64, aim: f64) -> Self {
        Self {
            name: name.into(),
            what,
            theirs: Vec::new(),
            work: None,
            must,
            aim,
            tolerance: 1e-3,
        }
    }

    fn beside(mut self, label: &str, side: &'static str, way: Option<&'static str>) -> Self {
        let label = label.to_owned();
        self.theirs.push(Theirs { label, side, way });
        self
    }

    /// Beside `HookedTransformer`, and `TransformerBridge` where it runs the model.
    fn beside_models(self, model: &str) -> Self {
        let row = self.beside("HT", "ht", None);
        match model {
            TINY | GPT2 => row.beside("TB", "tb", None),
            _ => row,
        }
    }

    /// What is done.
    pub fn what(&self) -> &Value {
        &self.what
    }

    /// The command for one side.
    pub fn command(&self, side: &str, way: Option<&str>) -> Value {
        let mut command = self.what.clone();
        command["group"] = self.name.as_str().into();
        command["side"] = side.into();
        if let Some(way) = way {
            command["way"] = way.into();
        }
        command
    }
}

const GELU: &str = "gelu-1l";
const TINY: &str = "tiny-stories-2L-33M";
const GPT2: &str = "gpt2-small";
const LLAMA: &str = "llama-15m";
const MODELS: [&str; 4] = [GELU, TINY, GPT2, LLAMA];

/// A matter of where both sides compute, not of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Cpu,
    Cuda,
}

impl On {
    /// What commands call it, and torch.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// Where an autoencoder reads a model, and its sizes.
const PLACES: [(&str, &str, &str); 3] = [
    (GELU, "blocks.0.hook_mlp_out", "512-16384"),
    (TINY, "blocks.0.mlp.hook_post", "4096-16384"),
    (GPT2, "blocks.6.hook_resid_pre", "768-24576"),
];

/// Every row but the start of the library.
pub fn all(on: On) -> Vec<Case> {
    let mut cases = rows();
    if on == On::Cuda {
        cases.extend(narrow_rows());
        for case in &mut cases {
            case.what["device"] = on.name().into();
            // What the project asks for on a card.
            let is_large = ["8 × 128", "1 × 1024", "SAE"];
            let is_large = is_large.iter().any(|part| case.name.contains(part));
            case.must = if is_large { 1. } else { 1.5 };
        }
    }
    cases
}

/// Rows in numbers that only a card computes fast.
fn narrow_rows() -> Vec<Case> {
    let wanted = |case: &Case| case.name.starts_with("sweep") || case.what["kind"] == "train";
    let mut cases: Vec<Case> = rows().into_iter().filter(wanted).collect();
    for case in &mut cases {
        let number = match case.what["kind"] == "train" {
            true => "tf32",
            false => "bf16",
        };
        case.name = format!("{}, {number}", case.name);
        case.what["numbers"] = number.into();
        case.tolerance = 5e-2;
    }
    cases
}

fn rows() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, pos, must, aim) in [(1, 35, 1.4, 2.5), (1, 1024, 1.2, 1.7), (8, 128, 1.3, 2.)] {
        for model in MODELS {
            let what = json!({"kind": "forward", "model": model, "batch": batch, "pos": pos});
            let name = format!("forward {batch} × {pos}, {model}");
            cases.push(Case::new(name, what, must, aim).beside_models(model));
        }
    }
    for model in MODELS {
        let what = json!({"kind": "cache", "model": model, "batch": 1, "pos": 35});
        let name = format!("run_with_cache of everything 1 × 35, {model}");
        cases.push(Case::new(name, what, 1.4, 2.5).beside_models(model));
    }
    for model in [GELU, GPT2] {
        let what = json!({"kind": "hooked", "model": model, "batch": 1, "pos": 35});
        let name = format!("forward with a hook at every point 1 × 35, {model}");
        cases.push(Case::new(name, what, 1.4, 2.5).beside("HT", "ht", None));
    }
    for (model, point, _) in &PLACES[..2] {
        let what =
            json!({"kind": "one_name", "model": model, "point": point, "batch": 1, "pos": 35});
        let name = format!("one name, stop_at_layer, 1 × 35, {model}");
        cases.push(Case::new(name, what, 2., 4.).beside("HT", "ht", None));
    }
    for (model, point, sae) in PLACES {
        let what = json!({"kind": "ablated", "model": model, "point": point, "sae": sae, "batch": 1, "pos": 35});
        let name = format!("forward under one latent's ablation 1 × 35, {model}");
        let must = if model == GELU { 2.5 } else { 1.4 };
        cases.push(Case::new(name, what, must, 5.).beside_models(model));
    }
    for (model, point, sae) in &PLACES[..2] {
        let what = json!({"kind": "loss_at", "model": model, "point": point, "sae": sae, "batch": 1, "pos": 35});
        let (must, aim) = if *model == GELU { (8., 15.) } else { (6., 12.) };
        let name = format!("loss at one position under an ablation 1 × 35, {model}");
        cases.push(Case::new(name, what, must, aim).beside("HT", "ht", None));
    }
    for model in [GELU, TINY, GPT2] {
        let what = json!({"kind": "decomposition", "model": model, "batch": 1, "pos": 220});
        let name = format!("full decomposition and attribution 1 × 220, {model}");
        cases.push(Case::new(name, what, 3., 8.).beside("HT", "ht", None));
    }
    for (_, _, sae) in PLACES {
        let name = format!("SAE encode and decode, 1,024 tokens, {sae}");
        let case = Case::new(name, json!({"kind": "sae", "sae": sae}), 1.3, 2.5)
            .beside("torch", "ht", Some("torch"))
            .beside("sae-lens", "ht", Some("sae_lens"));
        cases.push(case);
    }
    for (mean, count) in [(35, 24), (220, 8)] {
        for (at, (model, point, sae)) in PLACES[..2].iter().enumerate() {
            let lengths: Vec<usize> = (0..count)
                .map(|prompt| mean * (75 + prompt * 37 % 51) / 100)
                .collect();
            let what = json!({"kind": "sweep", "model": model, "point": point, "sae": sae, "lengths": lengths});
            // Rates against the issue's own figures for a notebook's loop: 2.5 and 7.5, 1.2 and 3.9.
            let musts = [[25. / 7.5, 12. / 2.5], [4., 4.]];
            let aims = [[40. / 7.5, 20. / 2.5], [8., 8.]];
            let (must, aim) = (
                musts[usize::from(mean > 100)][at],
                aims[usize::from(mean > 100)][at],
            );
            let best = if mean > 100 { (1.2, 2.) } else { (1.3, 2.) };
            let name = format!("sweep, mean {mean} tokens, {model}");
            let mut loops = Case::new(
                format!("{name}: a notebook's loop"),
                what.clone(),
                must,
                aim,
            )
            .beside("HT loop", "ht", Some("notebook"));
            loops.work = Some((f64::from(count as u32), "prompts/s"));
            cases.push(loops);
            let mut batched = Case::new(format!("{name}: best Python"), what, best.0, best.1)
                .beside("HT batched", "ht", Some("batched"))
                .beside("HT stop_at_layer", "ht", Some("one_by_one"));
            batched.work = Some((f64::from(count as u32), "prompts/s"));
            cases.push(batched);
        }
    }
    let mut train = Case::new(
        "SAE training step, 4,096 × 512 × 16,384",
        json!({"kind": "train", "sae": "512-16384"}),
        1.2,
        1.8,
    )
    .beside("torch", "ht", Some("torch"))
    .beside("sae-lens", "ht", Some("sae_lens"));
    train.work = Some((4096., "tokens/s"));
    // Our first batch is a random half of the same rows, twice over.
    train.tolerance = 1e-2;
    cases.push(train);
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_every_case_has_another_side() {
        let cases = all(On::Cuda);
        let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
        assert!(cases.iter().all(|case| !case.theirs.is_empty()));
    }

    #[test]
    fn a_card_has_every_row_and_those_in_narrow_numbers() {
        let (cpu, cuda) = (all(On::Cpu), all(On::Cuda));
        assert!(cpu.iter().all(|case| case.what["device"].is_null()));
        assert!(cuda.iter().all(|case| case.what["device"] == "cuda"));
        let narrow = |case: &&Case| !case.what["numbers"].is_null();
        assert_eq!(cuda.len() - cuda.iter().filter(narrow).count(), cpu.len());
        assert_eq!(cuda.iter().filter(narrow).count(), 9);
    }

    #[test]
    fn commands_name_their_side() {
        let case = &all(On::Cpu)[1];
        let command = case.command("tb", Some("batched"));
        assert_eq!(
            (&command["side"], &command["way"]),
            (&json!("tb"), &json!("batched"))
        );
        assert_eq!(command["group"], json!(case.name));
    }
}
