//! The embedded model really predicts: what comes next in a story, and where a quotation ends.

use candle_core::Tensor;
use ferrolens::model::{Generate, HookedTransformer};

const STORY: &str = "Once upon a time, there was a little girl named Lily. She loved to play in the \
park with her friends. One day, she saw a big dog. The dog was very sad. Lily asked, \"Why are you \
sad?\" The dog said, \"I lost my ball.\" Lily wanted to help the dog. They looked for the ball \
together. Lily found the ball under a tree. The dog was so happy. They played all day and became \
best friends.";

fn stories_2l() -> HookedTransformer {
    HookedTransformer::from_pretrained("stories-2l").unwrap()
}

#[test]
fn it_predicts_a_story_better_than_chance() {
    let model = stories_2l();
    let losses = model.run(STORY).loss_per_token().unwrap();
    let nats: f32 = losses.sum_all().unwrap().to_scalar().unwrap();
    let per_character = nats / STORY.chars().count() as f32;
    assert!(per_character < 0.9, "{per_character} nats per character");
}

/// The probability that the next token holds a quotation mark.
fn quotation_mark(model: &HookedTransformer, prompt: &str) -> f32 {
    let tokenizer = model.tokenizer().unwrap();
    let ids: Vec<u32> = (0..tokenizer.vocabulary_size() as u32).collect();
    let texts = tokenizer.decode_each(&ids).unwrap();
    let marks: Vec<u32> = (ids.into_iter().zip(&texts))
        .filter(|(_, text)| text.contains('"'))
        .map(|(id, _)| id)
        .collect();
    let logits = model.run(prompt).logits_at(-1).unwrap();
    let probabilities = ferrolens::math::softmax(&logits).unwrap();
    let marks = Tensor::new(marks, &model.device()).unwrap();
    let chosen = probabilities.index_select(&marks, 1).unwrap();
    chosen.sum_all().unwrap().to_scalar().unwrap()
}

#[test]
fn it_closes_a_quotation_that_was_opened_and_no_other() {
    let model = stories_2l();
    let pairs = [
        (
            "Tom said, \"I want to play with the ball",
            "Tom wanted to play with the ball",
        ),
        ("Her mom said, \"You are very kind", "Her mom was very kind"),
        (
            "The dog asked, \"Can I have the ball",
            "The dog had the ball",
        ),
        (
            "Lily said, \"Thank you for the cake",
            "Lily was happy for the cake",
        ),
    ];
    for (open, closed) in pairs {
        let (open_mark, other) = (quotation_mark(&model, open), quotation_mark(&model, closed));
        assert!(
            open_mark > 10. * other,
            "{open_mark} in {open:?}, {other} in {closed:?}"
        );
    }
}

#[test]
fn it_tells_a_story() {
    let model = stories_2l();
    let options = Generate::new(120).temperature(0.7).seed(1);
    let story = model.generate("Once upon a time", &options).unwrap();
    let text = story.texts()[0].clone();
    assert!(
        text.starts_with("Once upon a time") && text.len() > 200,
        "{text}"
    );
}
