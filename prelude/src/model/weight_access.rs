//! The weights by their names, one by one or stacked over layers.

use super::residual::Answer;
use super::tokenizer::ids_of;
use super::transformer::HookedTransformer;
use crate::error::{Error, Result, suggestion};
use crate::math::FactoredMatrix;
use candle_core::Tensor;

macro_rules! stacked {
    ($($(#[$doc:meta])* $name:ident => $weight:literal),* $(,)?) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// The model's family has no such weight, or there is no room for the stack.
        #[allow(non_snake_case)]
        pub fn $name(&self) -> Result<Tensor> {
            self.stack($weight)
        }
    )*};
}

impl HookedTransformer {
    /// The weight of this name, such as `blocks.0.attn.W_Q`, in TransformerLens's shape.
    ///
    /// The matrices that activations are multiplied with lie in memory as the CPU reads them fastest, so on
    /// the CPU this is a copy of such a matrix: keep it in a variable rather than asking in a loop.
    ///
    /// # Errors
    /// The model has no weight of that name.
    pub fn weight(&self, name: &str) -> Result<Tensor> {
        self.weights().any(name).map_err(|_| {
            Error::new(format!(
                "{} has no weight called `{name}`.{} `model.weight_names()` lists them all.",
                self.config().model_name,
                suggestion(name, self.weights().names())
            ))
        })
    }

    /// The names of all weights, in alphabetical order.
    pub fn weight_names(&self) -> Vec<String> {
        self.weights().names().cloned().collect()
    }

    /// The token embedding, `[d_vocab, d_model]`.
    ///
    /// # Errors
    /// Never for the families of today.
    #[allow(non_snake_case)]
    pub fn W_E(&self) -> Result<Tensor> {
        self.weight("embed.W_E")
    }

    /// The positional embedding, `[n_ctx, d_model]`.
    ///
    /// # Errors
    /// The family has none.
    #[allow(non_snake_case)]
    pub fn W_pos(&self) -> Result<Tensor> {
        self.weight("pos_embed.W_pos")
    }

    /// Both embeddings, `[d_vocab + n_ctx, d_model]`: all that a first layer can read, for full circuits.
    ///
    /// # Errors
    /// The family has no positional embedding.
    #[allow(non_snake_case)]
    pub fn W_E_pos(&self) -> Result<Tensor> {
        Ok(Tensor::cat(&[self.W_E()?, self.W_pos()?], 0)?)
    }

    /// The unembedding, `[d_model, d_vocab]`.
    ///
    /// # Errors
    /// Never for the families of today.
    #[allow(non_snake_case)]
    pub fn W_U(&self) -> Result<Tensor> {
        self.weight("unembed.W_U")
    }

    /// The bias of the unembedding, `[d_vocab]`; zeros where the model has none.
    ///
    /// # Errors
    /// There is no room for the zeros.
    #[allow(non_snake_case)]
    pub fn b_U(&self) -> Result<Tensor> {
        match self.weight("unembed.b_U") {
            Ok(bias) => Ok(bias),
            Err(_) => Ok(Tensor::zeros(
                self.config().d_vocab_out,
                self.dtype(),
                &self.device(),
            )?),
        }
    }

    stacked! {
        /// Query matrices, `[layer, head, d_model, d_head]`.
        W_Q => "attn.W_Q",
        /// Key matrices, `[layer, head, d_model, d_head]`, repeated where heads share them.
        W_K => "attn.W_K",
        /// Value matrices, `[layer, head, d_model, d_head]`, repeated where heads share them.
        W_V => "attn.W_V",
        /// Output matrices of attention, `[layer, head, d_head, d_model]`.
        W_O => "attn.W_O",
        /// Matrices into the MLP, `[layer, d_model, d_mlp]`.
        W_in => "mlp.W_in",
        /// Matrices into the gate of a gated MLP, `[layer, d_model, d_mlp]`.
        W_gate => "mlp.W_gate",
        /// Matrices out of the MLP, `[layer, d_mlp, d_model]`.
        W_out => "mlp.W_out",
        /// Query biases, `[layer, head, d_head]`.
        b_Q => "attn.b_Q",
        /// Key biases, `[layer, head, d_head]`.
        b_K => "attn.b_K",
        /// Value biases, `[layer, head, d_head]`.
        b_V => "attn.b_V",
        /// Output biases of attention, `[layer, d_model]`.
        b_O => "attn.b_O",
        /// Biases of the MLP's neurons, `[layer, d_mlp]`.
        b_in => "mlp.b_in",
        /// Output biases of the MLP, `[layer, d_model]`.
        b_out => "mlp.b_out",
    }

    /// What each head moves, `W_V W_O`: `[layer, head, d_model, d_model]`, factored.
    ///
    /// # Errors
    /// There is no room for the stacks.
    pub fn OV(&self) -> Result<FactoredMatrix> {
        FactoredMatrix::new(&self.W_V()?, &self.W_O()?)
    }

    /// Where each head looks, `W_Q W_K^T`: `[layer, head, d_model, d_model]`, factored, before positions
    /// and before the division by `sqrt(d_head)`.
    ///
    /// # Errors
    /// There is no room for the stacks.
    pub fn QK(&self) -> Result<FactoredMatrix> {
        FactoredMatrix::new(&self.W_Q()?, &self.W_K()?.transpose(2, 3)?)
    }

    /// `L0H0`, `L0H1`, ...
    pub fn all_head_labels(&self) -> Vec<String> {
        let config = self.config();
        let layers = 0..config.n_layers;
        let of = |layer| (0..config.n_heads).map(move |head| format!("L{layer}H{head}"));
        layers.flat_map(of).collect()
    }

    /// The directions in the residual stream that raise these tokens' logits: their columns of
    /// `W_U`, `[.., d_model]` for tokens of any shape.
    ///
    /// # Errors
    /// A text that is not one token, or an id outside the vocabulary.
    pub fn tokens_to_residual_directions(&self, tokens: impl Into<Answer>) -> Result<Tensor> {
        let (ids, mut shape) = match tokens.into() {
            Answer::Text(text) => (vec![self.to_single_token(&text)?], Vec::new()),
            Answer::Token(id) => (vec![id], Vec::new()),
            Answer::Tokens(tokens) => (ids_of(&tokens)?, tokens.dims().to_vec()),
        };
        let d_vocab = self.config().d_vocab_out;
        if let Some(id) = ids.iter().find(|id| **id as usize >= d_vocab) {
            return Err(Error::new(format!(
                "token {id} is outside the vocabulary of {}, which has {d_vocab} tokens.",
                self.config().model_name
            )));
        }
        shape.push(self.config().d_model);
        let directions = self.network().unembedding().some_columns(&ids)?;
        Ok(directions.reshape(shape)?)
    }

    /// `x W_U`, `[.., d_model]` to `[.., d_vocab]`: what vectors of the residual stream add to the logits.
    #[allow(non_snake_case)]
    pub(crate) fn times_W_U(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.network().unembedding().times(x, None)?)
    }

    /// The sum of all biases that blocks before `layer` write to the residual stream, `[d_model]`:
    /// attention's (with the layer's own for `mlp_input`), and the MLPs' where they are asked for.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn accumulated_bias(
        &self,
        layer: usize,
        mlp_input: bool,
        include_mlp_biases: bool,
    ) -> Result<Tensor> {
        let config = self.config();
        let mut sum = Tensor::zeros(config.d_model, self.dtype(), &self.device())?;
        for at in 0..layer {
            sum = (sum + self.weight(&format!("blocks.{at}.attn.b_O"))?)?;
            if include_mlp_biases && !config.attn_only {
                sum = (sum + self.weight(&format!("blocks.{at}.mlp.b_out"))?)?;
            }
        }
        if mlp_input {
            sum = (sum + self.weight(&format!("blocks.{layer}.attn.b_O"))?)?;
        }
        Ok(sum)
    }

    fn stack(&self, weight: &str) -> Result<Tensor> {
        let layers = (0..self.config().n_layers)
            .map(|layer| self.weight(&format!("blocks.{layer}.{weight}")))
            .collect::<Result<Vec<_>>>()?;
        let stack = Tensor::stack(&layers, 0)?;
        let is_shared = ["attn.W_K", "attn.W_V", "attn.b_K", "attn.b_V"].contains(&weight);
        let config = self.config();
        let sharing = config.n_heads / config.key_value_heads();
        if !is_shared || sharing == 1 {
            return Ok(stack);
        }
        let mut repeated = stack.dims().to_vec(); // [layer, key-value head, ..]
        repeated.insert(2, sharing);
        Ok(stack.unsqueeze(2)?.broadcast_as(repeated)?.flatten(1, 2)?)
    }
}
