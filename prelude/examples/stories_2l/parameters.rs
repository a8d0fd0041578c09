//! The model's weights while they are trained, and the files that they become.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Var;
use ferrolens::model::{Config, HookedTransformer};
use ferrolens::{DType, Device, Error, Result, Tensor};
use serde_json::json;

use crate::chance::Chance;

/// The variables of a GPT-2 with tied embeddings, under TransformerLens's names.
pub struct Parameters {
    config: Config,
    variables: BTreeMap<String, Var>,
}

impl Parameters {
    /// GPT-2's initial weights: normal with deviation 0.02, smaller where a matrix writes to the residual stream;
    /// biases 0; norms 1.
    pub fn initial(config: Config, seed: u64, device: &Device) -> Result<Self> {
        let (d_model, d_mlp, heads, d_head) =
            (config.d_model, config.d_mlp, config.n_heads, config.d_head);
        let writes = 0.02 / (2.0 * config.n_layers as f32).sqrt();
        let mut shapes = vec![
            (
                "embed.W_E".to_owned(),
                vec![config.d_vocab, d_model],
                Start::Normal(0.02),
            ),
            (
                "pos_embed.W_pos".to_owned(),
                vec![config.n_ctx, d_model],
                Start::Normal(0.01),
            ),
            ("ln_final.w".to_owned(), vec![d_model], Start::Constant(1.0)),
            ("ln_final.b".to_owned(), vec![d_model], Start::Constant(0.0)),
        ];
        for layer in 0..config.n_layers {
            let mut add = |name: &str, shape: &[usize], start: Start| {
                shapes.push((format!("blocks.{layer}.{name}"), shape.to_vec(), start));
            };
            for norm in ["ln1", "ln2"] {
                add(&format!("{norm}.w"), &[d_model], Start::Constant(1.0));
                add(&format!("{norm}.b"), &[d_model], Start::Constant(0.0));
            }
            for which in ["Q", "K", "V"] {
                add(
                    &format!("attn.W_{which}"),
                    &[heads, d_model, d_head],
                    Start::Normal(0.02),
                );
                add(
                    &format!("attn.b_{which}"),
                    &[heads, d_head],
                    Start::Constant(0.0),
                );
            }
            add("attn.W_O", &[heads, d_head, d_model], Start::Normal(writes));
            add("attn.b_O", &[d_model], Start::Constant(0.0));
            add("mlp.W_in", &[d_model, d_mlp], Start::Normal(0.02));
            add("mlp.b_in", &[d_mlp], Start::Constant(0.0));
            add("mlp.W_out", &[d_mlp, d_model], Start::Normal(writes));
            add("mlp.b_out", &[d_model], Start::Constant(0.0));
        }
        let mut variables = BTreeMap::new();
        for (index, (name, shape, start)) in shapes.into_iter().enumerate() {
            let mut chance = Chance::new(seed, index as u64);
            let count = shape.iter().product();
            let numbers: Vec<f32> = match start {
                Start::Normal(deviation) => {
                    (0..count).map(|_| deviation * chance.normal()).collect()
                }
                Start::Constant(value) => vec![value; count],
            };
            variables.insert(name, Var::from_vec(numbers, shape, device)?);
        }
        Ok(Self { config, variables })
    }

    /// A model that follows the variables.
    pub fn model(&self) -> Result<HookedTransformer> {
        let tensor =
            |(name, variable): (&String, &Var)| (name.clone(), variable.as_tensor().clone());
        let mut tensors: HashMap<String, Tensor> = self.variables.iter().map(tensor).collect();
        tensors.insert("unembed.W_U".to_owned(), self.get("embed.W_E")?.t()?);
        HookedTransformer::new(self.config.clone(), tensors, None)
    }

    /// Matrices, which decay, and the rest, which do not.
    pub fn groups(&self) -> (Vec<Var>, Vec<Var>) {
        let decays = |(name, _): &(&String, &Var)| name.contains(".W_");
        let (matrices, rest): (Vec<_>, Vec<_>) = self.variables.iter().partition(decays);
        let variables = |group: Vec<(&String, &Var)>| {
            group
                .into_iter()
                .map(|(_, variable)| variable.clone())
                .collect()
        };
        (variables(matrices), variables(rest))
    }

    /// Every variable.
    pub fn all(&self) -> Vec<Var> {
        self.variables.values().cloned().collect()
    }

    /// How many numbers they hold.
    pub fn count(&self) -> usize {
        self.variables
            .values()
            .map(|variable| variable.elem_count())
            .sum()
    }

    /// Writes `config.json` and `model.safetensors` as Hugging Face's `GPT2LMHeadModel` has them, in half precision.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let config = &self.config;
        let text = json!({
            "activation_function": "gelu_new",
            "architectures": ["GPT2LMHeadModel"],
            "attn_pdrop": 0.0,
            "bos_token_id": 0,
            "dtype": "float32",
            "embd_pdrop": 0.0,
            "eos_token_id": 0,
            "initializer_range": 0.02,
            "layer_norm_epsilon": config.eps,
            "model_type": "gpt2",
            "n_ctx": config.n_ctx,
            "n_embd": config.d_model,
            "n_head": config.n_heads,
            "n_inner": config.d_mlp,
            "n_layer": config.n_layers,
            "n_positions": config.n_ctx,
            "resid_pdrop": 0.0,
            "tie_word_embeddings": true,
            "vocab_size": config.d_vocab,
        });
        std::fs::write(folder.join("config.json"), format!("{text:#}\n"))?;

        let mut files: BTreeMap<String, Tensor> = BTreeMap::new();
        files.insert("wte.weight".to_owned(), self.get("embed.W_E")?);
        files.insert("wpe.weight".to_owned(), self.get("pos_embed.W_pos")?);
        files.insert("ln_f.weight".to_owned(), self.get("ln_final.w")?);
        files.insert("ln_f.bias".to_owned(), self.get("ln_final.b")?);
        for layer in 0..config.n_layers {
            let get = |name: &str| self.get(&format!("blocks.{layer}.{name}"));
            // `Conv1D` is `[in, out]`, with the heads of queries, keys and values side by side.
            let weight = |which: &str| {
                get(&format!("attn.W_{which}"))?
                    .permute((1, 0, 2))?
                    .flatten(1, 2)
            };
            let bias = |which: &str| get(&format!("attn.b_{which}"))?.flatten_all();
            let named = [
                ("ln_1.weight", get("ln1.w")?),
                ("ln_1.bias", get("ln1.b")?),
                (
                    "attn.c_attn.weight",
                    Tensor::cat(&[weight("Q")?, weight("K")?, weight("V")?], 1)?,
                ),
                (
                    "attn.c_attn.bias",
                    Tensor::cat(&[bias("Q")?, bias("K")?, bias("V")?], 0)?,
                ),
                ("attn.c_proj.weight", get("attn.W_O")?.flatten(0, 1)?),
                ("attn.c_proj.bias", get("attn.b_O")?),
                ("ln_2.weight", get("ln2.w")?),
                ("ln_2.bias", get("ln2.b")?),
                ("mlp.c_fc.weight", get("mlp.W_in")?),
                ("mlp.c_fc.bias", get("mlp.b_in")?),
                ("mlp.c_proj.weight", get("mlp.W_out")?),
                ("mlp.c_proj.bias", get("mlp.b_out")?),
            ];
            files.extend(named.map(|(name, tensor)| (format!("h.{layer}.{name}"), tensor)));
        }
        let half = |(name, tensor): (String, Tensor)| -> Result<(String, Tensor)> {
            let tensor = tensor
                .detach()
                .to_device(&Device::Cpu)?
                .to_dtype(DType::F16)?
                .contiguous()?;
            Ok((format!("transformer.{name}"), tensor))
        };
        let files: Vec<(String, Tensor)> = files.into_iter().map(half).collect::<Result<_>>()?;
        // transformers reads a file only if it says whose layout its tensors have.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(files, Some(metadata), &folder.join("model.safetensors"))
            .map_err(|error| Error::new(format!("writing {}: {error}", folder.display())))
    }

    fn get(&self, name: &str) -> candle_core::Result<Tensor> {
        let found = self
            .variables
            .get(name)
            .map(|variable| variable.as_tensor().clone());
        found.ok_or_else(|| candle_core::Error::Msg(format!("there is no variable `{name}`")))
    }
}

#[derive(Clone, Copy)]
enum Start {
    Normal(f32),
    Constant(f32),
}
