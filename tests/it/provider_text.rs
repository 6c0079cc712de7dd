//! What `windlass provider show` prints of a provider, as text and as JSON, and which warnings it gives rise to.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass::config::{lint, provider_from_files};
use windlass::model::name::ProviderName;
use windlass::model::provider::Provider;
use windlass::source::SourceMap;
use windlass::view::{Palette, provider_json, provider_text, providers_text};

const ACME: &str = r#"
provider "acme" {
  version        = "1.2.0"
  title          = "Acme Server"
  version_scheme = "semver"
  description    = <<-END
    Runs Acme.

    Needs a folder.
  END
}

setting "home" {
  type        = string
  required    = true
  on_change   = "refuse"
  description = "Where it is."
}

setting "ports" {
  type        = object({ http = number, admin = optional(number, 1) })
  default     = {
    http = 80
  }
  description = "Its ports."
}

setting "password" {
  type        = string
  default     = "changeme"
  sensitive   = true
  on_change   = "ignore"
  description = "The administrator's."
}

fact "version" {
  file {
    path = "${self.home}/VERSION"
  }
  value       = trimspace(result.content)
  description = "As the file says."
}

fact "healthy" {
  when  = fact.version != null
  value = fact.version != ""
  drift = true
}

release "1.0.0" {
  artifact = "acme-1.tar"
  sha256   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  channels = ["stable"]
}

release "2.0.0" {
  artifact  = "acme-2.tar"
  withdrawn = "eats data"
}

route "fresh" {
  movement = "install"
  to       = ">= 1"
  strategy = "way"
}

route "up" {
  from     = "~> 1.0"
  to       = ">= 2"
  when     = self.ports.http != 0
  strategy = "way"
  downtime = "90s"
  risk     = 20
  note     = "reads the whole database"
}

required_stop "1.5.0" {
  reason = "migrates the index"
}

blocked "no_three" {
  to     = "3.0.0"
  reason = "3.0.0 is broken"
  url    = "https://example.com/3"
}

risk "big" {
  rule    = fact.version == "1.0.0"
  message = "takes long"
}

preflight "room" {
  movements = ["upgrade"]
  pass      = fact.healthy
  message   = "${self.home} is not well"
  remedy    = "heal it"
  waivable  = true
}

requires "postgresql" {
  when    = ">= 2"
  version = ">= 14"
  reason  = "needs MERGE"
}

note "retrain" {
  versions  = ">= 2"
  text      = "Retrain the models."
  follow_up = true
}

strategy "way" {
  description = "Stops, migrates, starts."

  step "start" {
    title = "Start it"
    after = [step.migrate]
    exec {
      command = ["start"]
    }
    undo {
      exec { command = ["stop"] }
      downtime = true
    }
    downtime = true
    estimate = "10s"
    timeout  = "5m"
  }

  step "stop" {
    after = []
    exec {
      command = ["stop"]
    }
    undo {
      exec { command = ["start"] }
      restores_data = true
    }
    repeatable = true
    privileged = true
    downtime   = true
  }

  step "look" {
    after    = []
    for_each = [1, 2]
    file {
      path = "/x"
    }
    harmless   = true
    repeatable = true
  }

  step "migrate" {
    title = "Migrate the data"
    after = [step.stop, step.look]
    when  = fact.healthy
    exec {
      command = ["migrate"]
    }
    irreversible = true
    repeatable   = true
    note         = "no way back"
    retry {
      attempts = 3
    }
  }
}
"#;

fn acme(text: &str) -> Provider {
    let files = [(Arc::from("provider.hcl"), Arc::from(text.as_bytes()))].into();
    let schemas: Vec<_> = windlass::driver::standard().schemas().copied().collect();
    let loaded = provider_from_files(&ProviderName::new("acme"), files, &BTreeMap::new(), &schemas, &mut SourceMap::new());
    loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).0
}

#[test]
fn a_provider_is_documented_whole() {
    insta::assert_snapshot!(provider_text(&acme(ACME), Palette::default()), @r#"
    acme 1.2.0  (Acme Server, digest beab06d8a581, versions ordered as semver)
      Runs Acme.

      Needs a folder.

    Settings
      NAME      TYPE                                                    VALUE            ON CHANGE          WHAT IT MEANS
      home      string                                                  required         refuse             Where it is.
      ports     object({ admin = optional(number, 1), http = number })  = { http = 80 }  reconfigure        Its ports.
      password  string                                                  = (sensitive)    ignore, sensitive  The administrator's.

    Facts
      version  file             As the file says.
      healthy  computed  drift   (where fact.version != null)

    Releases
      1.0.0  stable  acme-1.tar (with checksum)
      2.0.0          acme-2.tar (no checksum)    withdrawn: eats data

    Routes
      fresh  install  → >= 1         by way
      up     upgrade  ~> 1.0 → >= 2  by way  downtime 1 min 30 s; risk 20; where self.ports.http != 0; reads the whole database

    Required stops
      1.5.0  migrates the index

    Blocked moves
      no_three any → 3.0.0
          3.0.0 is broken
          see https://example.com/3

    Risks
      big any → any
          where fact.version == "1.0.0"
          takes long

    Preflight checks
      room (upgrade; refuses; may be waived)
          needs fact.healthy
          else: "${self.home} is not well"
          remedy: heal it

    Requires
      >= 2  needs postgresql >= 14  needs MERGE

    Notes
      retrain >= 2 (upgrade; to be confirmed afterwards)
          Retrain the models.

    Strategy way
      Stops, migrates, starts.
          STEP     DRIVER  UNDO                 ESTIMATE            WHAT IT DOES
      1.  stop     exec    exec, restores data            downtime  Stop (needs root)
      2.  look     file    -                                        Look (may start at once; for each of [1, 2])
      3.  migrate  exec    no way back                              Migrate the data (after stop, look; where fact.healthy; up to 3 tries; no way back)
      4.  start    exec    exec, downtime       10 s      downtime  Start it (at most 5 min; not to be repeated)
    "#);
}

#[test]
fn a_provider_that_says_little_has_no_empty_sections() {
    let small = "provider \"acme\" { version = \"1.0.0\" }\nfact \"version\" {\n file { path = \"/v\" }\n}";
    insta::assert_snapshot!(provider_text(&acme(small), Palette::default()), @r#"
    acme 1.0.0  (acme, digest 6e21b231f1e3, versions ordered as dotted)

    Facts
      version  file
    "#);
}

#[test]
fn one_that_cannot_be_loaded_is_listed_all_the_same() {
    let rows = [
        (ProviderName::new("acme"), "providers/acme".to_owned(), Some(Arc::new(acme(ACME)))),
        (ProviderName::new("broken"), "in this program".to_owned(), None),
    ];
    insta::assert_snapshot!(providers_text(&rows, Palette::default()), @r#"
    NAME    VERSION           DIGEST        TITLE        WHERE
    acme    1.2.0             beab06d8a581  Acme Server  providers/acme
    broken  cannot be loaded  -             -            in this program
    "#);
    assert!(providers_text(&[], Palette::default()).contains("provider new"));
}

#[test]
fn colours_add_nothing_but_escapes() {
    let provider = acme(ACME);
    let coloured = provider_text(&provider, Palette { colour: true });
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    assert_eq!(plain, provider_text(&provider, Palette::default()));
}

#[test]
fn neither_text_nor_json_shows_a_sensitive_default() {
    let provider = acme(ACME);
    let json = provider_json(&provider);
    assert!(!provider_text(&provider, Palette::default()).contains("changeme"));
    assert!(!json.to_string().contains("changeme"));
    assert_eq!(json["settings"][2]["sensitive"], true);
}

#[test]
fn programs_get_the_steps_in_the_order_of_the_graph() {
    let json = provider_json(&acme(ACME));
    let steps: Vec<&str> =
        json["strategies"][0]["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(steps, ["stop", "look", "migrate", "start"]);
    assert_eq!(json["strategies"][0]["steps"][0]["undo"]["restores_data"], true);
    assert_eq!(json["strategies"][0]["steps"][2]["retry"]["attempts"], 3);
    assert_eq!(json["routes"][1]["downtime"], 90.0);
    assert_eq!(json["settings"][1]["type"], "object({ admin = optional(number, 1), http = number })");
}

#[test]
fn what_is_dangerous_in_it_is_told_at_once() {
    let problems = lint(&acme(ACME));
    assert!(!problems.has_errors());
    let told: Vec<String> = problems.iter().map(|problem| format!("{}\n", problem.detail)).collect();
    insta::assert_snapshot!(told.concat(), @r#"
    step `stop` of strategy `way` is undone by restoring older data, and no step that must end before it makes a backup
    step `migrate` of strategy `way` cannot be undone, and no step that must end before it makes a backup
    step `start` of strategy `way` is neither `repeatable` nor has it a `check`: where Windlass is killed while it runs, a person must decide
    `undo` of step `start` of strategy `way` calls `exec` and may take for ever
    step `stop` of strategy `way` takes the product down, and nothing says for how long
    step `stop` of strategy `way` calls `exec` and may take for ever
    `undo` of step `stop` of strategy `way` calls `exec` and may take for ever
    step `migrate` of strategy `way` calls `exec` and may take for ever
    provider `acme` has no route to remove: an instance that is no longer declared must be removed by hand
    provider `acme` has no route to reconfigure: a changed setting is refused until a person has seen to it
    release `2.0.0` names an artifact, and nothing says what must be in it
    "#);
}
