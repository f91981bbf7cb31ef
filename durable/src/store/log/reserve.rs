//! Space kept for the day on which there is none: a file of zeros that is removed so that a checkpoint and a close can
//! finish on a full disk, and made again when there is space. It never holds anything.

use super::error::DiskFault;
use super::files::Folder;

/// The file's name.
const NAME: &str = "reserve";

/// Gives the space free. Says whether there was any.
pub(super) async fn release(folder: &Folder) -> Result<bool, DiskFault> {
    match folder.remove(NAME).await {
        Ok(()) => Ok(true),
        Err(fault) if fault.error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Keeps `bytes` bytes, unless so many are kept already. On a full disk nothing is kept.
pub(super) async fn keep(folder: &Folder, bytes: u64) -> Result<(), DiskFault> {
    let handle = folder.open_or_create(NAME).await?;
    let kept = match handle.len().await {
        Ok(len) if len >= bytes => Ok(()),
        Ok(len) => match handle.zero(len, bytes).await {
            Ok(()) => handle.sync().await,
            Err(fault) => Err(fault),
        },
        Err(fault) => Err(fault),
    };
    handle.close().await;
    if kept.is_err() {
        release(folder).await?;
    }
    kept
}
