//! stories260K, the Llama-style model whose samples stories-2l learns from, run over many stories at once.
//!
//! Reads the `llama2.c` checkpoint format (karpathy/llama2.c, `export.py` version 0). Every number is a [`Lane`]:
//! the same quantity of `LANES` independent stories, so that the compiler turns each line into vector
//! instructions. Multiplications and additions stay separate and in one order, which makes the samples the same
//! on every machine.

use std::io;

/// How many stories advance together.
pub const LANES: usize = 16;

/// One number of each story.
pub type Lane = [f32; LANES];

/// The weights of a Llama-style model with tied embeddings.
pub struct Generator {
    pub d_model: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub n_key_value_heads: usize,
    pub d_vocab: usize,
    pub n_ctx: usize,
    /// `[d_vocab, d_model]`
    embedding: Vec<f32>,
    layers: Vec<Layer>,
    /// `[d_model]`
    final_norm: Vec<f32>,
    /// `[n_ctx, d_head / 2]` of (cosine, sine)
    rotations: Vec<(f32, f32)>,
}

/// One block; every matrix is `[out, in]`, row after row.
#[derive(Default)]
struct Layer {
    attention_norm: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    out: Vec<f32>,
    mlp_norm: Vec<f32>,
    gate: Vec<f32>,
    down: Vec<f32>,
    up: Vec<f32>,
}

/// The keys and values of `LANES` stories, each at its own position, and the scratch space of a step.
pub struct Stories {
    /// A layer each: `[n_key_value_heads, n_ctx, d_head]`
    keys: Vec<Vec<Lane>>,
    /// A layer each: `[n_key_value_heads, d_head, n_ctx]`
    values: Vec<Vec<Lane>>,
    logits: Vec<Lane>,
}

impl Generator {
    /// Reads a checkpoint: seven little-endian `i32` of dimensions, then every weight as `f32`.
    pub fn read(bytes: &[u8]) -> io::Result<Self> {
        let mut words = bytes
            .chunks_exact(4)
            .map(|word| [word[0], word[1], word[2], word[3]]);
        let mut dimension = || {
            let word = words.next().ok_or_else(|| too_short("the dimensions"))?;
            usize::try_from(i32::from_le_bytes(word)).map_err(|_| {
                io::Error::other(
                    "a dimension is negative: this checkpoint unties its output weights",
                )
            })
        };
        let [d_model, d_mlp, n_layers] = [dimension()?, dimension()?, dimension()?];
        let [n_heads, n_key_value_heads] = [dimension()?, dimension()?];
        let [d_vocab, n_ctx] = [dimension()?, dimension()?];
        if n_heads == 0
            || n_key_value_heads == 0
            || d_model % (2 * n_heads) != 0
            || n_heads % n_key_value_heads != 0
        {
            return Err(io::Error::other(
                "the dimensions do not divide into heads: is this a llama2.c checkpoint?",
            ));
        }
        let d_head = d_model / n_heads;
        let d_key_value = n_key_value_heads * d_head;

        let mut matrix = |count: usize| -> io::Result<Vec<f32>> {
            let weights: Vec<f32> = words.by_ref().take(count).map(f32::from_le_bytes).collect();
            if weights.len() == count {
                Ok(weights)
            } else {
                Err(too_short("the weights"))
            }
        };
        let embedding = matrix(d_vocab * d_model)?;
        let mut layers: Vec<Layer> = (0..n_layers).map(|_| Layer::default()).collect();
        // The file holds one kind of matrix of all layers, then the next kind.
        let mut each = |count: usize, place: fn(&mut Layer) -> &mut Vec<f32>| -> io::Result<()> {
            for layer in &mut layers {
                *place(layer) = matrix(count)?;
            }
            Ok(())
        };
        each(d_model, |layer| &mut layer.attention_norm)?;
        each(d_model * d_model, |layer| &mut layer.query)?;
        each(d_key_value * d_model, |layer| &mut layer.key)?;
        each(d_key_value * d_model, |layer| &mut layer.value)?;
        each(d_model * d_model, |layer| &mut layer.out)?;
        each(d_model, |layer| &mut layer.mlp_norm)?;
        each(d_mlp * d_model, |layer| &mut layer.gate)?;
        each(d_model * d_mlp, |layer| &mut layer.down)?;
        each(d_mlp * d_model, |layer| &mut layer.up)?;
        let final_norm = matrix(d_model)?;

        let rotations = (0..n_ctx)
            .flat_map(|position| {
                (0..d_head / 2).map(move |pair| {
                    let frequency = 10_000_f64.powf(-2.0 * pair as f64 / d_head as f64);
                    let (sine, cosine) = (position as f64 * frequency).sin_cos();
                    (cosine as f32, sine as f32)
                })
            })
            .collect();
        Ok(Self {
            d_model,
            n_layers,
            n_heads,
            n_key_value_heads,
            d_vocab,
            n_ctx,
            embedding,
            layers,
            final_norm,
            rotations,
        })
    }

    /// Empty caches for `LANES` stories.
    pub fn stories(&self) -> Stories {
        let empty = || vec![vec![[0.0; LANES]; self.n_ctx * self.d_key_value()]; self.n_layers];
        Stories {
            keys: empty(),
            values: empty(),
            logits: vec![[0.0; LANES]; self.d_vocab],
        }
    }

    /// Feeds each story its token at its position; the logits `[d_vocab]` of what follows it.
    ///
    /// A position of 0 starts the lane's story afresh. Positions must lie below `n_ctx`.
    pub fn step<'a>(
        &self,
        stories: &'a mut Stories,
        tokens: [usize; LANES],
        positions: [usize; LANES],
    ) -> &'a [Lane] {
        let mut residual = vec![[0.0; LANES]; self.d_model];
        for (lane, token) in tokens.into_iter().enumerate() {
            let row = &self.embedding[token * self.d_model..(token + 1) * self.d_model];
            for (number, weight) in residual.iter_mut().zip(row) {
                number[lane] = *weight;
            }
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let keys = &mut stories.keys[index];
            let values = &mut stories.values[index];
            let normalized = rms_norm(&residual, &layer.attention_norm);
            let mixed = self.attend(layer, &normalized, keys, values, positions);
            add(&mut residual, &multiply(&layer.out, &mixed));

            let normalized = rms_norm(&residual, &layer.mlp_norm);
            let mut hidden = multiply(&layer.gate, &normalized);
            for (gate, up) in hidden.iter_mut().zip(multiply(&layer.up, &normalized)) {
                let shrunk = exponentials(gate.map(|number| -number));
                for lane in 0..LANES {
                    gate[lane] = gate[lane] / (1.0 + shrunk[lane]) * up[lane];
                }
            }
            add(&mut residual, &multiply(&layer.down, &hidden));
        }
        let normalized = rms_norm(&residual, &self.final_norm);
        stories.logits = multiply(&self.embedding, &normalized);
        &stories.logits
    }

    /// The mixed values of all heads, `[d_model]`; the new keys and values go into the caches.
    fn attend(
        &self,
        layer: &Layer,
        normalized: &[Lane],
        keys: &mut [Lane],
        values: &mut [Lane],
        positions: [usize; LANES],
    ) -> Vec<Lane> {
        let (d_head, n_ctx) = (self.d_head(), self.n_ctx);
        let mut query = multiply(&layer.query, normalized);
        let mut key = multiply(&layer.key, normalized);
        let value = multiply(&layer.value, normalized);
        self.rotate(&mut query, positions);
        self.rotate(&mut key, positions);
        for (lane, position) in positions.into_iter().enumerate() {
            for at in 0..self.d_key_value() {
                keys[(at / d_head * n_ctx + position) * d_head + at % d_head][lane] = key[at][lane];
                values[at * n_ctx + position][lane] = value[at][lane];
            }
        }

        let seen = positions.into_iter().max().unwrap_or(0) + 1;
        let scale = 1.0 / (d_head as f32).sqrt();
        let mut scores = vec![[0.0; LANES]; seen];
        let mut mixed = vec![[0.0; LANES]; self.d_model];
        for head in 0..self.n_heads {
            let shared = head / (self.n_heads / self.n_key_value_heads) * n_ctx * d_head;
            let (keys, values) = (
                &keys[shared..][..n_ctx * d_head],
                &values[shared..][..n_ctx * d_head],
            );
            let query = &query[head * d_head..(head + 1) * d_head];
            let mut largest = [f32::NEG_INFINITY; LANES];
            for (position, score) in scores.iter_mut().enumerate() {
                let mut sum = [0.0; LANES];
                for (key, query) in keys[position * d_head..][..d_head].iter().zip(query) {
                    add_product(&mut sum, key, query);
                }
                for lane in 0..LANES {
                    score[lane] = if position <= positions[lane] {
                        sum[lane] * scale
                    } else {
                        f32::NEG_INFINITY
                    };
                    largest[lane] = largest[lane].max(score[lane]);
                }
            }
            let mut total = [0.0; LANES];
            for score in &mut scores {
                *score = exponentials(std::array::from_fn(|lane| score[lane] - largest[lane]));
                for lane in 0..LANES {
                    total[lane] += score[lane];
                }
            }
            for (at, number) in mixed[head * d_head..(head + 1) * d_head]
                .iter_mut()
                .enumerate()
            {
                let mut sum = [0.0; LANES];
                for (score, value) in scores.iter().zip(&values[at * n_ctx..]) {
                    add_product(&mut sum, score, value);
                }
                *number = std::array::from_fn(|lane| sum[lane] / total[lane]);
            }
        }
        mixed
    }

    /// Rotary embedding of every head, with the checkpoint's neighbouring pairs.
    fn rotate(&self, vectors: &mut [Lane], positions: [usize; LANES]) {
        let half = self.d_head() / 2;
        for (index, pair) in vectors.chunks_exact_mut(2).enumerate() {
            for (lane, position) in positions.into_iter().enumerate() {
                let (cosine, sine) = self.rotations[position * half + index % half];
                let [even, odd] = [pair[0][lane], pair[1][lane]];
                pair[0][lane] = even * cosine - odd * sine;
                pair[1][lane] = even * sine + odd * cosine;
            }
        }
    }

    fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }

    fn d_key_value(&self) -> usize {
        self.n_key_value_heads * self.d_head()
    }
}

/// `weights` `[out, in]` times `input` `[in]`.
fn multiply(weights: &[f32], input: &[Lane]) -> Vec<Lane> {
    let d_in = input.len();
    let mut output = vec![[0.0; LANES]; weights.len() / d_in];
    for (pair, rows) in output.chunks_mut(2).zip(weights.chunks(2 * d_in)) {
        let (first_row, second_row) = rows.split_at(d_in);
        let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
        for ((number, a), b) in input.iter().zip(first_row).zip(second_row) {
            for lane in 0..LANES {
                first[lane] += a * number[lane];
                second[lane] += b * number[lane];
            }
        }
        pair[0] = first;
        if let Some(place) = pair.get_mut(1) {
            *place = second;
        }
    }
    output
}

fn rms_norm(vector: &[Lane], weights: &[f32]) -> Vec<Lane> {
    let mut squares = [0.0; LANES];
    for number in vector {
        for lane in 0..LANES {
            squares[lane] += number[lane] * number[lane];
        }
    }
    let scale = squares.map(|sum| 1.0 / (sum / vector.len() as f32 + 1e-5).sqrt());
    let scaled = |(number, weight): (&Lane, &f32)| {
        std::array::from_fn(|lane| number[lane] * scale[lane] * weight)
    };
    vector.iter().zip(weights).map(scaled).collect()
}

/// `sum += a * b`, rounded twice.
fn add_product(sum: &mut Lane, a: &Lane, b: &Lane) {
    for lane in 0..LANES {
        sum[lane] += a[lane] * b[lane];
    }
}

fn add(residual: &mut [Lane], update: &[Lane]) {
    for (number, update) in residual.iter_mut().zip(update) {
        for lane in 0..LANES {
            number[lane] += update[lane];
        }
    }
}

/// `e^x` to about one unit in the last place, in operations that vectorize and round alike everywhere:
/// `x = k ln 2 + r`, a polynomial for `e^r`, and `k` added to the exponent's bits.
///
/// Below `e^-60` it is 0: such a weight counts for nothing beside 1, and products with it would be subnormal
/// numbers, which are slow.
pub fn exponentials(exponents: Lane) -> Lane {
    /// Adding it moves a float's integer part into its lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    let mut powers = [0.0; LANES];
    for lane in 0..LANES {
        let x = exponents[lane].clamp(-60.0, 88.0);
        let shifted = x * std::f32::consts::LOG2_E + SHIFT;
        let k = shifted - SHIFT;
        // ln 2 in two parts, the first short enough that its product with k is exact.
        let r = x - k * 0.693_359_4 - k * -2.121_944_4e-4;
        let tail = 1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0)));
        let e_to_r = 1.0 + r * (1.0 + r * (0.5 + r * tail));
        let power = e_to_r * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        powers[lane] = if exponents[lane] < -60.0 { 0.0 } else { power };
    }
    powers
}

fn too_short(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the checkpoint ends within {what}"),
    )
}
