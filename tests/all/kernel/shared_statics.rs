//! One copy of every static behind the prelude: the reason for the shared library.

use ferrolens_tests::FrontEnd;

/// candle counts its tensors in a static, and finds gradients by that number. With a copy of candle
/// in every cell, the ids of tensors from different cells collide.
#[test]
fn tensors_of_different_cells_have_the_right_gradients() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute("let x = candle_core::Var::new(&[3f32], &Device::Cpu)?;")
        .ok();
    front_end
        .execute("let y = candle_core::Var::new(&[5f32], &Device::Cpu)?;")
        .ok();
    front_end
        .execute("let z = (x.as_tensor() * y.as_tensor())?;")
        .ok();
    front_end.execute("let w = (&z * x.as_tensor())?;").ok();
    let reply = front_end
        .execute(
            "let grads = w.backward()?;\n\
             (grads.get(&x).unwrap().to_vec1::<f32>()?, grads.get(&y).unwrap().to_vec1::<f32>()?)",
        )
        .ok();
    // w = x²y: dw/dx = 2xy = 30, dw/dy = x² = 9.
    assert_eq!(reply.outputs.result(), "([30.0], [9.0])");
    let ids: Vec<String> = ["x", "y"]
        .map(|name| {
            front_end
                .execute(&format!("{name}.as_tensor().id()"))
                .ok()
                .outputs
                .result()
                .to_owned()
        })
        .into();
    assert_ne!(ids[0], ids[1], "ids of tensors from different cells");
}

#[test]
fn a_static_of_the_prelude_is_the_same_in_every_cell() {
    let mut front_end = FrontEnd::start();
    let address = "rayon::current_num_threads as usize";
    let first = front_end.execute(address).ok().outputs.result().to_owned();
    let second = front_end.execute(address).ok().outputs.result().to_owned();
    assert_eq!(
        first, second,
        "the code of the prelude's crates lies at one address"
    );
}
