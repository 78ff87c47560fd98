//! MinIO: an object store.

use std::path::Path;
use std::process::Command;

use super::kept::installed;
use super::{ACCESS_KEY, SECRET_KEY};

/// How it is started. One drive is enough.
pub fn command(folder: &Path, port: u16, certificates: Option<&Path>) -> Command {
    let mut command = Command::new(installed("minio"));
    command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
    command.env("MINIO_UPDATE", "off").env("MINIO_BROWSER", "off").env("MINIO_CI_CD", "1");
    command.args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")]);
    if let Some(folder) = certificates {
        command.arg("--certs-dir").arg(folder);
    }
    command.arg(folder.join("data"));
    command
}
