//! The agent: the process that a node runs from boot to retirement, so that nothing is left for a person to remember.
//!
//! It calls the verbs of [`crate::ops`] and does nothing that they do not. [`schedule`] is a pure function from a wall clock to the runs that
//! are due, [`served`] remembers which of them were made, a [`job`] is what is due of one source, and [`run`](run::run) is the loop: it sleeps in
//! short slices, looks at the clock anew after each, and makes one run after the other, so that no two of them overlap. Between runs, `rolling`
//! has what is stored read again, a little each day, and damage mended. Between two things that it does it takes up a changed configuration, and
//! says through its [`host`] what goes on; [`notices`] tell over the network how runs go.
//! What it does stands on a [`board`], which [`http`] shows to whoever asks; [`health`] says when nothing moves any more.

mod backoff;
pub mod board;
pub mod health;
pub mod host;
pub mod http;
pub mod job;
pub mod next_run;
pub mod notices;
pub mod pattern;
mod rolling;
pub mod run;
pub mod schedule;
pub mod served;

pub use self::host::Host;
pub use self::run::{Settings, run};
