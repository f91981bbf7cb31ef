//! What makes a directory a store: its `FORMAT` file, which is written once, whole and durable, before anything else is
//! there. A directory that holds something else is left as it is.

use std::io;

use super::error::{DiskFault, OpenError};
use super::files::Folder;
use super::lock;
use super::spare;
use crate::codec::format_file::{self, FormatError};
use crate::codec::frame::StoreId;
use crate::seams::Seams;

/// What the file is called while it is being made.
const NEW: &str = "FORMAT.new-";

/// How often it is looked for when someone else makes it at the same time.
const TRIES: usize = 3;

/// Which store the directory is; makes one of an empty directory.
pub(super) async fn find_or_make(folder: &Folder, seams: &Seams) -> Result<StoreId, OpenError> {
    for _ in 0..TRIES {
        let names = folder.list().await?;
        if has(&names, format_file::NAME) {
            if !has(&names, lock::NAME) {
                // It was made a moment ago, by us or by someone else: nothing may become durable before it.
                folder.sync().await?;
                folder.sync_above().await?;
            }
            return read(folder).await;
        }
        if let Some(other) = names.iter().find(|name| !is_left(name)) {
            return Err(not_a_store(folder, &format!("it holds {other:?} and has no {} file", format_file::NAME)));
        }
        make(folder, seams).await?;
    }
    read(folder).await
}

/// Which store the directory is. Nothing is made.
pub(super) async fn find(folder: &Folder) -> Result<StoreId, OpenError> {
    if !has(&folder.list().await?, format_file::NAME) {
        return Err(not_a_store(folder, &format!("it has no {} file", format_file::NAME)));
    }
    read(folder).await
}

/// Whether a name is what is left of a file that someone began to make.
pub(super) fn is_left(name: &str) -> bool {
    name.starts_with(NEW)
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other == name)
}

fn not_a_store(folder: &Folder, found: &str) -> OpenError {
    OpenError::NotAStore { dir: folder.path().clone(), found: found.into() }
}

async fn read(folder: &Folder) -> Result<StoreId, OpenError> {
    let handle = folder.open_file(format_file::NAME).await?;
    let bytes = handle.read(0, format_file::BYTES_MAX).await;
    handle.close().await;
    format_file::decode(&bytes?).map_err(|error| match error {
        FormatError::Unknown => not_a_store(folder, &format!("its {} file is not one of a store", format_file::NAME)),
        FormatError::Other { format, revision } => OpenError::Format { dir: folder.path().clone(), format, revision },
    })
}

/// Makes the file under a name of its own, and gives it its name when it is durable. Whoever is first wins.
async fn make(folder: &Folder, seams: &Seams) -> Result<(), DiskFault> {
    let mut id = [0; 16];
    seams.entropy.fill(&mut id);
    let name = format!("{NEW}{:016x}", spare::draw(&*seams.entropy));
    let handle = folder.create(&name).await?;
    let text = format_file::encode(StoreId(id));
    let written = match handle.write_all(0, text.as_bytes()).await {
        Ok(()) => handle.sync().await,
        Err(fault) => Err(fault),
    };
    handle.close().await;
    let named = match written {
        Ok(()) => link(folder, &name).await,
        Err(fault) => Err(fault),
    };
    let _unimportant = folder.remove(&name).await;
    named
}

async fn link(folder: &Folder, name: &str) -> Result<(), DiskFault> {
    match folder.link(name, format_file::NAME).await {
        Ok(()) => Ok(()),
        // Someone else was first, and may have tidied up after us.
        Err(fault) if matches!(fault.error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Ok(()),
        Err(fault) => Err(fault),
    }
}
