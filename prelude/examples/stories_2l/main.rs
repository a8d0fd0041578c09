//! Makes stories-2l, the small language model that ferrolens embeds.
//!
//! Four commands, in this order: `sample` writes a corpus of stories drawn from stories260K, `tokenizer` learns a
//! vocabulary on it, `train` trains the model, `eval` measures it. The model card, `prelude/models/stories-2l/README.md`,
//! has the command lines that made the model.

mod arguments;
mod chance;
mod corpus;
mod evaluate;
mod generator;
mod parameters;
mod pieces;
mod quotations;
mod sample;
mod train;
mod vocabulary;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;

use ferrolens::model::{HookedTransformer, LoadOptions};
use ferrolens::{Error, Result};

use arguments::Arguments;
use generator::Generator;
use pieces::Pieces;
use quotations::Quotations;
use train::Training;

const USAGE: &str = "\
stories_2l sample    --data FOLDER --corpus FILE [--groups 300] [--seed 1]
stories_2l tokenizer --corpus FILE --model FOLDER [--tokens 2048]
stories_2l train     --corpus FILE --model FOLDER [--seed 1] [--quarter-steps 1000] [--half-steps 1000]
                     [--steps 1000] [--batch 4096] [--rate 0.002] [--width 256] [--heads 8] [--context 512]
stories_2l eval      --data FOLDER --model FOLDER [--stories 64] [--length 300] [--seed 1]

FOLDER after --data holds stories260K/ and text/; the environment variable FERROLENS_DATA can name it instead.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let arguments = Arguments::read(words)?;
    match command.as_str() {
        "sample" => sample(&arguments),
        "tokenizer" => {
            let model = arguments.path("model")?;
            std::fs::create_dir_all(&model)?;
            vocabulary::train(
                &arguments.path("corpus")?,
                arguments.number("tokens", 2048)?,
                &model.join("tokenizer.json"),
            )
        }
        "train" => train(&arguments),
        "eval" => evaluate(&arguments),
        other => Err(Error::new(format!(
            "`{other}` is no command; these are:\n{USAGE}"
        ))),
    }
}

fn sample(arguments: &Arguments) -> Result<()> {
    let (generator, pieces) = stories260k(&arguments.data()?)?;
    let mut output = BufWriter::new(File::create(arguments.path("corpus")?)?);
    let groups = arguments.number("groups", 300)?;
    Ok(sample::sample(
        &generator,
        &pieces,
        arguments.number("seed", 1)?,
        groups,
        &mut output,
    )?)
}

fn train(arguments: &Arguments) -> Result<()> {
    let training = Training {
        seed: arguments.number("seed", 1)?,
        d_model: arguments.number("width", 256)?,
        n_heads: arguments.number("heads", 8)?,
        n_ctx: arguments.number("context", 512)?,
        steps: [
            arguments.number("quarter-steps", 1000)?,
            arguments.number("half-steps", 1000)?,
            arguments.number("steps", 1000)?,
        ],
        batch: arguments.number("batch", 4096)?,
        rate: arguments.number("rate", 0.002)?,
    };
    training.run(&arguments.path("corpus")?, &arguments.path("model")?)
}

fn evaluate(arguments: &Arguments) -> Result<()> {
    let data = arguments.data()?;
    let folder = arguments.path("model")?;
    let model = HookedTransformer::load(&folder.to_string_lossy(), LoadOptions::no_processing())?;
    let rows = evaluate::rows(&data)?;
    let (generator, pieces) = stories260k(&data)?;
    // The reference value of stories260K is over the first rows.
    for rows in [&rows[..rows.len().min(200)], &rows] {
        println!("on {} rows of TinyStories:", rows.len());
        println!("stories-2l: {}", evaluate::by_model(&model, rows)?);
        for (name, score) in evaluate::references(&generator, &pieces, rows) {
            println!("{name}: {score}");
        }
    }

    let [(inside, insides), (outside, outsides)] = quotations::closing_probability(&model, &rows)?;
    println!(
        "where a clause ends, probability of a quotation mark: {inside:.3} in an open quotation ({insides} places), {outside:.3} outside ({outsides} places)"
    );
    println!(
        "quotations, TinyStories: {}",
        Quotations::of(rows.iter().map(String::as_str))
    );
    let length = arguments.number("length", 300)?;
    let stories = quotations::told(
        &model,
        arguments.number("stories", 64)?,
        length,
        arguments.number("seed", 1)?,
    )?;
    println!(
        "quotations, stories-2l: {}",
        Quotations::of(stories.iter().map(String::as_str))
    );
    println!(
        "\nThe first of these stories:\n{}",
        stories.first().map_or("none ended", String::as_str)
    );
    Ok(())
}

fn stories260k(data: &Path) -> Result<(Generator, Pieces)> {
    let read = |name: &str| {
        let path = data.join("stories260K").join(name);
        std::fs::read(&path)
            .map_err(|error| Error::from(error).context(format!("reading {}", path.display())))
    };
    Ok((
        Generator::read(&read("stories260K.bin")?)?,
        Pieces::read(&read("tok512.bin")?)?,
    ))
}
