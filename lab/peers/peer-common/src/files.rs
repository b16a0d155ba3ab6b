//! HTTP/0.9's requests, and where files come from and go.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Longest request line.
pub const REQUEST: usize = 4096;

/// The parts of `https://HOST[:PORT]/PATH`.
#[derive(Clone, Copy, Debug)]
pub struct Url<'a> {
    pub authority: (&'a str, u16),
    pub host: &'a str,
    pub path: &'a str,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        let rest = url.strip_prefix("https://").with_context(|| format!("not an https URL: {url}"))?;
        let (authority, path) = rest.split_at(rest.find('/').context("a URL without a path")?);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().context("port")?),
            _ => (authority, 443),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self { authority: (host, port), host, path })
    }

    /// What asks for it.
    pub fn request(&self) -> String {
        format!("GET {}\r\n", self.path)
    }

    /// Where it goes below a folder.
    ///
    /// # Errors
    /// The URL has no file name.
    pub fn target(&self, downloads: &Path) -> Result<PathBuf> {
        let name = Path::new(self.path).file_name().context("a URL without a file name")?;
        Ok(downloads.join(name))
    }
}

/// Writes what came.
///
/// # Errors
/// Nothing can be written there.
pub fn save(target: &Path, contents: &[u8]) -> Result<()> {
    std::fs::write(target, contents).with_context(|| target.display().to_string())
}

/// All URLs, of which there is at least one, and all are of one server.
///
/// # Errors
/// They are not.
pub fn one_server(urls: &[String]) -> Result<Vec<Url<'_>>> {
    let urls = urls.iter().map(|url| Url::parse(url)).collect::<Result<Vec<_>>>()?;
    let server = urls.first().context("no URL")?;
    ensure!(urls.iter().all(|url| url.authority == server.authority), "URLs of several servers");
    Ok(urls)
}

/// The bytes asked for, if they lie below `www`.
///
/// # Errors
/// It is no request, or one for what is not there.
pub fn file(request: &[u8], www: &Path) -> Result<Vec<u8>> {
    let line = std::str::from_utf8(request).context("request is not UTF-8")?;
    let Some(name) = line.strip_prefix("GET /").map(str::trim_end) else { bail!("not a request: {line:?}") };
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        bail!("not a file name: {name:?}");
    }
    std::fs::read(www.join(name)).with_context(|| format!("reading {name}"))
}
