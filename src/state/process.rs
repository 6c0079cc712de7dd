//! Which process of which machine a holder is, so that one that surely died need not be waited for.
//!
//! Names of machines and process ids are not enough where state is shared: containers share both. A mark says the kernel (by its boot
//! id), the process id's namespace, and when the process began. Only where kernel and namespace are ours is its end known.
#![expect(clippy::disallowed_methods, reason = "a door to the machine's own processes")]

use std::fs;

use super::Holder;

/// The mark of this process; `None`: the machine does not tell.
#[must_use]
pub fn mark() -> Option<String> {
    let (kernel, namespace) = here()?;
    Some(format!("{kernel}.{namespace}.{}", began(std::process::id())?))
}

/// Whether the process of a holder has surely ended: it was one of this kernel and namespace, and is not there any more.
pub(super) fn is_gone(holder: &Holder) -> bool {
    let mut parts = holder.id.split('.').skip(1);
    let (Some(kernel), Some(namespace), Some(start)) = (parts.next(), parts.next(), parts.next()) else { return false };
    here().is_some_and(|here| here == (kernel.to_owned(), namespace.to_owned())) && began(holder.pid).as_deref() != Some(start)
}

/// Kernel and namespace.
fn here() -> Option<(String, String)> {
    let kernel = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    (!kernel.is_empty() && !namespace.is_empty()).then_some((kernel, namespace))
}

/// When a process began, in ticks since the machine did; `None`: it is not there, or has ended and was not waited for.
fn began(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::contract::holder;

    #[test]
    fn only_a_process_of_this_machine_that_ended_is_gone() {
        let mark = mark().expect("this machine tells");
        let mut live = holder("ours");
        live.id = format!("nonce.{mark}");
        assert!(!is_gone(&live), "this process lives");
        let mut child = std::process::Command::new("true").spawn().expect("true runs");
        let mut dead = live.clone();
        dead.pid = child.id();
        child.wait().expect("it ends");
        assert!(is_gone(&dead));
        let mut reused = live.clone();
        reused.id = format!("nonce.{}.1", mark.rsplit_once('.').expect("three parts").0);
        assert!(is_gone(&reused), "another process has its number by now");
        let mut elsewhere = dead.clone();
        elsewhere.id = format!("nonce.another-kernel.{}", mark.split_once('.').expect("three parts").1);
        assert!(!is_gone(&elsewhere), "nothing is known of other machines");
        dead.id = "nonce".to_owned();
        assert!(!is_gone(&dead), "nothing is known of a holder without a mark");
    }
}
