//! One nodetool for all calls of this process, for each version: `tests/servers/cassandra/Tools.java`.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use super::spec::Version;
use crate::support::servers::kept::Kept;

static RUNNING: [OnceLock<Kept>; 2] = [const { OnceLock::new() }; 2];

/// Where it listens.
///
/// # Panics
/// When it does not start.
pub(super) fn port(version: Version) -> u16 {
    let tools = RUNNING[version as usize].get_or_init(|| {
        Kept::start("nodetool", &[0], &|folder, ports| {
            fs::create_dir(folder.join("conf")).unwrap();
            fs::create_dir(folder.join("tmp")).unwrap();
            fs::write(folder.join("conf/logback-tools.xml"), include_str!("../../../../servers/cassandra/logback-tools.xml")).unwrap();
            let mut jars = version.jars();
            jars.push(version.folder().join("tools").display().to_string());
            fs::write(folder.join("options"), version.nodetool_options(folder, &jars)).unwrap();
            let mut java = Command::new("java");
            // A security manager is how an exit is kept from ending it. Connections to servers that have been stopped are not kept.
            java.args(["-Djava.security.manager=allow", "-Dsun.rmi.transport.connectionTimeout=100"]);
            java.arg(format!("@{}", folder.join("options").display())).args(["Tools", &ports[0].to_string()]);
            java
        })
    });
    tools.ports[0]
}
