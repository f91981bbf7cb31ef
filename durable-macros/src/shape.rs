//! Which signatures can be a workflow or an activity. What cannot is refused here with a text that says what to write
//! instead.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, GenericArgument, GenericParam, Ident, Pat, PatType, PathArguments, ReturnType, Type};

use crate::function::{Function, Kind};

/// More parameters than this are refused.
const ARGUMENTS_MAX: usize = 16;

/// A parameter of the function.
pub(crate) enum Parameter {
    /// An argument of the call, recorded under its name.
    Argument(Box<Argument>),
    /// A state of the application: `State(x): State<T>`.
    State(Box<Type>),
}

/// An argument.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    /// Those for the argument's field: `#[serde(default)]`.
    pub(crate) attributes: Vec<Attribute>,
}

/// All problems found in one function.
#[derive(Default)]
pub(crate) struct Problems(Option<syn::Error>);

impl Problems {
    pub(crate) fn add(&mut self, at: impl ToTokens, text: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(at, text));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.iter().flatten().map(|error| error.to_string()).collect()
    }

    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.map(syn::Error::into_compile_error).unwrap_or_default()
    }
}

/// Reads the parameters and refuses what cannot be. The `serde` attributes of arguments are taken out of the signature.
pub(crate) fn check(kind: Kind, function: &mut Function, problems: &mut Problems) -> Vec<Parameter> {
    head(kind, function, problems);
    returned(kind, function, problems);
    let mut parameters = Vec::new();
    for argument in &mut function.signature.inputs {
        match argument {
            FnArg::Receiver(receiver) => {
                problems.add(receiver, format!("{} takes no `self`: {}", kind.noun(), kind.instead_of_self()));
            }
            FnArg::Typed(argument) => parameters.extend(parameter(kind, argument, problems)),
        }
    }
    too_many(kind, &parameters, problems);
    parameters
}

fn head(kind: Kind, function: &Function, problems: &mut Problems) {
    let signature = &function.signature;
    if kind == Kind::Workflow && signature.asyncness.is_none() {
        problems.add(signature.fn_token, "a workflow is an `async fn`");
    }
    if let Some(token) = &signature.constness {
        problems.add(token, format!("{} is not `const`", kind.noun()));
    }
    if let syn::Safety::Unsafe(token) = &signature.safety {
        problems.add(token, format!("{} is not `unsafe`: the engine calls it at any time", kind.noun()));
    }
    if let Some(abi) = &signature.abi {
        problems.add(abi, format!("{} has no `extern` ABI", kind.noun()));
    }
    if let Some(variadic) = &signature.variadic {
        problems.add(variadic, format!("{} has a fixed number of parameters", kind.noun()));
    }
    for parameter in &signature.generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            problems.add(lifetime, format!("{} has no lifetimes: its arguments are owned", kind.noun()));
        }
    }
    if function.body.is_none() {
        problems.add(&signature.ident, format!("{} has a body", kind.noun()));
    }
}

fn returned(kind: Kind, function: &Function, problems: &mut Problems) {
    let ReturnType::Type(_, ty) = &function.signature.output else {
        let text = "returns a `Result`: write `-> durable::Result<()>`, which takes every error by `?`, or a `Result` with \
                    an error of its own";
        problems.add(&function.signature.ident, format!("{} {text}", kind.noun()));
        return;
    };
    if is_never_a_result(ty) {
        let text = "write `-> durable::Result<..>` around it, which takes every error by `?`, or a `Result` with an error of \
                    its own";
        problems.add(ty, format!("{} returns a `Result`: {text}", kind.noun()));
        return;
    }
    match borrowed(ty) {
        Some(Borrowed::Static) | None => {}
        Some(Borrowed::Lent) => problems.add(ty, format!("{} returns owned values", kind.noun())),
        Some(Borrowed::Impl) => {
            problems.add(ty, format!("{} returns a type with a name, no `impl Trait`", kind.noun()))
        }
    }
    if is_word(ty, "Self") {
        problems.add(ty, format!("write the type's name: `Self` is not known inside {}", kind.noun()));
    }
}

/// Refuses a generic function without a name: its instances would be recorded under one.
pub(crate) fn named(kind: Kind, function: &Function, is_named: bool, problems: &mut Problems) {
    let generics = &function.signature.generics;
    let parameter = generics.params.iter().find_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some((&parameter.ident, format!("{}::NAME", parameter.ident))),
        GenericParam::Const(parameter) => Some((&parameter.ident, parameter.ident.to_string())),
        GenericParam::Lifetime(_) => None,
    });
    if let Some((parameter, said)) = parameter.filter(|_| !is_named) {
        let text = format!(
            "{} that is generic is recorded under a name for each instance: say `name = format!(\"{}-{{}}\", {said})`, or \
             `name = \"..\"` if there is only ever one",
            kind.noun(),
            function.signature.ident,
        );
        problems.add(parameter, text);
    }
}

/// Whether the type is known by its name or form to be no `Result`; a name of the user's own may stand for one.
fn is_never_a_result(ty: &Type) -> bool {
    const NAMES: [&str; 23] = [
        "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "String", "Vec", "Option", "Box", "HashMap", "BTreeMap",
    ];
    match ty {
        Type::Array(_) | Type::Never(_) | Type::Slice(_) | Type::Tuple(_) => true,
        Type::Path(path) => match path.path.segments.last() {
            Some(last) => NAMES.iter().any(|name| last.ident == name),
            None => false,
        },
        _ => false,
    }
}

/// What is said of a state where a workflow takes one.
const NO_STATE: &str = "a workflow takes no state, which no journal holds: take it in an activity";

fn parameter(kind: Kind, argument: &mut PatType, problems: &mut Problems) -> Option<Parameter> {
    if let Some(state) = state(argument) {
        if kind == Kind::Workflow {
            problems.add(argument, NO_STATE);
        }
        return Some(Parameter::State(Box::new(state)));
    }
    let attributes = take_serde(&mut argument.attrs);
    owned(kind, argument, problems);
    let name = name(kind, argument, problems)?;
    Some(Parameter::Argument(Box::new(Argument { name, ty: (*argument.ty).clone(), attributes })))
}

/// The `T` of `State(x): State<T>`.
fn state(argument: &PatType) -> Option<Type> {
    let Pat::TupleStruct(pattern) = &*argument.pat else { return None };
    let named = pattern.path.segments.last().is_some_and(|segment| segment.ident == "State");
    if named { state_type(&argument.ty) } else { None }
}

/// The `T` of a type `State<T>`.
fn state_type(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "State")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) if arguments.args.len() == 1 => Some(ty.clone()),
        _ => None,
    }
}

fn name(kind: Kind, argument: &PatType, problems: &mut Problems) -> Option<Ident> {
    match &*argument.pat {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
            if state_type(&argument.ty).is_some() {
                let name = &pattern.ident;
                match kind {
                    Kind::Activity => problems.add(argument, format!("a state is taken as `State({name}): State<..>`")),
                    Kind::Workflow => problems.add(argument, NO_STATE),
                }
            }
            Some(pattern.ident.clone())
        }
        Pat::Wild(wild) => {
            problems.add(wild, "an argument is recorded under its name: give it one (`_name` will do)");
            None
        }
        pattern => {
            let excepted = match kind {
                Kind::Activity => " (`State(x): State<T>` excepted)",
                Kind::Workflow => "",
            };
            let text = format!(
                "{}'s arguments are plain names, under which they are recorded{excepted}: take it apart in the body",
                kind.noun()
            );
            problems.add(pattern, text);
            None
        }
    }
}

fn owned(kind: Kind, argument: &PatType, problems: &mut Problems) {
    let ty = &argument.ty;
    match borrowed(ty) {
        None => {}
        Some(Borrowed::Lent | Borrowed::Static) => problems.add(
            ty,
            format!(
                "{}'s arguments are owned, because they outlive the caller: take the value itself, as `String` for `&str`",
                kind.noun()
            ),
        ),
        Some(Borrowed::Impl) => problems.add(
            ty,
            format!(
                "{}'s arguments have types with a name, because they are decoded after a restart: write the type, or a \
                 generic parameter",
                kind.noun()
            ),
        ),
    }
    if is_word(ty, "Self") {
        problems.add(ty, format!("write the type's name: `Self` is not known inside {}", kind.noun()));
    }
    if is_word(ty, "_") {
        problems.add(ty, "write the type");
    }
    if let Some(cfg) = argument.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
        problems.add(cfg, "an argument is there in every build: a recorded input would not fit the other one");
    }
}

fn too_many(kind: Kind, parameters: &[Parameter], problems: &mut Problems) {
    let mut arguments = parameters.iter().filter_map(|parameter| match parameter {
        Parameter::Argument(argument) => Some(argument),
        Parameter::State(_) => None,
    });
    if let Some(argument) = arguments.nth(ARGUMENTS_MAX) {
        let text = format!("{} has at most {ARGUMENTS_MAX} arguments: put some into a struct", kind.noun());
        problems.add(&argument.name, text);
    }
}

fn take_serde(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    let (serde, others) = attributes.drain(..).partition(|attribute| attribute.path().is_ident("serde"));
    *attributes = others;
    serde
}

enum Borrowed {
    /// A reference, or a lifetime other than `'static`.
    Lent,
    /// `&'static`
    Static,
    /// `impl Trait`
    Impl,
}

/// What in the type is not owned or has no name.
fn borrowed(ty: &Type) -> Option<Borrowed> {
    let mut seen = None;
    look(ty.to_token_stream(), &mut seen);
    seen
}

fn look(tokens: TokenStream, seen: &mut Option<Borrowed>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => look(group.stream(), seen),
            TokenTree::Ident(ident) if ident == "impl" => *seen = Some(Borrowed::Impl),
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                let named = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'');
                if !named {
                    seen.get_or_insert(Borrowed::Lent);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' && punct.spacing() == Spacing::Joint => {
                let is_static = matches!(tokens.peek(), Some(TokenTree::Ident(name)) if name == "static");
                match (is_static, &seen) {
                    (true, None) => *seen = Some(Borrowed::Static),
                    (true, Some(_)) => {}
                    (false, Some(Borrowed::Impl | Borrowed::Lent)) => {}
                    (false, None | Some(Borrowed::Static)) => *seen = Some(Borrowed::Lent),
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn is_word(ty: &Type, word: &str) -> bool {
    crate::function::mentions(ty.to_token_stream(), &|ident| ident == word)
}

/// Whether the type can stand in a signature that names it: nothing is lent, everything has a name.
pub(crate) fn is_owned(ty: &Type) -> bool {
    borrowed(ty).is_none() && !is_word(ty, "_")
}

/// What is returned, where it can stand in a signature that names it.
pub(crate) fn owned_return(function: &Function) -> Option<&Type> {
    match &function.signature.output {
        ReturnType::Type(_, ty) if matches!(borrowed(ty), None | Some(Borrowed::Static)) && !is_never_a_result(ty) => {
            Some(ty)
        }
        ReturnType::Type(..) | ReturnType::Default => None,
    }
}

/// What is returned where it should be in a `Result`.
pub(crate) fn bare_return(function: &Function) -> Option<&Type> {
    match &function.signature.output {
        ReturnType::Type(_, ty) if is_never_a_result(ty) && is_owned(ty) && !is_word(ty, "Self") => Some(ty),
        ReturnType::Type(..) | ReturnType::Default => None,
    }
}

/// The span of the written return type, or of the name where nothing is written.
pub(crate) fn returned_span(function: &Function) -> proc_macro2::Span {
    match &function.signature.output {
        ReturnType::Default => function.signature.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    }
}
