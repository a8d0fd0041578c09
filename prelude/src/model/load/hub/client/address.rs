//! Which server an address means, and where a redirect leads.

use super::super::trouble::Trouble;
use ureq::http::Uri;

/// Whether two addresses are of one server: the same scheme, host and port.
pub(super) fn is_same_server(left: &str, right: &str) -> bool {
    server(left).is_some_and(|left| server(right).is_some_and(|right| left == right))
}

fn server(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let host = uri.host()?.to_ascii_lowercase();
    let default = if scheme == "http" { 80 } else { 443 };
    let port = uri.port_u16().unwrap_or(default);
    Some((scheme, host, port))
}

/// The address that a redirect from another means.
///
/// # Errors
/// It leads from a secure connection to one that is not.
pub(super) fn follow(from: &str, location: &str) -> Result<String, Trouble> {
    let scheme_end = from.find("://").map_or(0, |colon| colon + 1);
    let (scheme, rest) = from.split_at(scheme_end);
    let path_start = rest.get(2..).and_then(|rest| rest.find('/'));
    let server = rest
        .split_at(path_start.map_or(rest.len(), |start| start + 2))
        .0;
    let is_absolute = location.starts_with("https://") || location.starts_with("http://");
    let url = if is_absolute {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}{location}")
    } else if location.starts_with('/') {
        format!("{scheme}{server}{location}")
    } else {
        let path = from.split(['?', '#']).next().unwrap_or(from);
        let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
        format!("{folder}/{location}")
    };
    if from.starts_with("https://") && !url.starts_with("https://") {
        return Err(Trouble::Insecure(format!("it redirects to {url}")));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart_by_scheme_host_and_port() {
        let hub = "https://huggingface.co";
        assert!(is_same_server("https://HuggingFace.co:443/a/b", hub));
        assert!(!is_same_server("https://huggingface.co.evil.org/a", hub));
        assert!(!is_same_server("https://huggingface.co@evil.org/a", hub));
        assert!(!is_same_server("http://huggingface.co/a", hub));
        assert!(!is_same_server(
            "http://127.0.0.1:2/a",
            "http://127.0.0.1:1"
        ));
    }

    #[test]
    fn redirects_may_be_relative() {
        let from = "https://hub.co/a/resolve/main/b?c=/d";
        let follow = |location: &str| follow(from, location).ok();
        assert_eq!(follow("/x?y").unwrap(), "https://hub.co/x?y");
        assert_eq!(follow("//cdn.co/x").unwrap(), "https://cdn.co/x");
        assert_eq!(follow("https://cdn.co/x").unwrap(), "https://cdn.co/x");
        assert_eq!(follow("x").unwrap(), "https://hub.co/a/resolve/main/x");
        assert_eq!(follow("http://cdn.co/x"), None);
    }
}
