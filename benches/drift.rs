//! What looking for drift costs: `cargo bench --profile perf --bench drift [INSTANCES]`.
//!
//! Runs the program itself, on instances that are a folder with two files each: a thousand, ten thousand, and ten thousand of which a
//! hundred are on a host that takes connections and never says a word. Prints time, memory and their ratios; asserts none of them.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a table of times, for people")]

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Instances on the silent host.
const SILENT: usize = 100;

const PROVIDER: &str = r#"provider "thing" {
  version = "1.0.0"
  title   = "A thing"
}
setting "dir" {
  type     = string
  required = true
}
fact "version" {
  file {
    path     = "${self.dir}/version"
    required = false
  }
  value   = result.exists ? trimspace(result.content) : null
  timeout = "2s"
}
fact "config" {
  file {
    path     = "${self.dir}/config"
    required = false
  }
  value   = result.exists ? result.content : null
  drift   = true
  timeout = "2s"
}
release "1.0.0" {}
"#;

/// What one run cost.
struct Cost {
    time: Duration,
    /// Mebibytes at most.
    memory: f64,
}

fn main() {
    let many: usize = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let few = (many / 10).max(1);
    println!("two facts an instance; wall-clock is the best of three\n");
    println!("| what                                        |     time | memory |");
    println!("| ------------------------------------------- | -------: | -----: |");
    let small = measured(&format!("{few} instances"), few, false);
    let large = measured(&format!("{many} instances"), many, false);
    let silent = measured(&format!("{many} instances, {SILENT} on a silent host"), many, true);
    println!();
    let ratio = |of: f64, to: f64| of / to.max(f64::EPSILON);
    println!("ten times the instances, time: {:.1} times", ratio(large.time.as_secs_f64(), small.time.as_secs_f64()));
    println!("ten times the instances, memory: {:.1} times", ratio(large.memory, small.memory));
    println!("an instance, time: {:.0} us", large.time.as_secs_f64() * 1e6 / many as f64);
    println!("the silent host, beyond: {:.1} s", silent.time.as_secs_f64() - large.time.as_secs_f64());
}

/// Makes an estate, applies it (which only takes it into care), changes one configuration, and looks.
fn measured(what: &str, count: usize, is_silent: bool) -> Cost {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    write(&root.join("providers/thing/provider.hcl"), PROVIDER);
    let things = count - if is_silent { SILENT.min(count) } else { 0 };
    for number in 0..things {
        write(&root.join(format!("things/{number}/version")), "1.0.0\n");
        write(&root.join(format!("things/{number}/config")), "port = 1\n");
    }
    let mut main = String::from("environment \"test\" {}\n");
    for host in 0..100 {
        let _ = writeln!(main, "host \"h{host}\" {{}}");
    }
    instances(&mut main, root, "near", things, "\"h${each.value % 100}\"");
    write(&root.join("main.hcl"), &main);
    run(root, &["apply", "--auto-approve"]);
    if is_silent {
        let _ = writeln!(main, "host \"silent\" {{\n  ssh {{\n    address = \"127.0.0.1\"\n    port    = {port}\n  }}\n}}");
        instances(&mut main, root, "far", count - things, "\"silent\"");
        write(&root.join("main.hcl"), &main);
    }
    write(&root.join("things/0/config"), "port = 2\n");
    let tries = if is_silent { 1 } else { 3 };
    let costs = (0..tries).map(|_| run(root, &["drift", "--format", "json"]));
    let cost = costs.min_by_key(|cost| cost.time).expect("at least one");
    println!("| {what:<43} | {:>6.2} s | {:>3.0} MB |", cost.time.as_secs_f64(), cost.memory);
    cost
}

fn instances(main: &mut String, root: &Path, name: &str, count: usize, host: &str) {
    let dir = root.join("things");
    let _ = writeln!(
        main,
        "instance \"thing\" \"{name}\" {{\n  for_each    = {{ for number in range({count}) : tostring(number) => number }}\n  \
         environment = environment.test\n  host        = {host}\n  version     = \"1.0.0\"\n  dir         = \"{}/${{each.key}}\"\n}}",
        dir.display()
    );
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    fs::write(path, content).expect("it can be written");
}

fn run(root: &Path, args: &[&str]) -> Cost {
    // Another build than this one's can be measured.
    let program = std::env::var("BENCH_WINDLASS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_windlass").to_owned());
    let mut command = Command::new(program);
    command.args(args).current_dir(root).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env("HOME", root);
    let began = Instant::now();
    let mut child = command.spawn().expect("the program can be run");
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0.0_f64;
    let code = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        memory = memory.max(peak.unwrap_or(0.0) / 1024.0);
        if let Some(code) = child.try_wait().expect("it can be waited for") {
            break code;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let time = began.elapsed();
    assert!(code.success(), "`windlass {}` failed in {}", args.join(" "), root.display());
    Cost { time, memory }
}
