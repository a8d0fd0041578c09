//! How a cell says that it failed.

/// Lines of the engine, each with what takes its place. A cell's own text may hold the same lines, so
/// each list is looked for only below the line that opens the engine's own block.
struct Block {
    opens: fn(&str) -> bool,
    lines: usize,
    replacements: &'static [(&'static str, &'static str)],
}

const BLOCKS: &[Block] = &[
    // How an `Err` leaves a cell through `?`.
    Block {
        opens: |line| {
            line.starts_with("impl<T: ") && line.ends_with("> From<T> for EvcxrUserCodeError {")
        },
        lines: 6,
        replacements: &[
            (
                "fn from(error: T) -> Self {",
                "#[track_caller] fn from(error: T) -> Self {",
            ),
            (
                r#"eprintln!("{}", error);"#,
                "::ferrolens::emit::cell_failed(&error);",
            ),
            (
                r#"eprintln!("{:?}", error);"#,
                "::ferrolens::emit::cell_failed_debug(&error);",
            ),
            (
                r#"eprintln!("{:#?}", error);"#,
                "::ferrolens::emit::cell_failed_debug(&error);",
            ),
            (
                r#"println!("{}", evcxr_internal_runtime::USER_ERROR_OCCURRED);"#,
                "",
            ),
        ],
    },
];

/// How a panic of the cell is reported; the last such line is the engine's.
const PANIC: (&str, &str) = (
    r#"println!("EVCXR_PANIC_NOTIFICATION");"#,
    "::ferrolens::emit::cell_panicked();",
);

/// Sends what the engine would print to the cell's standard output through the prelude.
pub(super) fn replace(lines: &mut [String]) {
    for block in BLOCKS {
        let Some(opening) = lines.iter().position(|line| (block.opens)(line.trim())) else {
            continue;
        };
        for line in lines.iter_mut().skip(opening).take(block.lines) {
            if let Some((_, to)) = block
                .replacements
                .iter()
                .find(|(from, _)| line.trim() == *from)
            {
                *line = (*to).to_owned();
            }
        }
    }
    if let Some(line) = lines.iter_mut().rfind(|line| line.trim() == PANIC.0) {
        *line = PANIC.1.to_owned();
    }
}
