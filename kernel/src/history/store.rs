//! The SQLite file, with the tables that IPython has, so that its tools read it.

use super::place::{HISTORY_ENV, Place};
use super::request::{Kind, Request};
use rusqlite::{Connection, Error, params};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// How long another kernel's write is waited for.
const BUSY: Duration = Duration::from_secs(2);

/// Results longer than this are not kept.
const LONGEST_OUTPUT: usize = 1 << 16;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS sessions (session integer primary key autoincrement, start timestamp,
        end timestamp, num_cmds integer, remark text);
    CREATE TABLE IF NOT EXISTS history (session integer, line integer, source text, source_raw text,
        PRIMARY KEY (session, line));
    CREATE TABLE IF NOT EXISTS output_history (session integer, line integer, output text,
        PRIMARY KEY (session, line));
";

const NOW: &str = "strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime')";

/// The history, on a disk or in memory.
pub(super) struct Store {
    connection: Option<Connection>,
    session: i64,
    /// This session's cells, for when the file is lost.
    here: BTreeMap<usize, (String, Option<String>)>,
    /// Whether the file has been lost already.
    is_memory: bool,
}

impl Store {
    /// Opens the file, or memory when that is not possible.
    pub(super) fn open(place: &Place) -> Self {
        let mut store = Self {
            connection: None,
            session: 1,
            here: BTreeMap::new(),
            is_memory: false,
        };
        match place {
            Place::Memory => store.use_memory(),
            Place::File(file) => match in_file(file) {
                Ok((connection, session)) => {
                    store.connection = Some(connection);
                    store.session = session;
                }
                Err(why) => store.give_up(&format!("{} cannot be used: {why}", file.display())),
            },
        }
        store
    }

    /// Keeps a cell.
    pub(super) fn add(&mut self, line: usize, code: &str) {
        self.here.insert(line, (code.to_owned(), None));
        let session = self.session;
        self.write(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3, ?3)",
                params![session, number(line), code],
            )
        });
    }

    /// Keeps a cell's result.
    pub(super) fn add_output(&mut self, line: usize, text: &str) {
        if text.len() > LONGEST_OUTPUT {
            return;
        }
        if let Some((_, output)) = self.here.get_mut(&line) {
            *output = Some(text.to_owned());
        }
        let session = self.session;
        self.write(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO output_history VALUES (?1, ?2, ?3)",
                params![session, number(line), text],
            )
        });
    }

    /// The entries that a front end asked for, oldest first.
    pub(super) fn find(&mut self, request: &Request) -> Vec<Value> {
        match self.select(request) {
            Ok(found) => found,
            Err(error) => {
                self.give_up(&error.to_string());
                self.select(request).unwrap_or_default()
            }
        }
    }

    /// Notes that the session is over.
    pub(super) fn end(&mut self) {
        let (session, count) = (self.session, number(self.here.len()));
        self.write(|connection| {
            connection.execute(
                &format!("UPDATE sessions SET end = {NOW}, num_cmds = ?2 WHERE session = ?1"),
                params![session, count],
            )
        });
    }

    fn select(&self, request: &Request) -> Result<Vec<Value>, Error> {
        let Some(connection) = &self.connection else {
            return Ok(Vec::new());
        };
        let select = "SELECT history.session, history.line, source_raw, output FROM history LEFT JOIN \
                      output_history USING (session, line)";
        let newest_first = "ORDER BY history.session DESC, history.line DESC";
        let (mut session_shown, mut values): (_, Vec<Box<dyn rusqlite::ToSql>>) = (None, vec![]);
        let statement = match &request.kind {
            Kind::Tail => format!("{select} {newest_first}"),
            Kind::Search { pattern } => {
                values.push(Box::new(pattern.clone()));
                format!("{select} WHERE source_raw GLOB ?1 {newest_first}")
            }
            Kind::Range {
                session,
                start,
                stop,
            } => {
                let asked = *session;
                let session = if *session <= 0 {
                    self.session.saturating_add(*session)
                } else {
                    *session
                };
                if session == self.session {
                    // The number by which it was asked for; 0 is IPython's for the session that runs.
                    session_shown = Some(if asked > 0 { session } else { 0 });
                }
                let last: i64 = connection.query_row(
                    "SELECT coalesce(max(line), 0) FROM history WHERE session = ?1",
                    params![session],
                    |row| row.get(0),
                )?;
                let counted = |line: i64| if line < 0 { line + last + 1 } else { line };
                values.push(Box::new(session));
                values.push(Box::new(counted(*start)));
                values.push(Box::new(stop.map_or(i64::MAX, counted)));
                format!(
                    "{select} WHERE history.session = ?1 AND history.line >= ?2 AND history.line < \
                     ?3 {newest_first}"
                )
            }
        };
        let mut statement = connection.prepare(&statement)?;
        let values: Vec<&dyn rusqlite::ToSql> = values.iter().map(AsRef::as_ref).collect();
        let mut rows = statement.query(values.as_slice())?;
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        while found.len() < request.most
            && let Some(row) = rows.next()?
        {
            let session: i64 = row.get(0)?;
            let line: i64 = row.get(1)?;
            let code: String = row.get(2)?;
            let output: Option<String> = row.get(3)?;
            if request.unique && !seen.insert(code.clone()) {
                continue;
            }
            let session = session_shown.unwrap_or(session);
            found.push(if request.output {
                json!([session, line, [code, output]])
            } else {
                json!([session, line, code])
            });
        }
        found.reverse();
        Ok(found)
    }

    fn write(&mut self, change: impl Fn(&Connection) -> Result<usize, Error>) {
        let Some(connection) = &self.connection else {
            return;
        };
        if let Err(error) = change(connection) {
            // What is in memory already holds the change.
            self.give_up(&error.to_string());
        }
    }

    /// Goes on in memory, with what this session has run.
    fn give_up(&mut self, why: &str) {
        if self.is_memory {
            self.connection = None;
            return;
        }
        eprintln!(
            "The history of cells is that of this session only: {why}. Point {HISTORY_ENV} to another \
             file, or to :memory: to be told no more."
        );
        self.use_memory();
    }

    fn use_memory(&mut self) {
        self.is_memory = true;
        self.connection = in_memory(self.session, &self.here).ok();
    }
}

/// Opens the file and enters a session.
fn in_file(file: &Path) -> Result<(Connection, i64), String> {
    if let Some(folder) = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            // What somebody typed is theirs.
            .mode(0o700)
            .create(folder)
            .map_err(|error| error.to_string())?;
    }
    let open = || -> Result<(Connection, i64), Error> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        // Not the write-ahead log, whose shared memory breaks on the network folders that clusters
        // have as homes.
        connection.execute_batch(TABLES)?;
        let session = enter(&connection)?;
        Ok((connection, session))
    };
    open().map_err(|error| error.to_string())
}

fn enter(connection: &Connection) -> Result<i64, Error> {
    connection.execute(&format!("INSERT INTO sessions (start) VALUES ({NOW})"), [])?;
    Ok(connection.last_insert_rowid())
}

fn in_memory(
    session: i64,
    cells: &BTreeMap<usize, (String, Option<String>)>,
) -> Result<Connection, Error> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(TABLES)?;
    for (line, (code, output)) in cells {
        connection.execute(
            "INSERT INTO history VALUES (?1, ?2, ?3, ?3)",
            params![session, number(*line), code],
        )?;
        if let Some(output) = output {
            connection.execute(
                "INSERT INTO output_history VALUES (?1, ?2, ?3)",
                params![session, number(*line), output],
            )?;
        }
    }
    Ok(connection)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(place: &Place, cells: &[&str]) -> Store {
        let mut store = Store::open(place);
        for (at, code) in cells.iter().enumerate() {
            store.add(at + 1, code);
        }
        store
    }

    fn find(store: &mut Store, request: Value) -> Value {
        Value::Array(store.find(&Request::read(&request)))
    }

    #[test]
    fn tail_range_and_search_answer_as_ipythons() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::File(folder.path().join("history.sqlite"));
        let mut first = filled(&place, &["let a = 1;", "a", "plot[1]"]);
        first.add_output(2, "1");
        first.end();
        // Two at once.
        let mut other = filled(&place, &["other"]);
        let mut store = filled(&place, &["a", "b", "a"]);
        for (request, found) in [
            (
                json!({"hist_access_type": "tail", "n": 2}),
                json!([[3, 2, "b"], [3, 3, "a"]]),
            ),
            (
                json!({"hist_access_type": "range", "session": 0, "start": 2}),
                json!([[0, 2, "b"], [0, 3, "a"]]),
            ),
            (
                json!({"hist_access_type": "range", "session": 0, "start": -1}),
                json!([[0, 3, "a"]]),
            ),
            (
                json!({"hist_access_type": "range", "session": -2, "start": 1, "stop": 3, "output": true}),
                json!([[1, 1, ["let a = 1;", null]], [1, 2, ["a", "1"]]]),
            ),
            (
                json!({"hist_access_type": "range", "session": 2}),
                json!([[2, 1, "other"]]),
            ),
            (
                json!({"hist_access_type": "range", "session": 9}),
                json!([]),
            ),
            (
                json!({"hist_access_type": "search", "pattern": "a", "unique": true}),
                json!([[3, 3, "a"]]),
            ),
            (
                json!({"hist_access_type": "search", "pattern": "a", "n": 2}),
                json!([[3, 1, "a"], [3, 3, "a"]]),
            ),
            (
                json!({"hist_access_type": "search", "pattern": "let*=?1*"}),
                json!([[1, 1, "let a = 1;"]]),
            ),
            (
                json!({"hist_access_type": "search", "pattern": "plot[[]?]"}),
                json!([[1, 3, "plot[1]"]]),
            ),
        ] {
            assert_eq!(find(&mut store, request.clone()), found, "{request}");
        }
        assert_eq!(
            find(&mut other, json!({"hist_access_type": "range"})),
            json!([[0, 1, "other"]])
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_replaced_by_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let corrupt = folder.path().join("corrupt");
        std::fs::write(
            &corrupt,
            "no database, and long enough to be read as one ".repeat(40),
        )
        .expect("a file");
        for place in [
            Place::File(corrupt),
            Place::File("/proc/no/such/folder/history.sqlite".into()),
            Place::Memory,
        ] {
            let mut store = filled(&place, &["x", "y"]);
            assert_eq!(
                find(&mut store, json!({"hist_access_type": "tail", "n": 9})),
                json!([[1, 1, "x"], [1, 2, "y"]]),
                "{place:?}"
            );
            store.end();
        }
    }

    #[test]
    fn a_file_that_is_lost_in_the_middle_leaves_this_sessions_cells() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("history.sqlite");
        let mut store = filled(&Place::File(file.clone()), &["x"]);
        let locker = Connection::open(&file).expect("the same file");
        locker
            .execute_batch("BEGIN EXCLUSIVE")
            .expect("nobody else writes");
        store.add(2, "y");
        assert!(store.is_memory);
        assert_eq!(
            find(&mut store, json!({"hist_access_type": "range"})),
            json!([[0, 1, "x"], [0, 2, "y"]])
        );
    }
}
