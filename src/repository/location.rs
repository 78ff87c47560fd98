//! What a repository's URL and endpoint say.

use std::path::PathBuf;

use object_store::path::Path;

use super::Error;
use crate::format::escape::unescape;

/// The protocol that a bucket is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// S3, of AWS and of all who speak like it.
    S3,
    /// Blobs of Azure, where a bucket is called a container.
    Az,
    /// Cloud Storage of Google, through its XML API.
    Gs,
}

/// Where a URL points to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A prefix in a bucket.
    Bucket { scheme: Scheme, bucket: String, prefix: Path },
    /// A folder.
    Folder(PathBuf),
    /// Nowhere but in this process.
    Memory,
}

impl Scheme {
    /// As a URL begins with it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Az => "az",
            Self::Gs => "gs",
        }
    }

    /// That of a URL.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (word, _) = url.split_once("://")?;
        [Self::S3, Self::Az, Self::Gs].into_iter().find(|scheme| scheme.word() == word)
    }

    /// How a URL of it is written.
    fn form(self) -> &'static str {
        match self {
            Self::S3 => "s3://bucket/prefix",
            Self::Az => "az://container/prefix",
            Self::Gs => "gs://bucket/prefix",
        }
    }

    /// Where a secret belongs that somebody has put into the URL.
    fn secrets(self) -> &'static str {
        match self {
            Self::S3 => "access_key_id and secret_access_key_file",
            Self::Az => "account and account_key_file",
            Self::Gs => "service_account_file",
        }
    }

    /// Whether a request is signed without its body, so that the MD5 of the body has to go along for the store to compare it with.
    pub(super) fn sends_md5(self) -> bool {
        !matches!(self, Self::S3)
    }

    /// Whether an object with a version means that the bucket keeps what is deleted. On Google every object has a generation.
    pub(super) fn tells_versions(self) -> bool {
        !matches!(self, Self::Gs)
    }
}

impl Location {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// [`Error::Settings`], which shows the URL only after it is known to hold no password.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let refused = |why: &str| Err(Error::Settings(format!("repository url `{url}`: {why}")));
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(Error::Settings(format!("the repository url must be {FORMS}")));
        };
        if let Some(bucket) = Scheme::of(url) {
            return Self::bucket(bucket, url, rest);
        }
        match scheme {
            "file" if !rest.starts_with('/') => refused("a folder is written file:///absolute/path"),
            "file" => match unescape(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(path) => Ok(Self::Folder(path.into())),
                None => refused("`%` must be followed by two hexadecimal digits, and the path must be UTF-8"),
            },
            "memory" => Ok(Self::Memory),
            other => Err(Error::Settings(foreign(other))),
        }
    }

    fn bucket(scheme: Scheme, url: &str, rest: &str) -> Result<Self, Error> {
        let refused = |why: &str| Err(Error::Settings(format!("repository url `{url}`: {why}")));
        let name = rest.split('/').next().unwrap_or_default();
        if name.contains('@') {
            // The URL is not shown: what stands before the @ may be a secret.
            let message = format!("the repository url must not hold a user or a key: use {}", scheme.secrets());
            return Err(Error::Settings(message));
        }
        if rest.contains(['?', '#']) {
            // Nor is it here: a token of Azure that is pasted with a URL stands behind the `?`.
            return Err(Error::Settings(format!("the repository url must be {}, without ? and #", scheme.form())));
        }
        if name.is_empty() {
            return refused("it names no bucket");
        }
        match Path::parse(&rest[name.len()..]) {
            Ok(prefix) => Ok(Self::Bucket { scheme, bucket: name.to_owned(), prefix }),
            Err(_) => refused("its prefix has an empty part, `.`, `..` or a character that keys cannot have"),
        }
    }
}

/// The URLs that there are.
const FORMS: &str = "s3://bucket/prefix, az://container/prefix, gs://bucket/prefix or file:///folder";

/// What to say of a scheme that is not one of ours. Other programs have several names for the same stores.
fn foreign(scheme: &str) -> String {
    match scheme {
        "azure" | "abfs" | "abfss" | "adl" | "wasb" | "wasbs" => {
            format!("{scheme}:// is written az://container/prefix here, beside account")
        }
        "gcs" => "gcs:// is written gs://bucket/prefix here".into(),
        _ => format!("{scheme}:// is not a repository url: use {FORMS}"),
    }
}

/// Checks an endpoint and gives it without a slash at its end.
///
/// # Errors
/// [`Error::Settings`].
pub(super) fn endpoint(text: &str, allow_http: bool) -> Result<String, Error> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    if rest.contains('@') {
        return Err(Error::Settings("the repository's endpoint must not hold a user or a password".into()));
    }
    if rest.contains(['?', '#']) {
        return Err(Error::Settings("the repository's endpoint must be http://host:port or https://host:port, without ? and #".into()));
    }
    if !matches!(scheme, "http" | "https") || rest.trim_end_matches('/').is_empty() {
        return Err(Error::Settings(format!("repository endpoint `{text}` must be http://host:port or https://host:port")));
    }
    if scheme == "http" && !allow_http {
        return Err(Error::Settings(format!(
            "repository endpoint {text} is not encrypted on its way: use https, or set allow_http = true if the network is trusted"
        )));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The endpoint with the bucket as the first part of its host name.
pub(super) fn virtual_host(endpoint: &str, bucket: &str) -> String {
    endpoint.replacen("://", &format!("://{bucket}."), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Location::parse(url).unwrap_err().to_string()
    }

    fn bucket(scheme: Scheme, bucket: &str, prefix: &str) -> Location {
        Location::Bucket { scheme, bucket: bucket.into(), prefix: Path::parse(prefix).unwrap() }
    }

    #[test]
    fn urls_are_taken_apart() {
        assert_eq!(Location::parse("s3://backups/clear/water/").unwrap(), bucket(Scheme::S3, "backups", "clear/water"));
        assert_eq!(Location::parse("s3://backups").unwrap(), bucket(Scheme::S3, "backups", ""));
        assert_eq!(Location::parse("az://backups/a").unwrap(), bucket(Scheme::Az, "backups", "a"));
        assert_eq!(Location::parse("gs://backups.example.com/a").unwrap(), bucket(Scheme::Gs, "backups.example.com", "a"));
        assert_eq!(Location::parse("file:///srv/back%20ups").unwrap(), Location::Folder("/srv/back ups".into()));
        assert_eq!(Location::parse("memory://").unwrap(), Location::Memory);
    }

    #[test]
    fn what_is_no_repository_url_is_refused_with_help() {
        assert!(refusal("abfss://c@account.dfs.core.windows.net/x").contains("az://container/prefix"));
        assert!(refusal("gcs://c").contains("gs://bucket/prefix"));
        assert!(refusal("ftp://c").contains("s3://bucket/prefix, az://"));
        assert!(refusal("/srv/backups").contains("file:///folder"));
        assert!(refusal("file://srv/backups").contains("file:///absolute/path"));
        assert!(refusal("s3:///x").contains("names no bucket") && refusal("gs:///x").contains("names no bucket"));
        assert!(refusal("s3://b/x/../y").contains(".."));
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_shown() {
        for url in ["s3://KEY:hunter2@bucket/x", "az://account:hunter2@c/x", "gs://hunter2@b", "az://c/x?sv=1&sig=hunter2"] {
            assert!(!refusal(url).contains("hunter2"), "{url}");
        }
        assert!(!endpoint("https://me:hunter2@host", true).unwrap_err().to_string().contains("hunter2"));
        assert!(!endpoint("https://host/c?sig=hunter2", true).unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn an_endpoint_without_tls_needs_to_be_allowed() {
        assert!(endpoint("http://h:1", false).unwrap_err().to_string().contains("allow_http"));
        assert_eq!(endpoint("http://h:1/", true).unwrap(), "http://h:1");
        assert!(endpoint("h:1", true).is_err());
        assert_eq!(virtual_host("https://h:1", "b"), "https://b.h:1");
    }
}
