//! Real kills: SIGKILL at random moments to a real `apply`, `resume` and `rollback` of several instances; afterwards every command
//! must have run as often as it should, in order, and journal and lockfile must tell the truth.
//!
//! `tests/kills 500` kills so often and prints what was hit. `WINDLASS_KILL_SEED` chooses other moments.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::estate::{Estate, Ran, signal};

/// Kills that every run of the tests makes.
const USUAL: u32 = 8;
/// Instances of the product of commands: each depends on the one before it.
const COUNTED: [&str; 3] = ["one", "two", "three"];
/// Commands of a move in their order; those of one row run side by side.
const ORDER: [&[&str]; 7] =
    [&["enter"], &["first"], &["part-a", "part-b", "part-c"], &["checked"], &["fragile"], &["switch"], &["leave"]];

const MAIN: &str = r#"variable "home" {}
variable "version" {}
environment "test" {}
instance "count" "one" {
  environment = environment.test
  version     = var.version
  dir         = "${var.home}/one"
}
instance "count" "two" {
  environment = environment.test
  version     = var.version
  dir         = "${var.home}/two"
  depends_on  = [instance.count.one]
}
instance "count" "three" {
  environment = environment.test
  version     = var.version
  dir         = "${var.home}/three"
}
instance "sample" "web" {
  environment = environment.test
  version     = var.version
  root        = "${var.home}/app"
  store       = "${var.home}/store"
  depends_on  = [instance.count.three]
}
"#;

/// A step whose command writes its name into `log` when it begins and when it ends. `undo`: an undo that does so, too.
fn step(name: &str, command: &str, undo: &str, more: &str) -> String {
    let tell = |name: &str, command: &str| {
        format!(
            r#"exec {{
      command   = ["sh", "-c", "echo {name} >> log; sleep 0.02; {command}; echo {name} end >> log"]
      directory = self.dir
    }}"#
        )
    };
    let (forward, back) = (tell(name, command), tell(&format!("undo-{name}"), undo));
    format!(
        "  step \"{name}\" {{\n    {forward}\n    undo {{\n      {back}\n    {more_undo}}}\n    {more}\n  }}\n",
        more_undo = match name {
            "enter" => "  closes = \"maintenance\"\n    ",
            "leave" => "  opens = \"maintenance\"\n    ",
            _ => "",
        }
    )
}

fn provider() -> String {
    let steps = [
        step("enter", "true", "true", "opens = \"maintenance\""),
        step("first", "true", "true", ""),
        step("part", "true", "true", "fan_out {\n      items   = [\"a\", \"b\", \"c\"]\n      at_once = 2\n    }")
            .replacen("echo part >>", "echo part-${each.value} >>", 1)
            .replacen("echo part end", "echo part-${each.value} end", 1),
        step(
            "checked",
            "touch checked-${to.text}",
            "rm -f checked-${to.text}",
            r#"check {
      file {
        action   = "stat"
        path     = "${self.dir}/checked-${to.text}"
        required = false
      }
      done = result.exists
    }"#,
        ),
        step("fragile", "test ! -e broken", "true", ""),
        step("switch", "echo ${to.text} > version", "${from == null ? \"rm version\" : \"echo ${from.text} > version\"}", "")
            // Quotes in quotes.
            .replace("\\\"", "\""),
        step("leave", "rm -f checked-*", "true", "closes = \"maintenance\""),
    ];
    let way = |movement: &str| format!("route \"{movement}\" {{\n  movement = \"{movement}\"\n  strategy = \"move\"\n}}\n");
    format!(
        "provider \"count\" {{\n  version = \"1.0.0\"\n  version_scheme = \"semver\"\n}}\nsetting \"dir\" {{\n  type = string\n}}\n\
         fact \"version\" {{\n  file {{\n    path = \"${{self.dir}}/version\"\n    required = false\n  }}\n  \
         value = result.exists ? trimspace(result.content) : null\n}}\n{}{}{}strategy \"move\" {{\n{}}}\n",
        way("install"),
        way("upgrade"),
        way("downgrade"),
        steps.concat()
    )
}

/// Numbers from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What was hit, and what came of it.
#[derive(Debug, Default)]
struct Tally {
    /// By the command that was killed.
    kills: BTreeMap<&'static str, u32>,
    /// Commands that had ended before they could be killed.
    late: u32,
    /// By how it ended.
    runs: BTreeMap<String, u32>,
    /// Questions to a person, by what the person answered.
    asked: BTreeMap<&'static str, u32>,
    /// Commands of steps whose number and order was looked at.
    commands: usize,
}

/// One folder that is killed in, again and again.
struct Site {
    estate: Estate,
    numbers: Numbers,
    rounds: u32,
    /// How long an apply takes that nobody kills.
    span: Duration,
    /// The version that everything is at: each round is an upgrade.
    version: String,
    /// Configuration and link of the sample product before the round.
    before: (String, PathBuf),
    tally: Tally,
}

impl Site {
    fn new(seed: u64) -> Self {
        let mut estate = Estate::with(MAIN);
        estate.write("providers/count/provider.hcl", provider());
        for name in COUNTED {
            estate.write(&format!("{name}/log"), "");
        }
        estate.set("home", &estate.root.display().to_string());
        estate.set("version", "1.0.0");
        let began = Instant::now();
        estate.apply().exit(0);
        let span = began.elapsed();
        let version = "1.0.0".to_owned();
        let mut site =
            Self { estate, numbers: Numbers(seed), rounds: 0, span, version, before: Default::default(), tally: Tally::default() };
        site.judge("succeeded", "1.0.0", "");
        site
    }

    /// One move under kills, seen through to its end.
    fn round(&mut self) {
        self.rounds += 1;
        let goal = format!("1.{}.0", self.rounds);
        self.estate.set("version", &goal);
        self.estate.write(&format!("store/{goal}/VERSION"), &goal);
        for name in COUNTED {
            self.estate.write(&format!("{name}/log"), "");
        }
        let link = std::fs::read_link(self.estate.path("app/current")).expect("it is installed");
        self.before = (self.estate.read("app/sample.conf"), link);
        let kind = self.numbers.below(6);
        if kind == 0 {
            self.estate.write("two/broken", "");
        }
        let mut goes_back = kind == 1;
        let mut kills = 1 + self.numbers.below(3);
        let last = self.newest().0;
        let mut command: Vec<String> = words(&["apply", "--auto-approve"]);
        let mut told = String::new();
        for _ in 0..20 {
            let ran = self.take(&command, kills > 0);
            kills = kills.saturating_sub(1);
            if let Some(ran) = &ran {
                told = format!("{told}\n$ windlass {}\n{}", command.join(" "), ran.err);
            }
            let (run, outcome) = self.newest();
            if run == last {
                command = words(&["apply", "--auto-approve"]);
                continue;
            }
            if matches!(&*outcome, "succeeded" | "rolled_back") {
                self.estate.remove("two/broken");
                self.judge(&outcome, &goal, &told);
                return;
            }
            command = words(&["resume"]);
            if let Some(ran) = ran.filter(|ran| ran.code == Some(5)) {
                command.extend(self.answer(&ran));
            } else if std::mem::take(&mut goes_back) {
                command = words(&["rollback", "--auto-approve"]);
            }
        }
        panic!("the run never ended:{told}");
    }

    /// Runs the program, and kills it in the middle where it is to be killed; `None`: it was.
    fn take(&mut self, command: &[String], kill: bool) -> Option<Ran> {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        if !kill {
            return Some(self.estate.run(&command).sober());
        }
        let child = self.estate.spawn(&command);
        let micros = u64::try_from(self.span.as_micros()).unwrap_or(u64::MAX);
        std::thread::sleep(Duration::from_micros(self.numbers.below(micros)));
        signal(&child, Signal::KILL);
        let ran = Ran::of(&command, &child.wait_with_output().expect("it ends"));
        if ran.code.is_some() {
            self.tally.late += 1;
            return Some(ran.sober());
        }
        let name = ["apply", "resume", "rollback"].into_iter().find(|name| *name == command[0]).unwrap_or("?");
        *self.tally.kills.entry(name).or_default() += 1;
        None
    }

    /// What an honest person says of what is held: the log of its commands tells. An undo that needs a result which was lost with
    /// the kill is done by hand.
    fn answer(&mut self, ran: &Ran) -> Vec<String> {
        let text = ran.err.replace(['\n', '│'], " ");
        let Some((_, rest)) = text.split_once("--retry") else { return Vec::new() };
        let action = rest.split('\'').nth(1).unwrap_or_else(|| panic!("no action is named:\n{}", ran.err)).to_owned();
        let (instance, name) = action.split_once(':').unwrap_or((&action, ""));
        let instance = instance.split(['.', '@']).nth(1).unwrap_or_default();
        if instance == "web" {
            let is_undo = text.contains(&format!("could not be undone: `{action}`"));
            if is_undo {
                self.undo_by_hand(name);
            }
            *self.tally.asked.entry(if is_undo { "undone by hand" } else { "--retry" }).or_default() += 1;
            return words(&[if is_undo { "--skip" } else { "--retry" }, &action]);
        }
        let log = self.estate.read(&format!("{instance}/log"));
        let is_undo = log.lines().any(|line| line.starts_with("undo-"));
        let name = if is_undo { format!("undo-{name}") } else { name.to_owned() };
        let word = if log.lines().any(|line| line == format!("{name} end")) { "--skip" } else { "--retry" };
        *self.tally.asked.entry(word).or_default() += 1;
        words(&[word, &action])
    }

    /// Makes undone what a step of the sample product did.
    fn undo_by_hand(&self, step: &str) {
        match step {
            "configure" => self.estate.write("app/sample.conf", &self.before.0),
            "switch" => {
                self.estate.remove("app/current");
                std::os::unix::fs::symlink(&self.before.1, self.estate.path("app/current")).expect("it can be linked");
            }
            _ => panic!("the undo of `{step}` needs no result"),
        }
    }

    /// The newest run and how it ended.
    fn newest(&self) -> (String, String) {
        let history = self.estate.good(&["history", "--format", "json"]).json();
        let text = |name: &str| history["runs"][0][name].as_str().unwrap_or_default().to_owned();
        (text("id"), text("outcome"))
    }

    /// Everything must be as the outcome says.
    fn judge(&mut self, outcome: &str, goal: &str, told: &str) {
        let forward = outcome == "succeeded";
        *self.tally.runs.entry(outcome.to_owned()).or_default() += 1;
        if forward {
            goal.clone_into(&mut self.version);
        }
        for name in COUNTED {
            let log = self.estate.read(&format!("{name}/log"));
            let lines: Vec<&str> = log.lines().collect();
            if let Err(why) = commands_fit(&lines, forward) {
                panic!("{name}, {outcome}: {why}\n{log}{told}");
            }
            self.tally.commands += lines.len();
            assert_eq!(self.estate.read(&format!("{name}/version")).trim(), self.version, "{name}, {outcome}:{told}");
        }
        assert_eq!(self.estate.read("app/current/VERSION"), self.version, "{outcome}:{told}");
        let lock = self.estate.lockfile();
        let version = &self.version;
        for (provider, instances) in [("count", COUNTED.len()), ("sample", 1)] {
            let recorded = lock.matches(&format!("\n  provider = \"{provider}\"\n  version = \"{version}\"\n")).count();
            assert_eq!(recorded, instances, "{outcome}: the lockfile says otherwise of {provider}:{told}\n{lock}");
        }
        let left = self.estate.run(&["plan", "--detailed-exitcode"]).sober();
        assert_eq!(left.code, Some(if forward { 0 } else { 2 }), "{outcome}:{told}\n{}", left.out);
        for run in std::fs::read_dir(self.estate.path(".windlass/runs")).expect("runs are kept") {
            let run = run.expect("it can be listed").path();
            if run.join("journal").is_dir() {
                let read = windlass::apply::inspect(&run);
                assert!(read.is_ok(), "the journal of {} cannot be read: {:?}", run.display(), read.err());
            }
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// Whether commands ran as often as they should, and in their order; those of a run that was rolled back were undone in reverse.
fn commands_fit(lines: &[&str], forward: bool) -> Result<(), String> {
    let at = |line: &str| lines.iter().position(|other| *other == line);
    for (index, line) in lines.iter().enumerate() {
        if lines[..index].contains(line) {
            return Err(format!("`{line}` ran twice"));
        }
    }
    let names = || ORDER.iter().flat_map(|row| row.iter());
    if forward && lines.iter().any(|line| line.starts_with("undo-")) {
        return Err("something was undone".to_owned());
    }
    if let Some(missing) = names().find(|name| forward && at(&format!("{name} end")).is_none()) {
        return Err(format!("`{missing}` never ended"));
    }
    for pair in ORDER.windows(2) {
        for (one, next) in pair[0].iter().flat_map(|one| pair[1].iter().map(move |next| (one, next))) {
            if at(next).is_some_and(|next| at(&format!("{one} end")).is_none_or(|end| end > next)) {
                return Err(format!("`{next}` began before `{one}` had ended"));
            }
        }
    }
    let undo = |name: &str| format!("undo-{}", if name.starts_with("part-") { "part" } else { name });
    let of_step = |name: &str, line: &str| line == name || name == "part" && line.starts_with("part-");
    for line in lines {
        let undone = line.strip_prefix("undo-").filter(|name| !name.ends_with(" end"));
        if let Some(name) = undone.filter(|name| !lines.iter().any(|line| of_step(name, line))) {
            return Err(format!("`{name}` was undone and had never begun"));
        }
    }
    if !forward {
        if let Some(left) = names().find(|name| at(name).is_some() && at(&format!("{} end", undo(name))).is_none()) {
            return Err(format!("`{left}` is not undone"));
        }
        for pair in ORDER.windows(2) {
            let (one, next) = (undo(pair[0][0]), format!("{} end", undo(pair[1][0])));
            if at(&next).is_some_and(|next| at(&one).is_none_or(|one| one < next)) {
                return Err(format!("`{one}` began before what was built upon it was undone"));
            }
        }
    }
    Ok(())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn what_is_killed_at_random_moments_is_finished_exactly_once() {
    let kills = number("WINDLASS_KILLS").and_then(|kills| u32::try_from(kills).ok());
    let seed = number("WINDLASS_KILL_SEED").unwrap_or(1);
    let lanes = if kills.is_some() { 2 } else { 1 };
    let wanted = kills.unwrap_or(USUAL).div_ceil(lanes);
    let sites: Vec<Site> = std::thread::scope(|scope| {
        let lane = |lane: u32| {
            scope.spawn(move || {
                let mut site = Site::new(seed.wrapping_mul(1000) + u64::from(lane));
                while site.tally.kills.values().sum::<u32>() < wanted {
                    site.round();
                }
                site
            })
        };
        let lanes: Vec<_> = (0..lanes).map(lane).collect();
        lanes.into_iter().map(|lane| lane.join().expect("see above")).collect()
    });
    let mut sum = Tally::default();
    for Tally { kills, late, runs, asked, commands } in sites.into_iter().map(|site| site.tally) {
        kills.into_iter().for_each(|(name, count)| *sum.kills.entry(name).or_default() += count);
        runs.into_iter().for_each(|(name, count)| *sum.runs.entry(name).or_default() += count);
        asked.into_iter().for_each(|(name, count)| *sum.asked.entry(name).or_default() += count);
        sum.late += late;
        sum.commands += commands;
    }
    eprintln!("\n| seed {seed} | |\n|---|---:|");
    for (name, count) in &sum.kills {
        eprintln!("| `{name}` killed | {count} |");
    }
    eprintln!("| had ended before it could be killed | {} |", sum.late);
    for (name, count) in &sum.runs {
        eprintln!("| runs that ended {name} | {count} |");
    }
    for (name, count) in &sum.asked {
        eprintln!("| held, and a person said `{name}` | {count} |");
    }
    eprintln!("| lines that commands left, each where it should be | {} |", sum.commands);
    assert!(sum.kills.values().sum::<u32>() >= wanted);
}

#[test]
fn what_ran_twice_or_out_of_order_would_be_noticed() {
    let all: Vec<String> =
        ORDER.iter().flat_map(|row| row.iter()).flat_map(|name| [(*name).to_owned(), format!("{name} end")]).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(commands_fit(&all, true), Ok(()));
    assert!(commands_fit(&all, false).unwrap_err().contains("is not undone"));
    assert!(commands_fit(&all[..all.len() - 1], true).unwrap_err().contains("never ended"));
    assert!(commands_fit(&[&all[..], &["first"]].concat(), true).unwrap_err().contains("ran twice"));
    let mut swapped = all.clone();
    swapped.swap(1, 2);
    assert!(commands_fit(&swapped, true).unwrap_err().contains("began before"));
    assert!(commands_fit(&["undo-enter", "undo-enter end"], false).unwrap_err().contains("never begun"));
    let back = ["enter", "enter end", "first", "undo-enter", "undo-enter end", "undo-first", "undo-first end"];
    assert!(commands_fit(&back, false).unwrap_err().contains("built upon"));
}
