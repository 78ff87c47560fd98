//! versitygw: a gateway to a folder.

use std::path::Path;
use std::process::Command;

use super::kept::installed;
use super::{ACCESS_KEY, REGION, SECRET_KEY};

/// How it is started. Versions of objects are kept where a bucket asks for it.
pub fn command(folder: &Path, port: u16, certificates: Option<&Path>) -> Command {
    let (data, versions) = (folder.join("data"), folder.join("versions"));
    for folder in [&data, &versions] {
        std::fs::create_dir(folder).unwrap();
    }
    let mut command = Command::new(installed("versitygw"));
    command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
    command.args(["--port", &format!("127.0.0.1:{port}"), "--region", REGION, "--keep-alive", "--quiet"]);
    if let Some(folder) = certificates {
        command.arg("--cert").arg(folder.join("public.crt")).arg("--key").arg(folder.join("private.key"));
    }
    command.arg("posix").arg("--versioning-dir").arg(versions).arg(data);
    command
}
