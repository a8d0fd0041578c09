//! Questions to the reader of the notebook.

use super::{Host, fallback, sending};
use crate::error::{Error, Result};
use std::io::Write as _;

/// Asks the reader for one line, and waits for it.
///
/// # Errors
/// Nobody can be asked (a notebook that runs without a reader), or the user interrupted.
pub fn input(prompt: &str) -> Result<String> {
    ask(prompt, false)
}

/// Asks the reader for one line that is not shown while it is typed. Outside a notebook, in a
/// terminal, it is shown.
///
/// # Errors
/// Nobody can be asked (a notebook that runs without a reader), or the user interrupted.
pub fn password(prompt: &str) -> Result<String> {
    ask(prompt, true)
}

fn ask(prompt: &str, password: bool) -> Result<String> {
    if let Some(host) = Host::find() {
        return host.input(prompt, password);
    }
    if fallback::is_evcxr() {
        let request = if password {
            "EVCXR_INPUT_REQUEST_PASSWORD"
        } else {
            "EVCXR_INPUT_REQUEST"
        };
        // evcxr reads the prompt up to the next colon or line end.
        let prompt = prompt.replace(['\n', ':'], " ");
        fallback::print_line(&format!("{request}:{prompt}"));
    } else {
        let _ = std::io::stdout().write_all(prompt.as_bytes());
        sending::flush_stdout();
    }
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 {
        return Err(Error::new(
            "stdin has ended, so nobody can be asked for input; put the value into the code instead",
        ));
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::host::fake;

    #[test]
    fn the_host_asks_the_reader() {
        let (line, _) = fake::with_reader("Zürich", || input("Where? "));
        assert_eq!(line.expect("an answer"), "Zürich");
        let (line, _) = fake::with_host(|| password("Token: "));
        let message = line.expect_err("nobody is there").to_string();
        assert!(message.contains("nobody can be asked"), "{message}");
        let (line, _) = fake::with_stop(|| input("?"));
        let message = line.expect_err("interrupted").to_string();
        assert!(message.starts_with("interrupted"), "{message}");
    }
}
