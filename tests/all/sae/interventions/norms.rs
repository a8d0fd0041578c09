//! Norms restored after an intervention.

use super::{gpt2, tokens};
use crate::golden::{assert_close, values};
use candle_core::{D, Device, IndexOp, Tensor};
use ferrolens::intervene::{Intervention, Restore};
use ferrolens::model::HookPoint;

const POINT: &str = "blocks.1.hook_resid_pre";

fn norms(x: &Tensor) -> Tensor {
    x.sqr().unwrap().sum(D::Minus1).unwrap().sqrt().unwrap()
}

fn clean() -> Tensor {
    gpt2().cache_only(tokens(), POINT).unwrap()[POINT].clone()
}

fn ablated(restore: Option<Restore>) -> Tensor {
    let clean = clean();
    let directions = clean.i((0, 2..5)).unwrap();
    let mut it = Intervention::project_out(POINT, &directions).unwrap();
    if let Some(restore) = restore {
        it = it.restoring(restore);
    }
    let point: HookPoint = POINT.parse().unwrap();
    it.apply(&clean, &point).unwrap()
}

#[test]
fn scaling_keeps_the_direction() {
    let (clean, plain) = (clean(), ablated(None));
    let restored = ablated(Some(Restore::CleanNorm));
    // Positions that lay in the subspace alone have no direction left.
    let keep = |x: &Tensor| x.i((1, ..)).unwrap();
    assert_close(
        "norm",
        &keep(&norms(&restored)),
        &keep(&norms(&clean)),
        1e-5,
    );
    let unit = |x: &Tensor| {
        x.broadcast_div(&norms(x).unsqueeze(D::Minus1).unwrap())
            .unwrap()
    };
    assert_close(
        "direction",
        &keep(&unit(&restored)),
        &keep(&unit(&plain)),
        1e-5,
    );
    assert!(
        values(&norms(&plain)).iter().sum::<f32>()
            < 0.95 * values(&norms(&clean)).iter().sum::<f32>()
    );

    let mean = values(&norms(&clean)).iter().sum::<f32>() / 36.;
    let restored = ablated(Some(Restore::Norm(f64::from(mean))));
    assert!(
        values(&keep(&norms(&restored)))
            .iter()
            .all(|norm| (norm - mean).abs() < 1e-4)
    );
    let recorded = (&clean * 3.).unwrap();
    let restored = ablated(Some(Restore::NormOf(recorded.clone())));
    assert_close(
        "recorded",
        &keep(&norms(&restored)),
        &keep(&norms(&recorded)),
        1e-4,
    );
}

#[test]
fn what_is_missing_is_added_along_the_mean() {
    let (clean, plain) = (clean(), ablated(None));
    let mean = clean.mean((0, 1)).unwrap();
    let restored = ablated(Some(Restore::AlongMean(mean.clone())));
    assert_close("norm", &norms(&restored), &norms(&clean), 1e-4);
    let step = (restored - plain).unwrap();
    // Every step is along the mean, and not against it.
    let along = step.broadcast_mul(&mean).unwrap().sum(D::Minus1).unwrap();
    let along = along.broadcast_div(&norms(&mean)).unwrap();
    assert_close("along", &along, &norms(&step), 1e-4);
    assert!(values(&along).iter().any(|step| *step > 0.1));
}

#[test]
fn along_the_mean_takes_the_smaller_step() {
    let point: HookPoint = POINT.parse().unwrap();
    let row = |x: [f32; 2]| Tensor::new(&[[x]], &Device::Cpu).unwrap();
    let mean = Tensor::new(&[1f32, 0.], &Device::Cpu).unwrap();
    for (old, new, expected) in [
        // Smaller: upwards, also from below.
        ([5f32, 0.], [3f32, 0.], [5f32, 0.]),
        ([5., 0.], [-3., 0.], [5., 0.]),
        // Larger: to the nearer of the two.
        ([5., 0.], [7., 0.], [5., 0.]),
        ([5., 0.], [-7., 0.], [-5., 0.]),
        ([5., 0.], [8., 3.], [4., 3.]),
        // Out of reach: as near as may be.
        ([5., 0.], [1., 9.], [0., 9.]),
    ] {
        let it = Intervention::replace(POINT, Tensor::new(&new, &Device::Cpu).unwrap());
        let it = it.restoring(Restore::AlongMean(mean.clone()));
        let ours = values(&it.apply(&row(old), &point).unwrap());
        assert!(
            (ours[0] - expected[0]).abs() < 1e-5 && ours[1] == expected[1],
            "{ours:?}"
        );
    }
}

#[test]
fn zero_stays_zero() {
    let point: HookPoint = POINT.parse().unwrap();
    let x = Tensor::ones((1, 2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
    let it = Intervention::zero(POINT)
        .at(0)
        .restoring(Restore::CleanNorm);
    assert_eq!(
        values(&it.apply(&x, &point).unwrap()),
        [0., 0., 0., 1., 1., 1.]
    );
}

#[test]
fn a_norm_that_ablations_before_it_changed_is_that_of_a_clean_run() {
    let (model, tokens) = (gpt2(), tokens());
    let clean = clean();
    let ablation = Intervention::zero("blocks.0.hook_mlp_out");
    let restored = Intervention::restore(POINT, Restore::NormOf(clean.clone())).at(3..);
    let run = model
        .run(&tokens)
        .hooks(ablation.and(&restored))
        .cache(POINT);
    let ours = norms(&run.cache_only().unwrap()[POINT]);
    let part = |x: &Tensor| x.i((.., 3..)).unwrap();
    assert_close("restored", &part(&ours), &part(&norms(&clean)), 1e-4);
    let run = model.run(&tokens).hooks(&ablation).cache(POINT);
    let plain = norms(&run.cache_only().unwrap()[POINT]);
    assert_close(
        "left",
        &ours.i((.., ..3)).unwrap(),
        &plain.i((.., ..3)).unwrap(),
        1e-5,
    );
    let difference = (part(&plain) - part(&ours)).unwrap();
    assert!(
        values(&difference)
            .iter()
            .any(|difference| difference.abs() > 0.1)
    );
}
