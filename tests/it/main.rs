//! All tests of the program as a whole: one binary, one module per subject.
#![allow(clippy::disallowed_methods, reason = "tests start servers, and wait for them by the real clock")]
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]
#![allow(clippy::print_stdout, reason = "seeds and counts are printed, and seen when a test fails")]
#![allow(unreachable_pub, reason = "the modules of a test binary are not a library")]

mod asked;
mod azure;
mod broken_copy;
mod by_hand;
mod cli;
mod contract;
mod copies;
mod crash;
mod credentials;
mod damage;
mod dry_run;
mod elsewhere;
mod encrypted;
mod fetch;
mod golden;
mod google;
mod heal;
mod heal_encrypted;
mod hostile;
mod house;
mod keeping;
mod key;
mod killed;
mod killed_heal;
mod killed_restore;
mod latest;
mod limits;
mod living;
mod makes;
mod many;
mod memory;
mod model;
mod mysql;
mod mysql_faults;
mod mysql_load;
mod mysql_look;
mod mysql_makes;
mod mysql_restore;
mod mysql_restore_faults;
mod mysql_reuse;
mod overwriting;
mod prune;
mod prune_races;
mod prune_sound;
mod reading;
mod records;
mod restore;
mod roles;
mod round_trip;
mod secrets;
mod set_up;
mod ship;
mod silent;
mod stats;
mod stopped;
mod support;
mod telling;
mod together;
mod verify;
mod versions;
