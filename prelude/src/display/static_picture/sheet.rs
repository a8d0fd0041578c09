//! Where everything of a figure goes: axes and their panels, margins, legend and colour bars.

mod grid;

use super::axis::{Axis, Reach};
use super::colour_bar::{self, ColourBar};
use super::data::Datum;
use super::frame::{self, XLabels};
use super::legend::Legend;
use super::marks::{self, Mark, Trace};
use super::paper::{Area, Paper};
use super::{annotations, data, label::Label};
use serde_json::Value;
use std::collections::BTreeMap;

/// The picture of a figure before it is drawn.
pub(super) struct Sheet<'a> {
    layout: &'a Value,
    axes: BTreeMap<String, Axis>,
    panels: Vec<Panel>,
    legend: Legend,
    colour_bars: Vec<ColourBar>,
    /// What paper coordinates from 0 to 1 span.
    plot: Area,
}

/// Marks along one pair of axes.
struct Panel {
    x: String,
    y: String,
    marks: Vec<Box<dyn Mark>>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(traces: &[Trace], layout: &'a Value, width: f64, height: f64) -> Self {
        let mut axes = axes(traces, layout);
        let panels = panels(traces, layout, &mut axes);
        match_ranges(&mut axes);
        axes.values_mut().for_each(Axis::settle);
        let mut sheet = Self {
            layout,
            axes,
            legend: Legend::new(traces, layout),
            colour_bars: colour_bar::of_marks(panels.iter().flat_map(|panel| &panel.marks)),
            panels,
            plot: Area {
                left: 0.0,
                top: 0.0,
                width,
                height,
            },
        };
        sheet.plot = sheet.plot_area(width, height);
        sheet.lay_axes();
        sheet
    }

    pub(super) fn draw(&self, paper: &mut Paper) {
        let mut drawn: Vec<Area> = Vec::new();
        for panel in &self.panels {
            let Some((x, y)) = self.pair(panel) else {
                continue;
            };
            let area = self.area(x, y);
            // An axis that overlays another shares its ground.
            if !drawn.contains(&area) {
                frame::draw_ground(paper, self.layout, area, x, y);
                drawn.push(area);
            }
        }
        annotations::draw_shapes(paper, self, true);
        for panel in &self.panels {
            let Some((x, y)) = self.pair(panel) else {
                continue;
            };
            paper.clipped(self.area(x, y), |paper| {
                for mark in &panel.marks {
                    mark.draw(paper, x, y);
                }
            });
        }
        for axis in self.axes.values() {
            if let Some(area) = self.home(axis) {
                if axis.is_x() {
                    frame::draw_x_axis(paper, self.layout, axis, area);
                } else {
                    frame::draw_y_axis(paper, self.layout, axis, area);
                }
            }
        }
        annotations::draw_shapes(paper, self, false);
        for (bar, at) in self.colour_bars.iter().zip(self.colour_bar_places()) {
            bar.draw(paper, at);
        }
        self.legend.draw(paper, self.legend_place());
        annotations::draw(paper, self);
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.panels
            .iter()
            .flat_map(|panel| &panel.marks)
            .filter_map(|mark| mark.note())
            .collect()
    }

    pub(super) fn layout(&self) -> &Value {
        self.layout
    }

    pub(super) fn axis(&self, id: &str) -> Option<&Axis> {
        self.axes.get(id)
    }

    pub(super) fn plot(&self) -> Area {
        self.plot
    }

    fn pair(&self, panel: &Panel) -> Option<(&Axis, &Axis)> {
        Some((self.axes.get(&panel.x)?, self.axes.get(&panel.y)?))
    }

    /// The rectangle of a pair of axes.
    fn area(&self, x: &Axis, y: &Axis) -> Area {
        let (x, y) = (self.domain(x), self.domain(y));
        Area {
            left: self.plot.left + x.0 * self.plot.width,
            top: self.plot.top + (1.0 - y.1) * self.plot.height,
            width: (x.1 - x.0) * self.plot.width,
            height: (y.1 - y.0) * self.plot.height,
        }
    }

    /// The rectangle beside which an axis writes its labels: that of its anchor, or of the first
    /// panel that uses it.
    fn home(&self, axis: &Axis) -> Option<Area> {
        let anchor = axis.settings["anchor"]
            .as_str()
            .and_then(|id| self.axes.get(id));
        let partner = || {
            let panel = self
                .panels
                .iter()
                .find(|panel| panel.x == axis.id || panel.y == axis.id)?;
            self.axes.get(if axis.is_x() { &panel.y } else { &panel.x })
        };
        let other = anchor
            .filter(|other| other.is_x() != axis.is_x())
            .or_else(partner)?;
        Some(if axis.is_x() {
            self.area(axis, other)
        } else {
            self.area(other, axis)
        })
    }

    /// The share of the plot's width or height that an axis takes.
    fn domain(&self, axis: &Axis) -> (f64, f64) {
        let settings = &axis.settings;
        let below = settings["overlaying"]
            .as_str()
            .and_then(|id| self.axes.get(id));
        if let Some(below) = below.filter(|below| below.id != axis.id) {
            if below.settings["overlaying"].is_string() {
                return (0.0, 1.0);
            }
            return self.domain(below);
        }
        let ends = (
            settings["domain"][0].as_f64(),
            settings["domain"][1].as_f64(),
        );
        if let (Some(from), Some(to)) = ends
            && from < to
        {
            return (from, to);
        }
        grid::grid_domain(&self.layout["grid"], axis).unwrap_or((0.0, 1.0))
    }

    /// What is left for the plot when everything round it has its room.
    fn plot_area(&mut self, width: f64, height: f64) -> Area {
        let margin = |name: &str| self.layout["margin"][name].as_f64();
        let title = Label::new(data::title(&self.layout["title"]));
        let mut top: f64 = 24.0;
        if !title.is_empty() {
            top = 28.0 + frame::lines_height(&title, frame::title_style(self.layout).size);
        }
        top += annotations::height_above(self.layout) + self.legend.height_above(width);
        let mut left: f64 = 24.0;
        let mut right = 24.0 + self.bars_width() + self.legend.width_beside();
        for axis in self.axes.values().filter(|axis| !axis.is_x()) {
            let (from, to) = self.domain(axis);
            let room = frame::y_room(axis, height * 0.75);
            if axis.settings["side"] == "right" {
                right += if to > 0.0 { room } else { 0.0 };
            } else if self.domain_of_partner(axis).0 < 0.01 && to > from {
                left = left.max(room + 8.0);
            }
        }
        left = left.max(margin("l").unwrap_or(0.0));
        right = right.max(margin("r").unwrap_or(0.0));
        top = top.max(margin("t").unwrap_or(0.0));
        let across = (width - left - right).max(40.0);
        let mut bottom: f64 = 24.0;
        for axis in self.axes.values().filter(|axis| axis.is_x()) {
            let (from, to) = self.domain(axis);
            let labels = XLabels::new(axis, (to - from) * across);
            if axis.settings["side"] == "top" {
                top += labels.room(axis);
            } else if self.domain_of_partner(axis).0 < 0.01 {
                bottom = bottom.max(labels.room(axis) + 16.0);
            }
            left = left.max(labels.overhang() - from * across);
        }
        bottom = bottom.max(margin("b").unwrap_or(0.0)).min(height * 0.6);
        Area {
            left,
            top,
            width: (width - left - right).max(40.0),
            height: (height - top - bottom).max(40.0),
        }
    }

    fn domain_of_partner(&self, axis: &Axis) -> (f64, f64) {
        let panel = self
            .panels
            .iter()
            .find(|panel| panel.x == axis.id || panel.y == axis.id);
        let partner =
            panel.and_then(|panel| self.axes.get(if axis.is_x() { &panel.y } else { &panel.x }));
        partner.map_or((0.0, 1.0), |partner| self.domain(partner))
    }

    fn lay_axes(&mut self) {
        let plot = self.plot;
        let domains: Vec<(String, (f64, f64))> = self
            .axes
            .values()
            .map(|axis| (axis.id.clone(), self.domain(axis)))
            .collect();
        for (id, (from, to)) in domains {
            if let Some(axis) = self.axes.get_mut(&id) {
                if axis.is_x() {
                    axis.lay(plot.left + from * plot.width, plot.left + to * plot.width);
                } else {
                    axis.lay(
                        plot.bottom() - from * plot.height,
                        plot.bottom() - to * plot.height,
                    );
                }
            }
        }
    }

    fn right_axes_room(&self) -> f64 {
        let right = |axis: &&Axis| !axis.is_x() && axis.settings["side"] == "right";
        self.axes
            .values()
            .filter(right)
            .map(|axis| frame::y_room(axis, self.plot.height))
            .sum()
    }

    fn colour_bar_places(&self) -> Vec<Area> {
        let mut left = self.plot.right() + self.right_axes_room();
        self.colour_bars
            .iter()
            .map(|bar| {
                let area = bar.place(self.plot, left);
                left += if bar.is_beside() { bar.width() } else { 0.0 };
                area
            })
            .collect()
    }

    fn legend_place(&self) -> (f64, f64) {
        self.legend
            .place(self.plot, self.bars_width() + self.right_axes_room())
    }

    /// The room that colour bars beside the plot take.
    fn bars_width(&self) -> f64 {
        self.colour_bars
            .iter()
            .filter(|bar| bar.is_beside())
            .map(ColourBar::width)
            .sum()
    }
}

/// All axes that traces use, each over all its data.
fn axes(traces: &[Trace], layout: &Value) -> BTreeMap<String, Axis> {
    let mut data: BTreeMap<String, Vec<Vec<Datum>>> = BTreeMap::new();
    for trace in traces {
        data.entry(trace.x.clone())
            .or_default()
            .push(trace.data_along(true));
        data.entry(trace.y.clone())
            .or_default()
            .push(trace.data_along(false));
    }
    let mut axes: BTreeMap<String, Axis> = data
        .into_iter()
        .map(|(id, data)| (id.clone(), Axis::new(&id, layout, &data)))
        .collect();
    // As in plotly, no lines run through bars along the axis on which they stand.
    for trace in traces.iter().filter(|trace| trace.is_bar()) {
        let id = if trace.is_upright() {
            &trace.x
        } else {
            &trace.y
        };
        if let Some(axis) = axes.get_mut(id) {
            axis.has_bars = true;
        }
    }
    axes
}

/// The marks of every pair of axes; the axes learn how far the marks reach.
fn panels(traces: &[Trace], layout: &Value, axes: &mut BTreeMap<String, Axis>) -> Vec<Panel> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for trace in traces {
        let pair = (trace.x.clone(), trace.y.clone());
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    let mut panels = Vec::new();
    for (x, y) in pairs {
        let own: Vec<&Trace> = traces
            .iter()
            .filter(|trace| trace.x == x && trace.y == y)
            .collect();
        let (Some(x_axis), Some(y_axis)) = (axes.get(&x), axes.get(&y)) else {
            continue;
        };
        let marks = marks::of_panel(&own, layout, x_axis, y_axis);
        for mark in &marks {
            let (along_x, along_y) = mark.reach();
            for (id, reach) in [(&x, along_x), (&y, along_y)] {
                if let Some(axis) = axes.get_mut(id) {
                    axis.include(reach);
                }
            }
        }
        panels.push(Panel { x, y, marks });
    }
    panels
}

/// Axes that `matches` ties together have one range.
fn match_ranges(axes: &mut BTreeMap<String, Axis>) {
    let ties: Vec<(String, String)> = axes
        .values()
        .filter_map(|axis| {
            Some((
                axis.id.clone(),
                axis.settings["matches"].as_str()?.to_owned(),
            ))
        })
        .collect();
    // Twice: the first round gathers at the axis that others match, the second spreads.
    for _ in 0..2 {
        for (one, other) in &ties {
            let reach = |id: &str| axes.get(id).map_or(Reach::NOWHERE, Axis::reach);
            let (a, b) = (reach(one), reach(other));
            for (id, reach) in [(one, b), (other, a)] {
                if let Some(axis) = axes.get_mut(id) {
                    axis.include(reach);
                }
            }
        }
    }
}
