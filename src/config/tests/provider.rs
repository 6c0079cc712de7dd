//! Providers that must be refused, and what is said.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::DRIVERS;
use crate::config::{ProviderFiles, provider_from_files};
use crate::model::provider::{Provider, Undo};
use crate::source::{Diagnostics, SourceMap};

const VERSION: &str = "fact \"version\" {\n  exec { command = [\"v\"] }\n}\n";

fn load(text: &str) -> Result<(Provider, Diagnostics), String> {
    let header = "provider \"p\" { version = \"1.0.0\" }\n";
    load_files(&[("a.hcl", header), ("b.hcl", text), ("doc.j2", "x")])
}

fn load_files(files: &[(&str, &str)]) -> Result<(Provider, Diagnostics), String> {
    let files: ProviderFiles = files.iter().map(|(path, content)| (Arc::from(*path), Arc::from(content.as_bytes()))).collect();
    let mut sources = SourceMap::new();
    provider_from_files(&"p".into(), files, &BTreeMap::new(), DRIVERS, &mut sources).map_err(|problems| {
        let line = |problem: &crate::source::Diagnostic| {
            let places: Vec<String> = problem.labels.iter().map(|label| sources.place(label.span)).collect();
            format!(
                "[{}] {problem} ({})",
                places.join(" ").replace("providers/p/", ""),
                problem.help.as_deref().unwrap_or("NO HELP")
            )
        };
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

fn refused(text: &str) -> String {
    load(&format!("{VERSION}{text}")).err().unwrap_or_else(|| panic!("it loads: {text}"))
}

#[test]
fn the_sample_provider_loads_without_a_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers/sample");
    let files: ProviderFiles = ["provider.hcl", "strategies.hcl", "sample.conf.j2"]
        .iter()
        .map(|name| (Arc::from(*name), Arc::from(std::fs::read(folder.join(name)).unwrap())))
        .collect();
    let mut sources = SourceMap::new();
    let loaded = provider_from_files(&"sample".into(), files.clone(), &BTreeMap::new(), DRIVERS, &mut sources);
    let (provider, warnings) = loaded.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(warnings.is_empty());
    assert_eq!(provider.routes.len(), 5);
    assert_eq!(provider.releases.len(), 4);
    assert!(provider.settings["token"].sensitive);
    let install = &provider.strategies["install"];
    assert_eq!(install.steps[4].retry.attempts, 3);
    assert!(matches!(install.steps[4].undo, Undo::Harmless));
    assert_eq!(
        &*install.steps[2].call.args["values"].text().replace(' ', "").replace('\n', ";"),
        "{;greeting=self.greeting;port=self.port;token=self.token;version=to.text;}"
    );
    assert_eq!(install.steps[1].title, "Copy the release");
    // Loaded again from the same bytes, it is the same provider.
    let again = provider_from_files(&"sample".into(), files, &BTreeMap::new(), DRIVERS, &mut sources).unwrap().0;
    assert_eq!(again.digest, provider.digest);
}

#[test]
fn a_step_must_say_how_it_is_undone() {
    let told = refused("strategy \"s\" {\n  step \"a\" {\n    exec { command = [] }\n  }\n}\n");
    assert!(told.starts_with("[b.hcl:5:3] missing undo: step `a` says not how it is undone (add `undo"), "{told}");
    let told = refused(
        "strategy \"s\" {\n  step \"a\" {\n    exec { command = [] }\n    harmless = true\n    irreversible = true\n  }\n}\n",
    );
    assert!(told.contains("contradicting undo"), "{told}");
}

#[test]
fn drivers_and_their_arguments_are_checked() {
    for (inside, told) in [
        (
            "exce { command = [] }",
            "[b.hcl:6:1] unknown driver: step `a` uses `exce`, which is neither a driver nor a block known here (did you mean `exec`?)",
        ),
        (
            "exec { comand = [] }",
            "[b.hcl:6:8] unknown argument: the driver `exec` has no argument `comand` (did you mean `command`?)",
        ),
        ("exec {}", "missing argument: the driver `exec` needs `command`"),
        ("exec { command = [] }\nfile {}", "two drivers: step `a` uses both `exec` and `file`"),
        ("", "missing driver: step `a` says not what is done"),
        (
            "template {\n source = \"dco.j2\"\n path = \"/x\"\n}",
            "document not found: the provider has no file `dco.j2` (did you mean `doc.j2`?)",
        ),
        ("exec = { command = [] }", "`exec` is a block: write `exec { … }`"),
        (
            "exec {\n command = []\n environment {\n  A = self.nothing\n }\n}",
            "[b.hcl:9:7] unknown setting: step `a` uses `self.nothing`",
        ),
    ] {
        let found = refused(&format!("strategy \"s\" {{\nstep \"a\" {{\n{inside}\nharmless = true\n}}\n}}\n"));
        assert!(found.contains(told), "{inside}: {found}");
    }
}

#[test]
fn a_fact_must_only_look() {
    let told = refused("fact \"x\" {\n  manual { text = \"look\" }\n}\n");
    assert!(told.contains("[b.hcl:5:3] driver changes things: fact `x` uses `manual`"), "{told}");
    assert!(load("fact \"x\" { value = 1 }").unwrap_err().contains("missing fact"));
    assert!(refused("fact \"x\" {}").contains("empty fact"));
}

#[test]
fn names_are_checked_where_they_stand() {
    for (text, told) in [
        (
            "fact \"x\" { value = fact.versoin }",
            "unknown fact: fact `x` uses `fact.versoin`, which is not there (did you mean `version`?)",
        ),
        ("fact \"x\" { value = to.major }", "reference not allowed here: fact `x` uses `to`"),
        (
            "locals { t = to.text }\nfact \"x\" { value = local.t }",
            "fact `x` uses `local.t`, which uses `to`; that is not known here",
        ),
        ("fact \"x\" { value = result.y }", "fact `x` uses `result`, which is not known here"),
        ("fact \"x\" { value = sefl.y }", "unknown name: fact `x` uses `sefl`, which is not there (did you mean `self`?)"),
        ("fact \"a\" { value = fact.b }\nfact \"b\" { value = fact.a }", "dependency cycle: `fact.a` -> `fact.b` -> `fact.a`"),
        ("locals {\n a = local.b\n b = local.a\n}", "dependency cycle: `local.a` -> `local.b` -> `local.a`"),
        ("setting \"a\" { default = self.a }", "dependency cycle: `self.a` -> `self.a`"),
        ("setting \"a\" { default = fact.version }", "setting `a` uses `fact`, which is not known here"),
        (
            "preflight \"x\" {\n pass = instance.adress == \"\"\n message = \"m\"\n}",
            "unknown name: preflight `x` uses `instance.adress`",
        ),
        (
            "strategy \"s\" {\n step \"a\" {\n  for_each = [step.a]\n  exec { command = [] }\n  harmless = true\n }\n}",
            "step `a` uses `step`, which is not known here",
        ),
        (
            "strategy \"s\" {\n step \"a\" {\n  exec { command = [each.key] }\n  harmless = true\n }\n}",
            "uses `each`, which is not known here (add `for_each` to the step)",
        ),
    ] {
        let found = refused(text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn steps_wait_for_steps_that_are_there_and_run_before() {
    let step = |name: &str, inside: &str| format!("step \"{name}\" {{\n{inside}\nharmless = true\n}}\n");
    let strategy = |steps: &[String]| format!("strategy \"s\" {{\n{}}}\n", steps.concat());
    let exec = "exec { command = [] }";
    let told = refused(&strategy(&[step("a", &format!("{exec}\nafter = [step.bb]")), step("b", exec)]));
    assert!(
        told.contains("unknown step: `after` of step `a` names step `bb`, which strategy `s` does not have (did you mean `b`?)"),
        "{told}"
    );
    let told = refused(&strategy(&[step("a", &format!("{exec}\nafter = [step.b]")), step("b", exec)]));
    assert!(told.contains("dependency cycle: `step.a` -> `step.b` -> `step.a`"), "{told}");
    let told = refused(&strategy(&[step("a", "exec { command = [step.b.result.x] }"), step("b", exec)]));
    assert!(told.contains("step has not run yet: step `a` uses the result of step `b`"), "{told}");
    let told = refused(&strategy(&[step("a", exec), step("b", "after = []\nexec { command = [step.a.result.x] }")]));
    assert!(told.contains("step has not run yet"), "{told}");
    let told = refused(&strategy(&[step("a", &format!("{exec}\nafter = \"b\""))]));
    assert!(told.contains("`after` of step `a` is not a list of steps"), "{told}");
    let good = strategy(&[
        step("a", exec),
        step("b", exec),
        step("c", "exec { command = [step.a.result.x] }\ntolerate = [error.exit_code == 3, contains([1, 2], error.exit_code)]"),
    ]);
    let (provider, _) = load(&format!("{VERSION}{good}")).unwrap();
    let steps = &provider.strategies["s"].steps;
    assert_eq!(steps[2].after[0].as_str(), "b");
    assert_eq!(
        steps[2].tolerate.iter().map(|expr| expr.text()).collect::<Vec<_>>(),
        ["error.exit_code == 3", "contains([1, 2], error.exit_code)"]
    );
    assert_eq!(steps[0].title, "A");
}

#[test]
fn routes_rules_and_notes_are_checked() {
    for (text, told) in [
        ("route \"r\" { strategy = \"in_place\" }", "there is no strategy `in_place`"),
        ("route \"r\" {}", "missing attribute: route `r` needs `strategy`"),
        ("route \"r\" {\n strategy = \"s\"\n from = \">> 1\"\n}", "invalid version constraint"),
        ("route \"r\" {\n strategy = \"s\"\n movement = \"upgarde\"\n}", "did you mean `upgrade`?"),
        ("required_stop \"x y\" { reason = \"r\" }", "invalid version constraint"),
        ("blocked \"b\" { to = \"1\" }", "needs `reason`"),
        ("risk \"r\" { message = \"m\" }", "needs `rule`"),
        ("preflight \"p\" { pass = true }", "needs `message`"),
        ("preflight \"p\" {\n pass = true\n message = \"m\"\n severity = \"err\"\n}", "`err` is none of `fail`, `warn`"),
        ("note \"n\" { movements = [\"up\"] }", "note `n` needs `text`"),
        ("note \"n\" { text = \"t\" }\nnote \"n\" { text = \"t\" }", "note `n` is declared twice"),
        ("setting \"version\" {}", "reserved name"),
        ("setting \"a\" {\n type = number\n default = \"x\"\n}", "invalid default: setting `a`: a number is needed"),
        ("setting \"a\" {\n type = strin\n}", "did you mean `string`?"),
        ("setting \"a\" { required = \"yes\" }", "wrong type: `required` must be true or false, not a string"),
        ("release \"1\" {}\nrelease \"1.0\" {}", "is declared twice"),
        ("stratgey \"x\" {}", "a provider has no block `stratgey` (did you mean `strategy`?)"),
        ("requires \"other\" {}", "needs `version`"),
    ] {
        let found = refused(text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn a_folder_that_is_no_provider_is_told() {
    let told = load_files(&[("a.hcl", VERSION)]).unwrap_err();
    assert!(told.contains("not a provider: `providers/p` declares no `provider \"p\" { … }`"), "{told}");
    let told = load_files(&[("a.hcl", "provider \"q\" { version = \"1.0.0\" }"), ("b.hcl", VERSION)]).unwrap_err();
    assert!(told.contains("wrong provider name"), "{told}");
    let told = load_files(&[("a.hcl", "provider \"p\" { version_scheme = \"semvre\" }"), ("b.hcl", VERSION)]).unwrap_err();
    assert!(told.contains("did you mean `semver`") && told.contains("needs `version`"), "{told}");
}

#[test]
fn what_is_required_of_another_provider_is_read_with_its_scheme() {
    let text = format!("{VERSION}requires \"db\" {{ version = \">= 1!2.0\" }}\n");
    let files = |text: &str| -> ProviderFiles {
        [("a.hcl", "provider \"p\" { version = \"1.0.0\" }\n"), ("b.hcl", text)]
            .iter()
            .map(|(path, content)| (Arc::from(*path), Arc::from(content.as_bytes())))
            .collect()
    };
    let schemes = BTreeMap::from([("db".into(), "pep440".parse().unwrap())]);
    let mut sources = SourceMap::new();
    assert!(provider_from_files(&"p".into(), files(&text), &schemes, DRIVERS, &mut sources).is_ok());
    let schemes = BTreeMap::from([("db".into(), "semver".parse().unwrap())]);
    assert!(provider_from_files(&"p".into(), files(&text), &schemes, DRIVERS, &mut sources).is_err());
}

#[test]
fn the_steps_of_a_group_stand_where_it_is_used() {
    let step = |name: &str, inside: &str| format!("step \"{name}\" {{\nexec {{ command = [] }}\nharmless = true\n{inside}\n}}\n");
    let text = format!(
        "{VERSION}step_group \"g\" {{\n{}{}}}\nstrategy \"s\" {{\n{}use \"g\" {{}}\n{}}}\nstrategy \"t\" {{\nuse \"g\" {{}}\n}}\n",
        step("b", ""),
        step("c", "tolerate = [step.b.result.x]"),
        step("a", ""),
        step("d", ""),
    );
    let (provider, warnings) = load(&text).unwrap();
    assert!(warnings.is_empty());
    let order = |strategy: &str| -> Vec<String> {
        let steps = &provider.strategies[strategy].steps;
        steps.iter().map(|step| format!("{}<{}", step.name, step.after.first().map_or("", |name| name.as_str()))).collect()
    };
    assert_eq!(order("s"), ["a<", "b<a", "c<b", "d<c"]);
    assert_eq!(order("t"), ["b<", "c<b"]);
}

#[test]
fn what_a_use_says_counts_for_the_steps_that_do_not_say_it_themselves() {
    let step = |name: &str, inside: &str| format!("step \"{name}\" {{\nexec {{ command = [] }}\nharmless = true\n{inside}\n}}\n");
    let text = format!(
        "{VERSION}step_group \"g\" {{\n{}{}{}}}\nstrategy \"s\" {{\nuse \"g\" {{\ndowntime = true\n}}\n{}}}\nstrategy \"t\" {{\nuse \"g\" {{}}\n}}\n",
        step("a", ""),
        step("b", "downtime = false"),
        step("look", "after = []\nprobe {\nduring = [step.a]\npass = true\ninterval = \"1s\"\n}"),
        step("c", ""),
    );
    let (provider, _) = load(&text).unwrap();
    let down = |strategy: &str| -> Vec<String> {
        let steps = provider.strategies[strategy].steps.iter();
        steps.filter(|step| step.downtime).map(|step| step.name.to_string()).collect()
    };
    assert_eq!(down("s"), ["a"]);
    assert_eq!(down("t"), [""; 0]);
    let wrong = "step_group \"g\" {\nstep \"a\" {\nexec { command = [] }\nharmless = true\n}\n}\nstrategy \"s\" {\nuse \"g\" {\ndowntime = \"long\"\n}\n}";
    let found = refused(wrong);
    // Told where the `use` stands.
    assert!(found.contains("[b.hcl:12:12] wrong type: `downtime` must be true or false"), "{found}");
}

#[test]
fn mistakes_around_step_groups_are_told_once_and_with_their_place() {
    let good = "step \"a\" {\nexec { command = [] }\nharmless = true\n}\n";
    for (text, told) in [
        (
            format!("step_group \"stop\" {{\n{good}}}\nstrategy \"s\" {{\nuse \"stpo\" {{}}\n}}"),
            "unknown step group: the provider has no step group `stpo` (did you mean `stop`?)",
        ),
        ("strategy \"s\" {\nuse \"g\" {}\n}".to_owned(), "(add `step_group \"g\" { … }` to the provider)"),
        ("strategy \"s\" {\nuse {}\n}".to_owned(), "missing label: `use` takes 1 label, not 0"),
        (
            format!("step_group \"g\" {{\n{good}}}\nstrategy \"s\" {{\n{good}use \"g\" {{}}\n}}"),
            "[b.hcl:5:1 b.hcl:11:1] declared twice: step `a` is declared twice",
        ),
        (
            format!("step_group \"g\" {{\n{good}}}\nstrategy \"s\" {{\nuse \"g\" {{\nx = 1\n}}\n}}"),
            "unknown attribute: `use` has no attribute `x`",
        ),
        (format!("step_group \"g\" {{\n{good}x = 1\n}}\n"), "step group `g` has no attribute `x`"),
    ] {
        let found = refused(&text);
        assert!(found.contains(told), "{text}: {found}");
    }
    let bad = "step \"a\" {\nexec { command = [self.x] }\nharmless = true\n}\n";
    let uses = "strategy \"s\" {\nuse \"g\" {}\n}\nstrategy \"t\" {\nuse \"g\" {}\n}\n";
    let found = refused(&format!("step_group \"g\" {{\n{bad}}}\n{uses}"));
    assert_eq!(found.matches("unknown setting").count(), 1, "{found}");
    let (_, warnings) = load(&format!("{VERSION}step_group \"g\" {{\n{bad}}}\n")).unwrap();
    assert!(warnings.iter().any(|warning| warning.summary == "unused step group"), "{warnings:?}");
}

#[test]
fn what_is_polled_only_looks_and_its_conditions_are_checked() {
    let step = |inside: &str| format!("strategy \"s\" {{\nstep \"a\" {{\n{inside}\nharmless = true\n}}\n}}\n");
    let exec = "exec { command = [] }";
    for (inside, told) in [
        (format!("{exec}\npoll {{}}"), "missing attribute: `poll` of step `a` needs `until`"),
        (format!("{exec}\npoll {{\nuntil = error.x\n}}"), "`poll` of step `a` uses `error`, which is not known here"),
        (format!("{exec}\npoll {{\nuntil = result.x\nevery = \"1s\"\n}}"), "`poll` of step `a` has no attribute `every`"),
        (
            "manual { text = \"t\" }\npoll {\nuntil = result.x\n}".to_owned(),
            "driver changes things: step `a` polls with `manual`, which does more than look",
        ),
        (format!("{exec}\nprogress = line\npoll {{\nuntil = result.x\n}}"), "two kinds of progress"),
    ] {
        let found = refused(&step(&inside));
        assert!(found.contains(told), "{inside}: {found}");
    }
    let text = step(&format!("{exec}\npoll {{\nuntil = result.x == self.y\ninterval = \"2s\"\n}}"));
    let (provider, _) = load(&format!("{VERSION}setting \"y\" {{}}\n{text}")).unwrap();
    let step = &provider.strategies["s"].steps[0];
    assert!(step.repeatable && step.poll.as_ref().is_some_and(|poll| poll.interval.as_secs() == 2));
}

#[test]
fn a_fanned_out_step_has_items_of_its_own_and_its_undo_too() {
    let step = |inside: &str| format!("strategy \"s\" {{\nstep \"a\" {{\nexec {{ command = [each.key] }}\n{inside}\n}}\n}}\n");
    let undo =
        |inside: &str| step(&format!("fan_out {{\nitems = [\"x\"]\n}}\nundo {{\nexec {{ command = [each.key] }}\n{inside}\n}}"));
    for (text, told) in [
        (step("fan_out {}\nharmless = true"), "missing attribute: `fan_out` of step `a` needs `items`"),
        (step("fan_out {\nitems = [each.key]\n}\nharmless = true"), "`fan_out` of step `a` uses `each`, which is not known here"),
        (step("fan_out {\nitems = step.a.result\n}\nharmless = true"), "step has not run yet"),
        (step("fan_out {\nitems = []\nat_once = 0\n}\nharmless = true"), "it must be a whole number from 1 to 64"),
        (step("for_each = []\nfan_out {\nitems = []\n}\nharmless = true"), "two kinds of items"),
        (undo(""), "`undo` of step `a` uses `each`, which is not known here"),
        (undo("fan_out {\nitems = []\n}").replacen("exec {", "on = each.key\nexec {", 1), "undo without a place"),
        (
            "strategy \"s\" {\nstep \"a\" {\nmanual { text = \"t\" }\nfan_out {\nitems = []\n}\nharmless = true\n}\n}".to_owned(),
            "a person for each item",
        ),
    ] {
        let found = refused(&text);
        assert!(found.contains(told), "{text}: {found}");
    }
    let good = undo("fan_out {\nitems = step.a.result.items\n}");
    let (provider, _) = load(&format!("{VERSION}{good}")).unwrap();
    let step = &provider.strategies["s"].steps[0];
    assert!(step.fan_out.as_ref().is_some_and(|fan_out| fan_out.at_once == 4 && !fan_out.tolerate_failures));
    assert!(matches!(&step.undo, Undo::Call { fan_out: Some(_), .. }));
}

#[test]
fn on_and_for_each_are_read_and_checked() {
    let text = "setting \"nodes\" {}\nfact \"java\" {\n  for_each = self.nodes\n  on = each.value\n  exec { command = [each.key] }\n  \
                value = \"${each.key} ${result.stdout}\"\n}\nstrategy \"s\" {\n  step \"a\" {\n    for_each = fact.java\n    on = each.key\n    \
                exec { command = [] }\n    check {\n      exec { command = [] }\n    }\n    undo {\n      on = \"other\"\n      exec { command = [] }\n    }\n  }\n}\n";
    let (provider, _) = load(&format!("{VERSION}{text}")).unwrap();
    let java = &provider.facts["java"];
    assert_eq!(java.for_each.as_ref().map(crate::lang::Expr::text), Some("self.nodes"));
    assert_eq!(java.call.as_ref().unwrap().on.as_ref().map(crate::lang::Expr::text), Some("each.value"));
    let step = &provider.strategies["s"].steps[0];
    let on = |call: &crate::model::provider::CallTemplate| call.on.as_ref().map(|on| on.text().to_owned());
    let Undo::Call { call: undo, .. } = &step.undo else { panic!() };
    let check = &step.check.as_ref().unwrap().call;
    let found = [on(&step.call), on(check), on(undo)].map(Option::unwrap_or_default);
    assert_eq!(found, ["each.key", "each.key", "\"other\""]);
    for (text, told) in [
        ("fact \"x\" {\n  on = each.key\n  exec { command = [] }\n}", "fact `x` uses `each`, which is not known here"),
        ("fact \"x\" {\n  for_each = [each.key]\n  value = 1\n}", "fact `x` uses `each`, which is not known here"),
        ("fact \"x\" {\n  on = \"a\"\n  value = 1\n}", "nothing to ask there: fact `x` says `on`"),
        ("fact \"a\" {\n  for_each = fact.b\n  value = 1\n}\nfact \"b\" { value = fact.a }", "dependency cycle"),
    ] {
        let found = refused(text);
        assert!(found.contains(told), "{text}: {found}");
    }
    let mapped = load("fact \"version\" {\n  for_each = [1]\n  value = 1\n}").unwrap_err();
    assert!(mapped.contains("one version for each item"), "{mapped}");
}

#[test]
fn what_a_strategy_opens_it_closes() {
    let step = |name: &str, inside: &str| {
        format!("step \"{name}\" {{\nexec {{ command = [] }}\n{inside}\nundo {{\nexec {{ command = [] }}\n}}\n}}\n")
    };
    let strategy = |steps: &[String]| format!("strategy \"s\" {{\n{}}}\n", steps.concat());
    let (opens, closes) = ("opens = \"maintenance\"", "closes = \"maintenance\"");
    for (steps, told) in [
        (vec![step("a", opens)], "[b.hcl:5:1] bracket never closed: step `a` of strategy `s` opens \"maintenance\""),
        (vec![step("a", opens), step("b", &format!("after = []\n{closes}"))], "no step after it closes that"),
        (vec![step("a", closes)], "bracket never opened"),
        (vec![step("a", "opens = \" \"")], "`opens` of step `a`: it is empty"),
        (vec![step("a", &format!("for_each = []\n{opens}")), step("b", closes)], "bracket of many actions"),
    ] {
        let found = refused(&strategy(&steps));
        assert!(found.contains(told), "{found}");
    }
    let (provider, _) = load(&format!("{VERSION}{}", strategy(&[step("a", opens), step("b", ""), step("c", closes)]))).unwrap();
    let undo = |index: usize| match &provider.strategies["s"].steps[index].undo {
        Undo::Call { opens, closes, .. } => (opens.as_deref(), closes.as_deref()),
        _ => panic!(),
    };
    assert_eq!([undo(0), undo(1), undo(2)], [(None, Some("maintenance")), (None, None), (Some("maintenance"), None)]);
}

/// A strategy of `stop`, `start` and a probe `watch` with this in its block, and these lines beside it.
fn probing(block: &str, beside: &str, stop: &str) -> String {
    format!(
        "strategy \"s\" {{\nstep \"watch\" {{\nexec {{ command = [] }}\nprobe {{\n{block}\n}}\n{beside}\nharmless = true\n}}\n\
         step \"stop\" {{\nexec {{ command = [] }}\nharmless = true\n{stop}\n}}\nstep \"start\" {{\nexec {{ command = [] }}\nharmless = true\n}}\n}}\n"
    )
}

#[test]
fn a_probe_is_read_and_nobody_waits_for_it_unasked() {
    let text = probing("during = [step.stop, step.start]\npass = result.exit_code == 0\ninterval = \"2s\"\nallow = 3", "", "");
    let (provider, _) = load(&format!("{VERSION}{text}")).unwrap();
    let [watch, stop, start] = provider.strategies["s"].steps.as_slice() else { panic!() };
    let probe = watch.probe.as_ref().unwrap();
    assert_eq!((probe.interval.as_secs(), probe.allow, watch.during.len()), (2, 3, 2));
    assert!(stop.after.is_empty() && start.after == ["stop".into()] && stop.probe.is_none());
}

#[test]
fn a_probe_that_could_never_end_or_begin_is_refused() {
    let during = "during = [step.stop, step.start]";
    for (text, told) in [
        (probing("", "", ""), "probe of nothing: `probe` of step `watch` does not say which steps"),
        (probing("during = [step.stp]", "", ""), "`during` of step `watch` names step `stp`, which strategy `s` does not have"),
        (probing("during = step.stop", "", ""), "`during` of step `watch` is not a list of steps"),
        (probing(during, "", "after = [step.watch]"), "dependency cycle"),
        (probing(during, "after = [step.stop]", "after = []"), "dependency cycle"),
        (probing("during = [step.watch]", "", ""), "dependency cycle"),
        (probing(during, "irreversible = true", ""), "not for a probe: step `watch` only looks on, and has `irreversible`"),
        (probing(during, "poll {\nuntil = result.x\n}", ""), "not for a probe: step `watch` only looks on, and has `poll`"),
        (probing(&format!("{during}\npass = error.x"), "", ""), "`probe` of step `watch` uses `error`, which is not known here"),
        (
            probing(&format!("{during}\npass = step.stop.result.x"), "", ""),
            "uses the result of step `stop`, which does not run before it",
        ),
        (probing(&format!("{during}\nevery = \"1s\""), "", ""), "`probe` of step `watch` has no attribute `every`"),
        (
            probing(during, "", "").replacen("exec { command = [] }", "manual { text = \"t\" }", 1),
            "driver changes things: step `watch` probes with `manual`",
        ),
    ] {
        let found = refused(&text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn a_probe_may_watch_another_and_a_step_may_wait_for_its_end() {
    let text = "strategy \"s\" {\nstep \"outer\" {\nexec { command = [] }\nprobe {\nduring = [step.inner, step.go]\n}\nharmless = true\n}\n\
                step \"inner\" {\nexec { command = [] }\nprobe {\nduring = [step.go]\n}\nharmless = true\n}\n\
                step \"go\" {\nexec { command = [] }\nharmless = true\n}\n\
                step \"report\" {\nafter = [step.outer]\nexec { command = [step.outer.result.looks] }\nharmless = true\n}\n}\n";
    let (provider, _) = load(&format!("{VERSION}{text}")).unwrap();
    assert_eq!(provider.strategies["s"].steps[3].after, ["outer".into()]);
}
