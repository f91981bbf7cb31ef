//! What can be called: the definitions that the application registered, and in a direct run or a replay those that were met on the way.

use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::event::Text;
use crate::registry::{ActivityEntry, NAME_LEN_MAX, Registry, WorkflowEntry};
use crate::workflow::context::{Refusal, What};

/// Where definitions are looked up.
#[derive(Debug)]
pub(crate) struct Definitions {
    registered: Registry,
    met: Unregistered,
}

/// What becomes of a definition that is called and not registered.
#[derive(Debug)]
enum Unregistered {
    /// The run cannot go on.
    Missing,
    /// It is taken up: a direct run has no set-up, and a replay calls nothing.
    Met(Mutex<Registry>),
}

impl Definitions {
    /// Exactly those that were registered.
    pub(crate) fn of(registered: Registry) -> Definitions {
        Definitions { registered, met: Unregistered::Missing }
    }

    /// These, and whatever is called.
    pub(crate) fn and_as_met(registered: Registry) -> Definitions {
        Definitions { registered, met: Unregistered::Met(Mutex::default()) }
    }

    pub(crate) fn workflow(&self, name: &str, version: u32) -> Option<Arc<WorkflowEntry>> {
        self.find(|registry| registry.workflow(name, version).cloned())
    }

    pub(crate) fn activity(&self, name: &str) -> Option<Arc<ActivityEntry>> {
        self.find(|registry| registry.activity(name).cloned())
    }

    /// The registered workflows, in words.
    pub(crate) fn workflows_in_words(&self) -> String {
        let all: Vec<String> =
            self.registered.workflows().map(|entry| format!("`{}` version {}", entry.name, entry.version)).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    }

    /// Takes up a definition that is called, where that is wanted.
    pub(crate) fn meet(&self, register: fn(&mut Registry)) {
        if let Unregistered::Met(met) = &self.met {
            register(&mut met.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Compares what is called with what is known under its name.
    pub(crate) fn check(&self, what: &What) -> Result<(), Refusal> {
        let (name, definition, register) = match what {
            What::Activity { name, of } | What::Workflow { name, of } => (name, (of.definition)(), of.register),
            What::Step { name, .. } | What::Receive { name } => return named(name),
            What::Sleep(_) => return Ok(()),
        };
        self.meet(register);
        let found = self.find(|registry| match what {
            What::Activity { .. } => registry.activity(name.as_str()).map(|entry| (entry.type_id, entry.type_name)),
            _ => {
                let versions = || registry.workflows().filter(|entry| entry.name == *name);
                let same = versions().find(|entry| entry.type_id == definition);
                same.or_else(|| versions().next()).map(|entry| (entry.type_id, entry.type_name))
            }
        });
        match found {
            Some((type_id, _)) if type_id == definition => Ok(()),
            Some((_, type_name)) => Err(Refusal::Wrong(another(name, type_name))),
            None => Err(Refusal::Missing(missing(name))),
        }
    }

    fn find<T>(&self, look: impl Fn(&Registry) -> Option<T>) -> Option<T> {
        look(&self.registered).or_else(|| match &self.met {
            Unregistered::Missing => None,
            Unregistered::Met(met) => look(&met.lock().unwrap_or_else(PoisonError::into_inner)),
        })
    }
}

/// The names that no registry has seen have the same limit.
fn named(name: &Text) -> Result<(), Refusal> {
    match name.len() {
        1..=NAME_LEN_MAX => Ok(()),
        len => Err(Refusal::Wrong(
            format!(
                "a name takes 1 to {NAME_LEN_MAX} bytes, that of a step or a signal here has {len}: {:?}",
                Text::cut(name.as_str(), 64)
            )
            .into(),
        )),
    }
}

fn another(name: &Text, type_name: &str) -> Text {
    format!("`{name}` is called, and another one is registered under that name: `{type_name}`").into()
}

fn missing(name: &Text) -> Text {
    format!(
        "it is not registered in this binary: add it to `.register((.., {name}))`, and the run goes on at the \
         next open [E0208]"
    )
    .into()
}
