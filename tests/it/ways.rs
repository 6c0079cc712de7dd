//! Ways out of a run that was cut off between what an action did and what was written down of it: what leads back is kept before
//! anything is changed.

use crate::estate::Estate;

const MAIN: &str = r#"variable "home" {
  type = string
}
variable "version" {
  type    = string
  default = "1.0.0"
}
variable "api" {
  type    = string
  default = ""
}
environment "test" {}
instance "page" "one" {
  environment = environment.test
  version     = var.version
  dir         = var.home
  api         = var.api
}
"#;

/// A page that is written as a file, with a way back that asks for what the step has saved.
const PROVIDER: &str = r#"provider "page" {
  version = "1.0.0"
  title   = "Page"
}
setting "dir" {
  type     = string
  required = true
}
setting "api" {
  type    = string
  default = ""
}
fact "version" {
  file {
    path     = "${self.dir}/page"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
release "1.0.0" {}
release "2.0.0" {}
route "install" {
  movement = "install"
  strategy = "turn"
}
route "up" {
  from     = "1.0.0"
  to       = "2.0.0"
  strategy = "turn"
}
strategy "turn" {
  step "page" {
    file {
      action  = "write"
      path    = "${self.dir}/page"
      content = "${to.text}\n"
    }
    undo {
      file {
        action = "restore"
        saved  = step.page.result.saved
      }
    }
    REPEATABLE
  }
  step "post" {
    when = self.api != ""
    http {
      method = "POST"
      url    = self.api
    }
    undo {
      http {
        method = "DELETE"
        url    = "${self.api}/${step.post.result.json.id}"
      }
    }
  }
  step "last" {
    exec {
      command   = ["sh", "-c", "[ ! -e broken ]"]
      directory = self.dir
    }
    harmless = true
  }
}
"#;

/// A page at 1.0.0, of which the next version is wanted.
fn page(repeatable: bool) -> Estate {
    let mut estate = Estate::with(MAIN);
    let repeatable = if repeatable { "repeatable = true" } else { "" };
    estate.write("providers/page/provider.hcl", PROVIDER.replace("REPEATABLE", repeatable));
    estate.set("home", &estate.root.display().to_string());
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate
}

/// Applies, and dies at a place.
fn die(estate: &mut Estate, place: &str) {
    estate.env("WINDLASS_CRASH_AT", place);
    assert_eq!(estate.apply().code, None, "it was to be killed at {place}");
    estate.env("WINDLASS_CRASH_AT", "");
}

#[test]
fn what_was_written_and_not_recorded_is_undone_by_rollback() {
    for place in ["apply.begin:1", "apply.called:1", "apply.ended:1", "apply.begin:2"] {
        let mut estate = page(false);
        die(&mut estate, place);
        estate.good(&["rollback", "--auto-approve"]).lacks("--skip");
        assert_eq!(estate.read("page"), "1.0.0\n", "{place}");
        estate.set("version", "1.0.0");
        estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    }
}

#[test]
fn a_second_try_does_not_take_the_work_of_the_first_for_what_was_there_before() {
    let mut estate = page(true);
    die(&mut estate, "apply.called:1");
    assert_eq!(estate.read("page"), "2.0.0\n");
    estate.write("broken", "");
    estate.run(&["resume"]).exit(4);
    assert_eq!(estate.read("page"), "1.0.0\n");
}

#[test]
fn what_nobody_can_know_is_held_and_says_what_is_missing() {
    let mut estate = page(false);
    let service = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    estate.set("api", &format!("http://{}/things", service.local_addr().expect("an address")));
    let mut child = estate.spawn(&["apply", "--auto-approve"]);
    // It takes the call, and never answers.
    let call = service.accept().expect("a call");
    let _ = child.kill();
    let _ = child.wait();
    drop(call);
    drop(service);
    let told = estate.run(&["rollback", "--auto-approve"]).exit(5);
    let told = told.says(&["its undo, `http`, needs what step `post` gave", "nobody saw that", "--skip"]);
    drop(told);
    assert_eq!(estate.read("page"), "2.0.0\n");
    // A person has looked, and taken away what was there.
    estate.run(&["resume", "--skip", "page.one@2.0.0:post"]).exit(4);
    assert_eq!(estate.read("page"), "1.0.0\n");
}

/// A box whose content goes back by the backup that its upgrade makes.
const BOX: &str = r#"provider "box" {
  version = "1.0.0"
  title   = "Box"
}
setting "dir" {
  type     = string
  required = true
}
fact "version" {
  file {
    path     = "${self.dir}/data/version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
release "1.0.0" {}
release "2.0.0" {}
route "install" {
  movement = "install"
  strategy = "place"
}
route "up" {
  from     = "1.0.0"
  to       = "2.0.0"
  strategy = "fill"
}
strategy "place" {
  step "place" {
    exec {
      command   = ["sh", "-c", "mkdir -p data; echo 1.0.0 > data/version"]
      directory = self.dir
    }
    harmless = true
  }
}
strategy "fill" {
  step "back_up" {
    backup {
      action     = "create"
      path       = "${self.dir}/data"
      repository = "${self.dir}/backups"
    }
    harmless = true
  }
  step "fill" {
    exec {
      command   = ["sh", "-c", "echo 2.0.0 > data/version"]
      directory = self.dir
    }
    undo {
      backup {
        action     = "restore"
        path       = "${self.dir}/data"
        repository = "${self.dir}/backups"
        id         = step.back_up.result.backup.id
      }
      restores_data = true
    }
  }
  step "note" {
    exec {
      command   = ["sh", "-c", "touch noted"]
      directory = self.dir
    }
    undo {
      exec {
        command   = ["sh", "-c", "rm noted"]
        directory = self.dir
      }
    }
  }
}
"#;

#[test]
fn a_rollback_whose_backup_is_gone_is_refused_before_anything_is_undone() {
    let mut estate = Estate::with(&MAIN.replace("\"page\"", "\"box\"").replace("  api         = var.api\n", ""));
    estate.write("providers/box/provider.hcl", BOX);
    estate.set("home", &estate.root.display().to_string());
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.apply().exit(0);
    let backup = std::fs::read_dir(estate.path("backups")).expect("a repository").flatten().map(|entry| entry.path());
    let backup = backup.filter(|path| path.join("entry.json").exists()).last().expect("a backup");
    let lock = estate.lockfile();
    let refused = |what: &str| {
        let told = estate.run(&["rollback", "--auto-approve"]).exit(3);
        drop(told.says(&["backup is gone", "`box.one` goes back by `backup`", what, "nothing was undone"]));
        assert_eq!(estate.read("data/version"), "2.0.0\n");
        assert!(estate.path("noted").exists(), "something was undone");
        assert_eq!(estate.lockfile(), lock);
    };
    let (data, aside) = (backup.join("data.tar.zst"), estate.path("aside"));
    std::fs::rename(&data, &aside).expect("it can be moved");
    refused("its data is not there");
    std::fs::rename(&aside, &data).expect("it can be moved");
    std::fs::rename(&backup, &aside).expect("it can be moved");
    refused("there is no backup");
    std::fs::rename(&aside, &backup).expect("it can be moved");
    estate.good(&["rollback", "--auto-approve"]);
    assert_eq!(estate.read("data/version"), "1.0.0\n");
    assert!(!estate.path("noted").exists());
}

#[test]
fn a_rollback_is_refused_where_what_a_step_kept_is_damaged() {
    let estate = page(false);
    estate.apply().exit(0);
    for kept in estate.tree(".windlass").keys().filter(|path| path.ends_with("/content")) {
        estate.write(&format!(".windlass/{kept}"), "spoilt");
    }
    let told = estate.run(&["rollback", "--auto-approve"]).exit(3);
    drop(told.says(&["what leads back is gone", "is damaged"]));
    assert_eq!(estate.read("page"), "2.0.0\n");
}

#[test]
fn a_plan_shows_what_is_other_in_a_provider_since_it_was_used_last() {
    let mut estate = page(false);
    estate.run(&["plan"]).sober().lacks("is another than was used last");
    let text = estate.read("providers/page/provider.hcl").replace("\"Page\"", "\"Side\"");
    estate.write("providers/page/provider.hcl", text);
    let plain = estate.good(&["plan", "--out", "up.plan"]);
    let plain = plain.says(&["provider page is another than was used last in test: 1.0.0,", "provider.hcl +1 -1"]);
    drop(plain.says(&["-  title   = \"Page\"", "+  title   = \"Side\""]));
    // The reviewer sees it wherever the plan is shown.
    estate.good(&["show", "up.plan"]).says(&["provider page is another", "+  title   = \"Side\""]);
    estate.good(&["show", "up.plan", "--format", "markdown"]).says(&["- provider page is another", "```diff"]);
    estate.good(&["show", "up.plan", "--format", "html"]).says(&["provider page is another", "provider.hcl"]);
    estate.good(&["apply", "up.plan"]);
    // By now it is the one that was used last.
    estate.set("version", "1.0.0");
    estate.run(&["plan"]).sober().lacks("is another than was used last");
}

/// Software that is unpacked beside data that is put back: each step leads back by what it has given.
const SHELF: &str = r#"provider "shelf" {
  version = "1.0.0"
  title   = "Shelf"
}
setting "dir" {
  type     = string
  required = true
}
setting "kubectl" {
  type     = string
  required = true
}
fact "version" {
  file {
    path     = "${self.dir}/app/version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
release "1.0.0" {}
route "install" {
  movement = "install"
  strategy = "fill"
}
strategy "fill" {
  step "back_up" {
    backup {
      action     = "create"
      path       = "${self.dir}/data"
      repository = "${self.dir}/backups"
    }
    undo {
      backup {
        action     = "remove"
        repository = "${self.dir}/backups"
        id         = step.back_up.result.backup.id
      }
    }
  }
  step "unpack" {
    archive {
      action = "unpack"
      path   = "${self.dir}/release.tar"
      to     = "${self.dir}/app"
    }
    undo {
      file {
        action    = "remove"
        path      = step.unpack.result.path
        recursive = true
      }
    }
  }
  step "put_back" {
    backup {
      action        = "restore"
      path          = "${self.dir}/data"
      repository    = "${self.dir}/backups"
      id            = step.back_up.result.backup.id
      keep_previous = true
    }
    undo {
      exec {
        command   = ["sh", "-c", "rm -r data && mv \"$1\" data", "sh", step.put_back.result.previous[0]]
        directory = self.dir
      }
    }
  }
  step "wait" {
    kubernetes {
      action  = "wait"
      kind    = "pod"
      name    = "one"
      for     = "delete"
      kubectl = self.kubectl
      timeout = "30s"
    }
    undo {
      exec {
        command   = ["sh", "-c", "echo not needed > wrong"]
        directory = self.dir
      }
    }
  }
}
"#;

/// A shelf that is to be installed, with data that is there already; and what the folders hold.
fn shelf() -> Estate {
    let main = r#"variable "home" {
  type = string
}
environment "test" {}
instance "shelf" "one" {
  environment = environment.test
  version     = "1.0.0"
  dir         = var.home
  kubectl     = "${var.home}/kubectl"
}
"#;
    let mut estate = Estate::with(main);
    estate.write("providers/shelf/provider.hcl", SHELF);
    estate.set("home", &estate.root.display().to_string());
    estate.write("data/file", "content");
    let pack = "mkdir app && echo 1.0.0 > app/version && tar -cf release.tar -C app version && rm -r app && \
                printf '#!/bin/sh\\necho asked >> asked\\nexit 0\\n' > kubectl && chmod 755 kubectl";
    let packed = std::process::Command::new("/bin/sh").args(["-euc", pack]).current_dir(&estate.root).status();
    assert!(packed.is_ok_and(|status| status.success()));
    estate
}

#[test]
fn what_archives_and_backups_made_and_nobody_recorded_is_undone_by_rollback() {
    for place in ["begin:2", "begin:3", "called:1", "called:2", "called:3", "called:4", "ended:4"] {
        let mut estate = shelf();
        die(&mut estate, &format!("apply.{place}"));
        estate.good(&["rollback", "--auto-approve"]).lacks("--skip");
        let left: Vec<String> = estate.tree("").into_keys().collect();
        let is_left = |part: &str| left.iter().any(|path| path.contains(part));
        assert!(!is_left("app/version") && !is_left("before-restore") && !is_left(".windlass-"), "{place}: {left:?}");
        assert!(!is_left("entry.json") && estate.read("data/file") == "content", "{place}: {left:?}");
        // Whoever only waited has nothing to undo where it was cut off. That it ended may be durable by then, or not.
        assert!(!is_left("wrong") || place == "ended:4", "{place}");
    }
    let mut estate = shelf();
    // The first beginning: before a later one, the end of the step before it may not be durable yet, and then a person is asked.
    die(&mut estate, "apply.begin:1");
    // Nothing of it was done, so that it is begun again and nobody is asked.
    estate.good(&["resume"]);
    assert_eq!(estate.read("app/version"), "1.0.0\n");
}
