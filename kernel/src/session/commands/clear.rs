//! `:clear` and `:restart`.

use super::wrong;
use crate::session::engine::{Engine, HIDDEN, OPENING};
use crate::session::interrupt::Phase;
use crate::session::{Cell, CellError};
use evcxr::Error;
use ferrolens_frames::Bundle;

/// Forgets everything but the settings.
pub(super) fn clear(
    engine: &mut Engine,
    cell: &Cell,
    _: &str,
) -> Result<Option<Bundle>, CellError> {
    let lost = engine.held();
    forget(engine, cell)
        .map_err(|error| wrong(format!("The session could not be cleared: {error}.")))?;
    Ok(Some(said(&format!(
        "{} Functions, types, imports and added crates are forgotten; settings are kept.",
        gone(lost.keys())
    ))))
}

/// A fresh process for cells.
pub(super) fn restart(
    engine: &mut Engine,
    cell: &Cell,
    _: &str,
) -> Result<Option<Bundle>, CellError> {
    let lost = engine.held();
    fresh_process(engine, cell)
        .map_err(|error| wrong(format!("The process could not be started again: {error}.")))?;
    Ok(Some(said(&format!(
        "The process that runs cells is a fresh one. {} Functions, types and imports are kept.",
        gone(lost.keys())
    ))))
}

fn forget(engine: &mut Engine, cell: &Cell) -> Result<(), Error> {
    engine.interrupt.enter(Phase::Compiling(cell.id));
    engine.bridge.begin(HIDDEN);
    // It ends the process, starts another, and forgets.
    let cleared = engine.context.execute(":clear");
    engine.bridge.settle_dead();
    let opened = engine.run_hidden(OPENING);
    engine.interrupt.enter(Phase::Idle);
    cleared.and(opened)
}

/// The engine's own command would leave it with the names of variables that are gone; it forgets
/// them when its process ends without being asked to.
fn fresh_process(engine: &mut Engine, cell: &Cell) -> Result<(), Error> {
    engine.interrupt.enter(Phase::Compiling(cell.id));
    let handle = engine.context.process_handle();
    if let Ok(mut process) = handle.lock() {
        let _ = process.kill();
    }
    let met = engine.run_hidden("();");
    engine.bridge.settle_dead();
    engine.interrupt.enter(Phase::Idle);
    match met {
        Err(Error::SubprocessTerminated(_)) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

fn gone<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    match names.as_slice() {
        [] => "There were no variables.".to_owned(),
        names => format!("These variables are gone: {}.", names.join(", ")),
    }
}

fn said(sentence: &str) -> Bundle {
    Bundle::from([("text/plain".to_owned(), sentence.into())])
}
