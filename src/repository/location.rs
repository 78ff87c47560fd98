//! What a repository's URL and endpoint say.

use std::path::PathBuf;

use object_store::path::Path;

use super::Error;
use crate::format::escape::unescape;

/// Where a URL points to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A prefix in a bucket.
    S3 { bucket: String, prefix: Path },
    /// A folder.
    Folder(PathBuf),
    /// Nowhere but in this process.
    Memory,
}

impl Location {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// [`Error::Settings`], which shows the URL only after it is known to hold no password.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let refused = |why: &str| Err(Error::Settings(format!("repository url `{url}`: {why}")));
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(Error::Settings("the repository url must be s3://bucket/prefix or file:///folder".into()));
        };
        let host = rest.split('/').next().unwrap_or_default();
        match scheme {
            // The URL is not shown: what stands before the @ may be a secret.
            "s3" if host.contains('@') => Err(Error::Settings(
                "the repository url must not hold a user or a key: use access_key_id and secret_access_key_file".into(),
            )),
            "s3" if rest.contains(['?', '#']) => refused("it must be s3://bucket/prefix, without ? and #"),
            "s3" if host.is_empty() => refused("it names no bucket"),
            "s3" => match Path::parse(&rest[host.len()..]) {
                Ok(prefix) => Ok(Self::S3 { bucket: host.to_owned(), prefix }),
                Err(_) => refused("its prefix has an empty part, `.`, `..` or a character that keys cannot have"),
            },
            "file" if !rest.starts_with('/') => refused("a folder is written file:///absolute/path"),
            "file" => match unescape(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(path) => Ok(Self::Folder(path.into())),
                None => refused("`%` must be followed by two hexadecimal digits, and the path must be UTF-8"),
            },
            "memory" => Ok(Self::Memory),
            "gs" | "az" | "azure" | "abfs" | "abfss" => {
                Err(Error::Settings(format!("{scheme}:// repositories are not supported by this version: use s3:// or file://")))
            }
            _ => Err(Error::Settings(format!("{scheme}:// is not a repository url: use s3://bucket/prefix or file:///folder"))),
        }
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
    if !matches!(scheme, "http" | "https") || rest.trim_end_matches('/').is_empty() || rest.contains(['?', '#']) {
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

    #[test]
    fn urls_are_taken_apart() {
        let prefix = Path::parse("clear/water").unwrap();
        assert_eq!(Location::parse("s3://backups/clear/water/").unwrap(), Location::S3 { bucket: "backups".into(), prefix });
        assert_eq!(Location::parse("s3://backups").unwrap(), Location::S3 { bucket: "backups".into(), prefix: Path::default() });
        assert_eq!(Location::parse("file:///srv/back%20ups").unwrap(), Location::Folder("/srv/back ups".into()));
        assert_eq!(Location::parse("memory://").unwrap(), Location::Memory);
    }

    #[test]
    fn what_is_no_repository_url_is_refused_with_help() {
        assert!(refusal("gs://bucket").contains("gs:// repositories are not supported"));
        assert!(refusal("az://c").contains("use s3://"));
        assert!(refusal("/srv/backups").contains("file:///folder"));
        assert!(refusal("file://srv/backups").contains("file:///absolute/path"));
        assert!(refusal("s3:///x").contains("names no bucket"));
        assert!(refusal("s3://b/x/../y").contains(".."));
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_shown() {
        assert!(!refusal("s3://KEY:hunter2@bucket/x").contains("hunter2"));
        assert!(!endpoint("https://me:hunter2@host", true).unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn an_endpoint_without_tls_needs_to_be_allowed() {
        assert!(endpoint("http://h:1", false).unwrap_err().to_string().contains("allow_http"));
        assert_eq!(endpoint("http://h:1/", true).unwrap(), "http://h:1");
        assert!(endpoint("h:1", true).is_err());
        assert_eq!(virtual_host("https://h:1", "b"), "https://b.h:1");
    }
}
