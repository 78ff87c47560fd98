//! The room in a server's data directory, when that is on this machine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::source::mysql::settings::Address;
use crate::sys::machine::host_name;
use crate::sys::space::{Space, SystemSpace};

/// What a server of either flavour keeps in its data directory.
const DATA: [&str; 2] = ["ibdata1", "aria_log_control"];

/// Where a server says that it lies.
pub(super) struct Place {
    /// The name of its machine.
    pub(super) host: String,
    /// Its data directory.
    pub(super) data: String,
    /// The file with the number of its process.
    pub(super) pid_file: String,
    /// Its socket.
    pub(super) socket: String,
}

/// Bytes that can still be written in the data directory; `None` when it is elsewhere, or nobody can tell.
pub(super) fn free(address: &Address, place: &Place) -> Option<u64> {
    // What is reached at this machine's own address may still be in a container or at the other end of a tunnel, where the same path is
    // another folder: so the machine must have the same name, and something of the server must lie where it says.
    let data = Path::new(&place.data);
    let is_here = is_local(address) && place.host == host_name() && data.is_absolute() && data.is_dir() && has_trace(place);
    is_here.then(|| SystemSpace.room(data).ok()).flatten().map(|room| room.free)
}

fn is_local(address: &Address) -> bool {
    match address {
        Address::Socket(_) => true,
        Address::Tcp { host, .. } => host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// Whether something of the running server is where it says. The data directory itself is closed to most users.
fn has_trace(place: &Place) -> bool {
    let data = Path::new(&place.data);
    // Paths that are not absolute begin there.
    let running = [&place.pid_file, &place.socket].into_iter().filter(|path| !path.is_empty()).map(|path| data.join(path));
    let mut traces = running.chain(DATA.iter().map(|name| data.join(name)));
    traces.any(|path: PathBuf| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(data: &Path) -> Place {
        let data = data.to_string_lossy().into_owned();
        Place { host: host_name(), data, pid_file: "pid".into(), socket: String::new() }
    }

    #[test]
    fn room_is_told_of_a_folder_that_is_this_servers_alone() {
        let folder = tempfile::tempdir().unwrap();
        let socket = Address::Socket("/s".into());
        assert_eq!(free(&socket, &place(folder.path())), None);
        std::fs::write(folder.path().join("pid"), "1").unwrap();
        assert!(free(&socket, &place(folder.path())).is_some());
        let tcp = |host: &str| Address::Tcp { host: host.into(), port: 1 };
        assert!(free(&tcp("127.0.0.2"), &place(folder.path())).is_some() && free(&tcp("::1"), &place(folder.path())).is_some());
        assert_eq!(free(&tcp("10.0.0.1"), &place(folder.path())), None);
        assert_eq!(free(&socket, &Place { host: "container".into(), ..place(folder.path()) }), None);
        assert_eq!(free(&socket, &place(&folder.path().join("gone"))), None);
    }
}
