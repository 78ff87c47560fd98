//! The command line of Windlass.

fn main() {}
