//! The bar that says which colour is which value.

use super::colour_scale::ColourScale;
use super::data::{self, title};
use super::label::Label;
use super::marks::Mark;
use super::paper::{Anchor, Area, LINE_HEIGHT, Paper, Stroke, TextStyle};
use super::ticks::{self, Tick};
use super::{colour::Colour, frame};
use serde_json::Value;

const BAR_WIDTH: f64 = 18.0;
const SIZE: f64 = 11.0;
/// The number of rectangles of which the bar is made.
const STEPS: u32 = 64;

pub(super) struct ColourBar {
    scale: ColourScale,
    settings: Value,
    title: Label,
}

/// The bars of all marks, each once.
pub(super) fn of_marks<'a>(marks: impl Iterator<Item = &'a Box<dyn Mark>>) -> Vec<ColourBar> {
    let mut bars: Vec<ColourBar> = Vec::new();
    for (scale, settings) in marks.filter_map(|mark| mark.colour_bar()) {
        let bar = ColourBar {
            title: Label::new(title(&settings["colorbar"]["title"])),
            settings: settings["colorbar"].clone(),
            scale,
        };
        if !bars.iter().any(|other| other.is_same(&bar)) {
            bars.push(bar);
        }
    }
    bars
}

impl ColourBar {
    #[allow(clippy::float_cmp)]
    fn is_same(&self, other: &Self) -> bool {
        self.scale.low == other.scale.low
            && self.scale.high == other.scale.high
            && self.settings == other.settings
            && [0.0, 0.5, 1.0]
                .iter()
                .all(|at| self.scale.at(*at) == other.scale.at(*at))
    }

    /// Whether it stands right of the plot, rather than where the figure puts it.
    pub(super) fn is_beside(&self) -> bool {
        self.settings["x"].as_f64().is_none_or(|x| x > 0.98)
    }

    /// The width that it takes, with its labels and its title.
    pub(super) fn width(&self) -> f64 {
        let labels = self.ticks(300.0);
        let widest = labels
            .iter()
            .map(|tick| Label::new(&tick.text).width(SIZE))
            .fold(0.0, f64::max);
        (10.0 + BAR_WIDTH + 5.0 + widest + 8.0).max(10.0 + self.title.width(SIZE) + 8.0)
    }

    /// The rectangle of the bar itself.
    pub(super) fn place(&self, plot: Area, beside: f64) -> Area {
        let share = self.settings["len"]
            .as_f64()
            .unwrap_or(1.0)
            .clamp(0.05, 1.0);
        let middle = self.settings["y"].as_f64().unwrap_or(0.5).clamp(0.0, 1.0);
        let height = plot.height * share;
        let centre = plot.top + (1.0 - middle) * plot.height;
        // Not `clamp`, which panics where rounding puts the two ends the other way round.
        let lowest = plot.bottom() - height.min(plot.height);
        let top = (centre - height / 2.0).min(lowest).max(plot.top);
        let head = self.head();
        Area {
            left: match self.settings["x"].as_f64() {
                Some(x) if !self.is_beside() => plot.left + x * plot.width + 4.0,
                _ => beside + 10.0,
            },
            top: top + head,
            width: BAR_WIDTH,
            height: (height - head).max(10.0),
        }
    }

    /// The height of its title, which stands above it.
    #[allow(clippy::cast_precision_loss)]
    fn head(&self) -> f64 {
        if self.title.is_empty() {
            0.0
        } else {
            self.title.lines.len() as f64 * SIZE * LINE_HEIGHT + 4.0
        }
    }

    pub(super) fn draw(&self, paper: &mut Paper, area: Area) {
        let step = area.height / f64::from(STEPS);
        for index in 0..STEPS {
            let part = Area {
                left: area.left,
                top: area.bottom() - step * f64::from(index + 1),
                width: area.width,
                height: step,
            };
            let colour = self.scale.at((f64::from(index) + 0.5) / f64::from(STEPS));
            paper.rectangle(part, Some(colour), None);
        }
        paper.rectangle(area, None, Some(Stroke::new(Colour::INK, 0.5)));
        for tick in self.ticks(area.height) {
            let share = (tick.at - self.scale.low) / (self.scale.high - self.scale.low);
            let y = area.bottom() - share * area.height;
            let style = TextStyle {
                size: SIZE,
                anchor: Anchor::Start,
                ..TextStyle::default()
            };
            paper.text((area.right() + 5.0, y), &Label::new(&tick.text), style);
        }
        let style = TextStyle {
            size: SIZE,
            anchor: Anchor::Start,
            ..TextStyle::default()
        };
        let middle = area.top - 4.0 - frame::lines_height(&self.title, SIZE) / 2.0;
        paper.text((area.left, middle), &self.title, style);
    }

    fn ticks(&self, height: f64) -> Vec<Tick> {
        let (low, high) = (self.scale.low, self.scale.high);
        if let Some(places) = data::data(&self.settings["tickvals"]) {
            let ticks = places.iter().enumerate().filter_map(|(index, place)| {
                let at = place.number()?;
                let text = data::text_at(&self.settings["ticktext"], index);
                Some(Tick {
                    at,
                    text: text.unwrap_or_else(|| ticks::short(at)),
                })
            });
            return ticks
                .filter(|tick| (low..=high).contains(&tick.at))
                .collect();
        }
        let wanted = (height / 40.0).clamp(2.0, 9.0) + 1.0;
        ticks::linear(low, high, wanted, self.settings["tickformat"].as_str())
    }
}
