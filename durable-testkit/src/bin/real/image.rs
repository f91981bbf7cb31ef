//! File systems that can be spoiled: an image in a file, mounted through a loop device, and a small one in memory. Each is unmounted
//! when it is dropped. It runs the system's own programs, and needs root.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
    Tmpfs,
}

impl FileSystem {
    /// Those whose power can be cut.
    pub(crate) const WITH_POWER: [FileSystem; 2] = [FileSystem::Ext4, FileSystem::Xfs];

    /// Those that can be small.
    pub(crate) const SMALL: [FileSystem; 2] = [FileSystem::Tmpfs, FileSystem::Ext4];

    pub(crate) fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
            FileSystem::Tmpfs => "tmpfs",
        }
    }

    /// Why it cannot be had here, if that is so.
    pub(crate) fn missing(self) -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("only root may mount".to_owned());
        }
        let needed: &[&str] = match self {
            FileSystem::Ext4 => &["mount", "umount", "mkfs.ext4"],
            FileSystem::Xfs => &["mount", "umount", "mkfs.xfs"],
            FileSystem::Tmpfs => &["mount", "umount"],
        };
        if self != FileSystem::Tmpfs && !Path::new("/dev/loop-control").exists() {
            return Some("there are no loop devices".to_owned());
        }
        needed.iter().find(|program| !is_program(program)).map(|program| format!("there is no {program}"))
    }
}

/// Whether everything is here that the faults take: then nothing may be left out.
pub(crate) fn is_everything_here() -> bool {
    FileSystem::Xfs.missing().is_none() && is_program("xfs_io")
}

/// Whether a program can be run.
pub(crate) fn is_program(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| dir.join(name).is_file())
}

/// A mounted file system.
#[derive(Debug)]
pub(crate) struct Mounted {
    what: PathBuf,
    at: PathBuf,
    options: String,
    file_system: FileSystem,
    is_mounted: bool,
}

impl Mounted {
    /// Makes a file system of so many bytes in `dir`, and mounts it.
    pub(crate) fn make(file_system: FileSystem, bytes: u64, dir: &Path) -> io::Result<Mounted> {
        let (image, at) = (dir.join("image"), dir.join("mnt"));
        fs::create_dir_all(&at)?;
        let (what, options) = match file_system {
            FileSystem::Tmpfs => ("tmpfs".into(), format!("size={bytes}")),
            FileSystem::Ext4 | FileSystem::Xfs => (image.clone(), "loop".to_owned()),
        };
        if file_system != FileSystem::Tmpfs {
            File::create(&image)?.set_len(bytes)?;
            let force = if file_system == FileSystem::Ext4 { "-F" } else { "-f" };
            run(Command::new(format!("mkfs.{}", file_system.name())).args(["-q", force]).arg(&image))?;
        }
        let mut mounted = Mounted { what, at, options, file_system, is_mounted: false };
        mounted.mount()?;
        Ok(mounted)
    }

    fn mount(&mut self) -> io::Result<()> {
        let kind = self.file_system.name();
        run(Command::new("mount").args(["-t", kind, "-o", &self.options]).arg(&self.what).arg(&self.at))?;
        self.is_mounted = true;
        Ok(())
    }

    /// Where it is mounted.
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    /// Unmounts it and mounts it again, by which it is recovered.
    pub(crate) fn remount(&mut self) -> io::Result<()> {
        run(Command::new("umount").arg(&self.at))?;
        self.is_mounted = false;
        self.mount()
    }

    /// Cuts its power: what is not on disk is lost, the log of the file system as well. Every operation fails from now on, until it
    /// is mounted again.
    pub(crate) fn cut(&self) -> io::Result<()> {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            // What still uses it keeps it; nothing can be done about that here.
            let _ = run(Command::new("umount").args(["--lazy"]).arg(&self.at));
        }
    }
}

/// Runs a program to its end.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{:?} ended with {}: {}", command.get_program(), output.status, stderr.trim_end())))
}
