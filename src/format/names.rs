//! Names of nodes and sources: what may stand in an object key and a folder name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FormatError;

/// Longest name in bytes, as for a DNS label.
pub const NAME_MAX: usize = 63;

fn check(text: &str) -> Result<(), FormatError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let sound = text.len() <= NAME_MAX && text.as_bytes().first().is_some_and(first) && text.bytes().all(inner);
    if sound { Ok(()) } else { Err(FormatError::Name(text.chars().take(80).collect())) }
}

macro_rules! name {
    ($type:ident, $what:literal) => {
        #[doc = concat!("The name of a ", $what, ": `[a-z0-9][a-z0-9._-]{0,62}`.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = FormatError;
            fn from_str(text: &str) -> Result<Self, FormatError> {
                check(text)?;
                Self::admit(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                super::number::parsed(deserializer, $what)
            }
        }
    };
}

name!(NodeName, "node");
name!(SourceName, "source");

impl NodeName {
    /// No key is the folder of another, and the root has `probe/` and the marker beside the nodes: stores that allow both were seen to list
    /// nothing below a key.
    fn admit(text: &str) -> Result<Self, FormatError> {
        match text {
            "probe" => return Err(FormatError::invalid("a node cannot be called `probe`: the store probe uses that folder")),
            "windlass.json" => {
                return Err(FormatError::invalid("a node cannot be called `windlass.json`: that is the repository's marker"));
            }
            _ => {}
        }
        Ok(Self(text.to_owned()))
    }
}

impl SourceName {
    fn admit(text: &str) -> Result<Self, FormatError> {
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_or_hide_are_refused() {
        let long = "a".repeat(64);
        for text in ["", ".", "..", ".windlass", "-x", "A", "a/b", "a b", "ä", &long] {
            assert!(text.parse::<SourceName>().is_err(), "{text}");
        }
        for text in ["a", "0", "ellis-1.example_x", &long[1..]] {
            assert_eq!(text.parse::<NodeName>().unwrap().as_str(), text);
        }
        assert!("probe".parse::<NodeName>().is_err());
        assert!("windlass.json".parse::<NodeName>().is_err());
        assert!("probe".parse::<SourceName>().is_ok());
    }
}
