//! States: what the application gives its activities (clients, pools, configuration), by type. They are never recorded.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Takes a state of the application as an activity's parameter: `State(psp): State<Psp>`.
///
/// It is no argument: callers do not give it, and it is not recorded. The application gives it once, to the runtime's
/// builder; each attempt gets a clone.
#[derive(Debug, Clone, Copy, Default)]
pub struct State<T>(pub T);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for State<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// The states of a runtime, by type. Cheap to clone.
#[derive(Clone, Default)]
pub struct States {
    /// None if there is none: every call has its own states.
    values: Option<Arc<Values>>,
}

type Values = BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>;

impl States {
    /// Adds a state. One of the same type that was there is replaced.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, state: T) {
        Arc::make_mut(self.values.get_or_insert_default()).insert(TypeId::of::<T>(), Arc::new(state));
    }

    /// A clone of the state of this type.
    #[doc(hidden)]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Result<State<T>, Missing> {
        let value = self.value(TypeId::of::<T>()).and_then(|value| value.downcast_ref::<T>());
        value.cloned().map(State).ok_or(Missing { type_name: std::any::type_name::<T>() })
    }

    /// Whether there is what is needed.
    pub(crate) fn has(&self, need: &Need) -> bool {
        self.value(need.type_id).is_some()
    }

    fn value(&self, type_id: TypeId) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.values.as_ref()?.get(&type_id)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.values.as_ref().map_or(0, |values| values.len()))
    }
}

/// A state that an activity takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Its type.
    pub type_id: TypeId,
    /// Its type's name.
    pub type_name: &'static str,
}

impl Need {
    /// The need of a state of this type.
    #[must_use]
    pub fn of<T: 'static>() -> Need {
        Need { type_id: TypeId::of::<T>(), type_name: std::any::type_name::<T>() }
    }
}

/// A state that was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Its type's name.
    pub type_name: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no state of type `{}`: give it by `.state(..)`", self.type_name)
    }
}
