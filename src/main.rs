//! The `windlass` program: hands over to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::cli::main()
}
