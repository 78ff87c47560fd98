//! To whom packs and file lists are sealed.

use age::x25519;

use super::Error;

/// Most recipients: each takes 65 bytes of a manifest head, which has 4 KiB for everything.
pub const RECIPIENTS_MAX: usize = 12;

/// The public recipients of a repository, each once, in the order of their texts; none = nothing is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    texts: Vec<String>,
}

impl Recipients {
    /// Reads recipients as they are written, `age1…`.
    ///
    /// # Errors
    /// [`Error::Recipient`] saying which are supported; a text that may be a secret is not shown.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut read = texts.into_iter().map(|text| parse(text).map(|recipient| recipient.to_string())).collect::<Result<Vec<_>, _>>()?;
        read.sort_unstable();
        read.dedup();
        if read.len() > RECIPIENTS_MAX {
            return Err(Error::Recipient(format!("{} recipients, at most {RECIPIENTS_MAX} are allowed", read.len())));
        }
        Ok(Self { texts: read })
    }

    /// Whether there is none, so that nothing is sealed.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Their texts, ascending.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The keys that age seals to.
    pub(super) fn keys(&self) -> Vec<x25519::Recipient> {
        self.texts.iter().map(|text| text.parse().expect("it was read from this text")).collect()
    }
}

fn parse(text: &str) -> Result<x25519::Recipient, Error> {
    const SUPPORTED: &str = "supported are X25519 recipients, `age1…`, as `windlass key new` and `age-keygen` print them";
    let text = text.trim();
    let lower = text.to_lowercase();
    let refused = |what: &str| Err(Error::Recipient(format!("{what}; {SUPPORTED}")));
    if lower.starts_with("age-secret-key-") || lower.starts_with("age-plugin-") {
        return refused("this is a secret identity, which must not stand here: a node that seals needs the public recipient alone");
    }
    if lower.starts_with("age1pq1") {
        return refused("post-quantum recipients (age1pq1…) are not supported");
    }
    if lower.starts_with("ssh-") {
        return refused("SSH keys are not supported as recipients");
    }
    // Bech32 has no digit 1 in its data, so a second one ends the name of a plugin.
    if let Some((plugin, _)) = lower.strip_prefix("age1").and_then(|rest| rest.rsplit_once('1')) {
        return refused(&format!("recipients of age plugins (here `{plugin}`) are not supported"));
    }
    match text.parse() {
        Ok(recipient) => Ok(recipient),
        Err(_) if lower.starts_with("age1") => {
            refused("this is no whole recipient: a letter is missing or wrong (its checksum does not match)")
        }
        Err(_) => refused("this is no age recipient"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

    #[test]
    fn recipients_are_a_set() {
        let two = x25519::Identity::generate().to_public().to_string();
        let read = Recipients::read([ONE, two.as_str(), ONE, " age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa\n"]).unwrap();
        assert_eq!(read, Recipients::read([two.as_str(), ONE]).unwrap());
        assert_eq!(read.texts().len(), 2);
        assert_eq!(read.keys().len(), 2);
        let many: Vec<String> = (0..=RECIPIENTS_MAX).map(|_| x25519::Identity::generate().to_public().to_string()).collect();
        assert!(Recipients::read(many.iter().map(String::as_str)).unwrap_err().to_string().contains("at most 12"));
    }

    #[test]
    fn what_is_not_supported_is_told_by_name_and_a_secret_is_not_shown() {
        let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
        let flipped = ONE.replace('7', "8");
        for (text, says) in [
            (secret, "secret identity"),
            ("age1pq1qqqq", "post-quantum"),
            ("age1yubikey1qwerty", "plugins (here `yubikey`)"),
            ("ssh-ed25519 AAAAC3", "SSH keys"),
            (flipped.as_str(), "checksum"),
            ("bob", "no age recipient"),
        ] {
            let error = Recipients::read([text]).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("supported are X25519") && !error.contains("GQ9778"), "{error}");
        }
    }
}
