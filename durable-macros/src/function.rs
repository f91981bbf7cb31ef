//! The function under an attribute, parsed: its attributes and signature in full, its body as the tokens that it is, so
//! that a half-typed body gives one error.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Signature, Token, Visibility};

/// Which attribute it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `#[activity]`
    Activity,
    /// `#[workflow]`
    Workflow,
}

impl Kind {
    /// What the user calls it, with its article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Activity => "an activity",
            Kind::Workflow => "a workflow",
        }
    }

    /// Where it has what a method has in `self`.
    pub(crate) fn instead_of_self(self) -> &'static str {
        match self {
            Kind::Activity => "give it a `State(x): State<T>`, or what it needs as arguments",
            Kind::Workflow => "give it what it needs as arguments",
        }
    }
}

/// The function.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// With its braces; none for a declaration.
    pub(crate) body: Option<Group>,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body =
            if input.peek(Token![;]) { input.parse::<Token![;]>().map(|_| None) } else { braces(input).map(Some) };
        Ok(Function { attributes, visibility, signature, body: body? })
    }
}

fn braces(input: ParseStream<'_>) -> syn::Result<Group> {
    match input.parse()? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Ok(group),
        other => Err(syn::Error::new(other.span(), "expected the function's body")),
    }
}

/// The function's attributes, by where they belong: its docs and what concerns its callers stay outside, all others go
/// to the body; what allows a lint does so in both.
pub(crate) struct Attributes {
    pub(crate) outer: Vec<Attribute>,
    pub(crate) inner: Vec<Attribute>,
}

impl Attributes {
    pub(crate) fn sort(all: &[Attribute]) -> Attributes {
        let is_one = |attribute: &Attribute, names: &[&str]| names.iter().any(|name| attribute.path().is_ident(name));
        let callers = |attribute: &Attribute| is_one(attribute, &["doc", "cfg", "cfg_attr", "deprecated", "must_use"]);
        let outer = all.iter().filter(|attribute| callers(attribute) || is_one(attribute, &["allow"]));
        let inner = all.iter().filter(|attribute| !callers(attribute));
        Attributes { outer: outer.cloned().collect(), inner: inner.cloned().collect() }
    }
}

/// Whether one of these words stands in the tokens, at any depth.
pub(crate) fn mentions(tokens: TokenStream, is_one: &dyn Fn(&proc_macro2::Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => is_one(&ident),
        TokenTree::Group(group) => mentions(group.stream(), is_one),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
