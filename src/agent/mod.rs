//! The agent: the process that a node runs from boot to retirement, so that nothing is left for a person to remember.
//!
//! It calls the verbs of [`crate::ops`] and does nothing that they do not. [`schedule`] is a pure function from a wall clock to the runs that
//! are due, [`served`] remembers which of them were made, a [`job`] is what is due of one source, and [`run`](run::run) is the loop: it sleeps in
//! short slices, looks at the clock anew after each, and makes one run after the other, so that no two of them overlap. Between two things that it
//! does it takes up a changed configuration, and says through its [`host`] what goes on; [`notices`] tell over the network how runs go.

mod backoff;
pub mod host;
pub mod job;
pub mod notices;
pub mod pattern;
pub mod run;
pub mod schedule;
pub mod served;

pub use self::host::Host;
pub use self::run::{Settings, run};
