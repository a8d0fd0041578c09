use super::*;

fn name(written: impl Into<PointName>) -> String {
    match written.into().resolve(Some(12)) {
        Ok(point) => point.name(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn every_point_reads_back_what_it_writes() {
    for site in Site::ALL {
        let point = HookPoint::new(*site, 3);
        assert_eq!(point.name().parse::<HookPoint>().unwrap(), point);
    }
}

#[test]
fn points_inside_an_autoencoder_are_read_too() {
    let written = "blocks.3.attn.hook_z.hook_sae_acts_post";
    let point: HookPoint = written.parse().unwrap();
    assert_eq!((point.name().as_str(), point.layer()), (written, Some(3)));
    assert_eq!(point.inner(), Some(Inner::SaeActsPost));
    assert_eq!(
        name("resid_pre11.hook_sae_error"),
        name(("hook_resid_pre.hook_sae_error", -1))
    );
    assert!(name("blocks.12.hook_resid_pre.hook_sae_input").contains("12 layers"));
}

#[test]
fn short_names_follow_get_act_name() {
    assert_eq!(name(("resid_pre", 5)), "blocks.5.hook_resid_pre");
    assert_eq!(name("resid_pre5"), "blocks.5.hook_resid_pre");
    assert_eq!(name(("attn", 1)), "blocks.1.attn.hook_pattern");
    assert_eq!(name(("attn_logits", 1)), "blocks.1.attn.hook_attn_scores");
    assert_eq!(name(("key", 1)), "blocks.1.attn.hook_k");
    assert_eq!(name(("query", 1)), "blocks.1.attn.hook_q");
    assert_eq!(name(("value", 1)), "blocks.1.attn.hook_v");
    assert_eq!(name(("mlp_pre", 1)), "blocks.1.mlp.hook_pre");
    assert_eq!(name(("mlp_mid", 1)), "blocks.1.mlp.hook_mid");
    assert_eq!(name(("mlp_post", 1)), "blocks.1.mlp.hook_post");
    assert_eq!(name("k6"), "blocks.6.attn.hook_k");
    assert_eq!(name("k6a"), "blocks.6.attn.hook_k");
    assert_eq!(name("scale4ln1"), "blocks.4.ln1.hook_scale");
    assert_eq!(name(("scale", 4, "ln1")), "blocks.4.ln1.hook_scale");
    assert_eq!(name(("post", 2, "m")), "blocks.2.mlp.hook_post");
    assert_eq!(name(("resid_mid", 2, "blocks")), "blocks.2.hook_resid_mid");
    assert_eq!(name("embed"), "hook_embed");
    assert_eq!(name("scale"), "ln_final.hook_scale");
    assert_eq!(name("normalized"), "ln_final.hook_normalized");
    assert_eq!(name(("attn.hook_z", 0)), "blocks.0.attn.hook_z");
    assert_eq!(name(("hook_mlp_out", 0)), "blocks.0.hook_mlp_out");
}

#[test]
fn negative_layers_count_from_the_last() {
    assert_eq!(name(("pattern", -1)), "blocks.11.attn.hook_pattern");
    assert_eq!(
        name("blocks.-2.hook_resid_post"),
        "blocks.10.hook_resid_post"
    );
    assert!(get_act_name(("pattern", -1)).is_err());
}

#[test]
fn errors_say_what_to_write_instead() {
    let unknown = name("blocks.0.hook_resid_prep");
    assert!(unknown.contains("`blocks.0.hook_resid_pre`"), "{unknown}");
    let layerless = name("resid_pre");
    assert!(
        layerless.contains("`blocks.*.hook_resid_pre`"),
        "{layerless}"
    );
    let outside = name(("resid_pre", 12));
    assert!(
        outside.contains("12 layers") && outside.contains("0 to 11"),
        "{outside}"
    );
    assert!(name("blocks.0.hook_embed").contains("no hook point"));
}
