//! A path as text, without loss: what a journal and a manifest hold of it. It never meets the disk as text, only as the bytes that
//! it stands for.

use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path whose bytes that are no UTF-8, control characters and `%` are written as `%` and two hex digits; everything else stands
/// as it is. So it fits into a line, and every Unix path comes back byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathText(String);

impl PathText {
    /// The path that the text stands for.
    pub fn to_path(&self) -> PathBuf {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0.as_bytes();
        while let Some((&first, behind)) = rest.split_first() {
            let (byte, behind) = match first {
                b'%' => escaped(behind).unwrap_or((first, behind)),
                _ => (first, behind),
            };
            bytes.push(byte);
            rest = behind;
        }
        PathBuf::from(std::ffi::OsString::from_vec(bytes))
    }

    /// How many bytes the text has.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<&Path> for PathText {
    fn from(path: &Path) -> PathText {
        PathText::from(path.as_os_str())
    }
}

impl From<&OsStr> for PathText {
    fn from(name: &OsStr) -> PathText {
        let mut text = String::with_capacity(name.len());
        for chunk in name.as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                match c.is_control() || c == '%' {
                    true => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(byte, &mut text)),
                    false => text.push(c),
                }
            }
            chunk.invalid().iter().for_each(|&byte| escape(byte, &mut text));
        }
        PathText(text)
    }
}

impl fmt::Display for PathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn escape(byte: u8, text: &mut String) {
    write!(text, "%{byte:02X}").expect("because writing to a string cannot fail");
}

/// The byte of two hex digits, and what is behind them.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], behind) = text.split_first_chunk::<2>()?;
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(high)? * 16 + value(low)?).ok().map(|byte| (byte, behind))
}
