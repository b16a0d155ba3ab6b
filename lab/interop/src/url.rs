//! The few URLs the runner hands to clients: `https://HOST[:PORT]/PATH`.

use anyhow::{Context, Result, ensure};

/// A file on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Name or address, without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// With its leading slash.
    pub path: String,
}

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// It is none of this form; the message quotes it.
    pub fn parse(text: &str) -> Result<Self> {
        let rest = text.strip_prefix("https://").with_context(|| format!("{text}: not an https:// URL"))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']').with_context(|| format!("{text}: `[` without `]`"))?;
                (host, after.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        ensure!(!host.is_empty(), "{text}: no host");
        let port = port.unwrap_or("443").parse().with_context(|| format!("{text}: bad port"))?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { host: host.into(), port, path: path.into() })
    }

    /// The last part of the path, under which the file is kept.
    ///
    /// # Errors
    /// There is none.
    pub fn file_name(&self) -> Result<&str> {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        ensure!(!matches!(name, "" | "." | ".."), "{}: no file name to keep it under", self.path);
        Ok(name)
    }
}

#[cfg(test)]
mod tests;
