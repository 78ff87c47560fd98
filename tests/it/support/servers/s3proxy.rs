//! s3proxy: a gateway to a folder, a Java program.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::kept::installed;
use super::{ACCESS_KEY, SECRET_KEY};

/// What protects the key store, which holds nothing but a key of this run.
const PASSWORD: &str = "of-this-run";

/// Largest body that it takes whole, as it does with every signed one: more than the largest object has.
const BODY_MAX: usize = 32 << 20;

/// How it is started: it serves plain HTTP on the first port and TLS on the second.
pub fn command(folder: &Path, ports: [u16; 2]) -> Command {
    let (data, store, settings) = (folder.join("data"), folder.join("certificates/keys.p12"), folder.join("settings"));
    fs::create_dir(&data).unwrap();
    let (certificate, key) = (folder.join("certificates/public.crt"), folder.join("certificates/private.key"));
    let mut openssl = Command::new("openssl");
    openssl.args(["pkcs12", "-export", "-name", "server", "-passout", &format!("pass:{PASSWORD}")]);
    let made = openssl.arg("-in").arg(certificate).arg("-inkey").arg(key).arg("-out").arg(&store).output();
    let made = made.unwrap_or_else(|error| panic!("openssl cannot be started, see the packages in tests/run: {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let lines = [
        format!("s3proxy.endpoint=http://127.0.0.1:{}", ports[0]),
        format!("s3proxy.secure-endpoint=https://127.0.0.1:{}", ports[1]),
        format!("s3proxy.keystore-path={}", store.display()),
        format!("s3proxy.keystore-password={PASSWORD}"),
        "s3proxy.authorization=aws-v2-or-v4".into(),
        format!("s3proxy.identity={ACCESS_KEY}"),
        format!("s3proxy.credential={SECRET_KEY}"),
        format!("s3proxy.v4-max-non-chunked-request-size={BODY_MAX}"),
        "jclouds.provider=filesystem-nio2".into(),
        format!("jclouds.filesystem.basedir={}", data.display()),
        "jclouds.identity=none".into(),
        "jclouds.credential=none".into(),
    ];
    fs::write(&settings, lines.join("\n")).unwrap();
    // It runs for a minute, so what makes a start quick counts for more than what makes a long run fast.
    let mut command = Command::new("java");
    command.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar"]).arg(installed("s3proxy.jar"));
    command.arg("--properties").arg(settings);
    command
}
