//! Releases one by one and family by family, with the patterns of their ids and of the paths that these
//! mean.

use super::super::super::{dictionary_learning, gemma_scope, gemma_scope_2, llama_scope, sae_lens};
use super::super::canonical::{self, Run};
use super::super::scales;
use super::{Ids, Kind, Quirk, Release};

type Patterns = &'static [(&'static str, &'static str)];

/// Combinations of [`gemma_scope_2`] that were never released.
const NOT_RELEASED: [&str; 5] = [
    "gemma-scope-2-27b-pt-att",
    "gemma-scope-2-27b-pt-att-all",
    "gemma-scope-2-27b-pt-mlp",
    "gemma-scope-2-27b-pt-mlp-all",
    "gemma-scope-2-27b-pt-transcoders",
];
/// All of them.
pub(super) fn all() -> Vec<Release> {
    let mut all = gemma_scope();
    all.extend(gemma_scope_2());
    all.extend(gpt2());
    all.extend(llama());
    all.extend(qwen());
    all.extend(transcoders());
    all.extend(dictionaries());
    all.extend(others());
    all
}

/// Gemma Scope: ids are paths, and those of the canonical ones say less.
fn gemma_scope() -> Vec<Release> {
    const SCOPES: [(&str, &[Run]); 8] = [
        ("2b-pt-att", canonical::PT_2B_ATT),
        ("2b-pt-mlp", canonical::PT_2B_MLP),
        ("2b-pt-res", canonical::PT_2B_RES),
        ("9b-it-res", canonical::IT_9B_RES),
        ("9b-pt-att", canonical::PT_9B_ATT),
        ("9b-pt-mlp", canonical::PT_9B_MLP),
        ("9b-pt-res", canonical::PT_9B_RES),
        ("27b-pt-res", canonical::PT_27B_RES),
    ];
    let kind = Kind::Folder(gemma_scope::WEIGHTS);
    let mut releases = Vec::new();
    for (scope, runs) in SCOPES {
        let name = format!("gemma-scope-{scope}");
        let repository = format!("google/{name}");
        let canonical = Ids::Canonical(runs);
        releases.push(of(
            &format!("{name}-canonical"),
            &repository,
            kind,
            canonical,
        ));
        releases.push(of(&name, &repository, kind, Ids::Under("")));
    }
    let name = "gemma-scope-2b-pt-transcoders";
    releases.push(of(name, &format!("google/{name}"), kind, Ids::Under("")));
    releases
}

/// Gemma Scope 2: five sizes, two models each, four places, some layers in detail or all of them.
fn gemma_scope_2() -> Vec<Release> {
    const PLACES: [(&str, &str, &str); 4] = [
        ("res", "resid_post/", "resid_post_all/"),
        ("mlp", "mlp_out/", "mlp_out_all/"),
        ("att", "attn_out/", "attn_out_all/"),
        // The ids of these have the folder in them.
        ("transcoders", "", "transcoder_all/"),
    ];
    let kind = Kind::Folder(gemma_scope_2::WEIGHTS);
    let mut releases = Vec::new();
    for size in ["270m", "1b", "4b", "12b", "27b"] {
        for model in ["pt", "it"] {
            let repository = format!("google/gemma-scope-2-{size}-{model}");
            for (place, some, every) in PLACES {
                for (ending, folder) in [("", some), ("-all", every)] {
                    let name = format!("gemma-scope-2-{size}-{model}-{place}{ending}");
                    if !NOT_RELEASED.contains(&name.as_str()) {
                        releases.push(of(&name, &repository, kind, Ids::Under(folder)));
                    }
                }
            }
        }
    }
    releases
}

/// GPT-2 small: by Bloom with the recipe of OpenAI, and end to end by Braun et al.
fn gpt2() -> Vec<Release> {
    let mut releases = Vec::new();
    for place in ["attn-out", "mlp-out", "resid-mid", "resid-post"] {
        for width in ["32k", "128k"] {
            let hook = format!("blocks.{{}}.hook_{}", place.replace('-', "_"));
            // One of these repositories has folders that are called as files are.
            let ending = match (place, width) {
                ("resid-post", "32k") => ".pt",
                _ => "",
            };
            let path = format!("v5_{width}_layer_{{}}{ending}");
            let repository = format!("jbloom/GPT2-Small-OAI-v5-{width}-{place}-SAEs");
            let name = format!("gpt2-small-{place}-v5-{width}");
            releases.push(saelens(&name, &repository, &[(&hook, &path)]));
        }
    }
    for kind in ["sce", "scefr", "scl", "sle", "slefr", "sll"] {
        let path = format!("{{}}-res_{kind}-ajt");
        let repository = format!("neuronpedia/gpt2-small__res_{kind}-ajt");
        let name = format!("gpt2-small-res_{kind}-ajt");
        let patterns = [("blocks.{}.hook_resid_pre", path.as_str())];
        releases.push(saelens(&name, &repository, &patterns));
    }
    releases
}

/// Llama Scope, its series on R1, and what others made of Llama.
fn llama() -> Vec<Release> {
    let mut releases = Vec::new();
    for place in ["a", "m", "r"] {
        for factor in [8, 32] {
            let upper = place.to_uppercase();
            let id = format!("l{{}}{place}_{factor}x");
            let path = format!("Llama3_1-8B-Base-L{{}}{upper}-{factor}x");
            releases.push(of(
                &format!("llama_scope_lx{place}_{factor}x"),
                &format!("fnlp/Llama3_1-8B-Base-LX{upper}-{factor}x"),
                Kind::Folder(llama_scope::WEIGHTS),
                patterns(&[(&id, &path)]),
            ));
        }
    }
    let distilled = saelens(
        "llama_scope_r1_distill",
        "fnlp/Llama-Scope-R1-Distill",
        LLAMA_R1,
    );
    releases.push(distilled.with(Quirk::Scaled(scales::llama_r1)));
    releases.push(saelens(
        "llama-3-8b-it-res-jh",
        "Juliushanhanhan/llama-3-8b-it-res",
        &[("blocks.{}.hook_resid_post", "blocks.{}.hook_resid_post")],
    ));
    for (name, repository, id, path) in [
        (
            "goodfire-llama-3.3-70b-instruct",
            "Goodfire/Llama-3.3-70B-Instruct-SAE-l50",
            "layer_50",
            "Llama-3.3-70B-Instruct-SAE-l50.pt",
        ),
        (
            "goodfire-llama-3.1-8b-instruct",
            "Goodfire/Llama-3.1-8B-Instruct-SAE-l19",
            "layer_19",
            "Llama-3.1-8B-Instruct-SAE-l19.pth",
        ),
        (
            "deepseek-r1-distill-llama-8b-qresearch",
            "qresearch/DeepSeek-R1-Distill-Llama-8B-SAE-l19",
            "blocks.19.hook_resid_post",
            "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt",
        ),
    ] {
        releases.push(of(name, repository, Kind::File, patterns(&[(id, path)])));
    }
    releases
}

/// Qwen Scope: a model, its width in thousands, and two counts of active latents.
fn qwen() -> Vec<Release> {
    const MODELS: [(&str, &str, [usize; 2]); 7] = [
        ("3-1.7b-base", "3-1.7B-Base", [32, 32]),
        ("3-8b-base", "3-8B-Base", [64, 64]),
        ("3-30b-a3b-base", "3-30B-A3B-Base", [32, 128]),
        ("3.5-2b-base", "3.5-2B-Base", [32, 32]),
        ("3.5-9b-base", "3.5-9B-Base", [64, 64]),
        ("3.5-27b", "3.5-27B", [80, 80]),
        ("3.5-35b-a3b-base", "3.5-35B-A3B-Base", [32, 128]),
    ];
    let mut releases = Vec::new();
    for (short, model, widths) in MODELS {
        for (width, k) in widths.into_iter().zip([50, 100]) {
            releases.push(of(
                &format!("qwen-scope-{short}-w{width}k-l{k}"),
                &format!("Qwen/SAE-Res-Qwen{model}-W{width}K-L0_{k}"),
                Kind::File,
                patterns(&[("layer{}", "layer{}.sae.pt")]),
            ));
        }
    }
    releases
}

/// Transcoders for circuit tracing.
fn transcoders() -> Vec<Release> {
    const SIZES: [&str; 6] = [
        "4b-transcoders",
        "8b-transcoders",
        "14b-transcoders",
        "14b-transcoders-lowl0",
        "1.7b-transcoders-lowl0",
        "0.6b-transcoders-lowl0",
    ];
    let ids = || patterns(&[("layer_{}", "layer_{}.safetensors")]);
    let of_size = |size: &&str| {
        let name = format!("mwhanna-qwen3-{size}");
        of(&name, &format!("mwhanna/qwen3-{size}"), Kind::File, ids())
    };
    let mut releases: Vec<Release> = SIZES.iter().map(of_size).collect();
    releases.push(of(
        "mntss-gemma-2-2b-2.5m-clt-as-per-layer",
        "mntss/clt-gemma-2-2b-2.5M",
        Kind::CrossLayer,
        patterns(&[("layer_{}", "{}")]),
    ));
    releases
}

/// Those of dictionary_learning, most of them of SAEBench.
fn dictionaries() -> Vec<Release> {
    const BENCHES: [(&str, &str, &str); 13] = [
        (
            "sae_bench_gemma-2-2b_topk_width-2pow12_date-1109",
            "canrager/saebench_gemma-2-2b_width-2pow12_date-1109",
            "gemma-2-2b_topk_width-2pow12_date-1109",
        ),
        (
            "sae_bench_gemma-2-2b_topk_width-2pow14_date-1109",
            "canrager/saebench_gemma-2-2b_width-2pow14_date-1109",
            "gemma-2-2b_topk_width-2pow14_date-1109",
        ),
        (
            "sae_bench_gemma-2-2b_topk_width-2pow16_date-1109",
            "canrager/saebench_gemma-2-2b_width-2pow16_date-1109",
            "gemma-2-2b_topk_width-2pow16_date-1109",
        ),
        (
            "sae_bench_gemma-2-2b_vanilla_width-2pow12_date-1109",
            "canrager/saebench_gemma-2-2b_width-2pow12_date-1109",
            "gemma-2-2b_vanilla_width-2pow12_date-1109",
        ),
        (
            "sae_bench_gemma-2-2b_vanilla_width-2pow14_date-1109",
            "canrager/saebench_gemma-2-2b_width-2pow14_date-1109",
            "gemma-2-2b_vanilla_width-2pow14_date-1109",
        ),
        (
            "sae_bench_gemma-2-2b_vanilla_width-2pow16_date-1109",
            "canrager/saebench_gemma-2-2b_width-2pow16_date-1109",
            "gemma-2-2b_vanilla_width-2pow16_date-1109",
        ),
        (
            "sae_bench_pythia70m_sweep_gated_ctx128_0730",
            "canrager/lm_sae",
            "pythia70m_sweep_gated_ctx128_0730",
        ),
        (
            "sae_bench_pythia70m_sweep_panneal_ctx128_0730",
            "canrager/lm_sae",
            "pythia70m_sweep_panneal_ctx128_0730",
        ),
        (
            "sae_bench_pythia70m_sweep_standard_ctx128_0712",
            "canrager/lm_sae",
            "pythia70m_sweep_standard_ctx128_0712",
        ),
        (
            "sae_bench_pythia70m_sweep_topk_ctx128_0730",
            "canrager/lm_sae",
            "pythia70m_sweep_topk_ctx128_0730",
        ),
        (
            "saebench_gemma-2-2b_width-2pow12_date-0108",
            "adamkarvonen/saebench_gemma-2-2b_width-2pow12_date-0108",
            "MatryoshkaBatchTopK_gemma-2-2b__0108",
        ),
        (
            "saebench_gemma-2-2b_width-2pow14_date-0107",
            "canrager/saebench_gemma-2-2b_width-2pow14_date-0107",
            "gemma-2-2b_matryoshka_batch_top_k_width-2pow14_date-0107",
        ),
        (
            "saebench_gemma-2-2b_width-2pow16_date-0107",
            "canrager/saebench_gemma-2-2b_width-2pow16_date-0107",
            "gemma-2-2b_matryoshka_batch_top_k_width-2pow16_date-0107",
        ),
    ];
    let kind = Kind::Folder(dictionary_learning::WEIGHTS);
    let mut releases = Vec::new();
    for (name, repository, folder) in BENCHES {
        let id = "blocks.{}.hook_resid_post__trainer_{}";
        let path = format!("{folder}/resid_post_layer_{{}}/trainer_{{}}");
        // What was saved on the way.
        let early_id = format!("{id}_step_{{}}");
        let early = format!("{folder}/resid_post_layer_{{}}_checkpoints/trainer_{{}}_step_{{}}");
        let ids = patterns(&[(id, &path), (&early_id, &early)]);
        releases.push(of(name, repository, kind, ids));
    }
    for (name, repository) in [
        (
            "llama-3.1-8b-instruct-andyrdt",
            "andyrdt/saes-llama-3.1-8b-instruct",
        ),
        (
            "qwen2.5-7b-instruct-andyrdt",
            "andyrdt/saes-qwen2.5-7b-instruct",
        ),
        ("gpt-oss-20b-andyrdt", "andyrdt/saes-gpt-oss-20b"),
    ] {
        let id = "resid_post_layer_{}_trainer_{}";
        let ids = patterns(&[(id, "resid_post_layer_{}/trainer_{}")]);
        releases.push(of(name, repository, kind, ids));
    }
    releases
}

/// The rest, nearly all in SAELens's own format.
fn others() -> Vec<Release> {
    let resid_post = |folder: &str| format!("{folder}blocks.{{}}.hook_resid_post");
    let post = "blocks.{}.hook_resid_post";
    vec![
        saelens(
            "gpt2-small-res-jb",
            "jbloom/GPT2-Small-SAEs-Reformatted",
            &[
                ("blocks.{}.hook_resid_pre", "blocks.{}.hook_resid_pre"),
                (post, post),
            ],
        )
        .with(Quirk::CentredWriting),
        saelens(
            "gpt2-small-res-jb-feature-splitting",
            "jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8",
            &[("blocks.{}.hook_resid_pre_{}", "blocks.{}.hook_resid_pre_{}")],
        )
        .with(Quirk::CentredWriting),
        saelens(
            "gpt2-small-mlp-tm",
            "tommmcgrath/gpt2-small-mlp-out-saes",
            GPT2_MLP,
        )
        .with(Quirk::Scaled(scales::gpt2_mlp)),
        of(
            "gpt2-small-hook-z-kk",
            "ckkissane/attn-saes-gpt2-small-all-layers",
            Kind::File,
            patterns(HOOK_Z),
        ),
        saelens(
            "gemma-2b-res-jb",
            "jbloom/Gemma-2b-Residual-Stream-SAEs",
            GEMMA_2B,
        )
        .with(Quirk::Scaled(scales::gemma_2b)),
        saelens(
            "gemma-2b-it-res-jb",
            "jbloom/Gemma-2b-IT-Residual-Stream-SAEs",
            &[(post, "gemma_2b_it_blocks.{}.hook_resid_post_16384")],
        ),
        saelens(
            "gemma-2-2b-res-matryoshka-dc",
            "chanind/gemma-2-2b-batch-topk-matryoshka-saes-w-32k-l0-40",
            &[(post, &resid_post("standard/"))],
        ),
        saelens(
            "gemma-2-2b-res-snap-matryoshka-dc",
            "chanind/gemma-2-2b-batch-topk-matryoshka-saes-w-32k-l0-40",
            &[(post, &resid_post("snap/"))],
        ),
        saelens(
            "gemma-2-9b-res-matryoshka-dc",
            "chanind/gemma-2-9b-batch-topk-matryoshka-saes-w-32k-l0-60",
            &[(post, post)],
        ),
        saelens(
            "gemma-3-1b-res-matryoshka-dc",
            "chanind/gemma-3-1b-batch-topk-matryoshka-saes-w-32k-l0-40",
            &[(post, post)],
        ),
        saelens(
            "mistral-7b-res-wg",
            "JoshEngels/Mistral-7B-Residual-Stream-SAEs",
            &[("blocks.{}.hook_resid_pre", "mistral_7b_layer_{}")],
        )
        .with(Quirk::ConstantNorm),
        saelens(
            "pythia-70m-deduped-att-sm",
            "ctigges/pythia-70m-deduped__att-sm_processed",
            &[("blocks.{}.hook_attn_out", "{}-att-sm")],
        ),
        saelens(
            "pythia-70m-deduped-mlp-sm",
            "ctigges/pythia-70m-deduped__mlp-sm_processed",
            &[("blocks.{}.hook_mlp_out", "{}-mlp-sm")],
        ),
        saelens(
            "pythia-70m-deduped-res-sm",
            "ctigges/pythia-70m-deduped__res-sm_processed",
            &[("blocks.0.hook_resid_pre", "e-res-sm"), (post, "{}-res-sm")],
        ),
    ]
}

fn saelens(name: &str, repository: &str, ids: &[(&str, &str)]) -> Release {
    let kind = Kind::Folder(sae_lens::WEIGHTS);
    of(name, repository, kind, patterns(ids))
}

fn of(name: &str, repository: &str, kind: Kind, ids: Ids) -> Release {
    Release {
        name: name.to_owned(),
        repository: repository.to_owned(),
        kind,
        ids,
        quirk: Quirk::None,
    }
}

fn patterns(patterns: &[(&str, &str)]) -> Ids {
    let owned = patterns
        .iter()
        .map(|(ids, paths)| ((*ids).to_owned(), (*paths).to_owned()));
    Ids::Patterns(owned.collect())
}

const LLAMA_R1: Patterns = &[
    (
        "l{}r_800m_slimpajama",
        "800M-Slimpajama-0-OpenR1-Math-220k/L{}R",
    ),
    (
        "l{}r_400m_slimpajama_400m_openr1_math",
        "400M-Slimpajama-400M-OpenR1-Math-220k/L{}R",
    ),
    (
        "l{}r_800m_openr1_math",
        "0-Slimpajama-800M-OpenR1-Math-220k/L{}R",
    ),
];

const HOOK_Z: Patterns = &[
    (
        "blocks.0.hook_z",
        "gpt2-small_L0_Hcat_z_lr1.20e-03_l11.80e+00_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v9.pt",
    ),
    (
        "blocks.1.hook_z",
        "gpt2-small_L1_Hcat_z_lr1.20e-03_l18.00e-01_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v5.pt",
    ),
    (
        "blocks.2.hook_z",
        "gpt2-small_L2_Hcat_z_lr1.20e-03_l11.00e+00_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v4.pt",
    ),
    (
        "blocks.3.hook_z",
        "gpt2-small_L3_Hcat_z_lr1.20e-03_l19.00e-01_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v9.pt",
    ),
    (
        "blocks.4.hook_z",
        "gpt2-small_L4_Hcat_z_lr1.20e-03_l11.10e+00_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v7.pt",
    ),
    (
        "blocks.5.hook_z",
        "gpt2-small_L5_Hcat_z_lr1.20e-03_l11.00e+00_ds49152_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v9.pt",
    ),
    (
        "blocks.6.hook_z",
        "gpt2-small_L6_Hcat_z_lr1.20e-03_l11.10e+00_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v9.pt",
    ),
    (
        "blocks.7.hook_z",
        "gpt2-small_L7_Hcat_z_lr1.20e-03_l11.10e+00_ds49152_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v9.pt",
    ),
    (
        "blocks.8.hook_z",
        "gpt2-small_L8_Hcat_z_lr1.20e-03_l11.30e+00_ds24576_bs4096_dc1.00e-05_rsanthropic_rie25000_nr4_v6.pt",
    ),
    (
        "blocks.9.hook_z",
        "gpt2-small_L9_Hcat_z_lr1.20e-03_l11.20e+00_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v9.pt",
    ),
    (
        "blocks.10.hook_z",
        "gpt2-small_L10_Hcat_z_lr1.20e-03_l11.30e+00_ds24576_bs4096_dc1.00e-05_rsanthropic_rie25000_nr4_v9.pt",
    ),
    (
        "blocks.11.hook_z",
        "gpt2-small_L11_Hcat_z_lr1.20e-03_l13.00e+00_ds24576_bs4096_dc3.16e-06_rsanthropic_rie25000_nr4_v9.pt",
    ),
];

const GPT2_MLP: Patterns = &[
    (
        "blocks.0.hook_mlp_out",
        "sae_group_gpt2_blocks.0.hook_mlp_out_24576:v1",
    ),
    (
        "blocks.1.hook_mlp_out",
        "sae_group_gpt2_blocks.1.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.2.hook_mlp_out",
        "sae_group_gpt2_blocks.2.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.3.hook_mlp_out",
        "sae_group_gpt2_blocks.3.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.4.hook_mlp_out",
        "sae_group_gpt2_blocks.4.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.5.hook_mlp_out",
        "sae_group_gpt2_blocks.5.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.6.hook_mlp_out",
        "sae_group_gpt2_blocks.6.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.7.hook_mlp_out",
        "sae_group_gpt2_blocks.7.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.8.hook_mlp_out",
        "sae_group_gpt2_blocks.8.hook_mlp_out_24576:v1",
    ),
    (
        "blocks.9.hook_mlp_out",
        "sae_group_gpt2_blocks.9.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.10.hook_mlp_out",
        "sae_group_gpt2_blocks.10.hook_mlp_out_24576:v0",
    ),
    (
        "blocks.11.hook_mlp_out",
        "sae_group_gpt2_blocks.11.hook_mlp_out_24576:v2",
    ),
];

const GEMMA_2B: Patterns = &[
    (
        "blocks.0.hook_resid_post",
        "gemma_2b_blocks.0.hook_resid_post_16384_anthropic",
    ),
    (
        "blocks.6.hook_resid_post",
        "gemma_2b_blocks.6.hook_resid_post_16384_anthropic_fast_lr",
    ),
    (
        "blocks.10.hook_resid_post",
        "gemma_2b_blocks.10.hook_resid_post_16384",
    ),
    (
        "blocks.12.hook_resid_post",
        "gemma_2b_blocks.12.hook_resid_post_16384",
    ),
    (
        "blocks.17.hook_resid_post",
        "gemma_2b_blocks.17.hook_resid_post_16384",
    ),
];
