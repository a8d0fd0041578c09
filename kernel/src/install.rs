//! The verbs `install`, `uninstall` and `doctor`.
//!
//! ```text
//! <data>/ferrolens/          the installation (see `toolchain::prebuilt`)
//! <data>/jupyter/kernels/ferrolens/kernel.json, logos
//! ```
//! where `<data>` is the user's data folder, or `DIR/share` with `--prefix DIR`.

mod kernelspec;
mod outline;
mod report;
mod speed;
mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use report::doctor;
pub(crate) use report::on_path;
pub use speed::{bench, cells, resident_megabytes};

/// Where to install.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The folder that holds `ferrolens/`.
    data: PathBuf,
    /// The folder that holds `kernels/`.
    jupyter: PathBuf,
}

impl Place {
    fn user() -> Result<Self, String> {
        let home = std::env::home_dir().ok_or("There is no home folder: use --prefix DIR.")?;
        let data = std::env::var_os("XDG_DATA_HOME")
            .map_or_else(|| home.join(".local/share"), PathBuf::from);
        let jupyter = match std::env::var_os("JUPYTER_DATA_DIR") {
            Some(folder) => PathBuf::from(folder),
            None if cfg!(target_os = "macos") => home.join("Library/Jupyter"),
            None => data.join("jupyter"),
        };
        Ok(Self { data, jupyter })
    }

    fn prefix(folder: &Path) -> Result<Self, String> {
        let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
        Ok(Self {
            data: folder.join("share"),
            jupyter: folder.join("share/jupyter"),
        })
    }

    fn installation(&self) -> PathBuf {
        self.data.join("ferrolens")
    }

    fn kernelspec(&self) -> PathBuf {
        self.jupyter.join("kernels/ferrolens")
    }
}

/// The options of a verb.
fn parse(options: &[&str]) -> Result<(Place, Option<PathBuf>), String> {
    let mut place = None;
    let mut artifacts = None;
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut value = || {
            rest.next()
                .ok_or_else(|| format!("`{option}` needs a value: {option} DIR"))
        };
        match *option {
            "--user" => place = Some(Place::user()?),
            "--sys-prefix" => place = Some(Place::prefix(&sys_prefix()?)?),
            "--prefix" => place = Some(Place::prefix(Path::new(value()?))?),
            "--artifacts" => artifacts = Some(PathBuf::from(value()?)),
            other => {
                return Err(format!(
                    "`{other}` is no option of install. There are --user, --sys-prefix, --prefix DIR \
                     and --artifacts FILE."
                ));
            }
        }
    }
    let place = match place {
        Some(place) => place,
        None => Place::user()?,
    };
    Ok((place, artifacts))
}

fn sys_prefix() -> Result<PathBuf, String> {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.prefix)"])
        .output()
        .map_err(|error| format!("python3 cannot tell its prefix: {error}. Use --prefix DIR."))?;
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}

/// Installs what was built, where `--artifacts` names it, and registers the kernel.
///
/// # Errors
/// A sentence that names the file or folder.
pub fn install(options: &[&str]) -> Result<(), String> {
    let (place, artifacts) = parse(options)?;
    let installation = place.installation();
    let kernel = match artifacts {
        Some(artifacts) => stage::stage(&artifacts, &installation)?,
        None => std::env::current_exe().map_err(|error| error.to_string())?,
    };
    kernelspec::write(&place.kernelspec(), &kernel)?;
    println!(
        "The kernel `Rust (ferrolens)` is registered in {}.",
        place.kernelspec().display()
    );
    Ok(())
}

/// Removes the kernelspec and the installation. What is not there is no error.
///
/// # Errors
/// A sentence that names the folder that cannot be removed.
pub fn uninstall(options: &[&str]) -> Result<(), String> {
    let (place, _) = parse(options)?;
    for folder in [place.kernelspec(), place.installation()] {
        match std::fs::remove_dir_all(&folder) {
            Ok(()) => println!("{} is removed.", folder.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{} cannot be removed: {error}.", folder.display())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_where_jupyter_looks() {
        let (place, artifacts) = parse(&["--prefix", "/opt/x"]).expect("a known option");
        assert_eq!(
            place.kernelspec(),
            Path::new("/opt/x/share/jupyter/kernels/ferrolens")
        );
        assert_eq!(artifacts, None);
    }

    #[test]
    fn an_unknown_option_names_the_known_ones() {
        let error = parse(&["--root"]).expect_err("no such option");
        assert!(
            error.contains("--root") && error.contains("--sys-prefix"),
            "{error}"
        );
        assert!(parse(&["--prefix"]).is_err(), "a value is missing");
    }
}
