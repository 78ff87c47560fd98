//! All tests of the program as a whole.

#![expect(unreachable_pub, reason = "the modules of a test binary are not a library")]

mod copies;
mod ship;
mod support;
