mod server;

use self::server::{Hosted, Reply, Server};
use super::*;
use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Bytes that differ wherever they come from.
fn bytes(length: usize, seed: usize) -> Vec<u8> {
    let byte = |at: usize| (at * 31 + at / 251 + seed * 7) as u8;
    (0..length).map(byte).collect()
}

fn weights() -> Hosted {
    Hosted {
        bytes: bytes(50_000, 0),
        etag: "etag1",
        commit: A,
    }
}

fn hub(server: &Server, cache: &TempDir) -> Hub {
    hub_as(server, cache, None)
}

fn hub_as(server: &Server, cache: &TempDir, token: Option<&str>) -> Hub {
    let settings = Settings::for_test(&server.address, cache.path(), token);
    Hub::with_settings("me/model", settings, None)
}

/// One that takes a short silence for a cut, and tries twice.
fn impatient(address: &str, cache: &TempDir) -> Hub {
    let mut settings = Settings::for_test(address, cache.path(), None);
    settings.timeout = Duration::from_millis(300);
    settings.retries = 1;
    Hub::with_settings("me/model", settings, None)
}

fn offline(cache: &TempDir) -> Hub {
    let mut settings = Settings::for_test("http://127.0.0.1:1", cache.path(), None);
    settings.offline = true;
    Hub::with_settings("me/model", settings, None)
}

fn fetched(hub: &Hub, file: &str) -> Vec<u8> {
    std::fs::read(hub.fetch(file).unwrap().unwrap()).unwrap()
}

/// Fetches what cannot be had, and says why.
fn refused(hub: &Hub) -> String {
    let message = hub.fetch("weights").unwrap_err().to_string();
    assert!(message.starts_with("weights of me/model"), "{message}");
    assert!(!message.contains("hf_secret"), "{message}");
    message
}

/// The files among the blobs.
fn blobs(cache: &TempDir) -> Vec<String> {
    let folder = cache.path().join("models--me--model/blobs");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn cache() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_file_lands_in_the_cache_as_python_lays_it_out() {
    let server = Server::new(|request, _| weights().reply(request));
    let cache = cache();
    let path = hub(&server, &cache).fetch("onnx/weights").unwrap().unwrap();
    let folder = cache.path().join("models--me--model");
    assert_eq!(path, folder.join("snapshots").join(A).join("onnx/weights"));
    assert_eq!(std::fs::read(&path).unwrap(), weights().bytes);
    let target = std::fs::read_link(&path).unwrap();
    assert_eq!(target, Path::new("../../../blobs/etag1"));
    assert_eq!(
        std::fs::read_to_string(folder.join("refs/main")).unwrap(),
        A
    );
    assert_eq!(blobs(&cache), ["etag1"]);
    assert_eq!(server.paths(), ["/me/model/resolve/main/onnx/weights"]);

    // What is there is not asked for again, with a network and without.
    assert_eq!(
        fetched(&hub(&server, &cache), "onnx/weights"),
        weights().bytes
    );
    assert_eq!(server.requests().len(), 1);
    let offline = offline(&cache);
    assert_eq!(fetched(&offline, "onnx/weights"), weights().bytes);
    assert_eq!(offline.fetch("config.json").unwrap(), None);
    assert_eq!(offline.list().unwrap(), ["onnx/weights"]);

    // The same content under another name is linked, not fetched.
    assert_eq!(fetched(&hub(&server, &cache), "copy"), weights().bytes);
    assert_eq!(blobs(&cache), ["etag1"]);
}

#[test]
fn offline_without_a_cache_there_is_nothing() {
    let cache = cache();
    let hub = offline(&cache);
    assert_eq!(hub.fetch("config.json").unwrap(), None);
    assert_eq!(hub.list().unwrap(), Vec::<String>::new());
    assert_eq!(hub.repository(), "me/model");
}

#[test]
fn a_commit_in_the_cache_needs_no_branch() {
    let server = Server::new(|request, _| weights().reply(request));
    let cache = cache();
    let at_commit = |offline: bool| {
        let mut settings = Settings::for_test(&server.address, cache.path(), None);
        A.clone_into(&mut settings.revision);
        settings.offline = offline;
        Hub::with_settings("me/model", settings, None)
    };
    assert_eq!(fetched(&at_commit(false), "weights"), weights().bytes);
    assert_eq!(fetched(&at_commit(true), "weights"), weights().bytes);
    assert!(!cache.path().join("models--me--model/refs").exists());
}

#[test]
fn all_files_are_of_one_commit() {
    let server = Server::new(|request, count| {
        let moved = Hosted {
            commit: if count == 0 || request.path.contains(A) {
                A
            } else {
                B
            },
            bytes: request.path.clone().into_bytes(),
            etag: ["zero", "one", "two"][count],
        };
        moved.reply(request)
    });
    let cache = cache();
    let first = hub(&server, &cache);
    for file in ["config.json", "a b.bin"] {
        fetched(&first, file);
    }
    let paths = ["/me/model/resolve/main/config.json".to_owned()];
    assert_eq!(server.paths()[..1], paths);
    assert_eq!(
        server.paths()[1],
        format!("/me/model/resolve/{A}/a%20b.bin")
    );
    // So does a hub whose first file came from the cache.
    let second = hub(&server, &cache);
    fetched(&second, "config.json");
    fetched(&second, "tokenizer.json");
    assert!(server.paths()[2].contains(A));
}

#[test]
fn an_empty_file_and_one_in_chunks_are_files() {
    let server = Server::new(|request, _| match request.path.ends_with("empty") {
        true => Hosted {
            bytes: Vec::new(),
            etag: "empty",
            commit: A,
        }
        .reply(request),
        false => weights().reply(request).chunked(),
    });
    let cache = cache();
    let hub = hub(&server, &cache);
    assert!(fetched(&hub, "empty").is_empty());
    assert_eq!(fetched(&hub, "weights"), weights().bytes);
    assert_eq!(blobs(&cache), ["empty", "etag1"]);
}

#[test]
fn a_cut_is_mended_where_it_happened() {
    let server = Server::new(|request, count| match count {
        0 => weights().reply(request).cut(20_000),
        2 => weights().reply(request).cut(10_000),
        _ => weights().reply(request),
    });
    let cache = cache();
    assert_eq!(fetched(&hub(&server, &cache), "weights"), weights().bytes);
    let range = |range: &str| Some(range.to_owned());
    // Each attempt asks what the file is, and then for what is missing.
    assert_eq!(
        server.ranges(),
        [
            None,
            None,
            range("bytes=20000-"),
            None,
            range("bytes=30000-")
        ]
    );
    assert_eq!(blobs(&cache), ["etag1"]);
}

#[test]
fn cuts_without_end_are_told() {
    let server = Server::new(|request, _| weights().reply(request).cut(0));
    let cache = cache();
    let message = refused(&hub(&server, &cache));
    assert!(message.contains("cut 5 times in a row"), "{message}");
    assert!(message.contains("run the cell again"), "{message}");
    assert_eq!(server.requests().len(), 5);
    assert_eq!(offline(&cache).fetch("weights").unwrap(), None);
}

#[test]
fn silence_counts_as_a_cut() {
    let server = Server::new(|request, count| match count {
        0 => weights().reply(request).stall(30_000),
        _ => weights().reply(request),
    });
    let cache = cache();
    let hub = impatient(&server.address, &cache);
    assert_eq!(fetched(&hub, "weights"), weights().bytes);
    assert_eq!(server.ranges()[2].as_deref(), Some("bytes=30000-"));

    let silent = Server::new(|request, _| weights().reply(request).stall(0));
    let empty = self::cache();
    let started = Instant::now();
    let message = refused(&impatient(&silent.address, &empty));
    assert!(
        message.contains("silent for 0.3 s 2 times in a row"),
        "{message}"
    );
    assert!(message.contains("HF_HUB_DOWNLOAD_TIMEOUT"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    // Connections wait in the listener's queue, and nobody takes them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let cache = cache();
    let message = refused(&impatient(&address, &cache));
    assert!(message.contains("silent"), "{message}");
}

#[test]
fn without_a_network_the_cache_is_pointed_to() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let cache = cache();
    let mut settings = Settings::for_test(&address, cache.path(), None);
    settings.pause = Duration::from_secs(2);
    let hub = Hub::with_settings("me/model", settings, None);
    let started = Instant::now();
    let message = refused(&hub);
    assert!(message.contains("HF_HUB_OFFLINE=1"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(2), "it was retried");
    let message = hub.list().unwrap_err().to_string();
    assert!(message.contains("list of files of me/model"), "{message}");
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let server = Server::new(|request, count| {
        let whole = server::Request {
            range: None,
            ..request.clone()
        };
        match count {
            0 => weights().reply(&whole).cut(20_000),
            _ => weights().reply(&whole),
        }
    });
    let cache = cache();
    assert_eq!(fetched(&hub(&server, &cache), "weights"), weights().bytes);
}

#[test]
fn a_range_that_does_not_exist_starts_the_file_again() {
    let server = Server::new(|request, count| match (count, &request.range) {
        (0, _) => weights().reply(request).cut(20_000),
        (_, Some(_)) => Reply::status(416).header("content-range", "bytes */50000"),
        _ => weights().reply(request),
    });
    let cache = cache();
    assert_eq!(fetched(&hub(&server, &cache), "weights"), weights().bytes);
    assert_eq!(blobs(&cache), ["etag1"]);
}

#[test]
fn a_file_that_changes_midway_is_never_mixed() {
    let new = || Hosted {
        // As long as the old one, so that no length gives it away.
        bytes: bytes(50_000, 1),
        etag: "etag2",
        commit: B,
    };
    // Between two attempts, and between the two requests of one.
    for changes_at in [1, 2] {
        let server = Server::new(move |request, count| match count {
            0 => weights().reply(request).cut(20_000),
            _ if count < changes_at => weights().reply(request),
            _ => new().reply(request),
        });
        let cache = cache();
        let path = hub(&server, &cache).fetch("weights").unwrap().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), new().bytes);
        assert!(path.to_str().unwrap().contains(B));
        assert_eq!(offline(&cache).fetch("weights").unwrap(), Some(path));
    }
    // The same etag, and another size.
    let longer = || Hosted {
        bytes: bytes(60_000, 1),
        ..weights()
    };
    let server = Server::new(move |request, count| match count {
        0 => weights().reply(request).cut(20_000),
        _ => longer().reply(request),
    });
    let cache = cache();
    assert_eq!(fetched(&hub(&server, &cache), "weights"), longer().bytes);
}

#[test]
fn a_wrong_length_is_never_a_file() {
    let too_long = Server::new(|request, _| {
        let length = 60_000 - weights_start(request);
        weights().reply(request).header("content-length", length)
    });
    let too_short =
        Server::new(|request, _| weights().reply(request).header("x-linked-size", 60_000));
    let too_much = Server::new(|request, _| {
        let reply = weights().reply(request);
        reply.chunked().header("x-linked-size", 40_000)
    });
    for (server, word) in [
        (too_long, ""),
        (
            too_short,
            "50000 bytes from byte 0 on, where 60000 were announced",
        ),
        (too_much, "more than the 40000 bytes"),
    ] {
        let cache = cache();
        let message = refused(&hub(&server, &cache));
        assert!(message.contains(word), "{message}");
        assert!(message.contains("times in a row"), "{message}");
        assert!(server.requests().len() <= 10);
        assert!(!blobs(&cache).contains(&"etag1".to_owned()));
        assert_eq!(offline(&cache).fetch("weights").unwrap(), None);
    }
}

fn weights_start(request: &server::Request) -> usize {
    let range = request.range.as_deref().unwrap_or("bytes=0-");
    range[6..range.len() - 1].parse().unwrap()
}

#[test]
fn a_gated_file_asks_for_a_login_once() {
    for (status, token, words) in [
        (401, None, "huggingface-cli login"),
        (403, None, "accept the licence"),
        (403, Some("hf_secret"), "with the token in use (403)"),
    ] {
        let server = Server::new(move |_, _| Reply::status(status));
        let cache = cache();
        let message = refused(&hub_as(&server, &cache, token));
        assert!(message.contains(words), "{message}");
        assert!(message.contains("/me/model"), "{message}");
        assert_eq!(server.requests().len(), 1);
        let sent = token.map(|token| format!("Bearer {token}"));
        assert_eq!(server.requests()[0].authorization, sent);
    }
}

#[test]
fn what_is_not_there_is_told_apart() {
    let server = Server::new(|_, _| Reply::status(404));
    let cache = cache();
    assert_eq!(hub(&server, &cache).fetch("weights").unwrap(), None);
    for (code, words) in [
        ("RepoNotFound", "no repository me/model"),
        ("RevisionNotFound", "no revision `main`"),
    ] {
        let server = Server::new(move |_, _| Reply::status(404).header("x-error-code", code));
        let message = refused(&hub(&server, &cache));
        assert!(message.contains(words), "{message}");
        assert_eq!(server.requests().len(), 1);
    }
    // The cache has a commit that the Hub has no more.
    let server = Server::new(|request, count| match count {
        0 => weights().reply(request),
        _ => Reply::status(404).header("x-error-code", "RevisionNotFound"),
    });
    let old = hub(&server, &cache);
    fetched(&old, "config.json");
    let message = refused(&old);
    assert!(
        message.contains("delete") && message.contains(A),
        "{message}"
    );
}

#[test]
fn an_absent_file_is_asked_for_once() {
    let server = Server::new(|request, _| match request.path.ends_with("config.json") {
        true => weights().reply(request),
        false => Reply::status(404)
            .header("x-error-code", "EntryNotFound")
            .header("x-repo-commit", A),
    });
    let cache = cache();
    for _ in 0..2 {
        let hub = hub(&server, &cache);
        fetched(&hub, "config.json");
        assert_eq!(hub.fetch("chat.jinja").unwrap(), None);
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_busy_server_is_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let server = Server::new(move |request, count| match count {
            0 => Reply::status(status),
            _ => weights().reply(request),
        });
        let cache = cache();
        assert_eq!(fetched(&hub(&server, &cache), "weights"), weights().bytes);
    }
    let server = Server::new(|_, _| Reply::status(500));
    let cache = cache();
    let message = refused(&hub(&server, &cache));
    assert!(
        message.contains("failed 5 times in a row (500)"),
        "{message}"
    );
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_pause_that_the_server_asks_for_is_made() {
    let server = Server::new(|request, count| match count {
        0 => Reply::status(429).header("retry-after", 1),
        _ => weights().reply(request),
    });
    let cache = cache();
    let started = Instant::now();
    assert_eq!(fetched(&hub(&server, &cache), "weights"), weights().bytes);
    assert!(started.elapsed() >= Duration::from_secs(1));

    let server = Server::new(|_, _| Reply::status(429).header("retry-after", 3600));
    let empty = self::cache();
    let message = refused(&hub(&server, &empty));
    assert!(message.contains("again in 3600 s"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_redirect_elsewhere_goes_without_the_token() {
    let storage = Server::new(|request, count| match count {
        0 => weights().reply(request).cut(20_000),
        _ => weights()
            .reply(request)
            .header("etag", "\"of the storage\""),
    });
    let address = storage.address.clone();
    let server = Server::new(move |request, _| match request.path.as_str() {
        "/me/model/resolve/main/weights" => {
            Reply::status(307).header("location", "/moved/weights?a=b")
        }
        _ => Reply::status(302)
            .header("location", format!("{address}/stored?signature=x"))
            .header("x-repo-commit", A)
            .header("x-linked-etag", "W/\"linked\"")
            .header("x-linked-size", 50_000),
    });
    let cache = cache();
    let hub = hub_as(&server, &cache, Some("hf_secret"));
    assert_eq!(fetched(&hub, "weights"), weights().bytes);
    assert_eq!(blobs(&cache), ["linked"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 6);
    assert_eq!(requests[1].path, "/moved/weights?a=b");
    assert!(
        requests
            .iter()
            .all(|one| one.authorization.as_deref() == Some("Bearer hf_secret"))
    );
    let stored = storage.requests();
    assert_eq!(stored[2].range.as_deref(), Some("bytes=20000-"));
    assert!(stored.iter().all(|one| one.authorization.is_none()));
}

#[test]
fn redirects_and_refusals_of_the_storage_end() {
    let server = Server::new(|_, _| Reply::status(302).header("location", "/again"));
    let cache = cache();
    let message = refused(&hub(&server, &cache));
    assert!(message.contains("redirects"), "{message}");

    let storage = Server::new(|_, _| Reply::status(403));
    let address = storage.address.clone();
    let server = Server::new(move |_, _| Reply::status(302).header("location", &address));
    let message = refused(&hub(&server, &cache));
    assert!(
        message.contains("answered with status 403") && !message.contains("log in"),
        "{message}"
    );
}

#[test]
fn what_is_no_hub_is_told() {
    let server = Server::new(|_, _| Reply::status(200).body(b"<html>log in to the network"));
    let cache = cache();
    let message = refused(&hub(&server, &cache));
    assert!(message.contains("HF_ENDPOINT"), "{message}");
    let server = Server::new(|request, _| {
        let reply = weights().reply(request);
        reply.header("x-repo-commit", "../../../elsewhere")
    });
    let message = refused(&hub(&server, &cache));
    assert!(message.contains("X-Repo-Commit"), "{message}");
}

#[test]
fn names_do_not_lead_out_of_the_cache() {
    let server = Server::new(|request, _| weights().reply(request));
    let cache = cache();
    for file in ["../weights", "/etc/passwd", "a/../../b", ""] {
        let message = hub(&server, &cache).fetch(file).unwrap_err().to_string();
        assert!(message.contains("not the name of a file"), "{message}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn the_list_is_of_the_commit_that_the_files_come_from() {
    let server = Server::new(|request, count| match count {
        0 => Reply::status(200).body(
            format!(r#"{{"sha": "{A}", "siblings": [{{"rfilename": "a/weights"}}]}}"#).as_bytes(),
        ),
        _ => weights().reply(request),
    });
    let cache = cache();
    let hub = hub(&server, &cache);
    assert_eq!(hub.list().unwrap(), ["a/weights"]);
    assert_eq!(fetched(&hub, "a/weights"), weights().bytes);
    assert_eq!(
        server.paths(),
        [
            "/api/models/me/model/revision/main".to_owned(),
            format!("/me/model/resolve/{A}/a/weights")
        ]
    );
    assert_eq!(offline(&cache).list().unwrap(), ["a/weights"]);
}

thread_local! {
    /// What this test's download told, and at how many bytes it should stop once it waits.
    static TOLD: RefCell<Vec<(&'static str, u64)>> = const { RefCell::new(Vec::new()) };
    static STOP_AT: RefCell<u64> = const { RefCell::new(u64::MAX) };
}

struct Recorder;

impl DownloadProgress for Recorder {
    fn start(&mut self, total: u64) {
        TOLD.with_borrow_mut(|told| told.push(("start", total)));
    }

    fn advance(&mut self, bytes: u64) -> Result<()> {
        let arrived = TOLD.with_borrow_mut(|told| {
            told.push(("advance", bytes));
            sum(told)
        });
        match bytes == 0 && arrived >= STOP_AT.with_borrow(|stop| *stop) {
            true => Err(Error::new("interrupted")),
            false => Ok(()),
        }
    }

    fn end(&mut self) {
        TOLD.with_borrow_mut(|told| told.push(("end", 0)));
    }
}

/// The bytes that were told.
fn sum(told: &[(&str, u64)]) -> u64 {
    let advances = told.iter().filter(|(what, _)| *what == "advance");
    advances.map(|(_, bytes)| bytes).sum()
}

fn recorded(server: &Server, cache: &TempDir, timeout: Duration) -> Hub {
    let mut settings = Settings::for_test(&server.address, cache.path(), None);
    settings.timeout = timeout;
    TOLD.take();
    Hub::with_settings("me/model", settings, Some(|_| Box::new(Recorder)))
}

#[test]
fn progress_is_told_and_begins_again_after_a_cut() {
    let server = Server::new(|request, count| match count {
        0 => weights().reply(request).cut(20_000),
        _ => weights().reply(request),
    });
    let cache = cache();
    let hub = recorded(&server, &cache, Duration::from_secs(5));
    fetched(&hub, "weights");
    let told = TOLD.take();
    let starts: Vec<usize> = (0..told.len())
        .filter(|at| told[*at] == ("start", 50_000))
        .collect();
    assert_eq!(starts.len(), 2, "{told:?}");
    assert_eq!(sum(&told[starts[0]..starts[1]]), 20_000, "{told:?}");
    assert_eq!(sum(&told[starts[1]..]), 50_000, "{told:?}");
    assert_eq!(told.last(), Some(&("end", 0)));
    // A file in the cache is no download.
    fetched(&hub, "weights");
    assert!(TOLD.take().is_empty());
}

#[test]
fn an_interrupt_stops_and_the_next_download_goes_on() {
    // The server falls silent for longer than the test may take.
    let server = Server::new(|request, count| match count {
        0 => weights().reply(request).stall(20_000),
        _ => weights().reply(request),
    });
    let cache = cache();
    let hub = recorded(&server, &cache, Duration::from_secs(60));
    STOP_AT.set(20_000);
    let started = Instant::now();
    let message = hub.fetch("weights").unwrap_err().to_string();
    assert_eq!(message, "interrupted");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(blobs(&cache), ["etag1.50000.ferrolens-part"]);
    STOP_AT.set(u64::MAX);
    assert_eq!(fetched(&hub, "weights"), weights().bytes);
    assert_eq!(server.ranges()[2].as_deref(), Some("bytes=20000-"));
    assert_eq!(blobs(&cache), ["etag1"]);
}

#[test]
fn a_complete_part_needs_no_more_bytes() {
    let server = Server::new(|request, _| weights().reply(request));
    let cache = cache();
    let folder = cache.path().join("models--me--model/blobs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("etag1.50000.ferrolens-part"), weights().bytes).unwrap();
    assert_eq!(fetched(&hub(&server, &cache), "weights"), weights().bytes);
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn loads_at_the_same_time_share_the_work() {
    let server = Server::new(|request, _| weights().reply(request));
    let cache = cache();
    std::thread::scope(|scope| {
        let load = || {
            let hub = hub(&server, &cache);
            fetched(&hub, "weights")
        };
        let loads: Vec<_> = (0..6).map(|_| scope.spawn(load)).collect();
        for load in loads {
            assert_eq!(load.join().unwrap(), weights().bytes);
        }
    });
    assert_eq!(blobs(&cache), ["etag1"]);
}

#[test]
fn a_lock_of_another_process_is_waited_for() {
    let server = Server::new(|request, _| weights().reply(request));
    let cache = cache();
    let locks = cache.path().join(".locks/models--me--model");
    std::fs::create_dir_all(&locks).unwrap();
    // A file opened twice is locked as by two processes.
    let other = std::fs::File::create(locks.join("etag1.lock")).unwrap();
    other.lock().unwrap();
    let mut settings = Settings::for_test(&server.address, cache.path(), None);
    settings.lock_wait = Duration::from_millis(200);
    let message = refused(&Hub::with_settings("me/model", settings, None));
    assert!(message.contains("another process"), "{message}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| fetched(&hub(&server, &cache), "weights"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(blobs(&cache).is_empty());
        other.unlock().unwrap();
        assert_eq!(waiting.join().unwrap(), weights().bytes);
    });
}

#[test]
fn a_disk_that_takes_nothing_is_told() {
    let server = Server::new(|request, _| weights().reply(request));
    let folder = cache();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let settings = Settings::for_test(&server.address, &file, None);
    let message = refused(&Hub::with_settings("me/model", settings, None));
    assert!(message.contains("HF_HOME"), "{message}");
    assert_eq!(server.requests().len(), 1);

    let hub = hub(&server, &folder);
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let message = Trouble::from(full).tell(&hub.subject("weights"), 1);
    let message = message.to_string();
    assert!(message.contains("no space left"), "{message}");
}

#[test]
fn a_name_that_nobody_knows_is_no_network() {
    let lookup = "failed to lookup address information: Name or service not known";
    let trouble = Trouble::from(ureq::Error::Io(std::io::Error::other(lookup)));
    assert!(matches!(trouble, Trouble::Unreachable(_)), "{trouble:?}");
    assert!(!trouble.may_pass(false));
}
