//! The log on real files: the same few stories, once, on the disk of this machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use durable::store::disk::{Disk, Submitted};
use durable::store::log::OpenError;
use durable::store::real::RealDisk;
use durable_testkit::SimDisk;
use futures::FutureExt;

use crate::log_fixture::*;

fn open_at(disk: &Arc<RealDisk>, dir: &std::path::Path) -> Result<Node, OpenError> {
    let sim = SimDisk::new().process();
    let process = Process::with_disk(sim, disk.clone());
    let reports = Arc::default();
    let mut options = options(&reports);
    options.dir = dir.to_owned();
    process.open_with(options, reports).expect("it ends")
}

#[test]
fn a_store_on_real_files_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("deep/store");
    let disk = Arc::new(RealDisk::new());
    let node = open_at(&disk, &dir).unwrap();
    node.write([group([start(1)])]);
    node.write((1..60).map(|no| group([signal(1, no, no, 400)])));
    assert_eq!(node.numbers(1), (1..60).collect::<Vec<_>>());
    assert!(matches!(open_at(&disk, &dir), Err(OpenError::AlreadyOpen { holder: Some(_), .. })));
    node.close();
    let node = open_at(&disk, &dir).unwrap();
    assert!(node.recovered.is_clean);
    assert_eq!(node.numbers(1), (1..60).collect::<Vec<_>>());
    node.process.spawn.drop_tasks();
    assert_eq!(open_at(&disk, &dir).unwrap().numbers(1).len(), 59, "a dropped writer frees the lock");
}

#[test]
fn nobody_else_may_read_a_store() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    open_at(&Arc::new(RealDisk::new()), &dir).unwrap().close();
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_symbolic_link_in_a_store_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    let disk = Arc::new(RealDisk::new());
    open_at(&disk, &dir).unwrap().close();
    let elsewhere = home.path().join("elsewhere");
    fs::rename(dir.join("LOCK"), &elsewhere).unwrap();
    symlink(&elsewhere, dir.join("LOCK")).unwrap();
    assert!(matches!(open_at(&disk, &dir), Err(OpenError::Disk(fault)) if fault.file == "LOCK"));
}

#[test]
fn a_replaced_lock_file_ends_the_writer() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    let node = open_at(&Arc::new(RealDisk::new()), &dir).unwrap();
    fs::remove_file(dir.join("LOCK")).unwrap();
    fs::write(dir.join("LOCK"), "").unwrap();
    node.append(&group([start(1)]));
    node.run_until_idle();
    assert!(node.poison().is_some());
    assert_eq!(node.acknowledged().0, 0);
}

/// The answer of an operation, which is ready as soon as it is submitted.
fn ready<T>(submitted: Submitted<T>) -> std::io::Result<T> {
    submitted.now_or_never().expect("the real disk works inline")
}

#[test]
fn names_of_the_real_disk_are_single_components() {
    let home = tempfile::tempdir().unwrap();
    let disk = RealDisk::new();
    let dir = ready(disk.open_dir(home.path().into(), false)).unwrap();
    for name in ["", ".", "..", "a/b", "/etc/passwd"] {
        assert!(ready(disk.open_or_create(dir, name)).is_err(), "{name:?}");
    }
    let file = ready(disk.create(dir, "file")).unwrap();
    assert!(ready(disk.create(dir, "file")).is_err());
    assert_eq!(ready(disk.write(file, 3, b"abc".to_vec())).unwrap(), 3);
    assert_eq!(ready(disk.read(file, 0, 100)).unwrap(), b"\0\0\0abc");
    ready(disk.close(file)).unwrap();
    assert!(ready(disk.len(file)).is_err(), "a closed file is closed");
}
