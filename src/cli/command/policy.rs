//! `windlass policy`: tests policies, asks them about a saved plan, lists and shows those that there are.

use crate::cli::args::{FindingsFormat, PolicyCommand, PolicyEvalArgs, PolicyListArgs, PolicyShowArgs, PolicyTestArgs};
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::policies::read_folder;
use crate::cli::session::{Place, Session, VERSION, on_a_deep_stack};
use crate::policy::{Policies, Trial, TrialEnd, starter, starters};
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};
use crate::view::findings::{Finding, Level, Place as Spot, ruling_findings};
use crate::view::{findings_junit, findings_sarif, policies_text, rulings_text, trials_json, trials_text};

/// Runs a command that needs no state.
pub(in crate::cli) fn run(command: &PolicyCommand, place: &mut Place) -> Result<Exit, Diagnostics> {
    match command {
        PolicyCommand::Test(args) => test(args, place),
        PolicyCommand::List(args) => list(args, place),
        PolicyCommand::Show(args) => show(args, place),
        // Needs a session.
        PolicyCommand::Eval(_) => Ok(Exit::Error),
    }
}

fn test(args: &PolicyTestArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let texts = match &args.dir {
        Some(dir) => {
            let dir = place.root.join(dir);
            if !dir.is_dir() {
                return Err(Diagnostic::error("policies cannot be read")
                    .detail(format!("{} is no folder", dir.display()))
                    .help("give a folder with policies")
                    .into());
            }
            read_folder(&dir, &place.root)?
        }
        None => {
            let rules = place.load(&args.variables, false)?.estate.policy;
            place.policy_texts(&rules, true)?
        }
    };
    let trials = on_a_deep_stack(|| Policies::new(&texts).map(|policies| policies.test()))?;
    let terminal = place.terminal;
    terminal.data(&match args.format {
        FindingsFormat::Human => trials_text(&trials, texts.len(), terminal.out),
        FindingsFormat::Json => trials_json(&trials),
        FindingsFormat::Sarif => findings_sarif(&failures(&trials, &place.prefix()), VERSION),
        FindingsFormat::Junit => {
            let passed = trials.iter().filter(|trial| trial.end == TrialEnd::Passed).map(|trial| trial.rule.clone());
            findings_junit("policy test", &failures(&trials, &place.prefix()), &passed.collect::<Vec<_>>())
        }
    });
    let failed = trials.iter().any(|trial| trial.end != crate::policy::TrialEnd::Passed);
    Ok(if failed { Exit::Error } else { Exit::Done })
}

/// Tests that did not pass, as findings in their files.
fn failures(trials: &[Trial], prefix: &str) -> Vec<Finding> {
    let finding = |trial: &Trial| {
        let message = match &trial.end {
            TrialEnd::Passed => return None,
            TrialEnd::Failed(was) => format!("{} is {was}, not true", trial.rule),
            TrialEnd::Broken(why) => format!("{} cannot be evaluated: {why}", trial.rule),
        };
        let spot = Spot { file: format!("{prefix}{}", trial.file), begin: (1, 1), end: (1, 1), text: String::new() };
        let title = trial.rule.clone();
        Some(Finding { rule: "policy-test".into(), level: Level::Error, title, message, help: None, places: vec![spot] })
    };
    trials.iter().filter_map(finding).collect()
}

fn list(args: &PolicyListArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let rules = place.load(&args.variables, false)?.estate.policy;
    let texts = place.policy_texts(&rules, false)?;
    let policies = on_a_deep_stack(|| Policies::new(&texts))?;
    let terminal = place.terminal;
    terminal.data(&policies_text(&policies.rules(), &starters(), &rules.starter, terminal.out));
    Ok(Exit::Done)
}

fn show(args: &PolicyShowArgs, place: &Place) -> Result<Exit, Diagnostics> {
    let Some(texts) = starter(&args.name) else {
        let unknown = Diagnostic::error("unknown policy").detail(format!("there is no starter policy `{}`", args.name));
        let near = nearest(&args.name, starters()).map(|near| format!("did you mean `{near}`?"));
        return Err(unknown.help(near.unwrap_or_else(|| format!("there are: {}", starters().join(", ")))).into());
    };
    let wanted = texts.iter().find(|text| text.path.ends_with("_test.rego") == args.tests);
    place.terminal.data(wanted.map_or("", |text| &text.text));
    Ok(Exit::Done)
}

/// `windlass policy eval`.
pub(in crate::cli) async fn eval(args: &PolicyEvalArgs, session: &Session) -> Result<Exit, Diagnostics> {
    let PlanFile { plan, report, .. } = PlanFile::load(&session.place.root.join(&args.plan))?;
    let terminal = session.place.terminal;
    let now = session.place.now;
    if args.input {
        let document = session.policy_document(&plan, &report, "plan", now).await?;
        terminal.data(&(pretty(&document)? + "\n"));
        return Ok(Exit::Done);
    }
    let rulings = session.rulings(&plan, &report, "plan", now).await?;
    terminal.data(&match args.format {
        FindingsFormat::Human if rulings.is_empty() => "No policy objects.\n".to_owned(),
        FindingsFormat::Human => rulings_text(&rulings, terminal.out),
        FindingsFormat::Json => pretty(&rulings)? + "\n",
        FindingsFormat::Sarif => findings_sarif(&ruling_findings(&rulings), VERSION),
        FindingsFormat::Junit => {
            let none = if rulings.is_empty() { vec!["no policy objects".to_owned()] } else { Vec::new() };
            findings_junit("policy", &ruling_findings(&rulings), &none)
        }
    });
    Ok(if rulings.iter().any(crate::plan::Ruling::denies) { Exit::Refused } else { Exit::Done })
}

fn pretty(value: &impl serde::Serialize) -> Result<String, Diagnostic> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Diagnostic::error("it cannot be written").fault(Fault::Bug).detail(error.to_string()))
}
