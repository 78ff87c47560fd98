//! What the tests share.

pub mod authority;
pub mod between;
pub mod bucket;
pub mod clocked;
pub mod cloud;
pub mod dying;
pub mod flipping;
pub mod forge;
pub mod forward;
pub mod gcs;
pub mod http;
pub mod images;
pub mod kill;
pub mod listing;
pub mod node;
pub mod odd;
pub mod program;
pub mod recorder;
pub mod restored;
pub mod sectors;
pub mod servers;
pub mod session;
pub mod stepped;
#[allow(dead_code, reason = "which faults are used changes with the tests")]
pub mod store;
pub mod tree;
pub mod watched;
pub mod whole;
pub mod world;

use std::sync::Arc;

use windlass::repository::Tools;
use windlass::sys::clock::SystemClock;
use windlass::sys::stop::Stop;

// `store` is shared with the unit tests and finds it here.
use windlass::repository::Refusal;

/// The tools of a running program.
pub fn tools() -> Tools {
    node::tools(Arc::new(SystemClock::new()), Stop::new())
}
