//! The `windlass` program: hands over to the library.

use std::process::ExitCode;

/// A plan is a hundred thousand small things: the system's allocator takes a third of the time that they cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    windlass::cli::main()
}
