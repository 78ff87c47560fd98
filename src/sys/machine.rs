//! What this machine says of itself: its name and its cores.

use std::num::NonZero;
use std::thread::available_parallelism;

/// The host name, as the kernel has it. What is not UTF-8 in it is replaced, so it then fits no node name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// How many threads can run at once here, cgroup limits counted; 1 when the system does not say.
pub fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}
/// The number of this process.
pub fn process() -> u32 {
    std::process::id()
}

/// Whether there is a process of this number.
pub fn is_running(process: u32) -> bool {
    std::path::Path::new("/proc").join(process.to_string()).exists()
}
