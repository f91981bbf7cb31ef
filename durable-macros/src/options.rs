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
use crate::refuse::{Family, families};

/// The options of an activity.
const ACTIVITY: [&str; 8] =
    ["name", "start_to_close", "schedule_to_close", "retry", "at_most_once", "inputs", "error", "crate"];
/// The options of a workflow.
const WORKFLOW: [&str; 7] = ["name", "version", "timeout", "inputs", "error", "allow", "crate"];

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
    /// What a workflow's body may say although it would say something else at replay.
    pub(crate) allowed: Vec<Family>,
    /// Every option so far, in order.
    said: Vec<Ident>,
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
        let key = input.call(Ident::parse_any).map_err(|error| nameless(kind, &error))?;
        if self.said.contains(&key) {
            return Err(syn::Error::new(key.span(), format!("`{key}` is said twice")));
        }
        self.said.push(key.clone());
        match (key.to_string().as_str(), kind) {
            ("crate", _) => self.library = Some(value(&key, input)?),
            ("name", _) => self.name = Some(value(&key, input)?),
            ("error", _) => self.error = Some(error_mode(&value(&key, input)?)?),
            ("allow", Kind::Workflow) => self.allowed = allowed(&key, input)?,
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
    let equals = input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new_spanned(equals, format!("`{key}` takes a value: `{key} = ..`")));
    }
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

fn allowed(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Family>> {
    let names = families().map(|(name, _)| name);
    if !input.peek(syn::token::Paren) {
        let text = format!("`allow` names what is allowed: `allow({})`", names.join(", "));
        return Err(syn::Error::new(key.span(), text));
    }
    let inside;
    syn::parenthesized!(inside in input);
    let words = inside.parse_terminated(Ident::parse_any, Token![,])?;
    words.iter().map(|word| family(word, &names)).collect()
}

fn family(word: &Ident, names: &[&str]) -> syn::Result<Family> {
    let known = families().into_iter().find(|(name, _)| word == name);
    known.map(|(_, family)| family).ok_or_else(|| {
        let similar = similar(word, names);
        let text = format!("nothing called `{word}` is refused{similar}; there are: {}", names.join(", "));
        syn::Error::new(word.span(), text)
    })
}

fn names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Activity => &ACTIVITY,
        Kind::Workflow => &WORKFLOW,
    }
}

fn nameless(kind: Kind, error: &syn::Error) -> syn::Error {
    let text = format!("an option of {} begins with its name; there are: {}", kind.noun(), names(kind).join(", "));
    syn::Error::new(error.span(), text)
}

fn unknown(kind: Kind, key: &Ident) -> syn::Error {
    let others = match kind {
        Kind::Activity => names(Kind::Workflow),
        Kind::Workflow => names(Kind::Activity),
    };
    let (noun, own) = (kind.noun(), names(kind));
    let hint = match (others.iter().any(|name| key == name), kind) {
        (true, Kind::Activity) => " (it is a workflow's)".to_owned(),
        (true, Kind::Workflow) => " (it is an activity's)".to_owned(),
        (false, _) => similar(key, own),
    };
    syn::Error::new(key.span(), format!("{noun} has no option `{key}`{hint}; there are: {}", own.join(", ")))
}

/// The name that was meant, if one is near enough.
fn similar(word: &Ident, names: &[&str]) -> String {
    let word = word.to_string();
    let near = names.iter().map(|name| (distance(&word, name), *name)).min();
    let near = near.filter(|(distance, name)| *distance <= name.len().max(3) / 3).map(|(_, name)| name);
    let meant = near.or_else(|| names.iter().copied().find(|name| is_begin(&word, name)));
    meant.map_or(String::new(), |name| format!(" (did you mean `{name}`?)"))
}

/// Whether one is how the other begins, but for its last letter.
fn is_begin(word: &str, name: &str) -> bool {
    let common = word.chars().zip(name.chars()).take_while(|(one, other)| one == other).count();
    common >= 3 && common + 1 >= word.len().min(name.len())
}

/// How many letters have to be put in, left out or replaced to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.chars().enumerate() {
            let replaced = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
