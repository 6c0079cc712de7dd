//! Calls that are made elsewhere than where the instance lives, and facts that are asked for each of several, in the real program.

use crate::estate::Estate;

/// A product of several nodes. Each node is a declared host; all of them are this machine.
const PROVIDER: &str = r#"
provider "ring" {
  version = "1.0.0"
}

setting "dir" {
  type = string
}

setting "nodes" {
  type = list(string)
}

setting "writer" {
  type    = string
  default = null
}

fact "version" {
  file {
    path = "${self.dir}/version"
  }
  value = result.exists ? trimspace(result.content) : null
}

fact "java" {
  for_each = toset(self.nodes)
  on       = each.value
  file {
    path = "${self.dir}/java-${each.key}"
  }
  value = trimspace(result.content)
}

fact "ports" {
  ports {
    action = "find_free"
    from   = 20000
    to     = 65000
    count  = 3
  }
}

fact "kit" {
  archive {
    action           = "read"
    path             = "${self.dir}/kit.tar.gz"
    member           = "VERSION"
    strip_components = 1
  }
  value = trimspace(result.content)
}

preflight "java" {
  pass    = alltrue([for node, java in fact.java : java == "17"])
  message = "java is ${jsonencode(fact.java)} on the nodes"
}

route "install" {
  movement = "install"
  strategy = "fresh"
}

strategy "fresh" {
  step "each" {
    for_each = toset(self.nodes)
    on       = each.value
    file {
      action  = "write"
      path    = "${self.dir}/node-${each.key}"
      content = "port ${fact.ports.first}, kit ${fact.kit}"
    }
    undo {
      file {
        action = "restore"
        saved  = step.each.result[0].saved
      }
    }
    repeatable = true
  }
  step "finish" {
    on = self.writer
    file {
      action  = "write"
      path    = "${self.dir}/version"
      content = to.text
    }
    harmless = true
  }
}
"#;

fn ring() -> Estate {
    let mut estate = Estate::empty();
    estate.write("providers/ring/provider.hcl", PROVIDER);
    estate.write(
        "main.hcl",
        "variable \"home\" {\n  type = string\n}\nvariable \"writer\" {\n  type    = string\n  default = \"localhost\"\n}\n\
         environment \"test\" {}\nhost \"n1\" {}\nhost \"n2\" {}\ninstance \"ring\" \"one\" {\n  environment = environment.test\n  \
         version     = \"1.0.0\"\n  dir         = var.home\n  nodes       = [\"n1\", \"n2\"]\n  writer      = var.writer\n}\n",
    );
    estate.set("home", &estate.root.display().to_string());
    estate.write("java-n1", "17\n");
    estate.write("java-n2", "11\n");
    let made = std::process::Command::new("sh")
        .args(["-c", "mkdir kit && echo 4.5.6 > kit/VERSION && tar czf kit.tar.gz kit"])
        .current_dir(&estate.root)
        .status();
    assert!(made.expect("a shell").success());
    estate
}

#[test]
fn facts_are_asked_on_every_node_and_steps_done_on_every_node() {
    let estate = ring();
    estate.run(&["plan"]).says(&[r#"java is {"n1":"17","n2":"11"} on the nodes"#]);
    estate.write("java-n2", "17\n");
    estate.apply().exit(0).says(&["each[\"n1\"]", "each[\"n2\"]"]);
    for node in ["n1", "n2"] {
        let text = estate.read(&format!("node-{node}"));
        assert!(text.starts_with("port ") && text.ends_with(", kit 4.5.6"), "{text}");
    }
}

#[test]
fn a_host_that_is_not_declared_is_refused_before_anything_is_done() {
    let mut estate = ring();
    estate.write("java-n2", "17\n");
    estate.set("writer", "n3");
    estate.run(&["plan"]).says(&["`on` in step `finish` is `n3`, and the configuration declares no such host; did you mean `n"]);
    estate.remove("java-n2");
    estate.run(&["plan"]).says(&["`n2`:"]);
}
