//! The command line of Windlass.

use std::process::ExitCode;

/// Gives freed memory back to the system, whichever thread frees it, so that `limits.memory` holds.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    windlass::cli::main(std::env::args_os())
}
