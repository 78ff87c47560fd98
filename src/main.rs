//! The command line of Windlass.

use std::process::ExitCode;

/// Keeps memory flat however many files there are, whichever thread frees what another has allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    windlass::cli::main(std::env::args_os())
}
