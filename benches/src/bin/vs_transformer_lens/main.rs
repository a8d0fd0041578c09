//! TransformerLens and SAELens beside ferrolens, in turn, on the same weights and tokens.
//!
//! `cargo run --release -p ferrolens-benches --bin vs_transformer_lens -- --python FOLDER [--models FOLDER]
//! [--only SUBSTRING] [--rounds N] [--json FILE] [--device cuda]`
//!
//! `benches/README.md` says what the rows are and how FOLDER is made.

mod cases;
mod limits;
mod ours;
mod ready;
mod table;
mod worker;

use cases::On;
use ferrolens::{Error, Result};
use limits::Limits;
use std::path::PathBuf;
use std::time::Duration;
use table::{Row, Side};
use worker::Workers;

/// How long both sides rest between turns: threads of the side that was busy may spin for 0.2 s.
const PAUSE: Duration = Duration::from_millis(300);

struct Options {
    python: PathBuf,
    models: PathBuf,
    only: Option<String>,
    rounds: usize,
    json: Option<PathBuf>,
    on: On,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, folder] = arguments.as_slice()
        && first == "--ours"
    {
        return ours::work(folder.into());
    }
    let options = options(&arguments)?;
    let mut workers = Workers::new(&options.python, &options.models)?;
    eprintln!("the machine's limits");
    let limits = Limits::measure(&mut workers, options.rounds)?;
    eprintln!("{}\n\n{}", limits.markdown(), table::HEAD);
    // The limits are the processor's.
    let of_cpu = Some(&limits).filter(|_| options.on == On::Cpu);
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    let wanted = |name: &str| match &options.only {
        Some(part) => name.contains(part.as_str()),
        None => true,
    };
    for case in cases::all(options.on)
        .into_iter()
        .filter(|case| wanted(&case.name))
    {
        eprintln!("{}", case.name);
        match measure(&case, &mut workers, of_cpu, options.rounds) {
            Ok(row) => {
                // A run that is stopped has said what it had.
                eprintln!("{}", table::line(&row));
                rows.push(row);
            }
            Err(error) => {
                eprintln!("  failed: {error}");
                failures.push(format!("{}: {error}", case.name));
            }
        }
    }
    if wanted(ready::NAME) {
        eprintln!("{}", ready::NAME);
        rows.push(ready::measure(&options.python, options.rounds)?);
    }
    println!("{}\n\n{}", limits.markdown(), table::markdown(&rows));
    if let Some(path) = &options.json {
        let json = serde_json::json!({"limits": limits.json(), "rows": rows.iter().map(Row::json).collect::<Vec<_>>(), "failures": failures});
        std::fs::write(path, format!("{json:#}\n"))?;
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "{} of the cases failed:\n{}",
            failures.len(),
            failures.join("\n")
        ))),
    }
}

fn options(arguments: &[String]) -> Result<Options> {
    let (mut python, mut models, mut only, mut rounds, mut json) = (None, None, None, 5, None);
    let mut on = On::Cpu;
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--python" => python = Some(PathBuf::from(value)),
            [name, value] if name == "--models" => models = Some(PathBuf::from(value)),
            [name, value] if name == "--only" => only = Some(value.clone()),
            [name, value] if name == "--rounds" => {
                rounds = value.parse::<usize>().unwrap_or(5).max(1)
            }
            [name, value] if name == "--json" => json = Some(PathBuf::from(value)),
            [name, value] if name == "--device" && value == On::Cpu.name() => on = On::Cpu,
            [name, value] if name == "--device" && value == On::Cuda.name() => on = On::Cuda,
            other => {
                return Err(Error::new(format!(
                    "{other:?} is not known: give --python FOLDER, and --models FOLDER, --only \
                     SUBSTRING, --rounds N, --json FILE or --device cuda."
                )));
            }
        }
    }
    let python = python.ok_or_else(|| {
        Error::new(
            "--python is missing: make the environments with \
             `benches/vs_transformer_lens/environments.sh FOLDER` and give `--python FOLDER`.",
        )
    })?;
    let models = models.unwrap_or_else(|| python.join("models"));
    Ok(Options {
        python,
        models,
        only,
        rounds,
        json,
        on,
    })
}

/// Warms all sides up, compares what they found, and lets them run in turn.
fn measure(
    case: &cases::Case,
    workers: &mut Workers,
    limits: Option<&Limits>,
    rounds: usize,
) -> Result<Row> {
    let mut commands = vec![("ferrolens".to_owned(), case.command("ours", None))];
    for theirs in &case.theirs {
        commands.push((theirs.label.clone(), case.command(theirs.side, theirs.way)));
    }
    let mut sides = Vec::new();
    let mut found: Option<Vec<f64>> = None;
    for (label, command) in &commands {
        workers.ask(command, 0)?;
        std::thread::sleep(PAUSE);
        let answer = workers.ask(command, 1)?;
        match &found {
            None => found = Some(answer.values),
            Some(ours) => {
                let apart = table::apart(ours, &answer.values);
                if apart.is_nan() || apart > case.tolerance {
                    return Err(Error::new(format!(
                        "{label} found something else than ferrolens: the largest difference is \
                         {apart:.1e} of the largest value, and {:.0e} is allowed.",
                        case.tolerance
                    )));
                }
            }
        }
        let once = answer.seconds.first().copied().unwrap_or(1.);
        sides.push((
            label,
            command,
            (0.3 / once).clamp(1., 20.) as usize,
            Vec::new(),
            0.,
        ));
        std::thread::sleep(PAUSE);
    }
    for _ in 0..rounds {
        for (_, command, repeats, seconds, peak) in &mut sides {
            let answer = workers.ask(command, *repeats)?;
            seconds.push(table::median(&answer.seconds));
            *peak = answer.peak_mb;
            std::thread::sleep(PAUSE);
        }
    }
    let sides = sides.into_iter().map(|(label, _, _, seconds, peak)| Side {
        label: label.clone(),
        seconds,
        peak_mb: peak,
    });
    Ok(Row {
        name: case.name.clone(),
        work: case.work,
        must: case.must,
        aim: case.aim,
        limit: limits.map(|limits| limits.seconds(limits::needs(case.what()))),
        sides: sides.collect(),
    })
}
