//! Models by name from a Hub on this machine, and then from the cache alone.

use super::families;
use super::{gpt2, processed};
use crate::golden::{Golden, assert_close};
use candle_core::Device;
use ferrolens::model::{HookedTransformer, LoadOptions};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The one commit that every repository has.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Repositories by name, each in a folder.
pub type Repositories = Vec<(&'static str, PathBuf)>;

/// A Hub that serves files at `/{repository}/resolve/{revision}/{file}` and their list at
/// `/api/models/{repository}/revision/{revision}`.
fn serve(repositories: Repositories) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let repositories = repositories.clone();
            std::thread::spawn(move || answer_all(&stream, &repositories));
        }
    });
    address
}

fn answer_all(mut stream: &TcpStream, repositories: &Repositories) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let path = lines[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = match body(&path, repositories) {
            None => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
            Some(bytes) => {
                let etag = path.replace('/', "_");
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\netag: \"{etag}\"\r\n\
                     x-repo-commit: {COMMIT}\r\n\r\n",
                    bytes.len()
                );
                [head.into_bytes(), bytes].concat()
            }
        };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn body(path: &str, repositories: &Repositories) -> Option<Vec<u8>> {
    repositories.iter().find_map(|(repository, folder)| {
        if path.starts_with(&format!("/api/models/{repository}/revision/")) {
            let mut names = Vec::new();
            list(folder, "", &mut names);
            let siblings = names.iter().map(|name| json!({"rfilename": name}));
            let siblings: Vec<_> = siblings.collect();
            let list = json!({"sha": COMMIT, "siblings": siblings});
            return Some(list.to_string().into_bytes());
        }
        let file = path.strip_prefix(&format!("/{repository}/resolve/"))?;
        let (_, file) = file.split_once('/')?;
        std::fs::read(folder.join(file)).ok()
    })
}

/// The names of all files in a folder and in those below it, with slashes.
fn list(folder: &Path, inside: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{inside}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => list(&entry.path(), &format!("{name}/"), names),
            false => names.push(name),
        }
    }
}

/// Runs a test, by its full name, again in processes with this Hub: online, and then with what is in the cache.
/// Nothing in such a process itself.
pub fn in_processes(test: &str, repositories: impl FnOnce() -> Repositories) -> bool {
    const INSIDE: &str = "FERROLENS_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let home = tempfile::tempdir().unwrap();
    let endpoint = serve(repositories());
    for offline in ["0", "1"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .env("HF_ENDPOINT", &endpoint)
            .env("HF_HOME", home.path())
            .env("HF_HUB_OFFLINE", offline)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "offline {offline}: {text}");
    }
    true
}

fn load(name: &str) -> Result<HookedTransformer, String> {
    let options = LoadOptions::new().device(&Device::Cpu);
    HookedTransformer::load(name, options).map_err(|error| error.to_string())
}

#[test]
fn gpt2_by_its_names() {
    let repositories = || vec![("openai-community/gpt2", gpt2().path("hub_layout"))];
    if in_processes("model::hub::gpt2_by_its_names", repositories) {
        return;
    }
    for name in ["gpt2", "gpt2-small", "openai-community/gpt2"] {
        let model = load(name).unwrap();
        assert_eq!(model.config().model_name, "gpt2");
        let logits = model.forward("Once upon a time").unwrap();
        let reference = processed().forward("Once upon a time").unwrap();
        assert_close("logits", &logits, &reference, 0.);
    }
    let absent = load("gpt2-medium").unwrap_err();
    assert!(
        absent.contains("config.json of openai-community/gpt2-medium"),
        "{absent}"
    );
}

/// A list of files, weights in a `.pth`, and a tokenizer in another repository.
#[test]
fn gelu_1l_from_two_repositories() {
    let golden = Golden::new("gelu-1l");
    let repositories = || {
        vec![
            ("NeelNanda/GELU_1L512W_C4_Code", golden.path("repo")),
            (
                "NeelNanda/gpt-neox-tokenizer-digits",
                golden.path("tokenizer"),
            ),
        ]
    };
    if in_processes("model::hub::gelu_1l_from_two_repositories", repositories) {
        return;
    }
    let model = load("gelu-1l").unwrap();
    let text = "Lily saw 12 cats";
    let reference = families::processed(&golden);
    let tokens = model.to_tokens(text).unwrap().to_vec2::<u32>().unwrap();
    assert_eq!(
        tokens,
        reference.to_tokens(text).unwrap().to_vec2::<u32>().unwrap()
    );
    let logits = model.forward(text).unwrap();
    assert_close("logits", &logits, &reference.forward(text).unwrap(), 0.);
}

/// A `pytorch_model.bin`, and the tokenizer of another model.
#[test]
fn tiny_stories_with_the_tokenizer_of_gpt_neo() {
    let golden = Golden::new("gpt_neo");
    let repositories = || {
        vec![
            ("roneneldan/TinyStories-2Layers-33M", golden.path("hf_bin")),
            ("EleutherAI/gpt-neo-125m", golden.path("hf")),
        ]
    };
    if in_processes(
        "model::hub::tiny_stories_with_the_tokenizer_of_gpt_neo",
        repositories,
    ) {
        return;
    }
    let model = load("tiny-stories-2L-33M").unwrap();
    let reference = families::processed(&golden);
    let text = "Once upon a time, Lily";
    let logits = model.forward(text).unwrap();
    assert_close("logits", &logits, &reference.forward(text).unwrap(), 0.);
}
