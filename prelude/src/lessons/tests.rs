//! Usual slips, and what is said of them. Right answers are those of the notebooks with solutions, which a test of the
//! kernel executes.

use super::{FirstHooks, FirstSaes, Verdict};
use crate::error::Result;
use crate::math::set_at;
use crate::model::{HookedTransformer, Hooks};
use crate::sae::Sae;
use candle_core::{IndexOp, Tensor};

const PROMPT: &str = "Once there was a boy named Tim. Tim had a toy. One day,";
const OTHER: &str = "Once there was a girl named Lily. She had a toy. One day,";
const POINT: &str = "blocks.1.hook_resid_post";

fn model() -> Result<HookedTransformer> {
    HookedTransformer::from_pretrained("stories-2l")
}

#[track_caller]
fn wrong(verdict: Verdict, part: &str) {
    assert!(!verdict.is_right() && !verdict.is_open(), "{verdict}");
    assert!(
        verdict.says().contains(part),
        "{part:?} is not in: {verdict}"
    );
}

#[test]
fn without_an_answer_an_exercise_is_open() -> Result<()> {
    let check = FirstHooks::new(&model()?, PROMPT)?;
    for verdict in [
        check.tokens(None)?,
        check.residual(None)?,
        check.longest(None)?,
        check.previous_token_head(None)?,
        check.zero_head(0, 3, None)?,
        check.costliest_head(None)?,
        check.patched(OTHER, (" Tim", " Lily"), None)?,
        check.logit_lens(None)?,
    ] {
        assert!(verdict.is_open() && !verdict.is_right(), "{verdict}");
    }
    Ok(())
}

#[test]
fn slips_with_tokens_and_activations_are_named() -> Result<()> {
    let model = model()?;
    let check = FirstHooks::new(&model, PROMPT)?;
    let tokens = model.to_str_tokens(PROMPT)?.len();
    assert!(check.tokens(Some(tokens))?.is_right());
    wrong(check.tokens(Some(tokens - 1))?, "marks the beginning");
    wrong(check.tokens(Some(PROMPT.len()))?, "characters");
    wrong(check.tokens(Some(13))?, "words stand between spaces");
    wrong(check.tokens(Some(999))?, "999 is not it");

    let (_, cache) = model.run_with_cache(PROMPT, crate::model::All)?;
    let stream = cache.get("blocks.0.hook_resid_post")?;
    let right = stream.i((0, tokens - 1))?;
    assert!(check.residual(Some(&right))?.is_right());
    wrong(
        check.residual(Some(&stream.i((0, 0))?))?,
        "`blocks.0.hook_resid_post` at position 0",
    );
    let before = cache.get("blocks.0.hook_resid_mid")?.i((0, tokens - 1))?;
    wrong(
        check.residual(Some(&before))?,
        "`blocks.0.hook_resid_mid` at position",
    );
    wrong(check.residual(Some(&right.unsqueeze(0)?))?, "`squeeze`");
    wrong(check.residual(Some(&(&right * 2.)?))?, "values differ");
    wrong(check.longest(Some(99))?, "there is no position 99");
    Ok(())
}

#[test]
fn slips_with_heads_and_hooks_are_named() -> Result<()> {
    let check = FirstHooks::new(&model()?, PROMPT)?;
    wrong(
        check.previous_token_head(Some((7, 0)))?,
        "layers are 0 to 1",
    );
    let zero = |name: &'static str, head: usize| {
        Hooks::new().add(name, move |z: &Tensor, _: &_| set_at(z, 2, head, 0.))
    };
    let z = "blocks.0.attn.hook_z";
    assert!(check.zero_head(0, 3, Some(&zero(z, 3)))?.is_right());
    wrong(check.zero_head(0, 3, Some(&zero(z, 4)))?, "head 4 changes.");
    wrong(
        check.zero_head(0, 3, Some(&zero("blocks.1.attn.hook_z", 3)))?,
        "what changes first is `blocks.1.attn.hook_z`",
    );
    wrong(
        check.zero_head(0, 3, Some(&zero("blocks.0.attn.hook_v", 3)))?,
        "the hooks change `blocks.0.attn.hook_v` already",
    );
    wrong(
        check.zero_head(0, 3, Some(&Hooks::new()))?,
        "nothing changes",
    );
    let half = Hooks::new().add(z, |z: &Tensor, _: &_| set_at(z, 2, 3, 0.5));
    wrong(
        check.zero_head(0, 3, Some(&half))?,
        "not 0 at each position",
    );
    let beyond = check
        .zero_head(5, 3, Some(&zero(z, 3)))
        .expect_err("there is no layer 5");
    assert!(beyond.to_string().contains("layers 0 to 1"), "{beyond}");
    let one = FirstHooks::new(&model()?, "")?;
    assert!(one.previous_token_head(Some((0, 0))).is_err());
    Ok(())
}

#[test]
fn slips_with_patches_and_the_lens_are_named() -> Result<()> {
    let model = model()?;
    let check = FirstHooks::new(&model, PROMPT)?;
    let answers = (" Tim", " Lily");
    let logits: Vec<f32> = model.run(OTHER).logits_at(-1)?.flatten_all()?.to_vec1()?;
    let (yes, no) = (
        model.to_single_token(" Tim")?,
        model.to_single_token(" Lily")?,
    );
    let unpatched = logits[yes as usize] - logits[no as usize];
    let unchanged = Tensor::full(unpatched, 17, &model.device())?;
    wrong(
        check.patched(OTHER, answers, Some(&unchanged))?,
        "the run without a patch",
    );
    let short = check
        .patched("One day,", answers, Some(&unchanged))
        .expect_err("other lengths");
    assert!(short.to_string().contains("equally long"), "{short}");
    wrong(check.logit_lens(Some(&[]))?, "3 strings are asked");
    let spaces = ["x".to_owned(), "y".to_owned(), "Tim".to_owned()];
    wrong(check.logit_lens(Some(&spaces))?, "is not the likeliest");
    Ok(())
}

#[test]
fn slips_with_autoencoders_are_named() -> Result<()> {
    let model = model()?;
    let sae = Sae::from_pretrained("stories-2l-relu", POINT)?;
    let check = FirstSaes::new(&model, &sae, PROMPT)?;
    let x = model.cache_only(PROMPT, POINT)?.get(POINT)?.squeeze(0)?;
    let acts = sae.encode(&x)?;
    assert!(check.encoded(Some(&acts))?.is_right());
    let without_b_dec = x.matmul(&sae.W_enc)?.broadcast_add(&sae.b_enc)?.relu()?;
    wrong(
        check.encoded(Some(&without_b_dec))?,
        "b_dec is not subtracted",
    );
    let linear = x.broadcast_sub(&sae.b_dec)?.matmul(&sae.W_enc)?;
    wrong(
        check.encoded(Some(&linear.broadcast_add(&sae.b_enc)?))?,
        "ReLU is missing",
    );
    wrong(check.encoded(Some(&linear.relu()?))?, "b_enc, is missing");
    wrong(check.encoded(Some(&acts.t()?))?, "[pos, d_sae]");

    let active: usize = acts
        .to_vec2::<f32>()?
        .iter()
        .flatten()
        .filter(|act| **act > 0.)
        .count();
    let l0 = active as f64 / x.dim(0)? as f64;
    assert!(check.l0(Some(l0))?.is_right());
    wrong(check.l0(Some(active as f64))?, "all positions together");
    wrong(check.l0(Some(l0 / 1024.))?, "share");
    wrong(check.l0(Some(-1.))?, "is not it");

    let error: f32 = (&x - sae.decode(&acts)?)?.sqr()?.sum_all()?.to_scalar()?;
    let spread: f32 = x
        .broadcast_sub(&x.mean_keepdim(0)?)?
        .sqr()?
        .sum_all()?
        .to_scalar()?;
    assert!(
        check
            .explained_variance(Some(1. - f64::from(error / spread)))?
            .is_right()
    );
    wrong(
        check.explained_variance(Some(f64::from(error / spread)))?,
        "subtract it from 1",
    );
    let from_zero: f32 = x.sqr()?.sum_all()?.to_scalar()?;
    wrong(
        check.explained_variance(Some(1. - f64::from(error / from_zero)))?,
        "not around 0",
    );

    wrong(check.strongest(Some(5000))?, "there is no latent 5000");
    wrong(check.promoted(Some(&[]))?, "five tokens are asked");
    wrong(
        check.added_loss(Some(model.loss(PROMPT)? + 9.))?,
        "is not it",
    );
    wrong(
        check.loss_recovered(PROMPT, Some(9.))?,
        "Three losses are needed",
    );
    wrong(check.trained(PROMPT, Some(&sae))?, "ships with ferrolens");
    let elsewhere = Sae::from_pretrained("stories-2l-relu", "blocks.0.hook_mlp_out")?;
    wrong(
        check.trained(PROMPT, Some(&elsewhere))?,
        "it reads `blocks.0.hook_mlp_out`",
    );
    assert!(FirstSaes::new(&model, &sae, "").is_err());
    let tanh = Sae::from_pretrained("stories-2l-nsae", POINT)?;
    let unfit = FirstSaes::new(&model, &tanh, PROMPT).expect_err("another gate");
    assert!(
        unfit.to_string().contains("take a ReLU autoencoder"),
        "{unfit}"
    );
    Ok(())
}
