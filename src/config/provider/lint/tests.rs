//! What lint finds, and what it leaves alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lint;
use crate::config::provider_from_files;
use crate::model::driver::{ArgSchema, DriverSchema};
use crate::model::name::ProviderName;
use crate::source::{Severity, SourceMap};

const fn arg(name: &'static str) -> ArgSchema {
    ArgSchema { name, ty: "any", required: false, summary: "Something." }
}

const fn driver(name: &'static str, args: &'static [ArgSchema]) -> DriverSchema {
    DriverSchema { name, summary: "Does something.", args, results: &[], observes: true }
}

const DRIVERS: &[DriverSchema] = &[
    driver("exec", &[arg("command"), arg("shell"), arg("environment"), arg("secrets"), arg("stdin")]),
    driver("http", &[arg("url"), arg("query"), arg("bearer"), arg("timeout")]),
    driver("wait", &[arg("tcp"), arg("duration"), arg("timeout"), arg("command")]),
    driver("file", &[arg("action"), arg("path"), arg("content"), arg("mode"), arg("source")]),
    driver("template", &[arg("source"), arg("path"), arg("values"), arg("mode")]),
    driver("backup", &[arg("action")]),
    driver("postgres", &[arg("action")]),
    driver("manual", &[arg("instructions")]),
];

/// A provider about which there is nothing to say.
const CLEAN: &str = r#"
    provider "acme" { 
      version     = "1.0.0"
      description = "Does it."
    }
    fact "version" { file { path = "/v" } }
    fact "healthy" { value = true }
    route "install" { 
      movement = "install"
      strategy = "way"
    }
    route "remove" { 
      movement = "remove"
      strategy = "way"
    }
    route "reconfigure" { 
      movement = "reconfigure"
      strategy = "way"
    }
"#;

const WAY: &str = r#"
    strategy "way" {
      description = "One way."
      step "go" {
        file { path = "/x" }
        harmless   = true
        repeatable = true
      }
    }
"#;

/// A block in a block on one line, as HCL wants it.
fn on_lines(text: &str) -> String {
    let mut text = text.replace("} }", "}\n}");
    for driver in DRIVERS {
        text = text.replace(&format!("{{ {} {{", driver.name), &format!("{{\n{} {{", driver.name));
    }
    text
}

/// What lint says about a provider, each with the text that it points at.
fn found(text: &str) -> Vec<(Severity, String, String)> {
    let text = on_lines(text);
    let files = [(Arc::from("provider.hcl"), Arc::from(text.as_bytes())), (Arc::from("t.j2"), Arc::from(&b""[..]))].into();
    let mut sources = SourceMap::new();
    let loaded = provider_from_files(&ProviderName::new("acme"), files, &BTreeMap::new(), DRIVERS, &mut sources);
    let (provider, _) = loaded.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let place =
        |labels: &[crate::source::Label]| labels.first().map(|label| sources.slice(label.span).to_owned()).unwrap_or_default();
    lint(&provider)
        .iter()
        .map(|problem| {
            assert!(problem.help.is_some() && !problem.detail.is_empty(), "{problem:?}");
            (problem.severity, problem.to_string(), place(&problem.labels))
        })
        .collect()
}

/// The summaries and details for a provider that is clean but for `more`.
fn says(more: &str) -> Vec<String> {
    found(&format!("{CLEAN}{WAY}{more}")).into_iter().map(|(_, text, _)| text).collect()
}

/// What is said about steps of a strategy in place of the clean one.
fn steps(steps: &str) -> Vec<(Severity, String, String)> {
    found(&format!("{CLEAN} strategy \"way\" {{\n description = \"One way.\"\n {steps}\n}}"))
}

fn step(name: &str, body: &str) -> String {
    format!("step \"{name}\" {{\n {body}\n repeatable = true\n timeout = \"1m\"\n }}\n")
}

const SECRET: &str = r#"
    setting "password" { 
      type        = string
      sensitive   = true
      description = "Secret."
    }
    setting "url" {
      type        = string
      default     = "http://x:${self.password}@y"
      description = "Made of a secret."
    }
    locals { 
      all = { port = 1, secret = self.password }
      deep = local.all
    }
"#;

fn secret_steps(body: &str) -> Vec<(Severity, String, String)> {
    steps(&format!("{}\n}}\n{SECRET} locals {{\n", step("go", &format!("{body}\n harmless = true"))))
}

#[test]
fn a_clean_provider_gives_no_complaint() {
    assert_eq!(says(""), Vec::<String>::new());
}

#[test]
fn a_secret_in_a_command_is_an_error_where_it_is_written() {
    let problems = secret_steps(r#"exec { command = ["login", "-p", "${self.password}"] }"#);
    let [(Severity::Error, text, place)] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(
        text.starts_with("secret in the open: step `go` of strategy `way` writes the secret `self.password` into `command`"),
        "{text}"
    );
    assert_eq!(place, "self.password");
}

#[test]
fn a_secret_is_followed_through_locals_and_defaults() {
    for body in [
        r#"exec { command = ["x", local.deep.secret] }"#,
        r#"exec { command = ["x", jsonencode(local.all)] }"#,
        r#"exec { command = ["x", self.url] }"#,
        r#"exec { command = ["x", jsonencode(self)] }"#,
        r#"exec { command = concat(["x"], [for s in [self.password] : s]) }"#,
        r#"wait { command = ["x", self.password] }"#,
        r#"http { url = self.url }"#,
        "http {\n query = { token = self.password }\n }",
    ] {
        let problems = secret_steps(body);
        assert!(problems.iter().all(|(severity, ..)| *severity == Severity::Error) && problems.len() == 1, "{body}: {problems:?}");
    }
}

#[test]
fn a_secret_that_does_not_get_there_is_no_problem() {
    for body in [
        r#"exec { command = ["x", "${local.deep.port}", self.password == "" ? "-n" : "-p"] }"#,
        r#"exec {
          command = ["x"]
          secrets = { P = self.password }
          stdin   = self.password
        }"#,
        r#"http {
          url    = "http://x"
          bearer = self.password
        }"#,
        r#"template {
          source = "t.j2"
          path   = "/x"
          mode   = "0640"
          values = { p = self.password }
        }"#,
    ] {
        assert_eq!(secret_steps(body), [], "{body}");
    }
}

#[test]
fn a_secret_in_a_file_for_everybody_is_found() {
    for mode in ["", "mode = \"0644\""] {
        let problems = secret_steps(&format!("file {{\n action = \"write\"\n content = self.password\n {mode}\n }}"));
        assert!(
            matches!(problems.as_slice(), [(Severity::Warning, text, _)] if text.starts_with("secret in a file")),
            "{problems:?}"
        );
    }
}

#[test]
fn a_setting_pasted_into_a_shell_is_found_and_a_number_is_not() {
    let settings = r#"
        setting "dir" { 
          type        = string
          description = "Folder."
        }
        setting "port" { 
          type        = number
          description = "Port."
        }
    "#;
    let shell = |script: &str| {
        let step = step("go", &format!("exec {{ shell = {script} }}\n harmless = true"));
        steps(&format!("{step} }}\n {settings} locals {{\n"))
    };
    let problems = shell(r#""rm -rf ${self.dir}/tmp ${to.text}""#);
    let [(Severity::Warning, text, place)] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(text.contains("pastes `self.dir`, `to.text` into `shell`"), "{text}");
    assert_eq!(place, "self.dir");
    for script in
        [r#""echo ${self.port} ${to.major}""#, r#""echo ${base64encode(self.dir)}""#, r#""rm $${DIR}""#, r#""echo plain""#]
    {
        assert_eq!(shell(script), [], "{script}");
    }
}

#[test]
fn a_step_says_how_long_it_is_down_and_whether_it_may_be_repeated() {
    let problems = steps("step \"go\" {\n backup { action = \"verify\" }\n harmless = true\n downtime = true\n }");
    let texts: Vec<&str> = problems.iter().map(|(_, text, _)| text.split(':').next().unwrap()).collect();
    assert_eq!(texts, ["downtime without an estimate", "outcome unknown after a crash"]);
    let file =
        |action: &str| steps(&step("go", &format!("file {{ action = \"{action}\" }}\n harmless = true\n downtime = true"))).len();
    assert_eq!((file("symlink"), file("copy")), (0, 1));
    let checked = "step \"go\" {\n file { path = \"/x\" }\n harmless = true\n check { file { path = \"/x\" } }\n }";
    assert_eq!(steps(checked), []);
}

#[test]
fn calls_that_may_hang_need_a_timeout_in_undo_too() {
    let undo = "undo { exec { command = [\"x\"] } }";
    let problems = steps(&format!("step \"go\" {{\n exec {{ command = [\"x\"] }}\n {undo}\n repeatable = true\n }}"));
    let texts: Vec<&str> = problems.iter().map(|(_, text, _)| text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("no timeout: step `go`") && texts[1].starts_with("no timeout: `undo` of step `go`"), "{texts:?}");
    for limited in ["wait { duration = \"5s\" }", "http {\n url = \"http://x\"\n timeout = \"5s\"\n }", "file { path = \"/x\" }"] {
        assert_eq!(steps(&format!("step \"go\" {{\n {limited}\n harmless = true\n repeatable = true\n }}")), [], "{limited}");
    }
}

#[test]
fn an_undo_by_hand_is_told() {
    let problems = steps(&step("go", "file { path = \"/x\" }\n undo { manual { instructions = \"Put it back.\" } }"));
    assert!(
        matches!(problems.as_slice(), [(_, text, place)] if text.starts_with("undo by hand") && place == "manual"),
        "{problems:?}"
    );
}

#[test]
fn changing_data_needs_a_backup_that_has_surely_ended() {
    let migrate = step("migrate", "exec { command = [\"m\"] }\n irreversible = true");
    let backup = |driver: &str| step("save", &format!("{driver}\n harmless = true"));
    let no_backup = |text: &str| steps(text).iter().any(|(_, text, _)| text.starts_with("no backup: step `migrate`"));
    assert!(no_backup(&migrate));
    assert!(no_backup(&format!("{}{migrate}", backup("backup { action = \"verify\" }"))));
    assert!(!no_backup(&format!("{}{migrate}", backup("backup { action = \"create\" }"))));
    assert!(!no_backup(&format!("{}{migrate}", backup("postgres { action = \"dump\" }"))));
    // Declared before, but nothing waits for it.
    let unordered = step("migrate", "after = []\n exec { command = [\"m\"] }\n irreversible = true");
    assert!(no_backup(&format!("{}{unordered}", backup("backup { action = \"create\" }"))));
    // A product's own command, told by the name of the step.
    let own = step("back_up_metadata", "exec { command = [\"metastore.sh\", \"backup\"] }\n harmless = true");
    assert!(!no_backup(&format!("{own}{migrate}")));
}

#[test]
fn a_restore_without_a_backup_is_told() {
    let undo = "undo {\n file { path = \"/x\" }\n restores_data = true\n }";
    let problems = steps(&step("go", &format!("file {{ path = \"/x\" }}\n {undo}")));
    assert!(matches!(problems.as_slice(), [(_, text, _)] if text.contains("is undone by restoring older data")), "{problems:?}");
}

#[test]
fn what_may_be_done_before_the_point_of_no_return_is_told() {
    let behind = |text: &str| -> Vec<String> {
        steps(text).into_iter().filter(|(_, text, _)| text.starts_with("risk behind")).map(|(_, text, _)| text).collect()
    };
    let save = step("save", "backup { action = \"create\" }\n harmless = true");
    let point = step("point", "exec { command = [\"m\"] }\n irreversible = true");
    let undo = "undo { file { path = \"/x\" } }";
    let beside = step("beside", &format!("after = []\n file {{ path = \"/x\" }}\n {undo}"));
    let after = step("after", &format!("file {{ path = \"/x\" }}\n {undo}"));
    assert_eq!(behind(&format!("{save}{point}{after}")), Vec::<String>::new());
    let told = behind(&format!("{save}{point}{beside}"));
    assert!(
        matches!(told.as_slice(), [text] if text.contains("step `point` cannot be undone, and step `beside` may run before")),
        "{told:?}"
    );
    let render = step("render", "template {\n source = \"t.j2\"\n path = \"/x\"\n }\n harmless = true");
    assert_eq!(behind(&format!("{save}{point}{render}")).len(), 1);
    assert_eq!(behind(&format!("{save}{render}{point}")).len(), 0);
    // What it says becomes known only behind the point.
    let address = "template {\n source = \"t.j2\"\n path = step.after.result.path\n }\n harmless = true";
    assert_eq!(behind(&format!("{save}{point}{after}{}", step("render", address))), Vec::<String>::new());
}

#[test]
fn strategies_and_routes_that_lead_nowhere_are_told() {
    let told = says(&WAY.replace("\"way\"", "\"other\""));
    assert!(
        matches!(told.as_slice(), [text] if text.starts_with("strategy is never used: no route leads by strategy `other`")),
        "{told:?}"
    );
    let route = "route \"up\" {\n to = \">= 2\"\n strategy = \"way\"\n }";
    assert_eq!(says(route), Vec::<String>::new());
    let told = says(&format!("{route}\n release \"1.0\" {{}}"));
    assert!(matches!(told.as_slice(), [text] if text.contains("no release that the provider knows of is `>= 2`")), "{told:?}");
    assert_eq!(says(&format!("{route}\n release \"2.0\" {{}}")), Vec::<String>::new());
}

#[test]
fn an_artifact_without_a_checksum_is_told() {
    let told = says("release \"1.0\" { artifact = \"/a.tar\" }");
    assert!(matches!(told.as_slice(), [text] if text.starts_with("artifact without a checksum: release `1.0`")), "{told:?}");
}

#[test]
fn movements_without_a_route_are_told_where_they_can_come_up() {
    let bare = "provider \"acme\" {\n version = \"1.0.0\"\n description = \"D.\"\n }\n fact \"version\" { file { path = \"/v\" } }\n fact \"healthy\" { value = true }";
    let told: Vec<String> = found(bare).into_iter().map(|(_, text, _)| text).collect();
    assert!(told.iter().all(|text| text.starts_with("movement without a route")), "{told:?}");
    assert_eq!(told.len(), 2);
    let setting = "setting \"x\" {\n type = string\n description = \"X.\"\n on_change = \"ignore\"\n }";
    assert_eq!(found(&format!("{bare}\n{setting}")).len(), 2);
    assert_eq!(found(&format!("{bare}\n{}", setting.replace("ignore", "reconfigure"))).len(), 3);
}

#[test]
fn what_nobody_can_understand_is_told() {
    let told = says("setting \"x\" { type = string }");
    assert!(matches!(told.as_slice(), [text] if text.starts_with("setting without a description")), "{told:?}");
    let told = says("preflight \"p\" {\n pass = true\n message = \"No.\"\n }");
    assert!(matches!(told.as_slice(), [text] if text.starts_with("preflight without a remedy")), "{told:?}");
    let told: Vec<String> = found(&format!("{CLEAN}{WAY}").replace("description", "title").replace("title = \"One way.\"", ""))
        .into_iter()
        .map(|(_, text, _)| text)
        .collect();
    assert!(told.iter().any(|text| text.starts_with("provider without a description")), "{told:?}");
    let told: Vec<String> =
        found(&format!("{CLEAN}{WAY}").replace("fact \"healthy\"", "fact \"fine\"")).into_iter().map(|(_, text, _)| text).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("missing fact `healthy`") && told[1].starts_with("fact is never used: fact `fine`"), "{told:?}");
}

#[test]
fn a_fact_counts_as_used_wherever_it_is_named() {
    let fact = "fact \"extra\" { file { path = \"/e\" } }";
    assert_eq!(says(fact).len(), 1);
    for user in [
        "locals { x = fact.extra }",
        "fact \"running\" { value = fact.extra }",
        "note \"n\" { text = \"${fact.extra}\" }",
        "risk \"r\" {\n rule = fact.extra\n message = \"Risky.\"\n }",
        "blocked \"b\" {\n when = fact.extra\n reason = \"No.\"\n }",
        "preflight \"p\" {\n pass = fact.extra\n message = \"No.\"\n remedy = \"Do.\"\n }",
    ] {
        assert_eq!(says(&format!("{fact}\n{user}")), Vec::<String>::new(), "{user}");
    }
    assert_eq!(says("fact \"extra\" {\n file { path = \"/e\" }\n description = \"For people.\"\n }"), Vec::<String>::new());
    assert_eq!(says("fact \"extra\" {\n file { path = \"/e\" }\n drift = true\n }"), Vec::<String>::new());
}

#[test]
fn an_opening_step_whose_way_back_does_not_close_is_told() {
    let close = step("close", "file { path = \"/x\" }\n harmless = true\n closes = \"m\"");
    let open =
        |undo: &str| steps(&format!("{}{close}", step("open", &format!("file {{ path = \"/x\" }}\n opens = \"m\"\n {undo}"))));
    let told = open("harmless = true");
    assert!(told.iter().any(|(_, text, _)| text.starts_with("left open by a rollback: step `open`")), "{told:?}");
    assert!(open("undo {\n file { path = \"/x\" }\n}").is_empty());
}
