//! The scopes of a run: which are open, which one a cancel cuts, and what keeps it from being cut yet. It never drops anything itself;
//! it only says what is to be cut.

use std::collections::{BTreeMap, BTreeSet};

use super::event::End;
use super::id::ScopeNo;
use super::rare::Empty;

/// The body: the outermost scope.
pub const BODY: ScopeNo = ScopeNo(0);

/// The scopes of one run.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    last: ScopeNo,
    open: BTreeMap<ScopeNo, Scope>,
    /// The shields that have begun and not ended, and the scope around each.
    shields: BTreeMap<ShieldNo, ScopeNo>,
    last_shield: ShieldNo,
    /// Why the body is to be cut.
    body: Option<End>,
    cancelled: bool,
    /// The body is there no more.
    ended: bool,
    /// The scopes that were told to be cut and have not been woken for it.
    told: Vec<ScopeNo>,
}

/// One shield of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ShieldNo(u32);

/// One open scope.
#[derive(Debug)]
struct Scope {
    parent: ScopeNo,
    catches: Catches,
    shielded: bool,
    /// Whether a scope or a shield was ever opened in it: of most there is nothing to look for among all others.
    holds: bool,
    stage: Stage,
}

/// Whether a cancel of the run ends at a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catches {
    /// The run's, and that of its own handle.
    Run,
    /// That of its own handle alone.
    Handle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Runs,
    /// It is to be cut as soon as no shield in it holds that off.
    Cut,
    Undoes,
}

/// Where code stands: in which scope, and whether a shield is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Within {
    /// The innermost scope.
    pub scope: ScopeNo,
    /// Whether a cancel of the run passes by.
    pub shielded: bool,
}

impl Empty for Scopes {
    fn empty() -> &'static Scopes {
        static EMPTY: Scopes = Scopes {
            last: BODY,
            open: BTreeMap::new(),
            shields: BTreeMap::new(),
            last_shield: ShieldNo(0),
            body: None,
            cancelled: false,
            ended: false,
            told: Vec::new(),
        };
        &EMPTY
    }
}

impl Scopes {
    pub(super) fn open(&mut self, within: Within, catches: Catches) -> ScopeNo {
        let no = ScopeNo(self.last.0 + 1);
        self.last = no;
        let scope =
            Scope { parent: within.scope, catches, shielded: within.shielded, holds: false, stage: Stage::Runs };
        self.note_inner(within.scope);
        self.open.insert(no, scope);
        no
    }

    pub(super) fn is_open(&self, no: ScopeNo) -> bool {
        self.open.contains_key(&no)
    }

    /// Forgets a scope; gives the one around it.
    pub(super) fn close(&mut self, no: ScopeNo) -> Option<ScopeNo> {
        let scope = self.open.remove(&no)?;
        if !scope.holds {
            return Some(scope.parent);
        }
        self.note_inner(scope.parent);
        // What stood in it stands in the one around it: a scope that undoes after its own future was dropped, and what the code has
        // polled in it first and goes on with behind it.
        self.open.values_mut().filter(|inner| inner.parent == no).for_each(|inner| inner.parent = scope.parent);
        self.shields.values_mut().filter(|around| **around == no).for_each(|around| *around = scope.parent);
        Some(scope.parent)
    }

    /// The scopes that neither ended nor undo; innermost first.
    pub(super) fn running(&self) -> Vec<ScopeNo> {
        self.open.iter().rev().filter(|(_, scope)| scope.stage != Stage::Undoes).map(|(no, _)| *no).collect()
    }

    pub(super) fn shield(&mut self, scope: ScopeNo) -> ShieldNo {
        self.last_shield.0 += 1;
        self.note_inner(scope);
        self.shields.insert(self.last_shield, scope);
        self.last_shield
    }

    pub(super) fn unshield(&mut self, shield: ShieldNo) {
        self.shields.remove(&shield);
    }

    /// The run is asked to end. That reaches the innermost scopes that catch it; where there is none, the body. A second one is ignored.
    pub(super) fn cancel(&mut self) {
        if std::mem::replace(&mut self.cancelled, true) || self.ended {
            return;
        }
        let catching: Vec<ScopeNo> =
            self.open.iter().filter(|(_, scope)| scope.catches_run()).map(|(no, _)| *no).collect();
        let around: BTreeSet<ScopeNo> = catching.iter().flat_map(|no| self.around(*no)).collect();
        let cut: Vec<ScopeNo> = catching.into_iter().filter(|no| !around.contains(no)).collect();
        if cut.is_empty() {
            self.body.get_or_insert(End::Cancelled);
        }
        cut.into_iter().for_each(|no| self.tell(no));
    }

    /// The run's time is over: nothing catches that.
    pub(super) fn time_out(&mut self) {
        if !self.ended {
            self.body.get_or_insert(End::TimedOut);
        }
    }

    /// One scope is cancelled from outside: it has to be woken for that.
    pub(super) fn tell(&mut self, no: ScopeNo) {
        self.cut(no);
        self.told.push(no);
    }

    /// One scope is cancelled.
    pub(super) fn cut(&mut self, no: ScopeNo) {
        if let Some(scope) = self.open.get_mut(&no)
            && scope.stage == Stage::Runs
        {
            scope.stage = Stage::Cut;
        }
    }

    /// The scopes that have to be woken to be cut, oldest first.
    pub(super) fn take_told(&mut self) -> Vec<ScopeNo> {
        std::mem::take(&mut self.told)
    }

    /// Whether this scope is to be cut now.
    pub(super) fn is_cut(&self, no: ScopeNo) -> bool {
        self.open.get(&no).is_some_and(|scope| scope.stage == Stage::Cut) && !self.holds_off(no)
    }

    /// Why the body is to be cut now.
    pub(super) fn body_cut(&self) -> Option<End> {
        self.body.filter(|_| !self.holds_off(BODY))
    }

    /// The body has ended: it is cut no more.
    pub(super) fn end_body(&mut self) {
        self.body = None;
        self.ended = true;
    }

    pub(super) fn begin_undo(&mut self, no: ScopeNo) {
        if let Some(scope) = self.open.get_mut(&no) {
            scope.stage = Stage::Undoes;
        }
    }

    /// Whether a scope in this one undoes what was done in it.
    pub(super) fn undoes_within(&self, no: ScopeNo) -> bool {
        if self.open.get(&no).is_some_and(|scope| !scope.holds) {
            return false;
        }
        let undoing = self.open.iter().filter(|(_, scope)| scope.stage == Stage::Undoes).map(|(inner, _)| *inner);
        undoing.into_iter().any(|inner| inner != no && self.is_within(inner, no))
    }

    fn note_inner(&mut self, no: ScopeNo) {
        if let Some(scope) = self.open.get_mut(&no) {
            scope.holds = true;
        }
    }

    fn holds_off(&self, no: ScopeNo) -> bool {
        self.shields.values().any(|shield| self.is_within(*shield, no))
    }

    /// The scopes around a scope, but for the body.
    fn around(&self, no: ScopeNo) -> impl Iterator<Item = ScopeNo> {
        let parent = |no: &ScopeNo| self.open.get(no).map(|scope| scope.parent);
        std::iter::successors(parent(&no), parent).filter(|no| *no != BODY)
    }

    fn is_within(&self, mut inner: ScopeNo, outer: ScopeNo) -> bool {
        loop {
            if inner == outer || outer == BODY {
                return true;
            }
            match self.open.get(&inner) {
                Some(scope) => inner = scope.parent,
                None => return false,
            }
        }
    }
}

impl Scope {
    fn catches_run(&self) -> bool {
        self.catches == Catches::Run && !self.shielded && self.stage == Stage::Runs
    }
}
