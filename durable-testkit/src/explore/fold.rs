//! Folds images: two disks of which a recovery asks the same questions and gets the same answers are one crash state, and
//! the recovery runs once. What it asks next follows from the answers so far, so that the questions are a tree: a new
//! image is led down by its own answers, and if it comes to an end, its recovery is known.

use std::collections::BTreeMap;

use crate::disk::SimDisk;
use crate::disk::question::Question;

/// What became of a recovery, by number.
pub(crate) type Leaf = usize;

#[derive(Debug, Clone, Copy)]
enum Next {
    Ask(usize),
    End(Leaf),
}

#[derive(Debug)]
struct Node {
    question: Question,
    answers: BTreeMap<u64, Next>,
}

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    nodes: Vec<Node>,
}

impl Folds {
    /// The end to which the disk's answers lead, if a recovery has been there.
    pub(crate) fn find(&self, disk: &SimDisk) -> Option<Leaf> {
        let mut node = self.nodes.first()?;
        disk.answers(|answer| {
            loop {
                match node.answers.get(&answer(&node.question))? {
                    Next::Ask(next) => node = &self.nodes[*next],
                    Next::End(leaf) => return Some(*leaf),
                }
            }
        })
    }

    /// A recovery of `disk` has asked these questions and come to that end.
    ///
    /// # Panics
    /// If it asked something else than a recovery that had got the same answers: then it is not deterministic.
    pub(crate) fn insert(&mut self, disk: &SimDisk, questions: Vec<Question>, leaf: Leaf) {
        let answers: Vec<u64> = disk.answers(|answer| questions.iter().map(answer).collect());
        let mut at: Option<(usize, u64)> = None;
        for (question, answer) in questions.into_iter().zip(answers) {
            at = Some((self.node_behind(at, question), answer));
        }
        if let Some((node, answer)) = at {
            self.nodes[node].answers.insert(answer, Next::End(leaf));
        }
    }

    fn node_behind(&mut self, at: Option<(usize, u64)>, question: Question) -> usize {
        let known = match at {
            None => (!self.nodes.is_empty()).then_some(0),
            Some((node, answer)) => match self.nodes[node].answers.get(&answer) {
                Some(Next::Ask(next)) => Some(*next),
                Some(Next::End(_)) => panic!("a recovery went on where another one that knew the same had ended"),
                None => None,
            },
        };
        if let Some(known) = known {
            assert_eq!(self.nodes[known].question, question, "a recovery that knew the same asked something else");
            return known;
        }
        let new = self.nodes.len();
        self.nodes.push(Node { question, answers: BTreeMap::new() });
        if let Some((node, answer)) = at {
            self.nodes[node].answers.insert(answer, Next::Ask(new));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use durable::store::disk::{Dir, Disk};
    use futures::FutureExt;

    use super::*;

    /// Reads `a`; if that begins with 1, also `b`.
    fn ask(disk: &SimDisk) {
        let dir: Dir = disk.open_dir("/d".into(), false).now_or_never().unwrap().unwrap();
        let read = |name: &str| {
            let file = disk.open(dir, name).now_or_never().unwrap().unwrap();
            disk.read(file, 0, 100).now_or_never().unwrap().unwrap()
        };
        if read("a").first() == Some(&1) {
            read("b");
        }
    }

    fn disk(a: &[u8], b: &[u8]) -> SimDisk {
        let disk = SimDisk::new();
        disk.write_file("/d/a", a).unwrap();
        disk.write_file("/d/b", b).unwrap();
        disk.write_file("/d/c", a).unwrap();
        disk
    }

    fn learn(folds: &mut Folds, disk: &SimDisk, leaf: Leaf) {
        assert_eq!(folds.find(disk), None);
        let before = disk.snapshot();
        disk.note_questions();
        ask(disk);
        let questions = disk.take_questions();
        disk.restore(&before);
        folds.insert(disk, questions, leaf);
    }

    #[test]
    fn what_is_not_read_does_not_count_and_what_is_read_does() {
        let mut folds = Folds::default();
        learn(&mut folds, &disk(&[0], &[7]), 0);
        assert_eq!(folds.find(&disk(&[0], &[8])), Some(0), "b is not read");
        learn(&mut folds, &disk(&[1], &[7]), 1);
        learn(&mut folds, &disk(&[1], &[8]), 2);
        assert_eq!(folds.find(&disk(&[1], &[7])), Some(1));
        assert_eq!(folds.find(&disk(&[1], &[9])), None);
    }
}
