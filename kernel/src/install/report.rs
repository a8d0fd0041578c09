//! `doctor`: what is there, what is missing, and the command that mends it.

mod compiler;
mod finding;
mod jupyter;
mod machine;
mod prelude;
mod program;
mod user;

use finding::State;
pub(crate) use program::on_path;

/// Prints a line for each thing that the kernel needs or can use.
///
/// # Errors
/// A sentence when something that it cannot do without is missing.
pub fn doctor() -> Result<(), String> {
    let mut findings = compiler::look();
    findings.extend(prelude::look());
    findings.extend(jupyter::look());
    findings.extend(machine::look());
    findings.extend(user::look());
    print!("{}", finding::table(&findings));
    let missing: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.state == State::Missing)
        .map(|finding| finding.what)
        .collect();
    if missing.is_empty() {
        println!("\nNothing that is needed is missing.");
        return Ok(());
    }
    Err(format!(
        "\nThese are needed and missing: {}. The lines with an arrow mend them.",
        missing.join(", ")
    ))
}
