//! Processor time, by the system's own accounting.

use std::fs;
use std::time::Duration;

/// Where the counters stand in `/proc/<pid>/stat`, behind the name: user, system, and the same of children that have ended.
const TIMES: std::ops::Range<usize> = 11..15;
const PARENT: usize = 1;

/// What this process and these servers, with all that descends from them, have used so far.
pub(crate) fn cpu(servers: &[u32]) -> Duration {
    let own: u64 = times(&stat("self")).iter().take(2).sum();
    let theirs: u64 = families(servers).iter().map(|stat| times(stat).iter().sum::<u64>()).sum();
    // USER_HZ is 100 on every Linux that Rust supports.
    Duration::from_millis((own + theirs) * 10)
}

fn stat(process: &str) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    after_name.split(' ').map(str::to_owned).collect()
}

fn times(stat: &[String]) -> Vec<u64> {
    stat.get(TIMES).unwrap_or_default().iter().filter_map(|ticks| ticks.parse().ok()).collect()
}

/// The counters of these processes and of their descendants that live.
fn families(roots: &[u32]) -> Vec<Vec<String>> {
    if roots.is_empty() {
        return Vec::new();
    }
    let all: Vec<(u32, Vec<String>)> = processes().into_iter().map(|pid| (pid, stat(&pid.to_string()))).collect();
    let mut family: Vec<u32> = roots.to_vec();
    let mut seen = 0;
    while seen < family.len() {
        let parent = family[seen].to_string();
        let children = all.iter().filter(|(_, stat)| stat.get(PARENT) == Some(&parent));
        family.extend(children.map(|(pid, _)| *pid));
        seen += 1;
    }
    all.into_iter().filter(|(pid, _)| family.contains(pid)).map(|(_, stat)| stat).collect()
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_counts_with_its_children() {
        // A shell that works, and its child that works as long.
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let script = format!("exec 3<&0; ({work}; read x <&3) & {work}; echo done; wait");
        let mut server = std::process::Command::new("sh");
        server.args(["-c", &script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut server = server.spawn().expect("sh");
        let mut line = String::new();
        let mut out = std::io::BufReader::new(server.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
        let alone: u64 = times(&stat(&server.id().to_string())).iter().sum();
        let family: u64 = families(&[server.id()]).iter().map(|stat| times(stat).iter().sum::<u64>()).sum();
        drop(server.stdin.take());
        server.wait().expect("sh ends");
        assert!(alone > 0 && family > alone, "{family} ticks with the child, {alone} without");
    }
}
