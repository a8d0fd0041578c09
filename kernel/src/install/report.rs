//! `doctor`: what is there, what is missing, and what to do about it.

use super::Place;
use crate::toolchain::{prebuilt::Prebuilt, workspace};
use std::path::PathBuf;
use std::process::Command;

/// Prints a line for each thing that the kernel needs.
///
/// # Errors
/// A sentence when something that it cannot do without is missing.
pub fn doctor() -> Result<(), String> {
    let mut missing = 0;
    let mut line = |name: &str, found: Result<String, String>| match found {
        Ok(what) => println!("ok       {name}: {what}"),
        Err(what) => {
            missing += 1;
            println!("missing  {name}: {what}");
        }
    };
    let compiler = output("rustc", &["-vV"]);
    line(
        "Rust compiler",
        first_line(&compiler).ok_or_else(|| "install Rust from https://rustup.rs".to_owned()),
    );
    line(
        "C linker",
        first_line(&output("cc", &["--version"])).ok_or_else(|| {
            "install a C toolchain: on Debian the package `gcc` and `libc6-dev`".to_owned()
        }),
    );
    let prebuilt = Prebuilt::find();
    line(
        "prelude",
        prebuilt
            .as_ref()
            .map(|found| found.folder().display().to_string())
            .map_err(Clone::clone),
    );
    if let Some(built) = prebuilt.ok().and_then(|found| found.rustc_version()) {
        line(
            "compiler of the prelude",
            match compiler {
                Some(compiler) if compiler == built => Ok("the same".to_owned()),
                _ => Err(format!(
                    "the prelude was built by {}; run install.sh again with the compiler that is in \
                     force",
                    built.lines().next().unwrap_or("another compiler")
                )),
            },
        );
    }
    line(
        "source of the standard library",
        std::env::var_os("RUST_SRC_PATH")
            .map(PathBuf::from)
            .or_else(|| workspace::std_source(&PathBuf::from("rustc")))
            .map(|folder| folder.display().to_string())
            .ok_or_else(|| "run `rustup component add rust-src`, or install.sh again".to_owned()),
    );
    let spec = Place::user()?.kernelspec().join("kernel.json");
    line(
        "kernelspec",
        if spec.is_file() {
            Ok(spec.display().to_string())
        } else {
            Err("not registered for this user; run `ferrolens-kernel install`".to_owned())
        },
    );
    line(
        "Jupyter",
        first_line(&output("jupyter", &["--version"])).ok_or_else(|| {
            "not on PATH; install.sh makes a virtual environment with it".to_owned()
        }),
    );
    if missing == 0 {
        Ok(())
    } else {
        Err(format!("{missing} of these are missing."))
    }
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn first_line(text: &Option<String>) -> Option<String> {
    text.as_ref()?.lines().next().map(str::to_owned)
}
