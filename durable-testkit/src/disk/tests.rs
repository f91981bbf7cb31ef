//! What the model guarantees and what it may take away, one claim a test.

use std::io::{self, ErrorKind};

use durable::store::disk::{Dir, Disk, File, Submitted};
use futures::FutureExt;

use super::*;

/// The answer of an operation that must be done by now.
fn done<T>(submitted: Submitted<T>) -> io::Result<T> {
    submitted.now_or_never().expect("the operation should have completed")
}

fn ok<T>(submitted: Submitted<T>) -> T {
    done(submitted).unwrap()
}

fn kind<T: fmt::Debug>(submitted: Submitted<T>) -> ErrorKind {
    done(submitted).unwrap_err().kind()
}

/// A directory `/d` whose own name is durable.
fn dir(disk: &SimDisk, on: &impl Disk) -> Dir {
    let dir = ok(on.open_dir("/d".into(), true));
    disk.settle();
    dir
}

/// A file whose name is durable and which is empty.
fn file(on: &impl Disk, dir: Dir, name: &str) -> File {
    let file = ok(on.create(dir, name));
    ok(on.sync_dir(dir));
    file
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.file_names("/d").unwrap()
}

/// Every subset of the pending units, as what `look` sees after the cut.
fn after_every_cut<T: Ord>(disk: &SimDisk, look: impl Fn(&SimDisk) -> T) -> std::collections::BTreeSet<T> {
    let units: usize = disk.pending_units().into_iter().sum();
    let snapshot = disk.snapshot();
    (0..1_u64 << units)
        .map(|bits| {
            let cut = SimDisk::from_snapshot(&snapshot);
            cut.power_cut(&Keep::Units(Mask::from(bits)));
            look(&cut)
        })
        .collect()
}

#[test]
fn what_a_process_writes_another_reads_at_once() {
    let disk = SimDisk::new();
    let (one, two) = (disk.process(), disk.process());
    let at = dir(&disk, &one);
    let written = file(&one, at, "a");
    assert_eq!(ok(one.write(written, 5000, b"hello".to_vec())), 5);
    let dir_of_two = ok(two.open_dir("/d".into(), false));
    let read = ok(two.open(dir_of_two, "a"));
    assert_eq!(ok(two.len(read)), 5005);
    assert_eq!(ok(two.read(read, 4998, 100)), b"\0\0hello");
    assert_eq!(ok(two.read(read, 6000, 1)), b"");
}

#[test]
fn a_process_crash_keeps_the_page_cache() {
    let disk = SimDisk::new();
    let process = disk.process();
    let at = dir(&disk, &process);
    let a = ok(process.create(at, "a"));
    ok(process.write(a, 0, b"unsynced".to_vec()));
    process.crash(Unfinished::NotDone);
    assert_eq!(disk.read_file("/d/a").unwrap(), b"unsynced");
}

#[test]
fn synced_data_of_a_synced_name_survives_every_cut() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, vec![7; 1000]));
    ok(disk.sync_data(a));
    assert_eq!(disk.pending_units(), Vec::<usize>::new(), "sync_data includes the size");
    for keep in [Keep::Nothing, Keep::Everything, Keep::Seed(3)] {
        disk.power_cut(&keep);
        assert_eq!(disk.read_file("/d/a").unwrap(), vec![7; 1000]);
    }
}

#[test]
fn synced_data_of_an_unsynced_name_is_lost_with_the_name() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = ok(disk.create(at, "a"));
    ok(disk.write(a, 0, b"x".to_vec()));
    ok(disk.sync_data(a));
    let seen = after_every_cut(&disk, |disk| disk.read_file("/d/a").ok());
    assert_eq!(seen, [None, Some(b"x".to_vec())].into());
}

#[test]
fn a_synced_name_of_unsynced_data_is_an_empty_file_after_a_cut() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, b"x".to_vec()));
    disk.power_cut(&Keep::Nothing);
    assert_eq!(disk.read_file("/d/a").unwrap(), b"");
}

#[test]
fn a_new_directory_is_lost_unless_the_one_above_was_synced() {
    let disk = SimDisk::new();
    let at = ok(disk.open_dir("/x/y".into(), true));
    let _file = file(&disk, at, "a");
    let cut = SimDisk::from_snapshot(&disk.snapshot());
    cut.power_cut(&Keep::Nothing);
    assert_eq!(cut.read_file("/x/y/a").unwrap_err().kind(), ErrorKind::NotFound);
    for above in ["/x", "/"] {
        let above = ok(disk.open_dir(above.into(), false));
        ok(disk.sync_dir(above));
    }
    disk.power_cut(&Keep::Nothing);
    assert_eq!(disk.read_file("/x/y/a").unwrap(), b"");
}

#[test]
fn a_cut_tears_a_write_at_sectors_and_nowhere_else() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, vec![1; 1536]));
    ok(disk.sync_data(a));
    ok(disk.write(a, 256, vec![2; 1024]));
    let seen = after_every_cut(&disk, |disk| disk.read_file("/d/a").unwrap());
    let expected = |bits: u8| {
        let kept = |byte: usize| (256..1280).contains(&byte) && bits >> (byte / 512) & 1 == 1;
        (0..1536).map(|byte| if kept(byte) { 2 } else { 1 }).collect::<Vec<u8>>()
    };
    assert_eq!(seen, (0..8).map(expected).collect());
}

#[test]
fn a_cut_may_keep_the_length_without_the_bytes_but_no_bytes_beyond_the_length() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, b"ab".to_vec()));
    let seen = after_every_cut(&disk, |disk| disk.read_file("/d/a").unwrap());
    assert_eq!(seen, [b"".to_vec(), b"\0\0".to_vec(), b"ab".to_vec()].into());
}

#[test]
fn a_later_write_may_survive_an_earlier_one_of_another_sector() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.set_len(a, 1024));
    ok(disk.sync_data(a));
    ok(disk.write(a, 0, vec![1; 512]));
    ok(disk.write(a, 512, vec![2; 512]));
    disk.power_cut(&Keep::Operations(Mask::from(0b10)));
    assert_eq!(disk.read_file("/d/a").unwrap(), [vec![0; 512], vec![2; 512]].concat());
}

#[test]
fn a_later_write_never_survives_an_earlier_one_of_its_own_sector() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.set_len(a, 4));
    ok(disk.sync_data(a));
    ok(disk.write(a, 0, b"a".to_vec()));
    ok(disk.write(a, 1, b"b".to_vec()));
    let seen = after_every_cut(&disk, |disk| disk.read_file("/d/a").unwrap());
    assert_eq!(seen, [b"\0\0\0\0".to_vec(), b"a\0\0\0".to_vec(), b"ab\0\0".to_vec()].into());
}

#[test]
fn a_cut_keeps_directory_entries_each_on_its_own() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let _old = file(&disk, at, "old");
    ok(disk.create(at, "a"));
    ok(disk.create(at, "b"));
    ok(disk.remove(at, "old"));
    let seen = after_every_cut(&disk, names);
    assert_eq!(seen.len(), 8);
    assert!(seen.contains(&vec!["b".to_owned(), "old".to_owned()]), "a later name without the earlier one");
    assert!(seen.contains(&Vec::new()), "a removal without the names before it");
}

#[test]
fn a_rename_is_atomic_over_a_cut_and_replaces() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    disk.write_file("/d/from", b"new").unwrap();
    disk.write_file("/d/to", b"old").unwrap();
    ok(disk.rename(at, "from", "to"));
    assert_eq!(disk.read_file("/d/to").unwrap(), b"new");
    let look = |disk: &SimDisk| (names(disk), disk.read_file("/d/to").unwrap());
    let both = vec!["from".to_owned(), "to".to_owned()];
    assert_eq!(
        after_every_cut(&disk, look),
        [(both, b"old".to_vec()), (vec!["to".to_owned()], b"new".to_vec())].into()
    );
}

#[test]
fn an_unsynced_set_len_may_be_lost_and_a_cut_file_reads_zeros_when_it_grows_again() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    disk.write_file("/d/a", &[1; 600]).unwrap();
    let a = ok(disk.open_or_create(at, "a"));
    ok(disk.set_len(a, 3));
    ok(disk.set_len(a, 5));
    assert_eq!(disk.read_file("/d/a").unwrap(), [1, 1, 1, 0, 0]);
    let seen = after_every_cut(&disk, |disk| disk.read_file("/d/a").unwrap());
    assert_eq!(seen, [vec![1; 600], vec![1; 3], vec![1; 5], vec![1, 1, 1, 0, 0]].into());
}

#[test]
fn create_and_link_never_replace() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, b"mine".to_vec()));
    ok(disk.create(at, "b"));
    assert_eq!(kind(disk.create(at, "a")), ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.link(at, "b", "a")), ErrorKind::AlreadyExists);
    ok(disk.link(at, "a", "c"));
    assert_eq!(disk.read_file("/d/c").unwrap(), b"mine");
    ok(disk.remove(at, "a"));
    assert_eq!(disk.read_file("/d/c").unwrap(), b"mine");
}

#[test]
fn a_lock_is_held_over_a_stop_and_freed_by_close_crash_and_cut() {
    let disk = SimDisk::new();
    let (one, two) = (disk.process(), disk.process());
    let at_one = dir(&disk, &one);
    let lock_one = file(&one, at_one, "LOCK");
    let at_two = ok(two.open_dir("/d".into(), false));
    let lock_two = ok(two.open_or_create(at_two, "LOCK"));
    assert!(ok(one.try_lock(lock_one)));
    assert!(ok(one.try_lock(lock_one)), "a lock is the open file's, which may take it again");
    assert!(!ok(two.try_lock(lock_two)));
    one.stop();
    assert!(!ok(two.try_lock(lock_two)));
    one.crash(Unfinished::NotDone);
    assert!(ok(two.try_lock(lock_two)));
    ok(two.close(lock_two));
    let third = disk.process();
    let at_three = ok(third.open_dir("/d".into(), false));
    let lock_three = ok(third.open_or_create(at_three, "LOCK"));
    assert!(ok(third.try_lock(lock_three)));
    disk.power_cut(&Keep::Nothing);
    let at = ok(disk.open_dir("/d".into(), false));
    let lock = ok(disk.open_or_create(at, "LOCK"));
    assert!(ok(disk.try_lock(lock)));
}

#[test]
fn two_open_files_of_one_process_exclude_each_other() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let first = file(&disk, at, "LOCK");
    let second = ok(disk.open_or_create(at, "LOCK"));
    assert!(ok(disk.try_lock(first)));
    assert!(!ok(disk.try_lock(second)));
}

#[test]
fn a_deleted_lock_file_lets_a_second_lock_in_and_its_path_leads_elsewhere() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let lock = file(&disk, at, "LOCK");
    assert!(ok(disk.try_lock(lock)));
    assert_eq!(ok(disk.identity(lock)), ok(disk.identity_of(Path::new("/d/LOCK"))));
    disk.remove_file("/d/LOCK").unwrap();
    assert_eq!(kind(disk.identity_of(Path::new("/d/LOCK"))), ErrorKind::NotFound);
    let other = ok(disk.open_or_create(at, "LOCK"));
    assert!(ok(disk.try_lock(other)));
    assert_ne!(ok(disk.identity(lock)), ok(disk.identity_of(Path::new("/d/LOCK"))));
}

#[test]
fn what_a_lost_directory_held_takes_no_space() {
    let disk = SimDisk::new();
    disk.limit_space(1000);
    let at = ok(disk.open_dir("/x".into(), true));
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, vec![1; 600]));
    ok(disk.sync_data(a));
    assert_eq!(disk.free_space(), Some(400));
    disk.power_cut(&Keep::Nothing);
    assert_eq!(disk.free_space(), Some(1000));
}

#[test]
fn what_is_pending_for_a_file_goes_with_its_last_name() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = ok(disk.create(at, "a"));
    ok(disk.write(a, 0, b"x".to_vec()));
    ok(disk.close(a));
    ok(disk.remove(at, "a"));
    assert_eq!(disk.pending_units(), [1, 2, 1]);
    ok(disk.sync_dir(at));
    assert_eq!(disk.pending_units(), Vec::<usize>::new());
}

// Faults.

/// The synced bytes of the file in the fault tests.
const OLD: &[u8] = b"old!";

/// A disk with `/d/a`, which holds `OLD`, and a process that has it open.
fn with_old_content() -> (SimDisk, SimProcess, File) {
    let disk = SimDisk::new();
    disk.write_file("/d/a", OLD).unwrap();
    let process = disk.process();
    let at = ok(process.open_dir("/d".into(), false));
    let a = ok(process.open_or_create(at, "a"));
    (disk, process, a)
}

fn failing_sync(leaves: AfterFailedSync, reached: Keep) -> Fault {
    Fault::SyncFails { errno: errno::EIO, leaves, reached }
}

#[test]
fn a_fault_hits_the_operations_that_it_was_planned_for() {
    let cases = [
        (When::Operation(4), [true, false, true, true]),
        (When::From(4), [true, false, false, false]),
        (When::Kind(OpKind::Write, 2), [true, true, false, true]),
        (When::KindFrom(OpKind::Len, 1), [true, false, true, false]),
    ];
    for (when, expected) in cases {
        let (_disk, process, a) = with_old_content();
        process.fail(when, Fault::Errno(errno::EIO));
        let write = |byte: u8| done(process.write(a, 0, vec![byte])).is_ok();
        let len = || done(process.len(a)).is_ok();
        assert_eq!([write(1), len(), write(2), len()], expected, "{when:?}");
        process.heal();
        assert!(write(3) && len());
    }
}

#[test]
fn a_failed_operation_does_nothing_and_tells_its_error() {
    let (disk, process, a) = with_old_content();
    process.fail(When::Kind(OpKind::Write, 1), Fault::Errno(errno::EIO));
    process.fail(When::Kind(OpKind::Write, 2), Fault::Kind(ErrorKind::Interrupted));
    assert_eq!(done(process.write(a, 0, b"new!".to_vec())).unwrap_err().raw_os_error(), Some(errno::EIO));
    assert_eq!(kind(process.write(a, 0, b"new!".to_vec())), ErrorKind::Interrupted);
    assert_eq!(disk.read_file("/d/a").unwrap(), OLD);
    ok(process.write(a, 0, b"new!".to_vec()));
    assert_eq!(disk.read_file("/d/a").unwrap(), b"new!");
}

#[test]
fn a_short_write_says_how_much_it_wrote() {
    let (disk, process, a) = with_old_content();
    process.fail(When::Kind(OpKind::Write, 1), Fault::ShortWrite(1));
    assert_eq!(ok(process.write(a, 0, b"new!".to_vec())), 1);
    assert_eq!(disk.read_file("/d/a").unwrap(), b"nld!");
}

#[test]
fn a_failed_sync_leaves_a_clean_page_that_no_later_sync_writes() {
    let (disk, process, a) = with_old_content();
    ok(process.write(a, 0, b"new!".to_vec()));
    process.fail(When::Kind(OpKind::SyncData, 1), failing_sync(AfterFailedSync::NewContent, Keep::Nothing));
    assert_eq!(done(process.sync_data(a)).unwrap_err().raw_os_error(), Some(errno::EIO));
    ok(process.sync_data(a));
    process.crash(Unfinished::NotDone);
    assert_eq!(disk.read_file("/d/a").unwrap(), b"new!", "the next process reads what is not on the disk");
    disk.power_cut(&Keep::Everything);
    assert_eq!(disk.read_file("/d/a").unwrap(), OLD);
}

#[test]
fn a_failed_sync_may_bring_the_old_content_back() {
    let (disk, process, a) = with_old_content();
    ok(process.write(a, 0, b"newer".to_vec()));
    process.fail(When::Kind(OpKind::SyncData, 1), failing_sync(AfterFailedSync::OldContent, Keep::Nothing));
    assert!(done(process.sync_data(a)).is_err());
    assert_eq!(disk.read_file("/d/a").unwrap(), OLD);
}

#[test]
fn a_failed_sync_may_have_written_a_part() {
    let (disk, process, a) = with_old_content();
    ok(process.write(a, 0, vec![9; 1024]));
    let first_sector = Keep::Units([0, 1].into_iter().collect());
    process.fail(When::Kind(OpKind::SyncData, 1), failing_sync(AfterFailedSync::NewContent, first_sector));
    assert!(done(process.sync_data(a)).is_err());
    disk.power_cut(&Keep::Everything);
    assert_eq!(disk.read_file("/d/a").unwrap(), [vec![9; 512], vec![0; 512]].concat());
}

#[test]
fn a_full_disk_writes_what_fits_then_nothing_and_goes_on_when_a_file_is_removed() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let big = file(&disk, at, "big");
    ok(disk.write(big, 0, vec![1; 6000]));
    ok(disk.close(big));
    let a = file(&disk, at, "a");
    disk.limit_space(10_000);
    assert_eq!(disk.free_space(), Some(4000));
    assert_eq!(ok(disk.write(a, 0, vec![2; 5000])), 4000);
    assert_eq!(kind(disk.write(a, 4000, vec![2; 1000])), ErrorKind::StorageFull);
    assert_eq!(ok(disk.write(a, 0, vec![3; 4000])), 4000, "what is there may be overwritten");
    assert_eq!(kind(disk.create(at, "b")), ErrorKind::StorageFull);
    ok(disk.remove(at, "big"));
    assert_eq!(disk.free_space(), Some(6000));
    assert_eq!(ok(disk.write(a, 4000, vec![2; 1000])), 1000);
    assert_eq!(disk.read_file("/d/a").unwrap(), [vec![3; 4000], vec![2; 1000]].concat());
}

#[test]
fn a_removed_file_takes_space_as_long_as_it_is_open_and_a_hole_takes_none() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    disk.limit_space(10_000);
    ok(disk.set_len(a, 1 << 20));
    assert_eq!(disk.free_space(), Some(10_000));
    ok(disk.write(a, 8192, vec![0; 4096]));
    assert_eq!(disk.free_space(), Some(10_000 - 4096), "zeros take space");
    ok(disk.remove(at, "a"));
    assert_eq!(disk.free_space(), Some(10_000 - 4096));
    ok(disk.close(a));
    assert_eq!(disk.free_space(), Some(10_000));
}

#[test]
fn a_read_only_disk_refuses_every_change() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    disk.make_read_only();
    assert_eq!(kind(disk.write(a, 0, vec![1])), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(disk.create(at, "b")), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(disk.open_or_create(at, "a")), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(disk.remove(at, "a")), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(ok(disk.read(a, 0, 1)), b"");
    disk.make_writable();
    assert_eq!(ok(disk.write(a, 0, vec![1])), 1);
}

// Deaths.

#[test]
fn after_the_planned_operation_nothing_completes_and_the_death_is_told() {
    let (disk, process, a) = with_old_content();
    let mut death = Box::pin(process.death());
    process.crash_after(3, Unfinished::NotDone);
    assert_eq!((&mut death).now_or_never(), None);
    assert_eq!(ok(process.write(a, 0, b"new!".to_vec())), 4);
    assert!(process.is_dead());
    assert_eq!(death.now_or_never(), Some(()));
    assert!(process.write(a, 0, b"gone".to_vec()).now_or_never().is_none());
    assert_eq!(disk.read_file("/d/a").unwrap(), b"new!");
    assert_eq!(process.performed(), 3);
    assert!(ok(disk.process().open_dir("/d".into(), false)).0 > 0, "other processes live");
}

#[test]
fn a_process_may_die_in_an_operation_that_is_done_not_done_or_half_done() {
    let after = |unfinished| {
        let (disk, process, a) = with_old_content();
        process.crash_after(2, unfinished);
        assert!(!process.is_dead() || unfinished == Unfinished::NotDone);
        assert!(process.write(a, 0, b"new!".to_vec()).now_or_never().is_none());
        assert!(process.is_dead());
        disk.read_file("/d/a").unwrap()
    };
    assert_eq!(after(Unfinished::NotDone), OLD);
    assert_eq!(after(Unfinished::Done), b"new!");
    let halves: std::collections::BTreeSet<_> = (0..40).map(|seed| after(Unfinished::Half(seed))).collect();
    let every = [&b"old!"[..], b"nld!", b"ned!", b"new!"].map(<[u8]>::to_vec);
    assert_eq!(halves, every.into());
}

#[test]
fn a_death_closes_files_but_a_dead_process_keeps_no_space() {
    let disk = SimDisk::new();
    let process = disk.process();
    let at = dir(&disk, &process);
    let a = file(&process, at, "a");
    disk.limit_space(1000);
    ok(process.write(a, 0, vec![1; 1000]));
    ok(process.remove(at, "a"));
    assert_eq!(disk.free_space(), Some(0));
    process.crash(Unfinished::NotDone);
    assert_eq!(disk.free_space(), Some(1000));
}

#[test]
fn what_a_stopped_process_submits_waits_until_it_goes_on() {
    let (disk, process, a) = with_old_content();
    process.stop();
    let mut write = process.write(a, 0, b"new!".to_vec());
    assert!((&mut write).now_or_never().is_none());
    assert_eq!((disk.read_file("/d/a").unwrap(), disk.in_flight()), (OLD.to_vec(), 1));
    process.resume();
    assert_eq!(ok(write), 4);
    assert_eq!(disk.read_file("/d/a").unwrap(), b"new!");
}

#[test]
fn a_stopped_process_that_is_killed_or_cut_off_never_writes() {
    let (disk, process, a) = with_old_content();
    process.stop();
    let write = process.write(a, 0, b"new!".to_vec());
    disk.power_cut(&Keep::Everything);
    process.resume();
    assert!(write.now_or_never().is_none());
    assert_eq!(disk.read_file("/d/a").unwrap(), OLD);
}

#[test]
fn a_file_of_another_process_or_of_before_the_cut_is_not_known() {
    let (disk, process, a) = with_old_content();
    let other = disk.process();
    assert_eq!(done(other.len(a)).unwrap_err().raw_os_error(), Some(errno::EBADF));
    let at = ok(disk.open_dir("/d".into(), false));
    let own = ok(disk.open(at, "a"));
    assert_eq!(done(disk.write(own, 0, vec![1])).unwrap_err().raw_os_error(), Some(errno::EBADF), "open for reading");
    disk.power_cut(&Keep::Nothing);
    assert_eq!(done(disk.len(own)).unwrap_err().raw_os_error(), Some(errno::EBADF));
    assert!(process.is_dead() && other.is_dead());
}

// Order, moments, trace.

#[test]
fn scheduled_operations_wait_for_a_step_and_come_in_the_order_of_the_seed() {
    let last_of = |seed| {
        let disk = SimDisk::scheduled(seed);
        disk.write_file("/d/a", OLD).unwrap();
        let mut opening = disk.open_dir("/d".into(), false);
        assert!((&mut opening).now_or_never().is_none());
        assert!(disk.step());
        let mut creating = disk.open_or_create(ok(opening), "a");
        assert!((&mut creating).now_or_never().is_none() && disk.step() && !disk.step());
        let a = ok(creating);
        let writes: Vec<_> = (0..4_u8).map(|byte| disk.write(a, 0, vec![byte])).collect();
        assert_eq!(disk.in_flight(), 4);
        disk.run_until_idle();
        assert!(writes.into_iter().all(|write| ok(write) == 1));
        disk.read_file("/d/a").unwrap()[0]
    };
    assert_eq!((0..20).map(last_of).collect::<Vec<_>>(), (0..20).map(last_of).collect::<Vec<_>>());
    assert_eq!((0..40).map(last_of).collect::<std::collections::BTreeSet<_>>(), [0, 1, 2, 3].into());
}

#[test]
fn what_is_in_flight_at_a_death_ends_as_the_choice_says() {
    let after = |unfinished| {
        let disk = SimDisk::scheduled(1);
        disk.write_file("/d/a", OLD).unwrap();
        let process = disk.process();
        let opening = process.open_dir("/d".into(), false);
        disk.run_until_idle();
        let opening = process.open_or_create(ok(opening), "a");
        disk.run_until_idle();
        let write = process.write(ok(opening), 0, b"new!".to_vec());
        process.crash(unfinished);
        disk.run_until_idle();
        assert!(write.now_or_never().is_none());
        disk.read_file("/d/a").unwrap()
    };
    assert_eq!(after(Unfinished::NotDone), OLD);
    assert_eq!(after(Unfinished::Done), b"new!");
    let halves: std::collections::BTreeSet<_> = (0..60).map(|seed| after(Unfinished::Half(seed))).collect();
    assert_eq!(halves.len(), 4);
}

#[test]
fn a_seed_of_a_cut_is_one_outcome_and_seeds_differ() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, (0..4096_u32).map(|byte| (byte % 251) as u8).collect()));
    ok(disk.create(at, "b"));
    let snapshot = disk.snapshot();
    let after = |seed| {
        let cut = SimDisk::from_snapshot(&snapshot);
        cut.power_cut(&Keep::Seed(seed));
        cut.fingerprint()
    };
    let outcomes: std::collections::BTreeSet<_> = (0..200).map(after).collect();
    assert!(outcomes.len() > 20, "{} outcomes", outcomes.len());
    assert!((0..200).all(|seed| after(seed) == after(seed)));
}

#[test]
fn a_restored_moment_has_its_files_its_open_files_and_its_pending_operations() {
    let (disk, process, a) = with_old_content();
    ok(process.write(a, 0, b"new!".to_vec()));
    let (snapshot, before) = (disk.snapshot(), disk.fingerprint());
    ok(process.write(a, 0, b"lost".to_vec()));
    ok(process.sync_data(a));
    disk.power_cut(&Keep::Nothing);
    assert_ne!(disk.fingerprint(), before);
    disk.restore(&snapshot);
    assert_eq!(disk.fingerprint(), before);
    assert_eq!(disk.pending_units(), [1]);
    assert_eq!(ok(process.read(a, 0, 9)), b"new!");
    disk.power_cut(&Keep::Nothing);
    assert_eq!(disk.read_file("/d/a").unwrap(), OLD);
}

#[test]
fn the_trace_tells_who_did_what_and_how_it_ended() {
    let (disk, process, a) = with_old_content();
    process.crash_after(4, Unfinished::Done);
    ok(process.write(a, 2, b"xy".to_vec()));
    assert!(done(process.create(Dir(2), "a")).is_err());
    assert!(process.sync_data(a).now_or_never().is_none());
    let lines: Vec<String> = disk.trace().iter().map(|line| line.to_string()).collect();
    expect_test::expect![[r#"
            1 p1 OpenDir { path: "/d" }
            2 p1 OpenOrCreate { dir: Dir(2), name: "a" }
            3 p1 Write { file: File(3), offset: 2, len: 2 } of a
            4 p1 Create { dir: Dir(2), name: "a" } -> entity already exists
            5 p1 SyncData { file: File(3) } of a -> the process died in it: Done"#]]
    .assert_eq(&lines.join("\n"));
    assert_eq!(disk.performed(), 5);
}

// An outside hand.

#[test]
fn changes_at_rest_are_seen_at_once_and_are_durable() {
    let disk = SimDisk::new();
    disk.write_file("/d/a", b"abcdef").unwrap();
    disk.write_file("/d/b", b"b").unwrap();
    disk.copy_dir("/d", "/copy/d").unwrap();
    disk.flip_bit("/d/a", 1, 0).unwrap();
    disk.flip_bit("/d/a", 100, 0).unwrap();
    disk.truncate_file("/d/a", 4).unwrap();
    disk.rename_file("/d/b", "/d/c").unwrap();
    let look = |disk: &SimDisk| {
        assert_eq!(disk.read_file("/d/a").unwrap(), b"accd");
        assert_eq!(names(disk), ["a", "c"]);
        assert_eq!(disk.read_file("/copy/d/a").unwrap(), b"abcdef");
    };
    look(&disk);
    disk.power_cut(&Keep::Nothing);
    look(&disk);
    disk.remove_file("/d/c").unwrap();
    disk.power_cut(&Keep::Nothing);
    assert_eq!(names(&disk), ["a"]);
    assert_eq!(disk.copy_dir("/d", "/copy/d").unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn names_are_single_components() {
    let disk = SimDisk::new();
    let at = dir(&disk, &disk);
    for name in ["", ".", "..", "a/b", "a\0"] {
        assert_eq!(kind(disk.create(at, name)), ErrorKind::InvalidInput, "{name:?}");
    }
    assert_eq!(kind(disk.open(at, "missing")), ErrorKind::NotFound);
    assert_eq!(kind(disk.open_dir("/missing".into(), false)), ErrorKind::NotFound);
    ok(disk.create(at, "a"));
    assert_eq!(kind(disk.open_dir("/d/a".into(), true)), ErrorKind::NotADirectory);
    assert_eq!(ok(disk.list(at)), ["a"]);
}

// Personalities.

/// A file that grows by a write of two sectors, then a name: what `look` sees after every cut that there may be.
fn grown_and_named(personality: Personality) -> std::collections::BTreeSet<(Vec<u8>, bool)> {
    let disk = SimDisk::new();
    disk.set_personality(personality);
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, vec![7; 1024]));
    ok(disk.link(at, "a", "b"));
    after_every_cut(&disk, |disk| (disk.read_file("/d/a").unwrap(), disk.read_file("/d/b").is_ok()))
}

#[test]
fn a_journalled_size_never_shows_what_was_not_written_and_names_follow_in_order() {
    let (old, new) = (Vec::new(), vec![7; 1024]);
    let in_order = [(old.clone(), false), (new.clone(), false), (new, true)];
    for personality in [Personality::Ext4, Personality::Xfs, Personality::Btrfs] {
        assert_eq!(grown_and_named(personality), in_order.clone().into(), "{personality:?}");
    }
    let hostile = grown_and_named(Personality::Hostile);
    assert!(hostile.contains(&(old, true)), "a later name without the size");
    assert!(hostile.contains(&(vec![0; 1024], false)), "a size without its bytes");
    assert!(hostile.contains(&([vec![7; 512], vec![0; 512]].concat(), true)), "half of the bytes");
}

/// What an overwrite of two sectors may leave, as which of the two is new.
fn overwritten(personality: Personality) -> std::collections::BTreeSet<[bool; 2]> {
    let disk = SimDisk::new();
    disk.set_personality(personality);
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, vec![1; 8192]));
    ok(disk.sync_data(a));
    ok(disk.write(a, 4096, vec![2; 1024]));
    after_every_cut(&disk, |disk| {
        let bytes = disk.read_file("/d/a").unwrap();
        assert!(bytes[..4096].iter().chain(&bytes[5120..]).all(|byte| *byte == 1), "what was not touched stays");
        [bytes[4096] == 2, bytes[4096 + 512] == 2]
    })
}

#[test]
fn only_a_copied_block_is_never_torn() {
    let all = [[false, false], [false, true], [true, false], [true, true]];
    for personality in [Personality::Hostile, Personality::Ext4, Personality::Xfs] {
        assert_eq!(overwritten(personality), all.into(), "{personality:?}");
    }
    assert_eq!(overwritten(Personality::Btrfs), [[false, false], [true, true]].into());
}

#[test]
fn an_overwrite_needs_space_where_blocks_are_copied() {
    for (personality, written) in [(Personality::Ext4, Some(100)), (Personality::Btrfs, None)] {
        let disk = SimDisk::new();
        disk.set_personality(personality);
        let at = dir(&disk, &disk);
        let a = file(&disk, at, "a");
        ok(disk.write(a, 0, vec![1; 4096]));
        ok(disk.sync_data(a));
        disk.limit_space(4096);
        let answer = done(disk.write(a, 10, vec![2; 100]));
        assert_eq!(answer.as_ref().ok().copied(), written, "{personality:?}: {answer:?}");
        disk.limit_space(8192);
        assert_eq!(ok(disk.write(a, 10, vec![2; 100])), 100, "{personality:?}");
    }
}

#[test]
fn a_spoilt_block_is_one_of_an_interrupted_write() {
    let disk = SimDisk::new();
    disk.set_overwrites(Overwrites::SpoilTheirBlock);
    let at = dir(&disk, &disk);
    let a = file(&disk, at, "a");
    ok(disk.write(a, 0, vec![1; 8192]));
    ok(disk.sync_data(a));
    ok(disk.write(a, 512, vec![2; 1024]));
    let seen = after_every_cut(&disk, |disk| {
        let bytes = disk.read_file("/d/a").unwrap();
        assert!(bytes[4096..].iter().all(|byte| *byte == 1), "the next block stays");
        (bytes[0], bytes[512], bytes[1024])
    });
    let noise = 0xA5;
    assert_eq!(seen, [(1, 1, 1), (1, 2, 2), (noise, 2, noise), (noise, noise, 2)].into());
}

// More faults.

/// A file with old bytes that are durable and a handle of it.
fn old_file(disk: &SimDisk, process: &SimProcess) -> File {
    let at = dir(disk, process);
    let a = file(process, at, "a");
    ok(process.write(a, 0, vec![1; 1024]));
    ok(process.sync_data(a));
    a
}

fn next(process: &SimProcess, fault: Fault) {
    process.fail(When::Operation(process.performed() + 1), fault);
}

#[test]
fn a_sync_that_lies_makes_nothing_durable_and_an_honest_one_does() {
    let disk = SimDisk::new();
    let process = disk.process();
    let a = old_file(&disk, &process);
    ok(process.write(a, 0, vec![2; 512]));
    next(&process, Fault::Unfair(Unfair::LyingSync));
    ok(process.sync_data(a));
    let after_cut = |disk: &SimDisk| {
        let cut = SimDisk::from_snapshot(&disk.snapshot());
        cut.power_cut(&Keep::Nothing);
        cut.read_file("/d/a").unwrap()[0]
    };
    assert_eq!(after_cut(&disk), 1);
    ok(process.sync_data(a));
    assert_eq!(after_cut(&disk), 2);
}

#[test]
fn a_sync_that_fails_in_silence_gives_up_what_was_pending() {
    for (leaves, seen) in [(AfterFailedSync::NewContent, 2), (AfterFailedSync::OldContent, 1)] {
        let disk = SimDisk::new();
        let process = disk.process();
        let a = old_file(&disk, &process);
        ok(process.write(a, 0, vec![2; 512]));
        next(&process, Fault::Unfair(Unfair::SilentSync(leaves)));
        ok(process.sync_data(a));
        ok(process.sync_data(a));
        assert_eq!(ok(process.read(a, 0, 1)), [seen], "{leaves:?}");
        disk.power_cut(&Keep::Everything);
        assert_eq!(disk.read_file("/d/a").unwrap()[0], 1, "{leaves:?}");
    }
}

#[test]
fn a_phantom_write_and_a_misdirected_one_say_that_all_is_well() {
    let disk = SimDisk::new();
    let process = disk.process();
    let a = old_file(&disk, &process);
    next(&process, Fault::Unfair(Unfair::PhantomWrite));
    assert_eq!(ok(process.write(a, 0, vec![2; 512])), 512);
    assert_eq!(ok(process.read(a, 0, 1024)), vec![1; 1024]);
    next(&process, Fault::Unfair(Unfair::MisdirectedWrite(512)));
    assert_eq!(ok(process.write(a, 0, vec![2; 512])), 512);
    assert_eq!(ok(process.read(a, 0, 1024)), [vec![1; 512], vec![2; 512]].concat());
}

#[test]
fn a_stale_read_gives_what_was_durable() {
    let disk = SimDisk::new();
    let process = disk.process();
    let a = old_file(&disk, &process);
    ok(process.write(a, 0, vec![2; 512]));
    next(&process, Fault::Unfair(Unfair::StaleRead));
    assert_eq!(ok(process.read(a, 0, 1)), [1]);
    assert_eq!(ok(process.read(a, 0, 1)), [2]);
}

#[test]
fn a_slow_operation_begins_when_its_time_is_over() {
    let disk = SimDisk::new();
    let clock = crate::ManualClock::new(durable::kernel::id::Timestamp(0));
    let passes = clock.clone();
    disk.on_slow(move |delay| {
        use durable::seams::Clock;
        passes.sleep_until(passes.monotonic() + delay)
    });
    let process = disk.process();
    let a = old_file(&disk, &process);
    process.fail(When::Kind(OpKind::Write, 2), Fault::Slow(Duration::from_secs(600)));
    let mut slow = process.write(a, 0, vec![2; 512]);
    assert!((&mut slow).now_or_never().is_none());
    assert_eq!(ok(process.read(a, 0, 1)), [1], "others are not held up");
    clock.advance(Duration::from_secs(599));
    assert!((&mut slow).now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    assert_eq!(slow.now_or_never().unwrap().unwrap(), 512);
    assert_eq!(ok(process.read(a, 0, 1)), [2]);
}

#[test]
fn a_process_with_too_many_files_open_opens_no_more() {
    let disk = SimDisk::new();
    let process = disk.process();
    let at = dir(&disk, &process);
    process.limit_open(2);
    let a = ok(process.create(at, "a"));
    assert_eq!(done(process.create(at, "b")).unwrap_err().raw_os_error(), Some(errno::EMFILE));
    ok(process.close(a));
    ok(process.open(at, "a"));
}

#[test]
fn a_lock_that_excludes_nobody_is_given_to_all() {
    let disk = SimDisk::new();
    disk.lock_only("a");
    let (one, two) = (disk.process(), disk.process());
    let at = dir(&disk, &one);
    for (name, excludes) in [("a", true), ("b", false)] {
        let (mine, theirs) = (file(&one, at, name), ok(two.open_dir("/d".into(), false)));
        assert!(ok(one.try_lock(mine)));
        assert_eq!(ok(two.try_lock(ok(two.open(theirs, name)))), !excludes, "{name}");
    }
}

// Moments.

#[test]
fn a_moment_is_crashed_as_often_as_wanted() {
    let disk = SimDisk::new();
    let process = disk.process();
    let a = old_file(&disk, &process);
    let moments: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let slot = Arc::clone(&moments);
    disk.watch(move |moment| slot.lock().unwrap().push(moment));
    ok(process.read(a, 0, 1));
    ok(process.write(a, 500, vec![2; 100]));
    ok(process.sync_data(a));
    disk.unwatch();
    ok(process.write(a, 0, vec![3; 1]));
    let moments = std::mem::take(&mut *moments.lock().unwrap());
    let kinds: Vec<_> = moments.iter().map(|moment| moment.op().kind()).collect();
    assert_eq!(kinds, [OpKind::Write, OpKind::SyncData], "a read changes nothing");
    let twos = |disk: &SimDisk| disk.read_file("/d/a").unwrap().iter().filter(|byte| **byte == 2).count();
    let played = SimDisk::new();
    for (unfinished, seen) in [(Unfinished::NotDone, 0), (Unfinished::Part(30), 30), (Unfinished::Done, 100)] {
        moments[0].interrupt(&played, unfinished);
        assert_eq!(twos(&played), seen, "{unfinished:?}");
        played.power_cut(&Keep::Nothing);
        assert_eq!(twos(&played), 0, "{unfinished:?}");
    }
    moments[0].interrupt(&played, Unfinished::Part(30));
    played.power_cut(&Keep::Units(Mask::from(2)));
    assert_eq!(twos(&played), 18, "torn at the edge of the sector and at a byte");
}

#[test]
fn without_a_trace_everything_else_is_the_same() {
    let disk = SimDisk::new();
    disk.stop_tracing();
    let process = disk.process();
    old_file(&disk, &process);
    assert_eq!((disk.trace().len(), disk.performed()), (0, 5));
}
