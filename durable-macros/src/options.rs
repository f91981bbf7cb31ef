//! What stands in an attribute's parentheses. Values are kept as expressions: the compiler checks them as constants, with
//! the library's names in scope.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Path, Token};

use crate::expand::Library;
use crate::function::Kind;

/// How the error comes back, where the user says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorMode {
    /// As itself.
    Typed,
    /// As a failure.
    Failure,
}

/// An attribute's options.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) library: Option<Path>,
    pub(crate) name: Option<Expr>,
    pub(crate) error: Option<ErrorMode>,
    /// The others, in order: the name of a builder method and its argument.
    settings: Vec<(Ident, Option<Expr>)>,
}

impl Options {
    /// The options, and what is wrong with them: all that were read before that count.
    pub(crate) fn parse(kind: Kind, tokens: TokenStream) -> (Options, Option<syn::Error>) {
        let mut options = Options::default();
        let parser = |input: ParseStream<'_>| options.read_all(kind, input);
        let error = parser.parse2(tokens).err();
        (options, error)
    }

    fn read_all(&mut self, kind: Kind, input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            self.read(kind, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }

    fn read(&mut self, kind: Kind, input: ParseStream<'_>) -> syn::Result<()> {
        let key = input.call(Ident::parse_any)?;
        let known = |setting: &(Ident, Option<Expr>)| setting.0 == key;
        if self.settings.iter().any(known) {
            return Err(syn::Error::new(key.span(), format!("`{key}` is said twice")));
        }
        match (key.to_string().as_str(), kind) {
            ("crate", _) => self.library = Some(value(&key, input)?),
            ("name", _) => self.name = Some(value(&key, input)?),
            ("error", _) => self.error = Some(error_mode(&value(&key, input)?)?),
            ("inputs", _)
            | ("version" | "timeout", Kind::Workflow)
            | ("retry" | "start_to_close" | "schedule_to_close", Kind::Activity) => {
                let value = value(&key, input)?;
                self.settings.push((key, Some(value)));
            }
            ("at_most_once", Kind::Activity) => self.settings.push((key, None)),
            _ => return Err(unknown(kind, &key)),
        }
        Ok(())
    }

    /// The options as an expression of the library's type `of`.
    pub(crate) fn expression(&self, library: &Library, of: TokenStream) -> TokenStream {
        let settings = self.settings.iter().map(|(key, value)| setting(library, key, value.as_ref()));
        let (span, private) = (library.span(), library.private());
        quote_spanned! {span=> {
            #[allow(unused_imports)]
            use #private::options::*;
            #of::DEFAULT #(#settings)*
        }}
    }
}

fn setting(library: &Library, key: &Ident, value: Option<&Expr>) -> TokenStream {
    let takes_time = ["start_to_close", "schedule_to_close", "timeout"].iter().any(|name| key == name);
    let Some(value) = value else { return quote_spanned! {key.span()=> .#key() } };
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if takes_time => {
            let private = library.private_at(text.span());
            quote_spanned! {text.span()=> .#key(#private::duration(#text)) }
        }
        value => quote_spanned! {key.span()=> .#key(#value) },
    }
}

fn value<T: Parse>(key: &Ident, input: ParseStream<'_>) -> syn::Result<T> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(key.span(), format!("`{key}` takes a value: `{key} = ..`")));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

fn error_mode(value: &Path) -> syn::Result<ErrorMode> {
    match value.get_ident().map(ToString::to_string).as_deref() {
        Some("typed") => Ok(ErrorMode::Typed),
        Some("failure") => Ok(ErrorMode::Failure),
        _ => Err(syn::Error::new(
            value.span(),
            "write `error = typed` (it is serde and comes back as itself) or `error = failure` (it converts into \
             `Box<dyn Error + Send + Sync>` and comes back as a `durable::Failure`)",
        )),
    }
}

fn unknown(kind: Kind, key: &Ident) -> syn::Error {
    let options = match kind {
        Kind::Activity => {
            "name, start_to_close, schedule_to_close, retry, at_most_once, inputs, error, crate; `version` and \
             `timeout` are a workflow's"
        }
        Kind::Workflow => {
            "name, version, timeout, inputs, error, crate; `retry` and the other timeouts are an activity's"
        }
    };
    syn::Error::new(key.span(), format!("{} has no option `{key}`; there are: {options}", kind.noun()))
}
