//! What an outside hand does to the files, at rest or behind a running process's back: bits that flip, files that are
//! deleted, renamed, cut or copied. Such a change is durable at once; what is pending for other files stays pending.

use std::io;
use std::path::Path;

use super::fault::errno;
use super::inode::{Content, Entries, Image, Ino, Node};
use super::pending::Pending;
use super::state::State;

fn fail<T>(number: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(number))
}

fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => fail(errno::EINVAL),
    }
}

impl State {
    fn file_at(&self, path: &Path) -> io::Result<Ino> {
        let ino = self.resolve(path)?;
        if self.seen.file(ino).is_some() { Ok(ino) } else { fail(errno::EISDIR) }
    }

    fn on_both(&mut self, mut f: impl FnMut(&mut Image)) {
        f(&mut self.seen);
        f(&mut self.durable);
    }

    /// Makes the names on the way to `path` durable, and `path`'s own data and entries.
    fn settle_path(&mut self, path: &Path) -> io::Result<()> {
        let ino = self.resolve(path)?;
        let way: Vec<Ino> = path.ancestors().filter_map(|above| self.resolve(above).ok()).collect();
        let about = |pending: &Pending| pending.data_of() == Some(ino) || way.contains(&pending.ino());
        self.settle(about);
        Ok(())
    }

    pub(super) fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let ino = self.file_at(path)?;
        Ok(self.seen.file(ino).map(|content| content.read(0, usize::MAX)).unwrap_or_default())
    }

    pub(super) fn file_names(&self, path: &Path) -> io::Result<Vec<String>> {
        let dir = self.resolve(path)?;
        let Some(entries) = self.seen.entries(dir) else { return fail(errno::ENOTDIR) };
        Ok(entries
            .iter()
            .filter(|(_, ino)| self.seen.file(**ino).is_some())
            .map(|(name, _)| name.to_string())
            .collect())
    }

    /// Puts a file there, replacing the bytes of one that is there.
    pub(super) fn write_file(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (parent, name) = split(path)?;
        let dir = self.make_path(parent)?;
        if self.seen.lookup(dir, name).is_none() {
            self.make_node(dir, name, Node::File(Content::default()))?;
        }
        let ino = self.file_at(path)?;
        self.settle_path(path)?;
        self.on_both(|image| {
            let content = image.file_mut(ino);
            if let Some(content) = content {
                content.set_len(0);
                content.write(0, bytes);
            }
        });
        Ok(())
    }

    pub(super) fn flip_bit(&mut self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let ino = self.file_at(path)?;
        // What is pending may undo it on the platter and not in the page cache.
        self.lies.insert(ino);
        self.on_both(|image| {
            let Some(content) = image.file_mut(ino) else { return };
            if let [byte] = content.read(offset, 1)[..] {
                content.overwrite(offset, &[byte ^ (1 << (bit % 8))]);
            }
        });
        Ok(())
    }

    pub(super) fn truncate_file(&mut self, path: &Path, len: u64) -> io::Result<()> {
        let ino = self.file_at(path)?;
        self.settle_path(path)?;
        self.on_both(|image| image.file_mut(ino).into_iter().for_each(|content| content.set_len(len)));
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = split(path)?;
        let dir = self.resolve(parent)?;
        self.file_at(path)?;
        self.settle_path(path)?;
        self.on_both(|image| {
            image.entries_mut(dir).and_then(|entries| entries.remove(name));
        });
        Ok(())
    }

    /// Renames within a directory or across, replacing.
    pub(super) fn rename_file(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ino = self.file_at(from)?;
        let (parent, name) = split(to)?;
        let dir = self.resolve(parent)?;
        self.settle_path(from)?;
        self.remove_file(from)?;
        self.on_both(|image| {
            image.entries_mut(dir).and_then(|entries| entries.insert(name.into(), ino));
        });
        Ok(())
    }

    /// Copies a directory with all below it, as processes see it, to a path where nothing is.
    pub(super) fn copy_dir(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.resolve(to).is_ok() {
            return fail(errno::EEXIST);
        }
        let source = self.resolve(from)?;
        let Some(entries) = self.seen.entries(source).cloned() else { return fail(errno::ENOTDIR) };
        self.copy_entries(entries, to)
    }

    fn copy_entries(&mut self, entries: Entries, to: &Path) -> io::Result<()> {
        self.make_path(to)?;
        self.settle_path(to)?;
        for (name, ino) in entries {
            let target = to.join(&*name);
            match self.seen.node(ino).cloned() {
                Some(Node::File(content)) => self.write_file(&target, &content.read(0, usize::MAX))?,
                Some(Node::Dir(below)) => self.copy_entries(below, &target)?,
                None => {}
            }
        }
        Ok(())
    }
}
