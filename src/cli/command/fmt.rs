//! `windlass fmt`: rewrites configuration files in the canonical layout.
#![expect(clippy::disallowed_methods, reason = "a door to the file system: it rewrites the user's files")]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::cli::args::FmtArgs;
use crate::cli::exit::Exit;
use crate::cli::problem::file_problem;
use crate::cli::terminal::Terminal;
use crate::lang::fmt::format;
use crate::source::{Diagnostic, Diagnostics, SourceMap};
use crate::state::durable;

/// Runs the command. Files with syntax errors are left alone and reported, the others are rewritten all the same.
pub(in crate::cli) fn run(args: &FmtArgs, root: &Path, terminal: Terminal, sources: &mut SourceMap) -> Result<Exit, Diagnostics> {
    if args.paths.iter().any(|path| path == Path::new("-")) {
        return standard_input(args, terminal);
    }
    let mut problems = Diagnostics::new();
    let paths = if args.paths.is_empty() { vec![PathBuf::from(".")] } else { args.paths.clone() };
    let mut files = Vec::new();
    for path in paths {
        let found = collect(&root.join(&path), args.recursive, &mut files)
            .map_err(|error| file_problem("folder cannot be read", &path, &error));
        problems.take(found);
    }
    files.sort();
    files.dedup();
    let mut changed = false;
    for file in files {
        let shown = file.strip_prefix(root).unwrap_or(&file).to_owned();
        if let Some(true) = problems.take(one(&file, &shown, args, terminal, sources)) {
            changed = true;
        }
    }
    let exit = if changed && args.check { Exit::Refused } else { Exit::Done };
    problems.unless_errors(exit).map(|(exit, _)| exit)
}

fn standard_input(args: &FmtArgs, terminal: Terminal) -> Result<Exit, Diagnostics> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| file_problem("standard input cannot be read", Path::new("-"), &error))?;
    let formatted = format(&text)?;
    if args.check {
        return Ok(if formatted == text { Exit::Done } else { Exit::Refused });
    }
    terminal.data(&formatted);
    Ok(Exit::Done)
}

/// Formats a file; says whether it was not in the canonical layout.
fn one(file: &Path, shown: &Path, args: &FmtArgs, terminal: Terminal, sources: &mut SourceMap) -> Result<bool, Diagnostics> {
    let content = fs::read(file).map_err(|error| file_problem("file cannot be read", shown, &error))?;
    let text = String::from_utf8(content).map_err(|error| {
        Diagnostic::error("file is not UTF-8")
            .detail(format!("{}: byte {} is not", shown.display(), error.utf8_error().valid_up_to()))
            .help("save it as UTF-8")
    })?;
    let id = sources.add(shown.display().to_string(), text.as_str());
    // Syntax errors are those of the parser, which knows places.
    crate::lang::parse_body(sources, id)?;
    let formatted = format(&text)?;
    if formatted == text {
        return Ok(false);
    }
    terminal.data(&format!("{}\n", shown.display()));
    if args.diff {
        let (old, new) = (format!("{} (before)", shown.display()), format!("{} (after)", shown.display()));
        terminal.data(&TextDiff::from_lines(&text, &formatted).unified_diff().header(&old, &new).to_string());
    }
    if !args.check {
        durable::replace(file, formatted.as_bytes(), 0o644)
            .map_err(|error| file_problem("file cannot be written", shown, &error))?;
    }
    Ok(true)
}

fn collect(path: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && recursive && !hidden {
            collect(&path, true, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "hcl") {
            files.push(path);
        }
    }
    Ok(())
}
