//! One line of text that changes where it stands, and lines inside it.
//!
//! A line that is shown while another one of its thread goes on stands below that, and is gone when it
//! ends: a loop in a loop leaves one line behind. What a line is depends on the front end
//! ([`Place::of_this_process`]); where nobody watches, there is only the last one.

use super::comm::{self, State};
use super::{Host, display_id, send_display, send_update, text};
use ferrolens_frames::CellId;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

/// The shortest time between two looks of the line.
const PAUSE: Duration = Duration::from_millis(100);

/// How the kernel says which kind of front end it serves.
const FRONT_END_ENV: &str = "FERROLENS_FRONT_END";

/// Before a line's widget, its text stands alone: most lines end before anybody could read them.
const TEXT_FIRST: Duration = Duration::from_millis(400);

/// A line that shows how far something is.
#[derive(Debug)]
pub(crate) struct Line {
    board: Option<Arc<Mutex<Board>>>,
    row: usize,
}

/// What a line shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Look {
    pub text: String,
    /// How much is done, of 1, where that is known; and the text without the bar for it.
    pub share: Option<(f64, String)>,
}

impl From<String> for Look {
    fn from(text: String) -> Self {
        Self { text, share: None }
    }
}

thread_local! {
    /// The lines that this thread shows now.
    static CURRENT: RefCell<Weak<Mutex<Board>>> = const { RefCell::new(Weak::new()) };
}

impl Line {
    pub(crate) fn new() -> Self {
        Self {
            board: None,
            row: 0,
        }
    }

    /// Shows this, unless the last look is too young.
    pub(crate) fn show<L: Into<Look>>(&mut self, look: impl FnOnce() -> L) {
        match &self.board {
            Some(board) => {
                let mut board = lock(board);
                let now = Instant::now();
                let is_time = now - board.last_look >= PAUSE;
                // The lines inside this one take most turns to be drawn.
                if is_time || board.has_had_lines_inside(self.row) {
                    board.put(self.row, look().into());
                }
                if is_time {
                    board.draw(now);
                }
            }
            None => self.begin(look().into()),
        }
    }

    /// Shows this as the last look. An inner line goes.
    pub(crate) fn end<L: Into<Look>>(&mut self, look: impl FnOnce() -> L) {
        if self.board.is_none() {
            self.begin(look().into());
            if let Some(board) = self.board.take() {
                lock(&board).end(self.row, None);
            }
        } else if let Some(board) = self.board.take() {
            lock(&board).end(self.row, Some(look().into()));
        }
    }

    /// Whether anything is shown.
    pub(crate) fn is_shown(&self) -> bool {
        self.board.is_some()
    }

    fn begin(&mut self, look: Look) {
        let current = CURRENT.with_borrow(Weak::upgrade);
        // A line that a variable keeps from an earlier cell stands there, and not here.
        let joined = current.filter(|board| {
            let board = lock(board);
            !board.is_over && board.cell == cell()
        });
        if let Some(board) = joined {
            self.row = lock(&board).add(look);
            self.board = Some(board);
            return;
        }
        let board = Arc::new(Mutex::new(Board::new(look)));
        CURRENT.set(Arc::downgrade(&board));
        self.row = 0;
        self.board = Some(board);
    }
}

/// Where lines are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A widget, in JupyterLab and what is made of it.
    Widget,
    /// An output that is replaced.
    Output,
    /// A line that is written over, in a console of Jupyter or a terminal.
    Terminal,
    /// Only the last look, in a notebook that runs with nobody watching.
    AtTheEnd,
    Nowhere,
}

impl Place {
    fn of_this_process() -> Self {
        if Host::find().is_none() {
            return match std::io::stderr().is_terminal() {
                true => Self::Terminal,
                false => Self::Nowhere,
            };
        }
        Self::of_front_end(std::env::var(FRONT_END_ENV).as_deref().unwrap_or(""))
    }

    fn of_front_end(kind: &str) -> Self {
        match kind {
            "lab" | "notebook" => Self::Widget,
            "console" => Self::Terminal,
            "headless" => Self::AtTheEnd,
            _ => Self::Output,
        }
    }
}

/// A line and those inside it.
#[derive(Debug)]
struct Board {
    place: Place,
    cell: CellId,
    /// The output under which it is shown.
    id: String,
    /// The lines from the outside in; those that have ended are gone, but for the first.
    rows: Vec<Row>,
    began: Instant,
    last_look: Instant,
    widget: Option<BarsWidget>,
    is_over: bool,
    rows_so_far: usize,
}

#[derive(Debug)]
struct Row {
    number: usize,
    look: Look,
}

impl Board {
    fn new(look: Look) -> Self {
        Self::at(Place::of_this_process(), look)
    }

    fn at(place: Place, look: Look) -> Self {
        let now = Instant::now();
        let board = Self {
            place,
            cell: cell(),
            id: display_id(),
            rows: vec![Row { number: 0, look }],
            began: now,
            last_look: now,
            widget: None,
            is_over: false,
            rows_so_far: 1,
        };
        match place {
            Place::Widget | Place::Output => send_display(text(board.plain()), &board.id),
            Place::Terminal => write_over(&board.on_one_line()),
            Place::AtTheEnd | Place::Nowhere => {}
        }
        board
    }

    /// Adds an inner line, which shows at the next look.
    fn add(&mut self, look: Look) -> usize {
        let number = self.rows_so_far;
        self.rows_so_far += 1;
        self.rows.push(Row { number, look });
        number
    }

    fn has_had_lines_inside(&self, number: usize) -> bool {
        number + 1 < self.rows_so_far
    }

    fn put(&mut self, number: usize, look: Look) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.number == number) {
            row.look = look;
        }
    }

    fn draw(&mut self, now: Instant) {
        self.last_look = now;
        match self.place {
            Place::Output => send_update(text(self.plain()), &self.id),
            Place::Terminal => write_over(&self.on_one_line()),
            Place::Widget if now - self.began < TEXT_FIRST => {
                send_update(text(self.plain()), &self.id);
            }
            Place::Widget => self.draw_widget(),
            Place::AtTheEnd | Place::Nowhere => {}
        }
    }

    fn draw_widget(&mut self) {
        let looks: Vec<Look> = self.rows.iter().map(|row| row.look.clone()).collect();
        if let Some(widget) = &mut self.widget {
            widget.show(&looks);
            return;
        }
        let widget = BarsWidget::open(&looks);
        let mut bundle = text(self.plain());
        bundle.extend([comm::view(&widget.id)]);
        send_update(bundle, &self.id);
        self.widget = Some(widget);
    }

    /// Ends a line, whose last look this is unless it shows it.
    fn end(&mut self, number: usize, look: Option<Look>) {
        if self.is_over {
            return;
        }
        if number > 0 {
            self.rows.retain(|row| row.number != number);
            return;
        }
        let is_new = look.is_some();
        if let Some(look) = look {
            self.put(0, look);
        }
        self.is_over = true;
        self.rows.truncate(1);
        match self.place {
            Place::Widget | Place::Output if is_new => send_update(text(self.plain()), &self.id),
            Place::Terminal => write(&format!("\r{}\u{1b}[K\n", self.on_one_line())),
            Place::AtTheEnd => send_display(text(self.plain()), &self.id),
            Place::Widget | Place::Output | Place::Nowhere => {}
        }
        // The text stands in its place now, and stays when the page is loaded again.
        if let Some(widget) = self.widget.take() {
            widget.close();
        }
    }

    fn plain(&self) -> String {
        let rows = self.rows.iter().enumerate();
        let rows: Vec<String> = rows
            .map(|(depth, row)| format!("{}{}", "  ".repeat(depth), row.look.text))
            .collect();
        rows.join("\n")
    }

    fn on_one_line(&self) -> String {
        let rows: Vec<&str> = self.rows.iter().map(|row| row.look.text.as_str()).collect();
        rows.join("  ›  ")
    }
}

/// Bars with words, one below the other.
#[derive(Debug)]
struct BarsWidget {
    id: String,
    bars: Vec<BarWidget>,
    /// How many of them are in the page.
    shown: usize,
}

#[derive(Debug)]
struct BarWidget {
    row: String,
    bar: String,
    words: String,
    look: Look,
}

impl BarsWidget {
    fn open(looks: &[Look]) -> Self {
        let mut this = Self {
            id: display_id(),
            bars: Vec::new(),
            shown: 0,
        };
        let own = json!({"box_style": "", "children": []});
        comm::open(
            &this.id,
            &with(comm::identity("controls", "VBoxModel", "VBoxView"), own),
        );
        this.show(looks);
        this
    }

    fn show(&mut self, looks: &[Look]) {
        for (depth, look) in looks.iter().enumerate() {
            match self.bars.get_mut(depth) {
                Some(bar) => bar.show(look),
                None => self.bars.push(BarWidget::open(look, depth)),
            }
        }
        if self.shown != looks.len() {
            self.shown = looks.len();
            let children = self.bars.iter().take(self.shown);
            let children: Vec<Value> = children.map(|bar| comm::reference(&bar.row)).collect();
            update(&self.id, "children", children.into());
        }
    }

    fn close(self) {
        comm::close(&self.id);
        for bar in self.bars {
            for id in [&bar.row, &bar.bar, &bar.words] {
                comm::close(id);
            }
            comm::close(&bar.layout());
        }
    }
}

impl BarWidget {
    fn open(look: &Look, depth: usize) -> Self {
        let id = display_id();
        let this = Self {
            bar: format!("{id}-bar"),
            words: format!("{id}-words"),
            row: id,
            look: look.clone(),
        };
        let bar = json!({
            "value": value(look), "min": 0.0, "max": 1.0, "bar_style": style(look), "description": "",
            "orientation": "horizontal",
        });
        let words = json!({"value": words(look), "placeholder": "", "description": ""});
        let children = [comm::reference(&this.bar), comm::reference(&this.words)];
        let layout = json!({"padding": format!("0 0 0 {}px", 24 * depth)});
        let row = json!({
            "box_style": "", "children": children, "layout": comm::reference(&this.layout()),
        });
        for (id, model, view, own) in [
            (&this.layout(), "LayoutModel", "LayoutView", layout),
            (&this.bar, "FloatProgressModel", "ProgressView", bar),
            (&this.words, "LabelModel", "LabelView", words),
            (&this.row, "HBoxModel", "HBoxView", row),
        ] {
            let library = if model == "LayoutModel" {
                "base"
            } else {
                "controls"
            };
            comm::open(id, &with(comm::identity(library, model, view), own));
        }
        this
    }

    fn show(&mut self, look: &Look) {
        if value(&self.look) != value(look) {
            update(&self.bar, "value", value(look).into());
        }
        if style(&self.look) != style(look) {
            update(&self.bar, "bar_style", style(look).into());
        }
        if words(&self.look) != words(look) {
            update(&self.words, "value", words(look).into());
        }
        self.look = look.clone();
    }

    fn layout(&self) -> String {
        format!("{}-layout", self.row)
    }
}

fn with(mut state: State, own: Value) -> State {
    if let Value::Object(own) = own {
        state.extend(own);
    }
    state
}

fn update(id: &str, key: &str, value: Value) {
    comm::update(id, &[(key.to_owned(), value)].into_iter().collect());
}

/// A bar whose end nobody knows is full.
fn value(look: &Look) -> f64 {
    look.share.as_ref().map_or(1.0, |(share, _)| *share)
}

fn style(look: &Look) -> &'static str {
    if look.share.is_some() { "" } else { "info" }
}

fn words(look: &Look) -> &str {
    look.share.as_ref().map_or(&look.text, |(_, words)| words)
}

/// The escape clears what a longer line left behind.
fn write_over(line: &str) {
    write(&format!("\r{line}\u{1b}[K"));
}

/// A closed stderr is no reason to stop.
fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn cell() -> CellId {
    Host::find().map_or(0, |host| host.cell())
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(|bad| bad.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fake;
    use ferrolens_frames::Frame;

    fn look(share: f64) -> Look {
        Look {
            text: format!("at {share}"),
            share: Some((share, format!("{share} of 1"))),
        }
    }

    #[test]
    fn a_front_end_decides_what_a_line_is() {
        for (kind, place) in [
            ("lab", Place::Widget),
            ("notebook", Place::Widget),
            ("console", Place::Terminal),
            ("headless", Place::AtTheEnd),
            ("unknown", Place::Output),
            ("", Place::Output),
        ] {
            assert_eq!(Place::of_front_end(kind), place, "{kind}");
        }
    }

    #[test]
    fn where_nobody_watches_there_is_one_line_at_the_end() {
        let ((), sent) = fake::with_host(|| {
            let mut board = Board::at(Place::AtTheEnd, look(0.0));
            board.draw(Instant::now());
            board.end(0, Some(look(1.0)));
        });
        let [Frame::Display { data, .. }] = sent.frames.as_slice() else {
            panic!("one display was expected: {sent:?}");
        };
        assert_eq!(data["text/plain"], "at 1");
    }

    #[test]
    fn inner_lines_stand_below_and_go() {
        let ((), sent) = fake::with_host(|| {
            let mut outer = Line::new();
            outer.show(|| look(0.5));
            for _ in 0..3 {
                let mut inner = Line::new();
                inner.show(|| look(0.25));
                let board = inner.board.clone().expect("it is shown");
                lock(&board).draw(Instant::now());
                inner.end(|| look(1.0));
            }
            outer.end(|| look(1.0));
            let mut next = Line::new();
            next.show(|| look(0.0));
            next.end(|| look(1.0));
        });
        let texts: Vec<&str> = sent
            .frames
            .iter()
            .map(|frame| match frame {
                Frame::Display { data, .. } | Frame::Update { data, .. } => {
                    data["text/plain"].as_str().expect("text")
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let inside = "at 0.5\n  at 0.25";
        assert_eq!(
            texts,
            ["at 0.5", inside, inside, inside, "at 1", "at 0", "at 1"]
        );
    }

    #[test]
    fn a_widget_of_bars_becomes_a_line_of_text_and_leaves_no_comm() {
        let ((), sent) = fake::with_host(|| {
            let mut board = Board::at(Place::Widget, look(0.0));
            let later = board.began + TEXT_FIRST;
            board.draw(later);
            let inner = board.add(Look::from("?".to_owned()));
            board.put(0, look(0.5));
            board.draw(later);
            board.end(inner, None);
            board.draw(later);
            board.end(0, Some(look(1.0)));
        });
        let opened = sent.frames.iter().filter_map(|frame| match frame {
            Frame::CommOpen { comm, data, .. } => Some((comm, data)),
            _ => None,
        });
        let opened: Vec<_> = opened.collect();
        // A column, and two rows with their layout, bar and words.
        assert_eq!(opened.len(), 1 + 2 * 4);
        assert_eq!(opened[0].1["state"]["_model_name"], "VBoxModel");
        for (comm, _) in &opened {
            let closed =
                |frame: &Frame| matches!(frame, Frame::CommClose { comm: id, .. } if id == *comm);
            assert!(sent.frames.iter().any(closed), "{comm} stays open");
        }
        let children: Vec<usize> = sent
            .frames
            .iter()
            .filter_map(|frame| match frame {
                Frame::CommMessage { data, .. } => data["state"]["children"].as_array(),
                _ => None,
            })
            .map(Vec::len)
            .collect();
        assert_eq!(children, [1, 2, 1]);
        let views = sent.frames.iter().filter(|frame| {
            matches!(frame, Frame::Update { data, .. }
                if data.contains_key("application/vnd.jupyter.widget-view+json"))
        });
        assert_eq!(views.count(), 1);
        let last = sent.frames.iter().rev().find_map(|frame| match frame {
            Frame::Update { data, .. } => Some(data.clone()),
            _ => None,
        });
        assert_eq!(last, Some(text("at 1")));
    }
}
