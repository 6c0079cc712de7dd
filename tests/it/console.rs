//! Runs the command lines of a page of the book, in a folder of its own, and compares what they print.
//!
//! A block that begins with ```` ```hcl file=main.hcl ```` is written to that file when the reader would write it. In a `console` block
//! `$ ` begins a command; `? 3` behind it says that it ends with that exit code; `...` stands for any lines. What differs from run to
//! run (times, ids, digests, the folder) is replaced on both sides before they are compared.

use std::path::Path;
use std::process::Command;

use regex::Regex;

/// Something that a reader does.
#[derive(Debug, PartialEq)]
enum Deed {
    Write { file: String, content: String },
    Run { line: usize, command: String, code: i32, output: String },
}

/// Everything that a page asks its reader to do, in order.
fn deeds(page: &str) -> Vec<Deed> {
    let mut deeds = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((start, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        if info == "console" {
            for (offset, line) in body.into_iter().enumerate() {
                let number = line.strip_prefix("? ").and_then(|number| number.trim().parse().ok());
                match (line.strip_prefix("$ "), number, deeds.last_mut()) {
                    (Some(command), _, _) => {
                        deeds.push(Deed::Run {
                            line: start + offset + 2,
                            command: command.to_owned(),
                            code: 0,
                            output: String::new(),
                        });
                    }
                    (None, Some(number), Some(Deed::Run { code, .. })) => *code = number,
                    (None, _, Some(Deed::Run { output, .. })) => {
                        output.push_str(line);
                        output.push('\n');
                    }
                    _ => panic!("line {}: output without a command", start + offset + 2),
                }
            }
        } else if let Some((_, file)) = info.split_once(" file=") {
            deeds.push(Deed::Write { file: file.to_owned(), content: body.join("\n") + "\n" });
        }
    }
    deeds
}

/// A text without what differs from run to run.
fn settled(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "/home/you/tutorial");
    let changes = [
        (r"\d{8}T\d{6}(\.\d+)?Z-[0-9a-f]{4}", "RUN"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"(?m)^\d\d:\d\d ", "CLOCK "),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b", "DIGEST"),
        (r"\d+(\.\d+)? ?(ms|s)\b", "DURATION"),
        (r"[\w.-]+@[\w-]+  ", "WHO  "),
        // A slow machine writes the lockfile more often.
        (r"serial \d+ and has \d+", "serial N and has N"),
        (r" +", " "),
        (r"(?m) $", ""),
    ];
    changes
        .into_iter()
        .fold(text, |text, (pattern, by)| Regex::new(pattern).expect("a pattern").replace_all(&text, by).into_owned())
}

/// Whether lines are as expected, where `...` stands for any number of them.
fn fits(expected: &[&str], there: &[&str]) -> bool {
    match (expected, there) {
        ([], []) => true,
        (["...", rest @ ..], _) => (0..=there.len()).any(|skipped| fits(rest, &there[skipped..])),
        ([first, rest @ ..], [line, lines @ ..]) => first == line && fits(rest, lines),
        _ => false,
    }
}

/// Does what a page says.
pub(crate) fn run(page: &Path) {
    let text = std::fs::read_to_string(page).expect("pages are UTF-8");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path().canonicalize().expect("it is there");
    let program = Path::new(env!("CARGO_BIN_EXE_windlass")).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut wrong = Vec::new();
    for deed in deeds(&text) {
        let (line, command, code, output) = match deed {
            Deed::Write { file, content } => {
                let file = folder.join(file);
                std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder can be made");
                std::fs::write(file, content).expect("a file can be written");
                continue;
            }
            Deed::Run { line, command, code, output } => (line, command, code, output),
        };
        // Order across the two streams is that of one terminal.
        let ran = Command::new("sh")
            .arg("-c")
            .arg(format!("exec 2>&1\n{command}"))
            .current_dir(&folder)
            .env_clear()
            .env("PATH", &path)
            .env("HOME", &folder)
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("WINDLASS_SOURCE", env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("sh can be run");
        let there = String::from_utf8_lossy(&ran.stdout).into_owned();
        let (expected, seen) = (settled(&output, &folder), settled(&there, &folder));
        let (expected, seen): (Vec<&str>, Vec<&str>) = (expected.trim_end().lines().collect(), seen.trim_end().lines().collect());
        if ran.status.code() != Some(code) || !fits(&expected, &seen) {
            let found = ran.status.code();
            wrong.push(format!(
                "line {line}: `{command}` gives exit code {found:?} and prints\n{there}\nthe page says {code} and\n{output}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} says what is not so:\n{}", page.display(), wrong.join("\n"));
}

#[test]
fn a_page_is_read_as_its_reader_does() {
    let page = "text\n```hcl file=a.hcl\nx = 1\n```\n```console\n$ false\n? 1\n$ echo a\na\n```\n```sh\nignored\n```\n";
    let found = deeds(page);
    assert_eq!(found.len(), 3);
    assert_eq!(found[0], Deed::Write { file: "a.hcl".into(), content: "x = 1\n".into() });
    assert!(matches!(&found[1], Deed::Run { command, code: 1, output, .. } if command == "false" && output.is_empty()));
    assert!(matches!(&found[2], Deed::Run { line: 8, code: 0, output, .. } if output == "a\n"));
}

#[test]
fn dots_stand_for_any_lines_and_nothing_else_does() {
    assert!(fits(&["a", "...", "d"], &["a", "b", "c", "d"]));
    assert!(fits(&["a", "..."], &["a"]));
    assert!(!fits(&["a", "d"], &["a", "b", "d"]));
    assert!(!fits(&["a"], &["a", "b"]));
}
