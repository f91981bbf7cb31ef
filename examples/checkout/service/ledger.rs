//! What the world outside did, in a file that is synced before anybody is answered: it outlives the shop's crashes. Each key makes one
//! effect, however often it is used.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What can be done for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Hold,
    Charge,
    Parcel,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub order: String,
    pub kind: Kind,
    /// As `charge-2`; given by the ledger.
    pub id: String,
    pub cents: u64,
    /// The key of the request that did it.
    pub key: String,
}

/// An effect, and whether this request made it.
#[derive(Debug)]
pub struct Made {
    pub effect: Effect,
    pub is_new: bool,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// A request came, under this key.
    Asked(String),
    /// Something was done.
    Made(Effect),
    /// It was undone.
    Undone(String),
    /// No charge is made for this order any more: one may still be on its way.
    Closed(String),
}

/// Why the ledger does not do something.
#[derive(Debug)]
pub enum LedgerError {
    /// There is nothing of this id.
    NoSuch,
    /// The order takes no charge any more.
    Closed,
    /// The file cannot be written.
    File(io::Error),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerError::NoSuch => f.write_str("there is no such thing"),
            LedgerError::Closed => f.write_str("what was charged for the order was given back"),
            LedgerError::File(error) => write!(f, "the ledger cannot be written: {error}"),
        }
    }
}

/// The file, and what it holds.
#[derive(Debug)]
pub struct Ledger {
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    file: File,
    lines: Vec<Line>,
}

impl Ledger {
    /// Goes on with what the file holds.
    pub fn open(path: &Path) -> io::Result<Ledger> {
        let lines = read(path)?;
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        // A line that was cut stays by itself.
        file.write_all(b"\n")?;
        Ok(Ledger { book: Mutex::new(Book { file, lines }) })
    }

    /// How often this key was used, this time included.
    pub fn asked(&self, key: &str) -> Result<usize, LedgerError> {
        let mut book = self.book();
        book.write(Line::Asked(key.to_owned()))?;
        Ok(book.lines.iter().filter(|line| matches!(line, Line::Asked(used) if used == key)).count())
    }

    /// Does something, unless it was done under this key.
    pub fn make(&self, mut effect: Effect) -> Result<Made, LedgerError> {
        let mut book = self.book();
        if let Some(known) = effects(&book.lines).find(|known| known.key == effect.key) {
            return Ok(Made { effect: known.clone(), is_new: false });
        }
        let is_closed = book.lines.iter().any(|line| matches!(line, Line::Closed(order) if *order == effect.order));
        if effect.kind == Kind::Charge && is_closed {
            return Err(LedgerError::Closed);
        }
        let number = effects(&book.lines).filter(|other| other.kind == effect.kind).count() + 1;
        effect.id = format!("{}-{number}", effect.kind);
        book.write(Line::Made(effect.clone()))?;
        Ok(Made { effect, is_new: true })
    }

    /// Undoes something; whether it stood until now.
    pub fn undo(&self, id: &str) -> Result<bool, LedgerError> {
        let mut book = self.book();
        if !effects(&book.lines).any(|effect| effect.id == id) {
            return Err(LedgerError::NoSuch);
        }
        if is_undone(&book.lines, id) {
            return Ok(false);
        }
        book.write(Line::Undone(id.to_owned())).map(|()| true)
    }

    /// From now on no charge is made for an order.
    pub fn close(&self, order: &str) -> Result<(), LedgerError> {
        self.book().write(Line::Closed(order.to_owned()))
    }

    /// What was done for an order and stands.
    pub fn standing(&self, order: &str, kind: Kind) -> Vec<Effect> {
        let book = self.book();
        let of = effects(&book.lines).filter(|effect| effect.order == order && effect.kind == kind);
        of.filter(|effect| !is_undone(&book.lines, &effect.id)).cloned().collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn write(&mut self, line: Line) -> Result<(), LedgerError> {
        let text = serde_json::to_string(&line).map_err(|error| LedgerError::File(error.into()))?;
        let written = self.file.write_all(format!("{text}\n").as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(LedgerError::File)?;
        self.lines.push(line);
        Ok(())
    }
}

/// What the file holds; nothing if there is none. The last line may be cut: then nobody was answered.
pub fn read(path: &Path) -> io::Result<Vec<Line>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let lines = BufReader::new(file).lines().collect::<io::Result<Vec<_>>>()?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// All that was done, oldest first.
pub fn effects(lines: &[Line]) -> impl Iterator<Item = &Effect> {
    lines.iter().filter_map(|line| if let Line::Made(effect) = line { Some(effect) } else { None })
}

/// Whether something was undone.
pub fn is_undone(lines: &[Line], id: &str) -> bool {
    lines.iter().any(|line| matches!(line, Line::Undone(undone) if undone == id))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Hold => "hold",
            Kind::Charge => "charge",
            Kind::Parcel => "parcel",
        })
    }
}
