//! Hook points, layers and models as publishers write them into paths.

/// The number that follows the first of these words: `layer_12` has 12 after `layer_`.
pub(super) fn number_after(path: &str, words: &[&str]) -> Option<usize> {
    words.iter().find_map(|word| {
        path.match_indices(word).find_map(|(at, _)| {
            let rest = path.get(at + word.len()..)?;
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest.get(..digits)?.parse().ok()
        })
    })
}

/// A hook point that a path names in full, such as `blocks.8.hook_resid_pre` in
/// `.../gpt2-small_blocks.8.hook_resid_pre_24576.pt`.
pub(super) fn in_path(path: &str) -> Option<String> {
    const PLACES: [&str; 13] = [
        "hook_resid_pre",
        "hook_resid_mid",
        "hook_resid_post",
        "hook_attn_out",
        "hook_mlp_out",
        "hook_mlp_in",
        "mlp.hook_post",
        "mlp.hook_pre",
        "attn.hook_z",
        "attn.hook_q",
        "attn.hook_k",
        "attn.hook_v",
        "attn.hook_result",
    ];
    let start = path.rfind("blocks.")?;
    let rest = path.get(start..)?;
    let layer = number_after(rest, &["blocks."])?;
    let point = rest.strip_prefix(&format!("blocks.{layer}."))?;
    let place = PLACES.iter().find(|place| point.starts_with(**place))?;
    Some(format!("blocks.{layer}.{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_hook_points_are_found() {
        assert_eq!(number_after("a/layer_12/width_16k", &["layer_"]), Some(12));
        assert_eq!(number_after("layers.7", &["layers.", "layers_"]), Some(7));
        assert_eq!(number_after("layer_x", &["layer_"]), None);
        let path = "a/final_gelu-1l_blocks.0.hook_attn_out_16384.pt";
        assert_eq!(in_path(path).as_deref(), Some("blocks.0.hook_attn_out"));
        assert_eq!(in_path("a/sae.safetensors"), None);
    }
}
