//! An address on the network that may be a secret.

use std::fmt;

use reqwest::Url;

/// An address that may be a secret; printing it in any way shows its host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// What to write instead; nothing of what was written is shown.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        url.map(Self).ok_or("this must be an address that begins with https:// (or http://)")
    }

    /// The address with one more part of its path.
    pub(super) fn below(&self, part: &str) -> Self {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("an address of the web has a path").pop_if_empty().push(part);
        Self(url)
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_host_is_ever_printed_and_a_part_goes_before_the_question() {
        let address = Address::read("https://user:pass@hc.example:8443/ping/secret/?rid=1").unwrap();
        assert_eq!(format!("{address} {address:?}"), "hc.example:8443 hc.example:8443");
        assert_eq!(address.below("start").url().as_str(), "https://user:pass@hc.example:8443/ping/secret/start?rid=1");
        assert_eq!(Address::read("http://h").unwrap().below("fail").url().as_str(), "http://h/fail");
        for text in ["", "hc.example/x", "file:///x", "https://", "hunter2", "mailto:a@b"] {
            assert!(!Address::read(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }
}
