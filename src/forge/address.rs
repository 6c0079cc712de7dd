//! The address of an API: https, or http to this machine; a repository and a number that cannot lead elsewhere.

use reqwest::Url;

use super::ForgeError;
use crate::tls::is_near;

/// Where a pull request is.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// The API, without a slash at its end.
    pub(super) api: Url,
    /// The repository as it was given.
    pub(super) repository: String,
    /// The number of the request.
    pub(super) number: u64,
}

impl Address {
    /// Checks it.
    pub(super) fn new(api: &str, repository: &str, number: u64) -> Result<Self, ForgeError> {
        let help = "give the address of the API with --api, like https://forge.example.org/api/v1";
        let url = Url::parse(api).map_err(|error| ForgeError::new(format!("`{api}` is no address: {error}"), help))?;
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let safe = match url.scheme() {
            "https" => !host.is_empty(),
            "http" => is_near(&host),
            _ => false,
        };
        if !safe {
            return Err(ForgeError::new(
                format!("`{api}` would carry the token unprotected: only https is used, and http to this machine"),
                help,
            ));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(ForgeError::new("the address of the API holds a user, a query or a fragment".to_owned(), help));
        }
        Ok(Self { api: url, repository: repository.to_owned(), number })
    }

    /// The API's address with these parts, each escaped.
    pub(super) fn at(&self, parts: &[&str]) -> Result<Url, ForgeError> {
        let mut url = self.api.clone();
        {
            let mut path =
                url.path_segments_mut().map_err(|()| ForgeError::new("the address of the API has no path", "correct --api"))?;
            path.pop_if_empty().extend(parts);
        }
        Ok(url)
    }

    /// `owner/name`, taken apart.
    pub(super) fn owner_and_name(&self) -> Result<(String, String), ForgeError> {
        match self.repository.split_once('/') {
            Some((owner, name)) if is_plain(owner) && is_plain(name) => Ok((owner.to_owned(), name.to_owned())),
            _ => Err(ForgeError::new(format!("`{}` is no `owner/name`", self.repository), "give it with --repo owner/name")),
        }
    }

    /// A project of GitLab: its number, or its path through groups.
    pub(super) fn project(&self) -> Result<&str, ForgeError> {
        if self.repository.split('/').all(|part| !part.is_empty() && part != "." && part != "..") {
            return Ok(&self.repository);
        }
        let what = format!("`{}` is no project: a number, or a path like `group/project`", self.repository);
        Err(ForgeError::new(what, "give it with --repo group/project"))
    }
}

/// A part that cannot lead elsewhere.
fn is_plain(part: &str) -> bool {
    !part.is_empty() && part != "." && part != ".." && part.chars().all(|sign| sign.is_alphanumeric() || "-_.".contains(sign))
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_token_goes_over_https_or_stays_on_this_machine() {
        for good in
            ["https://api.github.com", "https://forge.example.org/api/v1/", "http://127.0.0.1:3000/api/v1", "http://[::1]:1/x"]
        {
            assert!(Address::new(good, "o/n", 1).is_ok(), "{good}");
        }
        for bad in [
            "http://forge.example.org",
            "ftp://x",
            "x",
            "https://me:pw@x.org",
            "https://x.org/?a=b",
            "http://127.0.0.1.example.org",
        ] {
            assert!(Address::new(bad, "o/n", 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_are_escaped() {
        let address = Address::new("https://x.org/api/v4/", "group/sub/project", 1).unwrap();
        let url = address.at(&["projects", "group/sub/project", "notes"]).unwrap();
        assert_eq!(url.as_str(), "https://x.org/api/v4/projects/group%2Fsub%2Fproject/notes");
        for bad in ["a", "a/b/c", "../b", "a/..", "a/b?c", ""] {
            assert!(Address::new("https://x.org", bad, 1).unwrap().owner_and_name().is_err(), "{bad}");
        }
    }
}
