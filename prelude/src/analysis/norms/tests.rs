use super::*;
use crate::model::Hooks;

fn model() -> HookedTransformer {
    HookedTransformer::from_pretrained("stories-2l").unwrap()
}

#[test]
fn norms_of_a_corpus_are_those_of_its_prompts() {
    let model = model();
    let texts = ["Once upon a time there was a cat.", "Lily ran."];
    let corpus = Corpus::new(&model, texts).unwrap();
    let filter = ["blocks.0.ln1.hook_scale", "blocks.1.hook_resid_post"];
    let all = model.norms(&corpus, filter).unwrap();
    // The shorter prompt comes first.
    let mut expected = Vec::new();
    for text in [texts[1], texts[0]] {
        let norms = model.cache_only(text, filter).unwrap().norms().unwrap();
        let row = norms.get("blocks.1.hook_resid_post").unwrap();
        expected.extend(row.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
    let found: Vec<f32> = all.values.get(1).unwrap().to_vec1().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-3 * expected);
    }
    let table = all.to_df().unwrap();
    assert_eq!(table.shape(), (2, 7));
    let means = all.over_mean().unwrap().values.mean(1).unwrap();
    for mean in means.to_vec1::<f32>().unwrap() {
        assert!((mean - 1.).abs() < 1e-5);
    }
    assert_eq!(all.only("resid").unwrap().points.len(), 1);
}

#[test]
fn a_doubled_activation_has_twice_the_norm() {
    let model = model();
    let filter = "blocks.1.hook_resid_post";
    let clean = model.cache_only("Once upon a time", filter).unwrap();
    let hooks = Hooks::new().add(filter, |x: &Tensor, _: &HookPoint| x * 2.);
    let run = model.run("Once upon a time").hooks(&hooks).cache(filter);
    let (clean, doubled) = (
        clean.norms().unwrap(),
        run.cache_only().unwrap().norms().unwrap(),
    );
    let numbers = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for ratio in numbers(doubled.ratio(&clean).unwrap()) {
        assert!((ratio - 2.).abs() < 1e-5);
    }
    let table = doubled.compare_at(&clean, -1).unwrap();
    assert_eq!(table.shape(), (1, 5));
    let error = doubled.compare_at(&clean, 5).unwrap_err().to_string();
    assert!(error.contains("5 tokens, 0 to 4"), "{error}");
    for difference in numbers(doubled.relative_difference(&clean).unwrap()) {
        assert!((difference - 2. / 3.).abs() < 1e-5);
    }
}

#[test]
fn what_cannot_be_says_so() {
    let model = model();
    let heads = model.cache_only("Lily", "blocks.0.attn.hook_z").unwrap();
    let error = heads.norms().unwrap_err().to_string();
    assert!(error.contains("`blocks.0.attn.hook_z`"), "{error}");
    let norms = |prompt: &str| {
        let cache = model.cache_only(prompt, "blocks.0.hook_resid_pre");
        cache.unwrap().norms().unwrap()
    };
    let error = norms("Lily").ratio(&norms("Lily ran")).unwrap_err();
    assert!(error.to_string().contains("cannot be compared"), "{error}");
    let error = norms("Lily").get("blocks.0.hook_resid_per").unwrap_err();
    assert!(error.to_string().contains("hook_resid_pre"), "{error}");
}
