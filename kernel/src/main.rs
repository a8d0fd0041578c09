//! `ferrolens-kernel`: see `USAGE`.

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
ferrolens-kernel, a Jupyter kernel for Rust

  ferrolens-kernel run <connection file>     serve a front end (Jupyter calls this)
  ferrolens-kernel install [options]         register the kernel with Jupyter
      --user | --sys-prefix | --prefix DIR     where (default: --user)
      --artifacts FILE                         install what `cargo build` listed there, first
  ferrolens-kernel uninstall [where]         remove the kernel and its files
  ferrolens-kernel render NOTEBOOK... [--to DIR]
                                             executed notebooks as pages with live figures, and their sizes
  ferrolens-kernel doctor [--bench]          say what is there and what is missing; or how quick cells are
";

fn main() -> ExitCode {
    ferrolens_kernel::child::run_if_child();
    ferrolens_kernel::toolchain::front::run_if_tool();
    // The engine's other use of this binary: a wrapper around rustc.
    ferrolens_kernel::session::engine_hook();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["run", file] | ["run", "-f", file] | ["-f", file] => {
            ferrolens_kernel::run::run(&PathBuf::from(file))
        }
        ["install", options @ ..] => ferrolens_kernel::install::install(options),
        ["uninstall", options @ ..] => ferrolens_kernel::install::uninstall(options),
        ["doctor", "--bench"] => ferrolens_kernel::install::bench(),
        ["render", words @ ..] => ferrolens_kernel::pages::render(words),
        ["doctor"] => ferrolens_kernel::install::doctor(),
        ["--version" | "-V"] => {
            println!("ferrolens-kernel {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        [] | ["--help" | "-h" | "help"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!(
            "`{}` is not something this program does.\n\n{USAGE}",
            args.join(" ")
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}
