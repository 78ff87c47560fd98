//! How numbers and other small values stand in JSON: as strings, because jq and JavaScript round large numbers.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Reads a JSON string and parses it.
pub(crate) fn parsed<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D, what: &str) -> Result<T, D::Error>
where
    T::Err: Display,
{
    let text = Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(|cause| D::Error::custom(format!("{what}: {cause}")))
}

/// Writes a number as a JSON string; for `#[serde(with = "number")]`.
pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads a number from a JSON string of plain decimal digits; for `#[serde(with = "number")]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error>
where
    T::Err: Display,
{
    let text = Cow::<str>::deserialize(deserializer)?;
    if text.starts_with('+') {
        return Err(D::Error::custom("a number has a plus sign"));
    }
    text.parse().map_err(|cause| D::Error::custom(format!("`{text}` is not a number in a string: {cause}")))
}
