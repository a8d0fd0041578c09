//! What the environment says about the Hub, read as Python's `huggingface_hub` reads it.

use super::HubOptions;
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that a [`Hub`](super::Hub) needs to know beside the repository's name. It is one
/// value, so that tests give their own and leave the environment, which is the process's, alone.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// With its scheme, without a slash at the end.
    pub(super) endpoint: String,
    /// The folder that holds `models--owner--name`.
    pub(super) cache: PathBuf,
    pub(super) revision: String,
    pub(super) token: Option<Token>,
    /// Only the cache may be used.
    pub(super) offline: bool,
    /// How long a server may be silent.
    pub(super) timeout: Duration,
    /// How often a request that failed is made again, as long as nothing more arrives.
    pub(super) retries: u32,
    /// The pause before the first retry. It doubles with each.
    pub(super) pause: Duration,
    /// The longest pause that a server may ask for.
    pub(super) longest_pause: Duration,
    /// How long to wait for another process that fetches the same file.
    pub(super) lock_wait: Duration,
}

/// A token, which no message and no `Debug` shows.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// The value of the `Authorization` header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Settings {
    /// What the options and, for what they leave open, the environment say.
    ///
    /// # Errors
    /// There is no folder for the cache, or a value that cannot be used.
    pub(super) fn from_env(options: &HubOptions) -> Result<Self> {
        Self::read(options, |name| std::env::var_os(name), std::env::home_dir())
    }

    fn read(
        options: &HubOptions,
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self> {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| value(name).and_then(|value| value.into_string().ok());
        let folder = |name: &str| value(name).map(|path| expand(&path, home.as_deref()));

        let hugging_face = folder("HF_HOME").or_else(|| {
            let cache = folder("XDG_CACHE_HOME");
            let cache = cache.or_else(|| home.as_ref().map(|home| home.join(".cache")));
            cache.map(|cache| cache.join("huggingface"))
        });
        let cache = folder("HF_HUB_CACHE")
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| hugging_face.as_ref().map(|folder| folder.join("hub")))
            .ok_or_else(|| {
                Error::new("downloads have nowhere to go, as there is no home folder: set HF_HOME.")
            })?;

        let token = options.token.clone();
        let token = token
            .or_else(|| text("HF_TOKEN"))
            .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| {
                let file = folder("HF_TOKEN_PATH");
                let file = file.or_else(|| hugging_face.map(|folder| folder.join("token")));
                std::fs::read_to_string(file?).ok()
            });

        let seconds = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| value.trim().parse().ok());
        let offline = text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE"));
        Ok(Self {
            endpoint: endpoint(text("HF_ENDPOINT"))?,
            cache,
            revision: revision(options.revision.as_deref())?,
            token: token.map_or(Ok(None), |token| check_token(&token))?,
            offline: offline.is_some_and(|value| is_true(&value)),
            timeout: Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(30)),
            retries: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            lock_wait: Duration::from_secs(600),
        })
    }
}

/// A path whose first part may be `~`.
fn expand(path: &OsString, home: Option<&Path>) -> PathBuf {
    let path = Path::new(path);
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

fn is_true(value: &str) -> bool {
    matches!(
        value.to_ascii_uppercase().as_str(),
        "1" | "ON" | "YES" | "TRUE"
    )
}

fn endpoint(value: Option<String>) -> Result<String> {
    let Some(value) = value else {
        return Ok("https://huggingface.co".to_owned());
    };
    if !value.starts_with("https://") && !value.starts_with("http://") {
        return Err(Error::new(format!(
            "HF_ENDPOINT is `{value}`, which is no address: it should begin with https://."
        )));
    }
    Ok(value.trim_end_matches('/').to_owned())
}

/// The revision becomes part of a path in the cache, and must not lead out of it.
fn revision(value: Option<&str>) -> Result<String> {
    let revision = value.unwrap_or("main");
    if super::is_relative(revision) {
        return Ok(revision.to_owned());
    }
    Err(Error::new(format!(
        "`{revision}` is no revision: it should be the name of a branch or a tag, or a commit."
    )))
}

/// A token without the white space that comes with a paste or a file's last line.
fn check_token(token: &str) -> Result<Option<Token>> {
    let token = token.trim();
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::new(
            "the token for the Hugging Face Hub holds characters that no token has: copy it again \
             from https://huggingface.co/settings/tokens.",
        ));
    }
    Ok((!token.is_empty()).then(|| Token(token.to_owned())))
}

#[cfg(test)]
impl Settings {
    /// Settings for a server on this machine, with short pauses.
    pub(super) fn for_test(endpoint: &str, cache: &Path, token: Option<&str>) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            cache: cache.to_owned(),
            revision: "main".to_owned(),
            token: token.map(|token| Token(token.to_owned())),
            offline: false,
            timeout: Duration::from_secs(5),
            retries: 4,
            pause: Duration::from_millis(5),
            longest_pause: Duration::from_secs(2),
            lock_wait: Duration::from_secs(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &HubOptions, variables: &[(&str, &str)]) -> Result<Settings> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Settings::read(options, variable, Some(PathBuf::from("/somewhere/me")))
    }

    fn bearer(settings: &Settings) -> Option<String> {
        settings.token.as_ref().map(Token::bearer)
    }

    #[test]
    fn an_empty_environment_means_the_hub_and_the_shared_cache() {
        let settings = read(&HubOptions::default(), &[("HF_HOME", "")]).unwrap();
        assert_eq!(settings.endpoint, "https://huggingface.co");
        assert_eq!(
            settings.cache,
            Path::new("/somewhere/me/.cache/huggingface/hub")
        );
        assert_eq!(settings.revision, "main");
        assert_eq!(settings.timeout, Duration::from_secs(30));
        assert!(!settings.offline && settings.token.is_none());
    }

    #[test]
    fn folders_are_found_in_pythons_order() {
        let cache = |variables: &[(&str, &str)]| {
            let settings = read(&HubOptions::default(), variables).unwrap();
            settings.cache.display().to_string()
        };
        let mut variables = vec![("XDG_CACHE_HOME", "/xdg")];
        assert_eq!(cache(&variables), "/xdg/huggingface/hub");
        variables.push(("HF_HOME", "~/hf"));
        assert_eq!(cache(&variables), "/somewhere/me/hf/hub");
        variables.push(("HUGGINGFACE_HUB_CACHE", "/old"));
        assert_eq!(cache(&variables), "/old");
        variables.push(("HF_HUB_CACHE", "/new"));
        assert_eq!(cache(&variables), "/new");
        let homeless = Settings::read(&HubOptions::default(), |_| None, None).unwrap_err();
        assert!(homeless.to_string().contains("set HF_HOME"), "{homeless}");
    }

    #[test]
    fn the_token_comes_from_the_options_the_environment_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "hf_other\n").unwrap();
        let none = HubOptions::default();
        let mut variables = vec![("HF_HOME", home)];
        let token = |options: &HubOptions, variables: &[(&str, &str)]| {
            bearer(&read(options, variables).unwrap())
        };
        assert_eq!(token(&none, &variables).unwrap(), "Bearer hf_file");
        variables.push(("HF_TOKEN_PATH", other.to_str().unwrap()));
        assert_eq!(token(&none, &variables).unwrap(), "Bearer hf_other");
        variables.push(("HF_TOKEN", " hf_env\n"));
        assert_eq!(token(&none, &variables).unwrap(), "Bearer hf_env");
        let given = HubOptions {
            token: Some("hf_given".into()),
            ..none
        };
        assert_eq!(token(&given, &variables).unwrap(), "Bearer hf_given");
        let settings = read(&given, &variables).unwrap();
        let shown = format!("{given:?} {settings:?}");
        assert!(!shown.contains("hf_given"), "{shown}");
    }

    #[test]
    fn values_that_cannot_be_used_are_told() {
        let none = HubOptions::default();
        let message = read(&none, &[("HF_ENDPOINT", "hf-mirror.com")]).unwrap_err();
        assert!(message.to_string().contains("https://"), "{message}");
        let message = read(&none, &[("HF_TOKEN", "hf_a\nhf_b")]).unwrap_err();
        assert!(!message.to_string().contains("hf_a"), "{message}");
        let outside = HubOptions {
            revision: Some("../../elsewhere".into()),
            ..none
        };
        let message = read(&outside, &[]).unwrap_err();
        assert!(message.to_string().contains("no revision"), "{message}");
    }

    #[test]
    fn switches_are_read_as_python_reads_them() {
        let read = |variables: &[(&str, &str)]| read(&HubOptions::default(), variables).unwrap();
        for on in ["1", "true", "Yes", "ON"] {
            assert!(read(&[("HF_HUB_OFFLINE", on)]).offline, "{on}");
        }
        for off in ["", "0", "false", "no"] {
            assert!(!read(&[("HF_HUB_OFFLINE", off)]).offline, "{off}");
        }
        assert!(read(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
        let patient = read(&[("HF_HUB_DOWNLOAD_TIMEOUT", "120")]);
        assert_eq!(patient.timeout, Duration::from_secs(120));
        let odd = read(&[("HF_HUB_DOWNLOAD_TIMEOUT", "soon")]);
        assert_eq!(odd.timeout, Duration::from_secs(30));
        let mirror = read(&[("HF_ENDPOINT", "http://127.0.0.1:9/")]);
        assert_eq!(mirror.endpoint, "http://127.0.0.1:9");
    }
}
