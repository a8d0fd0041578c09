//! One installation for many users, who may write nothing of it.

use ferrolens_kernel::history::HISTORY_ENV;
use ferrolens_tests::{FrontEnd, installed_kernel};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

/// Every file below a folder, with its size and when it was written.
fn files(folder: &Path, found: &mut BTreeMap<PathBuf, (u64, SystemTime)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let about = entry.metadata().expect("a file");
            found.insert(path, (about.len(), about.modified().expect("a time")));
        }
    }
}

/// The folder of the compiler itself: rustup's proxies look for it below HOME.
fn compiler() -> PathBuf {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .expect("rustc is installed");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("bin")
}

#[test]
fn two_users_without_a_home_share_an_installation_and_write_nothing_of_it() {
    let installation = installed_kernel()
        .parent()
        .and_then(Path::parent)
        .expect("an installation")
        .to_owned();
    let mut before = BTreeMap::new();
    files(&installation, &mut before);
    assert!(before.len() > 10, "{} is not whole", installation.display());
    let path = format!("{}:/usr/bin:/bin", compiler().display());
    let user = |home: Option<&str>| {
        FrontEnd::start_with(|command| {
            let temporary = command
                .get_envs()
                .find(|(name, _)| *name == "TMPDIR")
                .and_then(|(_, value)| value)
                .expect("the test's own")
                .to_owned();
            command
                .env_clear()
                .env("TMPDIR", temporary)
                .env("PATH", &path);
            if let Some(home) = home {
                command.env("HOME", home).env("XDG_DATA_HOME", home);
            }
        })
    };
    let mut users = [user(Some("/proc/nobody")), user(None)];
    for (at, front_end) in users.iter_mut().enumerate() {
        let code = format!("let own = {at};\nfn twice(n: i32) -> i32 {{ n * 2 }}");
        front_end.execute(&code).ok();
    }
    for (at, front_end) in users.iter_mut().enumerate() {
        let found = front_end.execute("twice(own)").ok();
        assert_eq!(found.outputs.result(), (at * 2).to_string());
        front_end
            .execute("HookedTransformer::from_pretrained(\"stories-2l\")?;")
            .ok();
    }
    drop(users);
    let mut after = BTreeMap::new();
    files(&installation, &mut after);
    assert!(
        before == after,
        "a session wrote into {}",
        installation.display()
    );
}

fn doctor(change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(installed_kernel());
    command
        .arg("doctor")
        .env(HISTORY_ENV, ":memory:")
        .stdin(Stdio::null());
    change(&mut command);
    command.output().expect("the installed kernel starts")
}

#[test]
fn the_doctor_names_what_is_missing_and_what_mends_it() {
    let empty = tempfile::tempdir().expect("a folder");
    let found = doctor(|command| {
        command
            .env("PATH", empty.path())
            .env("HOME", empty.path())
            .env_remove("CARGO_HOME")
            .env_remove("HF_HOME")
            .env_remove("HF_HUB_CACHE")
            .env_remove("XDG_CACHE_HOME");
    });
    assert_eq!(found.status.code(), Some(1));
    let table = String::from_utf8_lossy(&found.stdout).into_owned();
    for (what, mends) in [
        ("Rust compiler", "rustup.rs"),
        ("linker", "gcc"),
        ("Jupyter", "pip install jupyterlab"),
    ] {
        let mut lines = table.lines().skip_while(|line| !line.contains(what));
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with("MISSING"), "{what} in {table}");
        assert!(
            lines.next().is_some_and(|line| line.contains(mends)),
            "{table}"
        );
    }
    assert!(table.contains("ok       prelude"), "{table}");
    let sentence = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(
        sentence.contains("Rust compiler, linker, Jupyter"),
        "{sentence}"
    );

    // A Jupyter that sees the kernel, in an environment without the packages for figures.
    let kernel = installed_kernel();
    let list = format!(
        "#!/bin/sh\necho '{{\"kernelspecs\": {{\"ferrolens\": {{\"resource_dir\": \"here\", \"spec\": \
         {{\"argv\": [\"{}\"]}}}}}}}}'\n",
        kernel.display()
    );
    let script = empty.path().join("jupyter");
    std::fs::write(&script, list).expect("a file");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a file");
    let found = doctor(|command| {
        let path = format!(
            "{}:{}:/usr/bin:/bin",
            empty.path().display(),
            compiler().display()
        );
        command.env("PATH", path);
    });
    let table = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.success(), "{table}");
    assert!(!table.contains("MISSING"), "{table}");
    let line = table
        .lines()
        .find(|line| line.contains("kernelspec"))
        .unwrap_or_default();
    assert!(line.starts_with("ok ") && line.ends_with("here"), "{table}");
}
