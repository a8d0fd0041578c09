//! The names of the kernel's own commands.

/// Each command, and what it does, in one line.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    (":clear", "forgets all variables and definitions"),
    (":dep", "adds a crate, e.g. `:dep rand = \"0.9\"`"),
    (":doc", "shows the documentation of a name"),
    (":env", "sets an environment variable, `:env KEY=value`"),
    (":explain", "explains the last compile error"),
    (":help", "lists the commands"),
    (":interruptible", "puts checks into loops, or not (on/off)"),
    (":last_error_json", "prints the last compile error as JSON"),
    (":load", "runs a file as a cell"),
    (":opt", "sets the level of optimisation (0, 1, 2, 3)"),
    (
        ":restart",
        "starts the process of cells again, without its variables",
    ),
    (":show_deps", "lists the crates that were added"),
    (":time", "runs a line and says how long it took"),
    (
        ":timeit",
        "runs a line many times and says how long one took",
    ),
    (":type", "shows the type of an expression"),
    (":vars", "lists the variables"),
    (":version", "prints the engine's version"),
];
