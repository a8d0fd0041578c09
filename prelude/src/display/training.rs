//! A training as it runs: curves and the latest numbers, in one place of the notebook.

use super::figure;
use super::handle::{DisplayHandle, display};
use crate::emit::{Bundle, Host, Rich};
use crate::sae::train::{Metrics, Observer};
use polars::prelude::{Column, DataFrame};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The shortest time between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The most points of a curve; of a longer one every other is left out until it fits.
const MOST_POINTS: usize = 1000;

/// Draws the loss and L0 of a training, with a table of the latest numbers below, and changes both where
/// they stand, once a second at most. Outside a notebook it is a line on stderr, where that is a terminal.
///
/// ```
/// use ferrolens::display::LiveTraining;
/// use ferrolens::sae::train::{ActivationSource, SaeTrainer, TrainConfig};
/// use ferrolens::{Device, Tensor};
/// let x = Tensor::randn(0f32, 1., (64, 8), &Device::Cpu)?;
/// let source = ActivationSource::of_tensor("blocks.0.hook_mlp_out", &x)?;
/// let config = TrainConfig::relu(16).batch_size(16).log_every(2);
/// let mut trainer = SaeTrainer::new(source, config)?;
/// trainer.on_log(LiveTraining::new());
/// trainer.run(10)?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct LiveTraining {
    curves: Vec<Curve>,
    shown: Option<(DisplayHandle, DisplayHandle)>,
    last_look: Option<Instant>,
    /// Whether there is something that was not shown.
    news: bool,
    in_terminal: bool,
}

#[derive(Debug)]
struct Curve {
    latest: Metrics,
    points: Vec<[f64; 3]>,
    /// Of how many logs one is kept, and how many came.
    every: usize,
    count: usize,
}

impl LiveTraining {
    /// A view that appears at the first log.
    pub fn new() -> Self {
        Self::default()
    }

    /// While it runs the curves are a picture, which changes without flickering; then a figure.
    fn look(&mut self, is_over: bool) {
        self.last_look = Some(Instant::now());
        self.news = false;
        if Host::find().is_none() {
            let stderr = std::io::stderr();
            if stderr.is_terminal() {
                self.in_terminal = true;
                let line = format!("\r{}\u{1b}[K", self.line());
                let _ = stderr.lock().write_all(line.as_bytes());
            }
            return;
        }
        let figure = Figure(self.figure());
        let Ok(table) = self.table() else { return };
        match &self.shown {
            Some((above, below)) => {
                match is_over {
                    true => above.update(figure),
                    false => above.update_picture(figure),
                }
                below.update(table);
            }
            None => self.shown = Some((display(figure), display(table))),
        }
    }

    /// `step 300: blocks.0.hook_mlp_out loss 0.1234, L0 12.3`
    fn line(&self) -> String {
        let curves = self.curves.iter().map(|curve| {
            let Metrics { hook, loss, l0, .. } = &curve.latest;
            format!("{hook} loss {loss:.4}, L0 {l0:.1}")
        });
        let curves: Vec<String> = curves.collect();
        let step = self.curves.last().map_or(0, |curve| curve.latest.step);
        format!("step {step}: {}", curves.join("; "))
    }

    fn table(&self) -> crate::Result<DataFrame> {
        let of = |name: &str, get: fn(&Metrics) -> f64| {
            let values = self.curves.iter().map(|curve| get(&curve.latest));
            Column::new(name.into(), values.collect::<Vec<f64>>())
        };
        let hooks = self.curves.iter().map(|curve| curve.latest.hook.as_str());
        let steps = self.curves.iter().map(|curve| curve.latest.step);
        let columns = vec![
            Column::new("hook".into(), hooks.collect::<Vec<&str>>()),
            Column::new("step".into(), steps.collect::<Vec<u64>>()),
            of("loss", |metrics| metrics.loss),
            of("L2", |metrics| metrics.squared_error),
            of("L1", |metrics| metrics.l1),
            of("L0", |metrics| metrics.l0),
            of("explained variance", |metrics| metrics.explained_variance),
            of("alive", |metrics| metrics.alive),
            of("learning rate", |metrics| metrics.learning_rate),
            of("tokens/s", |metrics| metrics.tokens_per_second.round()),
        ];
        Ok(DataFrame::new(self.curves.len(), columns)?)
    }

    fn figure(&self) -> Value {
        const COLOURS: [&str; 6] = [
            "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b",
        ];
        let mut traces = Vec::new();
        for (index, curve) in self.curves.iter().enumerate() {
            let of = |column: usize| {
                let values = curve.points.iter().map(|point| point[column]);
                values.collect::<Vec<f64>>()
            };
            for (number, axis) in [(1, ""), (2, "2")] {
                traces.push(json!({
                    "type": "scatter", "mode": "lines", "name": curve.latest.hook,
                    "showlegend": number == 1 && self.curves.len() > 1,
                    "line": {"color": COLOURS[index % COLOURS.len()]},
                    "x": of(0), "y": of(number),
                    "xaxis": format!("x{axis}"), "yaxis": format!("y{axis}"),
                }));
            }
        }
        let title = |text: &str| json!({"title": {"text": text}, "automargin": true});
        let mut loss = title("loss");
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let losses: Vec<f64> = points.map(|point| point[1]).collect();
        let largest = losses.iter().copied().fold(0., f64::max);
        let smallest = losses.iter().copied().fold(f64::INFINITY, f64::min);
        if smallest > 0. && largest > 10. * smallest {
            loss["type"] = json!("log");
        }
        let height = if self.curves.len() > 1 { 360 } else { 320 };
        json!({
            "data": traces,
            "layout": {
                "grid": {"rows": 1, "columns": 2, "pattern": "independent"},
                "xaxis": title("step"), "yaxis": loss,
                "xaxis2": title("step"), "yaxis2": title("L0"),
                "height": height, "margin": {"t": 30},
                "legend": {"orientation": "h", "y": 1.15},
            },
            "config": {"responsive": true},
        })
    }
}

impl Observer for LiveTraining {
    fn on_log(&mut self, metrics: &Metrics) {
        let point = [metrics.step as f64, metrics.loss, metrics.l0];
        let known = self.curves.iter_mut();
        let known = known
            .into_iter()
            .find(|curve| curve.latest.hook == metrics.hook);
        match known {
            Some(curve) => curve.add(metrics, point),
            None => self.curves.push(Curve {
                latest: metrics.clone(),
                points: vec![point],
                every: 1,
                count: 1,
            }),
        }
        self.news = true;
        if self.last_look.is_none_or(|last| last.elapsed() >= PAUSE) {
            self.look(false);
        }
    }

    fn on_pause(&mut self) {
        if self.news || self.shown.is_some() {
            self.look(true);
        }
        if std::mem::take(&mut self.in_terminal) {
            let _ = std::io::stderr().write_all(b"\n");
        }
    }
}

impl Curve {
    fn add(&mut self, metrics: &Metrics, point: [f64; 3]) {
        self.latest = metrics.clone();
        if self.count.is_multiple_of(self.every) {
            self.points.push(point);
        }
        self.count += 1;
        if self.points.len() > MOST_POINTS {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2;
        }
    }
}

struct Figure(Value);

impl Rich for Figure {
    fn bundle(&self) -> Bundle {
        figure::bundle(self.0.clone())
    }

    fn prepare(&self) {
        super::library::prepare();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fake;
    use crate::sae::train::{ActivationSource, SaeTrainer, TrainConfig};
    use candle_core::{Device, Tensor};
    use ferrolens_frames::Frame;

    fn train(steps: u64) -> SaeTrainer {
        let x = Tensor::randn(0f32, 1., (64, 8), &Device::Cpu).unwrap();
        let source = ActivationSource::of_tensor("blocks.0.hook_mlp_out", &x).unwrap();
        let config = TrainConfig::relu(16).batch_size(16).log_every(1);
        let mut trainer = SaeTrainer::new(source, config).unwrap();
        trainer.on_log(LiveTraining::new());
        trainer.run(steps).unwrap();
        trainer
    }

    #[test]
    fn a_run_shows_a_figure_and_a_table_and_updates_them_at_its_end() {
        let _turn = super::super::library::tests::TURN.lock();
        let (trainer, sent) = fake::with_host(|| train(30));
        let shown: Vec<&Bundle> = sent
            .frames
            .iter()
            .filter_map(|frame| match frame {
                Frame::Display { data, .. } => Some(data),
                _ => None,
            })
            .collect();
        assert!(shown.iter().any(|data| data.contains_key(figure::MIME)));
        let updates = sent.frames.iter();
        let updates = updates.filter(|frame| matches!(frame, Frame::Update { .. }));
        assert!((2..8).contains(&updates.count()), "{:?}", sent.frames.len());
        let Some(Frame::Update { data, .. }) = sent.frames.last() else {
            panic!("the end is shown");
        };
        let table = data["text/html"].as_str().unwrap();
        assert!(table.contains("explained variance"), "{table}");
        assert!(table.contains(">30<"), "the last step is there: {table}");
        assert_eq!(trainer.metrics().len(), 30);
    }

    #[test]
    fn long_curves_lose_every_other_point() {
        let metrics = train(1).metrics().remove(0);
        let mut live = LiveTraining::new();
        for step in 0..5000 {
            let metrics = Metrics {
                step,
                ..metrics.clone()
            };
            live.on_log(&metrics);
        }
        let points = &live.curves[0].points;
        assert!(points.len() <= MOST_POINTS, "{}", points.len());
        assert!(points.len() > MOST_POINTS / 3);
        assert_eq!(points[0][0], 0.);
        assert!(points.last().unwrap()[0] > 4900.);
    }
}
