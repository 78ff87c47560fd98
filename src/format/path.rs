//! A path inside a snapshot, which cannot leave the folder it is put into.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::FormatError;
use super::escape::{escape, unescape};

/// Longest name of one component in bytes (`NAME_MAX` of Linux).
pub const COMPONENT_MAX: usize = 255;

/// A relative path as bytes, parts separated by `/`; the root of the snapshot is empty.
///
/// It holds no empty part, no `.` or `..`, no NUL and is not absolute.
/// Order: byte by byte with `/` before every other byte, which is the order of a depth-first walk with sorted names.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// The root of the snapshot.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path from bytes.
    ///
    /// # Errors
    /// [`FormatError::Path`] for what could leave the target or is not in its one spelling.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, FormatError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        let refused = |why| Err(FormatError::Path { path: escape(&bytes).chars().take(300).collect(), why });
        if bytes[0] == b'/' {
            return refused("it is absolute");
        }
        for part in bytes.split(|byte| *byte == b'/') {
            match part {
                b"" => return refused("it has an empty part"),
                b"." | b".." => return refused("it has a `.` or `..` part"),
                _ if part.contains(&0) => return refused("it has a NUL byte"),
                _ if part.len() > COMPONENT_MAX => {
                    return refused("a part is longer than 255 bytes");
                }
                _ => {}
            }
        }
        Ok(Self(bytes))
    }

    /// A path from its text form (see [`super::escape`]).
    ///
    /// # Errors
    /// As [`RelPath::new`], and for a malformed escape.
    pub fn from_escaped(text: &str) -> Result<Self, FormatError> {
        Self::new(unescape(text)?)
    }

    /// The text form.
    pub fn to_escaped(&self) -> String {
        escape(&self.0)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root of the snapshot.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts, outermost first; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// The last part; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The path without its last part; `None` for the root.
    pub fn parent(&self) -> Option<RelPath> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// This path with one more part.
    ///
    /// # Errors
    /// As [`RelPath::new`] when `name` is not a single part.
    pub fn join(&self, name: &[u8]) -> Result<Self, FormatError> {
        if name.contains(&b'/') {
            return Err(FormatError::Path { path: escape(name), why: "a name holds a slash" });
        }
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self::new(bytes)
    }

    /// Whether this path is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &RelPath) -> bool {
        ancestor.is_root() || self.0.strip_prefix(ancestor.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// Bytes that compare as paths do: `/` is replaced by NUL, which no path holds.
    pub fn sort_key(&self) -> Vec<u8> {
        self.0.iter().map(|byte| rank(*byte)).collect()
    }
}

/// `/` becomes the lowest byte; NUL is free because no path holds it.
fn rank(byte: u8) -> u8 {
    if byte == b'/' { 0 } else { byte }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let common = self.0.iter().zip(&other.0).position(|(a, b)| a != b);
        match common {
            Some(at) => rank(self.0[at]).cmp(&rank(other.0[at])),
            None => self.0.len().cmp(&other.0.len()),
        }
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.is_root() { ".".to_owned() } else { self.to_escaped() })
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_escaped())
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::from_escaped(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RelPath {
        RelPath::from_escaped(text).unwrap()
    }

    #[test]
    fn paths_that_could_escape_are_refused() {
        for text in ["/", "/etc", "..", "a/../b", "a//b", "a/", "./a", "a/.", "a%00b"] {
            assert!(RelPath::from_escaped(text).is_err(), "{text}");
        }
        assert!(RelPath::new(vec![b'x'; 256]).is_err());
        assert!(path("a").join(b"b/c").is_err() && path("a").join(b"..").is_err());
    }

    #[test]
    fn order_is_that_of_a_depth_first_walk() {
        let mut paths = ["a-b", "a", "a/z", "a.b/c", "a/b/c", "", "a.b", "a/b"].map(path);
        paths.sort();
        assert_eq!(paths.map(|p| p.to_escaped()), ["", "a", "a/b", "a/b/c", "a/z", "a-b", "a.b", "a.b/c"]);
    }

    #[test]
    fn within_respects_part_boundaries() {
        assert!(path("a/b").is_within(&path("a")) && path("a").is_within(&RelPath::root()));
        assert!(!path("ab").is_within(&path("a")) && !path("a").is_within(&path("a/b")));
    }

    proptest! {
        #[test]
        fn sort_key_orders_as_the_path(a in "[a-c/.-]{0,8}", b in "[a-c/.-]{0,8}") {
            if let (Ok(a), Ok(b)) = (RelPath::new(a), RelPath::new(b)) {
                prop_assert_eq!(a.cmp(&b), a.sort_key().cmp(&b.sort_key()));
            }
        }
    }
}
