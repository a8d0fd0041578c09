use super::downstream::length;
use super::*;
use crate::intervene::Intervention;
use crate::math::log_softmax;
use crate::model::{HookedTransformer, Hooks};
use crate::sae::Sae;

const POINT: &str = "blocks.0.hook_attn_out";

fn rows() -> Vec<Vec<u32>> {
    (0..3)
        .map(|at| (40 + 7 * at..52 + 7 * at).collect())
        .collect()
}

fn downstream() -> (HookedTransformer, Sae, Downstream) {
    let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
    let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post").unwrap();
    let points = [POINT, "blocks.0.hook_resid_mid"];
    let downstream = Downstream::new(&model, &rows(), points, &[&sae]).unwrap();
    (model, sae, downstream)
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-4, "{found}, not {expected}");
}

#[test]
fn what_changes_nothing_has_no_effect() {
    let (_, _, downstream) = downstream();
    let nothing = vec![Intervention::scale(POINT, 1.); 3];
    let effects = downstream.effects("nothing", &nothing).unwrap();
    for measure in &effects.measures {
        let expected = if measure.name.starts_with("norm ratio") {
            1.
        } else {
            0.
        };
        measure
            .values
            .iter()
            .for_each(|value| near(*value, expected));
    }
    assert_eq!(effects.to_df().unwrap().shape(), (3, 9));
    assert_eq!(effects.summary().unwrap().height(), 8);
}

#[test]
fn measures_are_what_their_names_say() {
    let (model, sae, downstream) = downstream();
    let zero = Intervention::zero(POINT).at(-1);
    let effects = downstream.effects("zero", &vec![zero.clone(); 3]).unwrap();
    let last = |hooks: &Hooks| {
        let row = &rows()[1];
        let run = model.run(&row[..11]).hooks(hooks).cache(());
        let (logits, cache) = run.logits_and_cache().unwrap();
        let log_p = log_softmax(&logits.get(0).unwrap().get(10).unwrap()).unwrap();
        let at = |name: &str| cache.get(name).unwrap().get(0).unwrap().get(10).unwrap();
        let x = at("blocks.1.hook_resid_post");
        let acts: Vec<f32> = sae.encode(&x).unwrap().to_vec1().unwrap();
        let off = length(&sae.error(&x).unwrap()).unwrap() / length(&x).unwrap();
        let mid = length(&at("blocks.0.hook_resid_mid")).unwrap();
        (log_p.to_vec1::<f32>().unwrap(), acts, off, mid)
    };
    let (clean, acts, off, mid) = last(&Hooks::new());
    let (new, new_acts, new_off, new_mid) = last(&zero.hooks());
    let of = |measure: &str| effects.get(measure).unwrap()[1];
    near(of("norm ratio, blocks.0.hook_attn_out"), 0.);
    near(of("norm change, blocks.0.hook_attn_out"), 1.);
    near(of("norm ratio, blocks.0.hook_resid_mid"), new_mid / mid);
    let target = rows()[1][11] as usize;
    near(of("loss added"), f64::from(clean[target] - new[target]));
    let pairs = clean.iter().zip(&new);
    near(
        of("KL"),
        pairs.map(|(p, q)| f64::from(p.exp() * (p - q))).sum(),
    );
    near(of("error added, blocks.1.hook_resid_post"), new_off - off);
    let norm = |x: Vec<f32>| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let apart = acts.iter().zip(&new_acts).map(|(x, y)| y - x).collect();
    near(
        of("latents changed, blocks.1.hook_resid_post"),
        norm(apart) / norm(acts),
    );
}

#[test]
fn kinds_are_compared_prompt_by_prompt() {
    let (_, _, downstream) = downstream();
    let scaled = |by: f64| {
        let scale = vec![Intervention::scale(POINT, by).at(-1); 3];
        downstream.effects(format!("times {by}"), &scale).unwrap()
    };
    let comparison = scaled(0.5).compare(&[&scaled(0.8)]).unwrap();
    assert_eq!(comparison.interventions(), ["times 0.5", "times 0.8"]);
    let row = comparison
        .get("norm change, blocks.0.hook_attn_out", "times 0.8")
        .unwrap();
    near(row.estimate.mean, 0.2);
    near(row.relative.mean, 0.4);
    near(row.relative.half_width(), 0.);
    let own = comparison.get("KL", "times 0.5").unwrap();
    assert_eq!((own.relative.mean, own.relative.low), (1., 1.));
    // Of nothing, nothing is a share.
    let from_nothing = scaled(1.).compare(&[&scaled(0.5)]).unwrap();
    let unknown = from_nothing.get("loss added", "times 0.5");
    assert!(unknown.unwrap().relative.mean.is_nan());
    let two = comparison.only(["loss added", "KL"]).unwrap();
    assert_eq!(two.to_df().unwrap().shape(), (4, 8));
    let table = two.table().unwrap();
    assert_eq!(table.shape(), (2, 3));
    let cell = comparison
        .only(["norm change, blocks.0.hook_attn_out"])
        .unwrap();
    let cell = cell
        .table()
        .unwrap()
        .column("times 0.8")
        .unwrap()
        .get(0)
        .unwrap()
        .to_string();
    assert!(cell.contains("0.200 ± 0.000"), "{cell}");
    assert_eq!(two.measures(), ["loss added", "KL"]);
}

#[test]
fn what_does_not_fit_says_so() {
    let (model, _, downstream) = downstream();
    let error = |result: Result<Effects>| result.unwrap_err().to_string();
    let one = [Intervention::zero(POINT)];
    assert!(error(downstream.effects("one", &one)).contains("1 interventions for 3 prompts"));
    let short = Downstream::new(&model, &[vec![3]], POINT, &[]).unwrap_err();
    assert!(short.to_string().contains("row 0 has 1 tokens"), "{short}");
    assert!(Downstream::new(&model, &[], POINT, &[]).is_err());
    let effects = downstream
        .effects("zero", &vec![one[0].clone(); 3])
        .unwrap();
    let unknown = effects.get("kl").unwrap_err().to_string();
    assert!(unknown.contains("KL"), "{unknown}");
}
