//! What the system does not allow, or has no room for: a directory that an ordinary user may only read, and a disk that is full.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::probe::{PATIENCE, Probe, all, eventually, skip};

/// A user that nothing here belongs to.
const NOBODY: &str = "65534";

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The probe as somebody to whom modes mean something; none if that cannot be had.
fn as_ordinary_user(base: &Path) -> Option<impl Fn(&Path) -> Command> {
    let is_root = rustix::process::geteuid().is_root();
    // Where the build stands, nobody else may look.
    let program = base.join("probe");
    fs::copy(env!("CARGO_BIN_EXE_probe"), &program).unwrap();
    chmod(base, 0o755);
    chmod(&program, 0o755);
    let command = move |store: &Path| match is_root {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]).arg(&program).arg(store);
            command
        }
        false => {
            let mut command = Command::new(&program);
            command.arg(store);
            command
        }
    };
    // Without a store it ends at once, with 2.
    let works = |mut command: Command| {
        command.arg("ledger/does/not/exist").output().is_ok_and(|out| out.status.code() == Some(2))
    };
    works(command(Path::new("/"))).then_some(command)
}

#[test]
fn a_directory_that_may_only_be_read_is_refused_with_its_name() {
    let base = tempfile::tempdir().unwrap();
    let Some(ordinary) = as_ordinary_user(base.path()) else {
        return skip("a_directory_that_may_only_be_read", "there is no setpriv that gives up root");
    };
    let (empty, store) = (base.path().join("empty"), base.path().join("store"));
    fs::create_dir(&empty).unwrap();
    let mut made = Probe::open(&store);
    made.ask("start a gate", "started a");
    assert_eq!(made.shut_down().code(), 0);
    fs::read_dir(&store).unwrap().for_each(|file| chmod(&file.unwrap().path(), 0o444));
    let files = || fs::read_dir(&store).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    let before = files();

    for dir in [&empty, &store] {
        chmod(dir, 0o555);
        let refused = Probe::start(&mut ordinary(dir)).end();
        assert_eq!(refused.code(), 4, "{}", refused.stderr);
        let text = refused.stderr.trim_end();
        assert!(text.starts_with("error: the store cannot be opened for writing: "), "{text}");
        assert!(text.contains("Permission denied") && text.contains(&dir.display().to_string()), "{text}");
        assert!(text.ends_with("[E0106]"), "{text}");
        chmod(dir, 0o755);
    }
    assert_eq!(files(), before, "nothing was touched");
    fs::read_dir(&store).unwrap().for_each(|file| chmod(&file.unwrap().path(), 0o600));
    let mut again = Probe::open(&store);
    again.ask("signal a x", "signalled a");
}

/// A probe on a small disk of its own, which ends with it; and the way to that disk.
fn on_a_small_disk(base: &Path) -> Option<(Probe, PathBuf)> {
    let script = "mount -t tmpfs -o size=4m tmpfs \"$1\" && exec \"$2\" \"$1/store\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c"]);
    let can = unshare.arg("mount -t tmpfs tmpfs \"$1\"").arg("sh").arg(base).output();
    if !can.is_ok_and(|out| out.status.success()) {
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(base).arg(env!("CARGO_BIN_EXE_probe"));
    let probe = Probe::open_by(&mut unshare);
    let disk = PathBuf::from(format!("/proc/{}/root{}", probe.pid(), base.display()));
    Some((probe, disk))
}

fn fill(disk: &Path) {
    let mut filler = fs::File::create(disk.join("filler")).unwrap();
    while filler.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_it_goes_on_by_itself() {
    let base = tempfile::tempdir().unwrap();
    let Some((mut probe, disk)) = on_a_small_disk(&base.path().canonicalize().unwrap()) else {
        return skip("on_a_full_disk", "no file system can be mounted here");
    };
    // The next segment is there before the disk is full; only the one after it has no room.
    let store = disk.join("store");
    let has = |prefix: &str| {
        fs::read_dir(&store).unwrap().any(|file| file.unwrap().file_name().to_string_lossy().starts_with(prefix))
    };
    eventually("a spare and a reserve are made", || has("spare-") && has("reserve"));
    probe.ask("start first gate", "started first");
    fill(&disk);

    let mut begun = 0;
    let until = Instant::now() + PATIENCE;
    while all(probe.heard(), "refused ").is_empty() {
        assert!(Instant::now() < until, "the disk is full, and {begun} starts were taken");
        for _ in 0..20 {
            probe.say(&format!("begin {begun:0>200} gate"));
            begun += 1;
        }
        while probe.next_line(Instant::now() + Duration::from_millis(20)).is_some() {}
    }
    let refused = all(probe.heard(), "refused ");
    assert!(
        refused.iter().all(|line| line.ends_with("nothing new is taken until there is space [E0109]")),
        "{refused:?}"
    );

    fs::remove_file(disk.join("filler")).unwrap();
    let until = Instant::now() + PATIENCE;
    while all(probe.heard(), "started again").is_empty() {
        assert!(Instant::now() < until, "there is space again, and nothing goes on");
        probe.say("start again gate");
        probe.next_line(until);
    }
    while all(probe.heard(), "started 0").len() + all(probe.heard(), "refused 0").len() < begun {
        assert!(probe.next_line(until).is_some(), "every start that was not refused is acknowledged in the end");
    }
    let started = all(probe.heard(), "started ");
    assert!(started.len() > 100, "{}", started.len());
    // It is all there, by what a reader finds and by what it tells of each.
    started.iter().for_each(|id| {
        probe.ask(&format!("describe {id} gate"), &format!("described {id} running"));
    });
    let kept = base.path().join("kept");
    probe.freeze();
    crate::probe::copy(&store, &kept);
    drop(probe.kill());
    let mut second = Probe::open(&kept);
    started.iter().for_each(|id| {
        second.ask(&format!("describe {id} gate"), &format!("described {id} running"));
    });
    assert_eq!(second.shut_down().code(), 0);
}
