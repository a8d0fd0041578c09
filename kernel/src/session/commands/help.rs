//! `:help`.

use super::table::Table;
use super::{ENGINES, TABLE, names, wrong};
use crate::session::engine::Engine;
use crate::session::{Cell, CellError, nearest};
use ferrolens_frames::Bundle;

/// Lines that are no commands by name.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "!command",
        "runs a line in the shell, and shows what it prints while it runs",
        "!nvidia-smi",
    ),
    (
        "!cd folder",
        "changes the folder of the cells and of later `!` lines",
        "!cd ~/data",
    ),
    (
        "%%time, %%timeit",
        "as the first line of a cell: `:time` and `:timeit`",
        "%%time",
    ),
];

pub(super) fn run(_: &mut Engine, _: &Cell, arguments: &str) -> Result<Option<Bundle>, CellError> {
    let mut table = Table::new(&["command", "what it does", "example"]);
    if arguments.is_empty() {
        for command in TABLE {
            table.row([
                format!("{} {}", command.name, command.arguments)
                    .trim()
                    .to_owned(),
                command.about.to_owned(),
                command.example.to_owned(),
            ]);
        }
        for (name, about, example) in OTHERS {
            table.row([
                (*name).to_owned(),
                (*about).to_owned(),
                (*example).to_owned(),
            ]);
        }
        for (name, about) in ENGINES {
            table.row([(*name).to_owned(), (*about).to_owned(), String::new()]);
        }
        return Ok(Some(table.bundle()));
    }
    let name = format!(":{}", arguments.trim_start_matches(':'));
    if let Some(command) = TABLE.iter().find(|command| command.name == name) {
        table.row([
            format!("{} {}", command.name, command.arguments)
                .trim()
                .to_owned(),
            command.about.to_owned(),
            command.example.to_owned(),
        ]);
    } else if let Some((name, about)) = ENGINES.iter().find(|(known, _)| *known == name) {
        table.row([(*name).to_owned(), (*about).to_owned(), String::new()]);
    } else {
        return Err(wrong(format!(
            "There is no command `{name}`. {}`:help` lists them all.",
            nearest::sentence(&name, &names())
        )));
    }
    Ok(Some(table.bundle()))
}
