//! radosgw, Ceph's S3 service, with a cluster of one below it: the script `tests/servers/radosgw`, and Debian's packages.

use std::path::Path;
use std::process::Command;

use super::kept::free_port;
use super::{ACCESS_KEY, SECRET_KEY};

/// What the tests say of radosgw is true of this major version, Debian 12's.
const VERSION: &str = "ceph version 16.";

/// How it is started: it serves plain HTTP on the first port and TLS on the second.
///
/// # Panics
/// When it is not installed, or is another version than the one that the tests know.
pub fn command(folder: &Path, ports: [u16; 2]) -> Command {
    let asked = Command::new("radosgw").arg("--version").output();
    let asked = asked.unwrap_or_else(|error| panic!("radosgw cannot be started, see the packages in tests/run: {error}"));
    let version = String::from_utf8_lossy(&asked.stdout);
    assert!(version.starts_with(VERSION), "the tests know what {VERSION}x does, and this is {version}");
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/radosgw"));
    command.arg(folder);
    command.args([ports[0], ports[1], free_port()].map(|port| port.to_string()));
    command.env("ACCESS_KEY", ACCESS_KEY).env("SECRET_KEY", SECRET_KEY);
    command
}
