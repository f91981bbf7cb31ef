//! What an application registers: its workflows and activities, by their recorded names. It only collects and finds;
//! what is wrong with it is told when a runtime opens.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::activity::{ActivityOptions, AttemptFuture, AttemptInfo, Job, Need, States};
use crate::kernel::event::{Payload, Text};
use crate::payload::{self, PayloadCodec};
use crate::seams::Spawn;
use crate::workflow::WorkflowOptions;
use crate::workflow::call::Call;
use crate::workflow::definition::{Activity, BodyFuture, Definition, Workflow};

/// A recorded name of a workflow or an activity may take this many bytes.
pub(crate) const NAME_LEN_MAX: usize = 128;

/// Workflows and activities under their recorded names. A library that brings some exports a function that gives them:
///
/// ```
/// # use durable::prelude::*;
/// # #[activity] async fn charge() -> Result<(), String> { Ok(()) }
/// # #[activity] async fn refund() -> Result<(), String> { Ok(()) }
/// pub fn all() -> durable::Registry {
///     durable::Registry::of((charge, refund))
/// }
/// # assert_eq!(all().activities().count(), 2);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    activities: BTreeMap<Text, Arc<ActivityEntry>>,
    workflows: BTreeMap<Text, BTreeMap<u32, Arc<WorkflowEntry>>>,
    faults: Vec<RegistryFault>,
}

impl Registry {
    /// A registry of these.
    #[must_use]
    pub fn of<M>(items: impl Items<M>) -> Registry {
        let mut registry = Registry::default();
        registry.register(items);
        registry
    }

    /// Adds these. The same one may come twice; two of one name are an error when a runtime opens.
    pub fn register<M>(&mut self, items: impl Items<M>) {
        items.enter(self);
    }

    /// All activities, by name.
    pub fn activities(&self) -> impl Iterator<Item = &Arc<ActivityEntry>> {
        self.activities.values()
    }

    /// All workflows, by name and version.
    pub fn workflows(&self) -> impl Iterator<Item = &Arc<WorkflowEntry>> {
        self.workflows.values().flat_map(BTreeMap::values)
    }

    /// The activity of this name.
    #[must_use]
    pub fn activity(&self, name: &str) -> Option<&Arc<ActivityEntry>> {
        self.activities.get(name)
    }

    /// The workflow of this name and version.
    #[must_use]
    pub fn workflow(&self, name: &str, version: u32) -> Option<&Arc<WorkflowEntry>> {
        self.workflows.get(name)?.get(&version)
    }

    /// All that keeps a runtime with these states from opening.
    #[must_use]
    pub fn faults(&self, states: &States) -> Vec<RegistryFault> {
        let missing = self.activities().flat_map(|activity| {
            activity
                .needs
                .iter()
                .filter(|need| !states.has(need))
                .map(|need| RegistryFault::MissingState { activity: activity.name.clone(), type_name: need.type_name })
        });
        self.faults.iter().cloned().chain(missing).collect()
    }

    /// Enters an activity's definition.
    #[doc(hidden)]
    pub fn enter_activity<D: Activity>(&mut self) {
        self.add_activity(Arc::new(ActivityEntry::of::<D>()));
    }

    /// Enters a workflow's definition.
    #[doc(hidden)]
    pub fn enter_workflow<D: Workflow>(&mut self) {
        self.add_workflow(Arc::new(WorkflowEntry::of::<D>()));
    }

    /// Puts an activity in the place of the one of its name.
    #[doc(hidden)]
    pub fn put_activity(&mut self, entry: ActivityEntry) {
        self.activities.insert(entry.name.clone(), Arc::new(entry));
    }

    fn add_activity(&mut self, entry: Arc<ActivityEntry>) {
        self.check_name(&entry.name);
        let Some(first) = self.activities.get(entry.name.as_str()) else {
            self.activities.insert(entry.name.clone(), entry);
            return;
        };
        if first.type_id != entry.type_id {
            let (first, second) = (first.type_name, entry.type_name);
            self.faults.push(RegistryFault::Duplicate { name: entry.name.clone(), first, second });
        }
    }

    fn add_workflow(&mut self, entry: Arc<WorkflowEntry>) {
        self.check_name(&entry.name);
        let versions = self.workflows.entry(entry.name.clone()).or_default();
        let Some(first) = versions.get(&entry.version) else {
            versions.insert(entry.version, entry);
            return;
        };
        if first.type_id != entry.type_id {
            let (first, second) = (first.type_name, entry.type_name);
            self.faults.push(RegistryFault::Duplicate { name: entry.name.clone(), first, second });
        }
    }

    fn check_name(&mut self, name: &Text) {
        if name.as_str().is_empty() || name.as_str().len() > NAME_LEN_MAX {
            self.faults.push(RegistryFault::BadName { name: name.clone() });
        }
    }
}

/// What is wrong with a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryFault {
    /// Two workflows of one name and version, or two activities of one name.
    Duplicate {
        /// The name.
        name: Text,
        /// The definition that was registered first.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// An activity takes a state that was not given.
    MissingState {
        /// The activity.
        activity: Text,
        /// The state's type.
        type_name: &'static str,
    },
    /// A name that is empty or longer than 128 bytes.
    BadName {
        /// The name.
        name: Text,
    },
}

impl fmt::Display for RegistryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryFault::Duplicate { name, first, second } => {
                write!(f, "two things are called `{name}`: `{first}` and `{second}`; give one another `name = \"..\"`")
            }
            RegistryFault::MissingState { activity, type_name } => {
                write!(f, "activity `{activity}` takes a state of type `{type_name}`: give it by `.state(..)`")
            }
            RegistryFault::BadName { name } => {
                write!(f, "{name:?} is no name: it takes 1 to {NAME_LEN_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for RegistryFault {}

/// A registered activity.
#[derive(Clone)]
pub struct ActivityEntry {
    /// Its recorded name.
    pub name: Text,
    /// Its definition's type: two instances of a generic function may share a name by mistake.
    pub type_id: TypeId,
    /// That type's name.
    pub type_name: &'static str,
    /// What its attribute says.
    pub options: ActivityOptions,
    /// Which states it takes.
    pub needs: Vec<Need>,
    attempts: Attempts,
}

/// How attempts of an activity are made.
#[doc(hidden)]
pub type Attempts = Arc<dyn Fn(Job) -> AttemptFuture + Send + Sync>;

impl ActivityEntry {
    fn of<D: Activity>() -> ActivityEntry {
        ActivityEntry {
            name: D::name(),
            type_id: TypeId::of::<D>(),
            type_name: std::any::type_name::<D>(),
            options: *D::options(),
            needs: D::needs(),
            attempts: Arc::new(D::attempt),
        }
    }

    /// How its attempts are made.
    #[doc(hidden)]
    #[must_use]
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// The same activity, its attempts made in another way: for a test, which watches them or runs something in their place.
    #[doc(hidden)]
    #[must_use]
    pub fn with_attempts(&self, attempts: Attempts) -> ActivityEntry {
        ActivityEntry { attempts, ..self.clone() }
    }

    /// One attempt. A panic in it is caught, an input that does not decode is a final failure.
    pub(crate) fn attempt(
        &self,
        input: Payload,
        states: &States,
        info: AttemptInfo,
        pool: Option<Arc<dyn Spawn>>,
    ) -> AttemptFuture {
        (self.attempts)(Job { input, states: states.clone(), info, pool })
    }
}

impl fmt::Debug for ActivityEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityEntry").field("name", &self.name).field("type_name", &self.type_name).finish()
    }
}

/// A registered workflow.
#[derive(Clone)]
pub struct WorkflowEntry {
    /// Its recorded name.
    pub name: Text,
    /// Its version.
    pub version: u32,
    /// Its definition's type: two instances of a generic function may share a name by mistake.
    pub type_id: TypeId,
    /// That type's name.
    pub type_name: &'static str,
    /// What its attribute says.
    pub options: WorkflowOptions,
    body: fn(&Payload, PayloadCodec) -> Result<BodyFuture, String>,
}

impl WorkflowEntry {
    fn of<D: Workflow>() -> WorkflowEntry {
        let options = D::options();
        WorkflowEntry {
            name: D::name(),
            version: options.version,
            type_id: TypeId::of::<D>(),
            type_name: std::any::type_name::<D>(),
            options,
            body: body::<D>,
        }
    }

    /// The body's future for a recorded input; an error says why the input does not fit.
    pub(crate) fn body(&self, input: &Payload, codec: PayloadCodec) -> Result<BodyFuture, String> {
        (self.body)(input, codec)
    }
}

/// The names of the arguments in a recorded input, in words.
fn arguments(input: &Payload) -> String {
    let names = match payload::to_json(input) {
        serde_json::Value::Object(arguments) => arguments.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    };
    // What cannot be shown is told in fields whose names no argument has.
    let names: Vec<String> =
        names.iter().filter(|name| !name.starts_with('$')).map(|name| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!(" (with {})", names.join(", ")) }
}

fn body<D: Workflow>(input: &Payload, codec: PayloadCodec) -> Result<BodyFuture, String> {
    let told = |error| {
        let (recorded, name) = (arguments(input), D::name());
        format!("the recorded input{recorded} does not fit the arguments of `{name}`: {}", payload::way_out(&error))
    };
    let input = payload::decode::<D::Input>(input).map_err(told)?;
    Ok(D::body(input, codec))
}

impl fmt::Debug for WorkflowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowEntry")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("type_name", &self.type_name)
            .finish()
    }
}

/// What can be registered: a tuple of workflows, activities and registries. One item is `(item,)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be registered",
    label = "not a tuple of workflows and activities",
    note = "one item is `(item,)`; more than sixteen go into several calls of `register`"
)]
pub trait Items<M> {
    /// Enters all of them.
    #[doc(hidden)]
    fn enter(self, registry: &mut Registry);
}

/// A workflow, an activity or a registry.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow or an activity",
    label = "not marked",
    note = "mark the function with `#[durable::workflow]` or `#[durable::activity]`, and name it without calling it"
)]
pub trait Item<M> {
    /// Enters it.
    #[doc(hidden)]
    fn enter(self, registry: &mut Registry);
}

/// Marks an [`Item`] that is a registry.
#[derive(Debug)]
pub enum Whole {}

impl Item<Whole> for Registry {
    fn enter(self, registry: &mut Registry) {
        registry.faults.extend(self.faults);
        self.activities.into_values().for_each(|entry| registry.add_activity(entry));
        let workflows = self.workflows.into_values().flat_map(BTreeMap::into_values);
        workflows.for_each(|entry| registry.add_workflow(entry));
    }
}

impl Items<Whole> for Registry {
    fn enter(self, registry: &mut Registry) {
        Item::enter(self, registry);
    }
}

/// A workflow's function, for what takes the function and not a call of it: it tells the types of the result. `M` is
/// inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow",
    label = "not a workflow",
    note = "mark the function with `#[durable::workflow]`, and name it without calling it"
)]
pub trait WorkflowFn<M> {
    /// Its definition.
    type Definition: Workflow<Output = Self::Output, Error = Self::Error>;
    /// The value that it returns.
    type Output;
    /// Its error as callers see it.
    type Error;
}

/// An activity's function, for what takes the function and not a call of it: it tells the types of its arguments and of what it returns.
/// `M` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activity",
    label = "not an activity",
    note = "mark the function with `#[durable::activity]`, and name it without calling it"
)]
pub trait ActivityFn<M> {
    /// Its definition.
    type Definition: Activity<Args = Self::Args, Returned = Self::Returned>;
    /// The types of its arguments, in their order; its states are not among them.
    type Args;
    /// What it returns, as it was written.
    type Returned;
}

/// Marks a function with these arguments.
#[derive(Debug)]
pub struct FnOf<A>(std::marker::PhantomData<A>);

macro_rules! functions {
    ($($argument:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<F, D, $($argument),*> Item<FnOf<($($argument,)*)>> for F
        where
            F: Fn($($argument),*) -> Call<D>,
            D: Definition,
        {
            fn enter(self, registry: &mut Registry) {
                D::register(registry);
            }
        }

        #[diagnostic::do_not_recommend]
        impl<F, D, $($argument),*> WorkflowFn<FnOf<($($argument,)*)>> for F
        where
            F: Fn($($argument),*) -> Call<D>,
            D: Workflow,
        {
            type Definition = D;
            type Output = D::Output;
            type Error = D::Error;
        }

        #[diagnostic::do_not_recommend]
        impl<F, D, $($argument),*> ActivityFn<FnOf<($($argument,)*)>> for F
        where
            F: Fn($($argument),*) -> Call<D>,
            D: Activity<Args = ($($argument,)*)>,
        {
            type Definition = D;
            type Args = ($($argument,)*);
            type Returned = D::Returned;
        }
    };
}

macro_rules! tuples {
    ($($item:ident $marker:ident)*) => {
        impl<$($item, $marker),*> Items<($($marker,)*)> for ($($item,)*)
        where
            $($item: Item<$marker>),*
        {
            #[allow(non_snake_case, unused_variables, reason = "one name serves as type and as variable")]
            fn enter(self, registry: &mut Registry) {
                let ($($item,)*) = self;
                $($item.enter(registry);)*
            }
        }
    };
}

functions!();
functions!(A1);
functions!(A1 A2);
functions!(A1 A2 A3);
functions!(A1 A2 A3 A4);
functions!(A1 A2 A3 A4 A5);
functions!(A1 A2 A3 A4 A5 A6);
functions!(A1 A2 A3 A4 A5 A6 A7);
functions!(A1 A2 A3 A4 A5 A6 A7 A8);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15);
functions!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16);

tuples!();
tuples!(I1 M1);
tuples!(I1 M1 I2 M2);
tuples!(I1 M1 I2 M2 I3 M3);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9 I10 M10);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9 I10 M10 I11 M11);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9 I10 M10 I11 M11 I12 M12);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9 I10 M10 I11 M11 I12 M12 I13 M13);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9 I10 M10 I11 M11 I12 M12 I13 M13 I14 M14);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9 I10 M10 I11 M11 I12 M12 I13 M13 I14 M14 I15 M15);
tuples!(I1 M1 I2 M2 I3 M3 I4 M4 I5 M5 I6 M6 I7 M7 I8 M8 I9 M9 I10 M10 I11 M11 I12 M12 I13 M13 I14 M14 I15 M15 I16 M16);
