//! Answers, from the analyzer where it can be asked, and from what is known without it elsewhere.

use super::cell_names::CellNames;
use super::memory::{Memory, Question};
use super::names::names;
use super::place::{Before, Place};
use super::ranking::{self, Match, Matches, narrow, rank};
use super::{Catalogue, lexical};
use crate::bridge::Bridge;
use crate::session::{self, Session};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long a reader who types waits for the analyzer while a cell compiles or runs.
pub(super) const BUSY_PATIENCE: Duration = Duration::from_millis(180);

/// How long while nothing runs: JupyterLab gives a list up after a second.
const IDLE_PATIENCE: Duration = Duration::from_millis(900);

/// How much longer, where nothing is known without it.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// How long the session rests before it is asked what nobody has asked yet.
const LEISURE: Duration = Duration::from_millis(700);

/// How many types are asked about ahead after one cell.
const MOST_AHEAD: usize = 24;

type Found = Option<Arc<Vec<Match>>>;

/// A question that the analyzer was asked, and its answer.
struct Asked {
    question: Question,
    answer: Shared<BoxFuture<'static, Found>>,
    task: AbortHandle,
    _ticket: Arc<()>,
}

/// Answers what front ends ask about code.
pub struct Assistant {
    pub(super) session: Session,
    pub(super) bridge: Bridge,
    pub(super) catalogue: Catalogue,
    memory: Mutex<Memory>,
    /// The last question to the analyzer; a newer one takes its ticket away.
    completing: Mutex<Option<Asked>>,
    pub(super) inspecting: Mutex<Arc<()>>,
    ahead: Mutex<Option<AbortHandle>>,
}

impl Assistant {
    pub fn new(session: Session, bridge: Bridge, catalogue: Catalogue) -> Arc<Self> {
        Arc::new(Self {
            session,
            bridge,
            catalogue,
            memory: Mutex::default(),
            completing: Mutex::default(),
            inspecting: Mutex::default(),
            ahead: Mutex::default(),
        })
    }

    /// A cell is handed to the interpreter.
    pub fn cell_begins(&self, code: &str) {
        replace(&self.ahead, None);
        let mut memory = self.memory();
        memory.cells += 1;
        // A command may do anything to the scope.
        if lexical::orders(code) > 0 || CellNames::of(code).has_items {
            memory.scope += 1;
        }
    }

    /// A cell has ended. When the next one lets wait for itself, the analyzer is asked about the types
    /// of the variables, so that a later question finds an answer.
    pub fn cell_ended(self: &Arc<Self>) {
        self.memory().cells += 1;
        let this = self.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(LEISURE).await;
            let types = this.session.known().types.clone();
            let (mut asked, ticket) = (0, Arc::new(()));
            for (name, kind) in types {
                let question = Question::Type(kind);
                if asked < MOST_AHEAD && this.memory().matches(&question).is_none() {
                    asked += 1;
                    let code = format!("{name}.");
                    let cursor = code.len();
                    this.ask(question, code, cursor, Arc::downgrade(&ticket))
                        .await;
                }
            }
        });
        replace(&self.ahead, Some(task.abort_handle()));
    }

    /// What could stand at `cursor`, a byte of `code`.
    pub async fn complete(self: &Arc<Self>, code: &str, cursor: usize, is_busy: bool) -> Matches {
        let (code, from) = lexical::rust_around(code, cursor);
        let cursor = cursor - from;
        let place = Place::find(code, cursor);
        let (start, end, typed, found) = match &place {
            Place::Nothing => (cursor, cursor, "", Vec::new()),
            Place::Command { start } => (*start, cursor, &code[*start..cursor], commands()),
            Place::Text { start, around } => {
                let found = names(around, &self.bridge.variables(), &self.bridge.words());
                let end = end_of_word(code, cursor);
                (*start, end, &code[*start..cursor], found)
            }
            Place::Name { start, end, before } => {
                let found = self
                    .complete_name(code, *start, *end, before, is_busy)
                    .await;
                let typed = &code[*start..cursor.max(*start)];
                (*start, *end, typed, found)
            }
        };
        Matches {
            start: from + start,
            end: from + end,
            items: narrow(&found, typed),
        }
    }

    async fn complete_name(
        self: &Arc<Self>,
        code: &str,
        start: usize,
        end: usize,
        before: &Before,
        is_busy: bool,
    ) -> Vec<Match> {
        let known = self.session.known();
        let cell = CellNames::of(code);
        let of = match before {
            Before::Variable(name) if !cell.bindings.contains(name) => known.types.get(name),
            _ => None,
        };
        let (question, asked, at) = match (before, of) {
            (Before::Variable(name), Some(kind)) if !cell.has_items => {
                let asked = format!("{name}.");
                let at = asked.len();
                (Question::Type(kind.clone()), asked, at)
            }
            (Before::Path(path), _) if !cell.has_items => {
                (Question::Path(path.clone()), path.clone(), path.len())
            }
            _ => {
                // The analyzer's list depends on the first letter only where there is nothing else.
                let first = match before {
                    Before::Nothing => code[start..end].chars().next().map_or(0, char::len_utf8),
                    _ => 0,
                };
                let asked = format!("{}{}", &code[..start + first], &code[end..]);
                (Question::Place(asked.clone(), start), asked, start + first)
            }
        };
        let patience = if is_busy {
            BUSY_PATIENCE
        } else {
            IDLE_PATIENCE
        };
        let remembered = {
            let memory = self.memory();
            match memory.matches(&question) {
                // Nobody may wait for a compiler: the last state is what counts.
                None if is_busy => memory.old_matches(&question),
                found => found,
            }
        };
        if let Some(found) = remembered {
            return found.to_vec();
        }
        let answer = self.ask_once(&question, asked, at);
        let mut found = tokio::time::timeout(patience, answer.clone()).await;
        let known = self.without_analyzer(&question, before, of, &cell);
        if found.is_err() && !is_busy && narrow(&known, &code[start..end]).is_empty() {
            found = tokio::time::timeout(LAST_PATIENCE, answer).await;
        }
        match found {
            Ok(Some(found)) if !found.is_empty() => found.to_vec(),
            _ => known,
        }
    }

    /// Asks the analyzer what it is not being asked already. The answer is remembered also when nobody
    /// waits for it any more, unless a newer question came before the analyzer began with this.
    fn ask_once(
        self: &Arc<Self>,
        question: &Question,
        code: String,
        cursor: usize,
    ) -> Shared<BoxFuture<'static, Found>> {
        let mut completing = self
            .completing
            .lock()
            .unwrap_or_else(|bad| bad.into_inner());
        if let Some(asked) = completing.as_ref().filter(|it| it.question == *question)
            && !asked.task.is_finished()
        {
            return asked.answer.clone();
        }
        let ticket = Arc::new(());
        let (this, asking, held) = (self.clone(), question.clone(), Arc::downgrade(&ticket));
        let task = tokio::spawn(async move { this.ask(asking, code, cursor, held).await });
        let running = task.abort_handle();
        let answer = async move { task.await.ok().flatten() }.boxed().shared();
        *completing = Some(Asked {
            question: question.clone(),
            answer: answer.clone(),
            task: running,
            _ticket: ticket,
        });
        answer
    }

    /// Asks the analyzer, and remembers the answer.
    async fn ask(
        &self,
        question: Question,
        code: String,
        cursor: usize,
        ticket: Weak<()>,
    ) -> Found {
        let age = self.memory().age(&question);
        let of = match &question {
            Question::Type(of) | Question::Path(of) => Some(of.clone()),
            Question::Place(..) => None,
        };
        let is_behind_value = match &question {
            Question::Type(_) => true,
            Question::Path(_) => false,
            Question::Place(code, at) => code[..*at].trim_end().ends_with('.'),
        };
        let found = self.session.complete(code, cursor, ticket).await?;
        let asked = ranking::Asked {
            of: of.as_deref(),
            hides_fields: is_behind_value && self.session.known().items.is_empty(),
        };
        let found = Arc::new(rank(found, &asked, &self.catalogue));
        if !found.is_empty() {
            self.memory().keep(age, question, found.clone());
        }
        Some(found)
    }

    /// What is known while nobody can be asked.
    fn without_analyzer(
        &self,
        question: &Question,
        before: &Before,
        of: Option<&String>,
        cell: &CellNames,
    ) -> Vec<Match> {
        if let Some(found) = self.memory().old_matches(question) {
            return found.to_vec();
        }
        let of = match before {
            Before::Nothing => return self.names_in_scope(cell),
            Before::Path(path) => Some(path),
            Before::Variable(_) | Before::Expression => of,
        };
        let Some(of) = of else { return Vec::new() };
        let is_path = matches!(before, Before::Path(_));
        self.catalogue
            .members(of, is_path)
            .map(|(name, member)| Match {
                text: name.clone(),
                kind: match member.signature.starts_with(':') {
                    true => "instance".to_owned(),
                    false => "function".to_owned(),
                },
                signature: member.signature.clone(),
            })
            .collect()
    }

    fn names_in_scope(&self, cell: &CellNames) -> Vec<Match> {
        let known = self.session.known();
        let mut found: BTreeMap<String, Match> = BTreeMap::new();
        let mut add = |text: &str, kind: &str, signature: String| {
            found.entry(text.to_owned()).or_insert(Match {
                text: text.to_owned(),
                kind: kind.to_owned(),
                signature,
            });
        };
        for (name, kind) in &known.types {
            add(name, "instance", format!(": {kind}"));
        }
        for name in &cell.bindings {
            add(name, "instance", String::new());
        }
        for name in &known.items {
            add(name, "class", String::new());
        }
        for name in self.catalogue.exported() {
            let is_type = name.starts_with(char::is_uppercase);
            add(
                name,
                if is_type { "class" } else { "function" },
                String::new(),
            );
        }
        for keyword in KEYWORDS {
            add(keyword, "keyword", String::new());
        }
        found.into_values().collect()
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(|bad| bad.into_inner())
    }
}

/// What is asked ahead of a reader gives way to what a reader does.
fn replace(place: &Mutex<Option<AbortHandle>>, newest: Option<AbortHandle>) {
    let mut place = place.lock().unwrap_or_else(|bad| bad.into_inner());
    if let Some(old) = std::mem::replace(&mut *place, newest) {
        old.abort();
    }
}

fn commands() -> Vec<Match> {
    let commands = session::commands().into_iter().map(|(name, what)| Match {
        text: name.to_owned(),
        kind: "magic".to_owned(),
        signature: format!("  {what}"),
    });
    commands.collect()
}

/// Behind the last letter of what may be the rest of a name in a string.
fn end_of_word(code: &str, cursor: usize) -> usize {
    let rest = &code[cursor..];
    let is_rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    cursor + rest.find(|c| !is_rest(c)).unwrap_or(rest.len())
}

/// What a cell may begin a line with.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "else", "enum", "false", "fn", "for",
    "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "static", "struct", "trait", "true", "type", "unsafe", "use", "where", "while",
];
