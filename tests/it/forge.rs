//! A stand-in for a forge, which checks what it is sent against the forge's published description (`testdata/forge`).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::estate::await_until;

/// The token that the stand-in takes.
pub(crate) const TOKEN: &str = "f0rge-token-of-the-tests";

/// A forge that runs; ends with the value.
pub(crate) struct Forge {
    folder: PathBuf,
    /// The address of its API.
    pub(crate) api: String,
    process: Child,
}

impl Forge {
    /// Starts one. `faults`: what goes wrong, request by request.
    pub(crate) fn start(name: &str, folder: &Path, faults: &[&str]) -> Self {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let _ = std::fs::remove_file(folder.join("address"));
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/forge/forge.py");
        let process = Command::new("python3")
            .arg("-B")
            .arg(program)
            .arg(name)
            .arg(folder)
            .arg(TOKEN)
            .args(faults)
            .stdin(Stdio::null())
            .spawn()
            .expect("python3 can be run");
        await_until("the forge answers", || folder.join("address").exists());
        let api = std::fs::read_to_string(folder.join("address")).expect("an address");
        Self { folder: folder.to_owned(), api, process }
    }

    /// The comments that are there, as the forge has them.
    pub(crate) fn comments(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.join("comments")).unwrap_or_else(|_| "[]".to_owned());
        serde_json::from_str(&text).expect("JSON")
    }

    /// Method and path of every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join("requests")).unwrap_or_default();
        let line = |line: &str| {
            let request: serde_json::Value = serde_json::from_str(line).expect("JSON");
            format!("{} {}", request["method"].as_str().expect("a method"), request["path"].as_str().expect("a path"))
        };
        text.lines().map(line).collect()
    }

    /// Expects that every request was as described.
    #[track_caller]
    pub(crate) fn is_content(&self) {
        let violations = std::fs::read_to_string(self.folder.join("violations")).unwrap_or_default();
        assert_eq!(violations, "", "requests are not as the forge describes them");
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
