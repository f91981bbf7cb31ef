//! From a checked function to its code: the outer function, which returns a call, and in its body all that is generated,
//! so that the names of the user's module stay the user's.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    FnArg, GenericArgument, GenericParam, Generics, LitStr, Pat, Path, PathArguments, ReturnType, Type, WhereClause,
    parse_quote_spanned,
};

use crate::function::{Attributes, Function, Kind, mentions};
use crate::options::{ErrorMode, Options};
use crate::refuse;
use crate::shape::{self, Argument, Parameter, Problems, returned_span};

/// Where the library is, and the place in the user's code at which errors about generated code point.
pub(crate) struct Library {
    path: Option<Path>,
    span: Span,
}

impl Library {
    pub(crate) fn new(path: Option<Path>, at: Span) -> Library {
        Library { path, span: Span::call_site().located_at(at) }
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// A variable that the user's code neither sees nor collides with.
    fn variable(&self, name: &str) -> Ident {
        Ident::new(name, Span::mixed_site().located_at(self.span))
    }

    /// The path of the library's root.
    pub(crate) fn root(&self) -> TokenStream {
        self.root_at(self.span)
    }

    /// The path of what generated code calls.
    pub(crate) fn private(&self) -> TokenStream {
        self.private_at(self.span)
    }

    pub(crate) fn private_at(&self, at: Span) -> TokenStream {
        let (root, span) = (self.root_at(at), Span::call_site().located_at(at));
        quote_spanned! {span=> #root::__private }
    }

    fn root_at(&self, at: Span) -> TokenStream {
        let span = Span::call_site().located_at(at);
        match &self.path {
            Some(path) => path.to_token_stream(),
            None => quote_spanned! {span=> ::durable },
        }
    }
}

/// Expands `#[workflow]` and `#[activity]`.
pub(crate) fn attribute(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let text = format!("{} is made from a function: {error}", kind.noun());
            let error = syn::Error::new(error.span(), text).into_compile_error();
            return quote! { #error #item };
        }
    };
    let mut problems = Problems::default();
    let parameters = shape::check(kind, &mut function, &mut problems);
    let (options, unread) = Options::parse(kind, options);
    let is_read = unread.is_none();
    if let (Some(body), None) = (&function.body, function.signature.receiver()) {
        refuse::words_without_meaning(kind, body.stream(), &mut problems);
    }
    let is_refused = !problems.is_empty();
    if is_read {
        shape::named(kind, &function, options.name.is_some(), &mut problems);
    }
    if let (Kind::Workflow, Some(body), true) = (kind, &function.body, is_read) {
        refuse::what_replays_otherwise(body, &options.allowed, &mut problems);
    }
    let library = Library::new(options.library.clone(), function.signature.ident.span());
    // What an attribute says that was not read to its end would be missed once more.
    let mut missed = Problems::default();
    let told = if is_read { &mut problems } else { &mut missed };
    let code = match (is_refused, Expansion::new(kind, &function, &parameters, &options, &library, told)) {
        (false, Some(expansion)) => expansion.code(),
        (true, _) | (false, None) => substitute(kind, &function, options.error, &library),
    };
    if let Some(error) = unread {
        problems.push(error);
    }
    let problems = problems.into_tokens();
    quote! { #problems #code }
}

struct Expansion<'a> {
    kind: Kind,
    function: &'a Function,
    parameters: &'a [Parameter],
    options: &'a Options,
    library: &'a Library,
    generics: Generics,
    /// What is returned, as a trait that takes it apart.
    returned: TokenStream,
    /// How its error comes back, as a constant expression.
    mode: TokenStream,
    body: TokenStream,
}

impl<'a> Expansion<'a> {
    fn new(
        kind: Kind,
        function: &'a Function,
        parameters: &'a [Parameter],
        options: &'a Options,
        library: &'a Library,
        problems: &mut Problems,
    ) -> Option<Self> {
        let ReturnType::Type(_, returned) = &function.signature.output else { return None };
        let body = function.body.as_ref()?.to_token_stream();
        let mode = mode(function, returned, options.error, library, problems)?;
        let returned = taken_apart(library, returned, &mode);
        let generics = lasting(&function.signature.generics, library.span());
        Some(Expansion { kind, function, parameters, options, library, generics, returned, mode, body })
    }

    fn code(self) -> TokenStream {
        let (span, at) = (self.library.span(), self.returned_span());
        let Attributes { outer, inner } = Attributes::sort(&self.function.attributes);
        let (visibility, name) = (&self.function.visibility, &self.function.signature.ident);
        let (marker, build) = match self.kind {
            Kind::Activity => (quote_spanned! {at=> Activity }, quote_spanned! {at=> call_activity }),
            Kind::Workflow => (quote_spanned! {at=> Workflow }, quote_spanned! {at=> call_workflow }),
        };
        let (_, types, conditions) = self.generics.split_for_impl();
        let parameters = &self.generics.params;
        let turbofish = types.as_turbofish();
        let (names, argument_types): (Vec<_>, Vec<_>) = self.arguments().map(|a| (&a.name, &a.ty)).unzip();
        let (output, error) = (self.projected("Output"), self.projected("Error"));
        let marked = self.type_marker().map(|_| quote_spanned! {span=> __marker: ::core::marker::PhantomData, });
        let (input, definition) = (self.input(), self.definition(inner));
        let told = self.library.private_at(at);
        let doubled = self.doubled();
        let call = quote_spanned! {at=> #told::Call<impl #told::#marker<Output = #output, Error = #error #doubled>> };
        let made = quote_spanned! {at=> #told::#build::<__Definition #turbofish>(__Input { #(#names,)* #marked }) };
        quote_spanned! {span=>
            #(#outer)*
            #[track_caller]
            #[allow(clippy::too_many_arguments)]
            #visibility fn #name <#parameters> (#(#names: #argument_types),*) -> #call #conditions {
                #input
                #definition
                #made
            }
        }
    }

    /// What callers of an activity's double know beyond what the activity's own callers do.
    fn doubled(&self) -> Option<TokenStream> {
        if self.kind == Kind::Workflow {
            return None;
        }
        let (span, args, at) = (self.library.span(), self.args(), self.returned_span());
        let returned = self.written_type();
        let (args, returned) = (quote_spanned! {span=> Args = #args }, quote_spanned! {at=> Returned = #returned });
        Some(quote! { , #args, #returned })
    }

    /// The arguments' types, as a tuple.
    fn args(&self) -> TokenStream {
        let (span, types) = (self.library.span(), self.arguments().map(|argument| &argument.ty));
        quote_spanned! {span=> (#(#types,)*) }
    }

    /// One of the types of what is returned. All tokens stand where that is written, so that its errors are told once.
    fn projected(&self, name: &str) -> TokenStream {
        let (span, returned) = (self.returned_span(), &self.returned);
        let name = Ident::new(name, span);
        quote_spanned! {span=> <#returned>::#name }
    }

    fn answer(&self) -> TokenStream {
        let span = self.returned_span();
        let (private, mode) = (self.library.private_at(span), &self.mode);
        quote_spanned! {span=> #private::Mode<{ #mode }> }
    }

    fn written_type(&self) -> TokenStream {
        match &self.function.signature.output {
            ReturnType::Type(_, ty) => ty.to_token_stream(),
            ReturnType::Default => quote! { () },
        }
    }

    fn returned_span(&self) -> Span {
        Span::call_site().located_at(returned_span(self.function))
    }

    fn arguments(&self) -> impl Iterator<Item = &'a Argument> {
        self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::Argument(argument) => Some(&**argument),
            Parameter::State(_) => None,
        })
    }

    /// What holds the generic types, if there are any.
    fn type_marker(&self) -> Option<TokenStream> {
        let types: Vec<_> = self.generics.type_params().map(|parameter| &parameter.ident).collect();
        let span = self.library.span();
        (!types.is_empty()).then(|| quote_spanned! {span=> ::core::marker::PhantomData<fn() -> (#(#types,)*)> })
    }

    /// The struct of the arguments. Its recorded name is the same for all functions, so that renaming one changes no
    /// shape. The type of each field is a parameter of its own, so that the derived code compiles whatever the argument
    /// is, and one that cannot be recorded is told once; a field with a `serde` attribute needs its type itself.
    fn input(&self) -> TokenStream {
        let (span, private) = (self.library.span(), self.library.private());
        let path = private.to_string().replace(' ', "");
        let serde = format!("{path}::serde");
        let conditions = &self.generics.where_clause;
        let parameters: Vec<_> = self.generics.params.iter().collect();
        let free: Vec<_> = self.free().map(|(parameter, _)| parameter).collect();
        let fields = self.arguments().map(|argument| {
            let Argument { name, ty, attributes } = argument;
            let free = self.free().find(|(_, of)| of.name == *name).map(|(parameter, _)| parameter.to_token_stream());
            let ty = free.unwrap_or_else(|| ty.to_token_stream());
            quote! { #(#attributes)* #name: #ty, }
        });
        let marker = self.type_marker().map(|marker| quote_spanned! {span=> #[serde(skip)] __marker: #marker, });
        let bounds: String = free.iter().map(|free| format!("{free}: {path}::Argument, ")).collect();
        quote_spanned! {span=>
            #[derive(#private::serde::Serialize, #private::serde::Deserialize)]
            #[serde(crate = #serde, bound = #bounds, rename = "Input")]
            struct __Input <#(#parameters,)* #(#free),*> #conditions { #(#fields)* #marker }
        }
    }

    /// The struct with the arguments' types, in the place of these: what is wrong with one is told there.
    fn input_type(&self) -> TokenStream {
        let types: Vec<_> = self.free().map(|(_, argument)| &argument.ty).collect();
        let at = |ty: Option<&&Type>| ty.map_or(self.library.span(), |ty| Span::call_site().located_at(ty.span()));
        let (first, last, names) = (at(types.first()), at(types.last()), self.generic_names());
        let (open, close) = (quote_spanned! {first=> __Input < }, quote_spanned! {last=> > });
        quote! { #open #(#names,)* #(#types),* #close }
    }

    fn generic_names(&self) -> Vec<Ident> {
        let names = self.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(parameter.ident.clone()),
            GenericParam::Const(parameter) => Some(parameter.ident.clone()),
            GenericParam::Lifetime(_) => None,
        });
        names.collect()
    }

    /// The arguments whose type is a parameter of their struct, with that.
    fn free(&self) -> impl Iterator<Item = (Ident, &'a Argument)> {
        let span = self.library.span();
        let plain = self.arguments().filter(|argument| argument.attributes.is_empty());
        plain.enumerate().map(move |(i, argument)| (Ident::new(&format!("__A{i}"), span), argument))
    }

    fn definition(&self, inner: Vec<syn::Attribute>) -> TokenStream {
        let (span, private) = (self.library.span(), self.library.private());
        let (impls, types, conditions) = self.generics.split_for_impl();
        let parameters = &self.generics.params;
        let held = self.type_marker().map(|marker| quote_spanned! {span=> (#marker) });
        let (kind, enter) = match self.kind {
            Kind::Activity => (quote_spanned! {span=> ActivityKind }, quote_spanned! {span=> enter_activity }),
            Kind::Workflow => (quote_spanned! {span=> WorkflowKind }, quote_spanned! {span=> enter_workflow }),
        };
        let (output, error, written) = (self.projected("Output"), self.projected("Error"), self.projected("Written"));
        let (answer, returned) = (self.answer(), self.written_type());
        let (name, retry, at) = (self.name(), self.retry(), self.returned_span());
        let library = self.library.private_at(at);
        let told = quote_spanned! {at=> fn told(error: &Self::Written) -> #library::Told };
        let (function, runs, input) = (self.inner_function(inner), self.runs(), self.input_type());
        quote_spanned! {span=>
            struct __Definition <#parameters> #held #conditions;

            impl #impls __Definition #types #conditions { #function }

            impl #impls #private::Definition for __Definition #types #conditions {
                type Kind = #private::#kind;
                type Input = #input;
                type Returned = #returned;
                type Output = #output;
                type Error = #error;
                type Written = #written;
                type Answer = #answer;

                fn name() -> #private::Text { #name }
                fn register(registry: &mut #private::Registry) { registry.#enter::<Self>(); }
                #told {
                    #[allow(unused_imports)]
                    use #private::AskDefault as _;
                    #private::Told { text: #private::Ask(error).text(), retry: #retry }
                }
            }

            #runs
        }
    }

    fn name(&self) -> TokenStream {
        let (span, private) = (self.library.span(), self.library.private());
        let literal = match &self.options.name {
            None => {
                let name = &self.function.signature.ident;
                LitStr::new(name.to_string().trim_start_matches("r#"), name.span()).to_token_stream()
            }
            Some(syn::Expr::Lit(literal)) => literal.to_token_stream(),
            Some(expression) => {
                let private = self.library.private_at(expression.span());
                return quote_spanned! {expression.span()=> #private::Text::from(#expression) };
            }
        };
        quote_spanned! {span=>
            static __NAME: #private::Name = #private::Name::new(#literal);
            __NAME.text()
        }
    }

    /// What an error says about another attempt. Where its type is generic, it has to say so: the default would be taken
    /// although an instance says something else.
    fn retry(&self) -> TokenStream {
        let (span, private) = (self.library.span(), self.library.private());
        match (self.kind, self.options.error) {
            (Kind::Activity, Some(ErrorMode::Typed)) if !self.generics.params.is_empty() => {
                quote_spanned! {span=> #private::Retryable::retry(error) }
            }
            (Kind::Activity | Kind::Workflow, _) => quote_spanned! {span=> #private::Ask(error).retry() },
        }
    }

    /// The user's function, as it was written.
    fn inner_function(&self, attributes: Vec<syn::Attribute>) -> TokenStream {
        let span = self.library.span();
        let mut signature = self.function.signature.clone();
        signature.generics = Generics::default();
        let body = match self.kind {
            Kind::Activity => self.body.clone(),
            Kind::Workflow => {
                let (root, body) = (self.library.root(), &self.body);
                quote_spanned! {span=> {
                    #[allow(unused_imports)]
                    use #root::{join, select, try_join};
                    #[allow(unused_braces)]
                    #body
                }}
            }
        };
        quote_spanned! {span=>
            #(#attributes)*
            #[allow(dead_code, clippy::unused_async, clippy::too_many_arguments)]
            #signature #body
        }
    }

    fn runs(&self) -> TokenStream {
        match self.kind {
            Kind::Activity => self.runs_attempts(),
            Kind::Workflow => self.runs_bodies(),
        }
    }

    fn runs_attempts(&self) -> TokenStream {
        let (span, private) = (self.library.span(), self.library.private());
        let (impls, types, conditions) = self.generics.split_for_impl();
        let options = self.options.expression(self.library, quote_spanned! {span=> #private::ActivityOptions });
        let names: Vec<_> = self.arguments().map(|argument| &argument.name).collect();
        let args = self.args();
        let needs = self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::State(ty) => Some(quote_spanned! {span=> #private::Need::of::<#ty>() }),
            Parameter::Argument(_) => None,
        });
        let states = self.library.variable("__states");
        let (run, call) = self.attempt_call(&states);
        quote_spanned! {span=>
            const __OPTIONS: #private::ActivityOptions = #options;

            impl #impls #private::Activity for __Definition #types #conditions {
                type Args = #args;
                #[allow(clippy::unused_unit)]
                fn args(__Input { #(#names,)* .. }: Self::Input) -> Self::Args { (#(#names,)*) }
                fn options() -> &'static #private::ActivityOptions { &__OPTIONS }
                fn needs() -> ::std::vec::Vec<#private::Need> { ::std::vec![#(#needs),*] }
                fn attempt(job: #private::Job) -> #private::AttemptFuture {
                    job.#run::<Self, _, _>(|__Input { #(#names,)* .. }, #states| ::core::result::Result::Ok(#call))
                }
            }
        }
    }

    /// The method that runs an attempt, and what it is given to run.
    fn attempt_call(&self, all: &Ident) -> (TokenStream, TokenStream) {
        let (span, name) = (self.library.span(), &self.function.signature.ident);
        let mut states = Vec::new();
        let mut arguments = Vec::new();
        for (i, parameter) in self.parameters.iter().enumerate() {
            match parameter {
                Parameter::Argument(argument) => arguments.push(argument.name.to_token_stream()),
                Parameter::State(ty) => {
                    let state = self.library.variable(&format!("__state{i}"));
                    let at = Span::call_site().located_at(ty.span());
                    states.push(quote_spanned! {at=> let #state = #all.get::<#ty>()?; });
                    arguments.push(state.to_token_stream());
                }
            }
        }
        match self.function.signature.asyncness {
            Some(_) => {
                let call = quote_spanned! {span=> { #(#states)* Self::#name(#(#arguments),*) } };
                (quote_spanned! {span=> run }, call)
            }
            None => {
                let call = quote_spanned! {span=> { #(#states)* move || Self::#name(#(#arguments),*) } };
                (quote_spanned! {span=> run_blocking }, call)
            }
        }
    }

    fn runs_bodies(&self) -> TokenStream {
        let (span, private) = (self.library.span(), self.library.private());
        let (impls, types, conditions) = self.generics.split_for_impl();
        let options = self.options.expression(self.library, quote_spanned! {span=> #private::WorkflowOptions });
        let name = &self.function.signature.ident;
        let names: Vec<_> = self.arguments().map(|argument| &argument.name).collect();
        let codec = self.library.variable("__codec");
        quote_spanned! {span=>
            const __OPTIONS: #private::WorkflowOptions = #options;

            impl #impls #private::Workflow for __Definition #types #conditions {
                fn options() -> #private::WorkflowOptions { __OPTIONS }
                fn body(
                    __Input { #(#names,)* .. }: Self::Input,
                    #codec: #private::PayloadCodec,
                ) -> #private::BodyFuture {
                    #private::body::<Self, _>(Self::#name(#(#names),*), #codec)
                }
            }
        }
    }
}

fn taken_apart(library: &Library, returned: &Type, mode: &TokenStream) -> TokenStream {
    let at = returned.span();
    let (span, private) = (Span::call_site().located_at(at), library.private_at(at));
    quote_spanned! {span=> #returned as #private::Returned<{ #mode }> }
}

/// How the error comes back, as a constant expression. A generic parameter may not stand in one, so the `Ok` type of a
/// generic function is left out; none if the error depends on one too and nothing is said.
fn mode(
    function: &Function,
    returned: &Type,
    said: Option<ErrorMode>,
    library: &Library,
    problems: &mut Problems,
) -> Option<TokenStream> {
    let at = returned_span(function);
    let (span, private) = (Span::call_site().located_at(at), library.private_at(at));
    match said {
        Some(ErrorMode::Typed) => return Some(quote_spanned! {span=> #private::TYPED }),
        Some(ErrorMode::Failure) => return Some(quote_spanned! {span=> #private::FAILURE }),
        None => {}
    }
    let generics = &function.signature.generics;
    let probed = if generics.params.is_empty() { returned.clone() } else { without_ok(returned) };
    if let Some(parameter) = mentioned(generics, &probed) {
        let text = format!(
            "whether this error comes back as itself cannot be seen, because it depends on `{parameter}`: say \
             `error = typed` (it is serde and `Retryable`) or `error = failure` (it converts into \
             `Box<dyn Error + Send + Sync>`)"
        );
        problems.add(returned, text);
        return None;
    }
    Some(quote_spanned! {span=>
        #[allow(unused_imports)]
        use #private::ProbeDefault as _;
        #private::mode(
            #private::Probe::<#probed>::CONVERTS
                | #private::Probe::<#probed>::ERROR
                | #private::Probe::<#probed>::INFALLIBLE
                | #private::Probe::<#probed>::OWN
        )
    })
}

/// The type with `()` in the place of its first type argument.
fn without_ok(returned: &Type) -> Type {
    let mut probed = returned.clone();
    let mut ty = &mut probed;
    while let Type::Group(group) = ty {
        ty = &mut *group.elem;
    }
    let Type::Path(path) = ty else { return probed };
    let Some(last) = path.path.segments.last_mut() else { return probed };
    let PathArguments::AngleBracketed(arguments) = &mut last.arguments else { return probed };
    if let Some(GenericArgument::Type(ok)) = arguments.args.first_mut() {
        *ok = parse_quote_spanned! {ok.span()=> () };
    }
    probed
}

/// The first generic parameter that stands in the type.
fn mentioned(generics: &Generics, ty: &Type) -> Option<Ident> {
    let names = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    names.into_iter().find(|name| mentions(ty.to_token_stream(), &|ident| ident == *name)).cloned()
}

/// The generics, with each type said to be `'static`: where its other bounds are, so that all stand in one place.
fn lasting(generics: &Generics, span: Span) -> Generics {
    let mut generics = generics.clone();
    let mut bare = Vec::new();
    for parameter in generics.type_params_mut() {
        if parameter.bounds.is_empty() {
            bare.push(parameter.ident.clone());
        } else {
            parameter.bounds.push(parse_quote_spanned! {span=> 'static });
        }
    }
    if !bare.is_empty() {
        let conditions: &mut WhereClause = generics.make_where_clause();
        conditions.predicates.extend(bare.iter().map(|ty| -> syn::WherePredicate {
            parse_quote_spanned! {span=> #ty: 'static }
        }));
    }
    generics
}

/// A function that stands in for a refused one, so that its callers bring no errors of their own. What is wrong in its
/// signature becomes a generic parameter.
fn substitute(kind: Kind, function: &Function, said: Option<ErrorMode>, library: &Library) -> TokenStream {
    let (span, private) = (library.span(), library.private());
    let Attributes { outer, .. } = Attributes::sort(&function.attributes);
    let (visibility, name) = (&function.visibility, &function.signature.ident);
    let has_lifetimes = function.signature.generics.lifetimes().next().is_some();
    let generics = if has_lifetimes { Generics::default() } else { function.signature.generics.clone() };
    let mut generics = lasting(&generics, span);
    let mut parameters = Vec::new();
    for (i, argument) in function.signature.inputs.iter().enumerate() {
        match argument {
            FnArg::Receiver(receiver) => parameters.push(receiver.to_token_stream()),
            FnArg::Typed(argument) if is_state(&argument.pat) => {}
            FnArg::Typed(argument) if !has_lifetimes && shape::is_owned(&argument.ty) => {
                let ty = &argument.ty;
                parameters.push(quote! { _: #ty });
            }
            FnArg::Typed(_) => {
                let ty = Ident::new(&format!("__A{i}"), span);
                generics.params.push(parse_quote_spanned! {span=> #ty });
                parameters.push(quote_spanned! {span=> _: #ty });
            }
        }
    }
    let returned = shape::owned_return(function).filter(|_| !has_lifetimes);
    let known = returned.and_then(|returned| {
        let mode = mode(function, returned, said, library, &mut Problems::default())?;
        Some((returned.to_token_stream(), mode))
    });
    let wrapped = shape::bare_return(function).filter(|_| !has_lifetimes).map(|bare| {
        let root = library.root();
        (quote_spanned! {span=> #root::Result<#bare> }, quote_spanned! {span=> #private::FAILURE })
    });
    let (returned, mode) = known.or(wrapped).unwrap_or_else(|| {
        let none = quote_spanned! {span=> ::core::result::Result<(), ::core::convert::Infallible> };
        (none, quote_spanned! {span=> #private::NEVER })
    });
    let (marker, make) = match kind {
        Kind::Activity => (quote_spanned! {span=> Activity }, quote_spanned! {span=> refused_activity }),
        Kind::Workflow => (quote_spanned! {span=> Workflow }, quote_spanned! {span=> refused_workflow }),
    };
    let (generic, conditions) = (&generics.params, &generics.where_clause);
    let seen = seen_by_an_editor(function, library);
    quote_spanned! {span=>
        #(#outer)*
        #[allow(dead_code)]
        #visibility fn #name <#generic> (#(#parameters),*) -> #private::Call<impl #private::#marker<
            Output = <#returned as #private::Returned<{ #mode }>>::Output,
            Error = <#returned as #private::Returned<{ #mode }>>::Error,
        >> #conditions {
            #seen
            #private::#make::<#returned, { #mode }>()
        }
    }
}

/// A refused function's body, for rust-analyzer alone, which looks for what the user types in what a macro makes of it. A
/// compiler would tell what is wrong with it a second time.
fn seen_by_an_editor(function: &Function, library: &Library) -> TokenStream {
    let (span, root, body) = (library.span(), library.root(), &function.body);
    if body.is_none() || function.signature.receiver().is_some() {
        return TokenStream::new();
    }
    let mut signature = function.signature.clone();
    signature.asyncness = Some(parse_quote_spanned! {span=> async });
    quote_spanned! {span=>
        #root::__seen_by_an_editor! {
            struct __Seen;
            impl __Seen {
                #signature {
                    #[allow(unused_imports)]
                    use #root::{join, select, try_join};
                    #body
                }
            }
        }
    }
}

fn is_state(pattern: &Pat) -> bool {
    let Pat::TupleStruct(pattern) = pattern else { return false };
    pattern.path.segments.last().is_some_and(|segment| segment.ident == "State")
}
