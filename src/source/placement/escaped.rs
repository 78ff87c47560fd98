//! Paths of this machine in JSON, whatever their bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

use crate::format::escape::{escape, unescape};

pub(in crate::source) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&escape(path.as_os_str().as_bytes()))
}

pub(in crate::source) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let bytes = unescape(&String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    Ok(PathBuf::from(OsStr::from_bytes(&bytes)))
}
