//! The integration tests: one binary, one module per subject.
#![allow(clippy::disallowed_methods, reason = "tests start servers, and wait for them by the real clock")]
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]
#![allow(unreachable_pub, reason = "a test binary has no outside; `pub` says what modules share")]

mod contract;
mod support;
