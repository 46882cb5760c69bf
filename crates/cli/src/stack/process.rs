//! Processes that outlive this one: told apart from strangers that got the same number, and stopped with all their children.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process that leads its own group. The start time tells it from another that has been given its number since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leader {
    pid: i32,
    started: String,
}

impl Leader {
    /// The process of that number, which must be running.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).context("a process number is too large")?;
        let started = started(pid).context("the process ended as soon as it was started")?;
        Ok(Self { pid, started })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it runs still, and is the same.
    pub(crate) fn is_alive(&self) -> bool {
        started(self.pid).is_some_and(|now| now == self.started)
    }

    /// Asks it alone to end, and waits.
    pub(crate) async fn ask_to_end(&self, patience: Duration) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGTERM);
            let deadline = Instant::now() + patience;
            while self.is_alive() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Kills it and its group at once.
    pub(crate) fn kill(&self) {
        if self.is_alive() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// Asks it to end and waits; what is left of its group after `patience` is killed.
    pub(crate) async fn stop(&self, patience: Duration) {
        let group = Pid::from_raw(self.pid);
        let ours = self.is_alive();
        // The leader alone first: it stops its children itself, and writes down its state.
        self.ask_to_end(patience).await;
        // Members of the group can be left where the leader died: the number is not given away while they live. Where a
        // stranger has the leader's number now, no group of ours is left, because numbers of groups are not reused either.
        if ours || started(self.pid).is_none() {
            let _ = killpg(group, Signal::SIGTERM);
            wait_for_the_end_of(group, Duration::from_secs(2)).await;
            let _ = killpg(group, Signal::SIGKILL);
            // A kill is carried out after the call has returned.
            wait_for_the_end_of(group, Duration::from_secs(2)).await;
        }
    }
}

async fn wait_for_the_end_of(group: Pid, patience: Duration) {
    let deadline = Instant::now() + patience;
    while has_running_members(group) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a process of the group still runs. A signal to the group cannot tell: it also reaches zombies, which stay until
/// whoever inherited them collects them.
fn has_running_members(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return killpg(group, None).is_ok();
    };
    let group = group.as_raw().to_string();
    processes.flatten().any(|process| {
        std::fs::read_to_string(process.path().join("stat")).is_ok_and(|stat| group_of_stat(&stat) == Some(&*group))
    })
}

/// Field 5 of `/proc/PID/stat`, unless the process is a zombie.
fn group_of_stat(stat: &str) -> Option<&str> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(1)).flatten()
}

/// When a process started, as text that is only to be compared; nothing where it does not run (a zombie does not).
fn started(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        return started_of_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    }
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// Field 22 of `/proc/PID/stat`. The second field, the name in brackets, may hold spaces and brackets itself.
fn started_of_stat(stat: &str) -> Option<String> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_start_time() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(started_of_stat(stat), Some("987654".to_owned()));
        assert_eq!(started_of_stat("42 (a) Z 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2"), None);
    }

    #[test]
    fn a_stranger_with_the_same_number_is_not_taken_for_ours() {
        let own = Leader::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let stale = Leader { started: "before".to_owned(), ..own };
        assert!(!stale.is_alive());
    }

    #[tokio::test]
    async fn stopping_a_leader_stops_its_children_too() {
        let mut shell = Command::new("sh").args(["-c", "trap '' TERM; sleep 300 & wait"]).process_group(0).spawn().unwrap();
        let leader = Leader::of(shell.id()).unwrap();
        assert!(has_running_members(Pid::from_raw(leader.pid())));
        leader.stop(Duration::from_millis(200)).await;
        shell.wait().unwrap();
        assert!(!has_running_members(Pid::from_raw(leader.pid())), "no process of the group is left");
    }
}
