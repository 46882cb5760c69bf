//! Processes that outlive this one. They are identified by process id and start time, and stopped with all their children.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process that leads its own group. The start time distinguishes it from a later process with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessHandle {
    pid: i32,
    started: String,
}

impl ProcessHandle {
    /// The running process with an id. Fails if there is none.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).context("the process id is too large")?;
        let started = start_time(pid).context("the process exited immediately")?;
        Ok(Self { pid, started })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether this process is still running.
    pub(crate) fn is_alive(&self) -> bool {
        start_time(self.pid).is_some_and(|now| now == self.started)
    }

    /// Sends SIGTERM to the process only, and waits up to `timeout` until it exits.
    pub(crate) async fn terminate(&self, timeout: Duration) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGTERM);
            let deadline = Instant::now() + timeout;
            while self.is_alive() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Kills the process and its group.
    pub(crate) fn kill(&self) {
        if self.is_alive() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// Terminates the process and waits. Processes of its group that are still running after `timeout` are killed.
    pub(crate) async fn stop(&self, timeout: Duration) {
        let group = Pid::from_raw(self.pid);
        let was_alive = self.is_alive();
        // First the leader only: it stops its children itself and saves its state.
        self.terminate(timeout).await;
        // Members of the group can outlive the leader: its id is not reused while they run. If another process has the id
        // now, the group has no members left, because ids of existing groups are not reused either.
        if was_alive || start_time(self.pid).is_none() {
            let _ = killpg(group, Signal::SIGTERM);
            wait_until_group_exits(group, Duration::from_secs(2)).await;
            let _ = killpg(group, Signal::SIGKILL);
            // A process is killed only after the call has returned.
            wait_until_group_exits(group, Duration::from_secs(2)).await;
        }
    }
}

async fn wait_until_group_exits(group: Pid, timeout: Duration) {
    let deadline = Instant::now() + timeout;
    while has_running_members(group) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a process of the group is running. Sending a signal to the group does not show this: signals also reach zombies,
/// which remain until their parent reaps them.
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

/// The start time of a process, as text that is only compared; None if it is not running (a zombie is not).
fn start_time(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        return start_time_of_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    }
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// Field 22 of `/proc/PID/stat`. The second field, the name in brackets, may hold spaces and brackets itself.
fn start_time_of_stat(stat: &str) -> Option<String> {
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
    fn name_with_brackets_does_not_shift_the_start_time() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(start_time_of_stat(stat), Some("987654".to_owned()));
        assert_eq!(start_time_of_stat("42 (a) Z 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2"), None);
    }

    #[test]
    fn process_with_another_start_time_is_not_alive() {
        let own = ProcessHandle::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let stale = ProcessHandle { started: "before".to_owned(), ..own };
        assert!(!stale.is_alive());
    }

    #[tokio::test]
    async fn stop_ends_the_entire_process_group() {
        let mut shell = Command::new("sh").args(["-c", "trap '' TERM; sleep 300 & wait"]).process_group(0).spawn().unwrap();
        let leader = ProcessHandle::of(shell.id()).unwrap();
        assert!(has_running_members(Pid::from_raw(leader.pid())));
        leader.stop(Duration::from_millis(200)).await;
        shell.wait().unwrap();
        assert!(!has_running_members(Pid::from_raw(leader.pid())), "no process of the group is running");
    }
}
