//! `derive(Retryable)`: what each variant says about another attempt.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Lit, Path, Token};

use crate::expand::Library;

/// What a `#[retry(..)]` says.
enum Said {
    Never(Span),
    After(Box<Expr>),
    Transparent(Span),
    Crate(Path),
}

/// Expands the derive.
pub(crate) fn derive(item: TokenStream) -> syn::Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let (mut library, mut all) = (None, None);
    for said in said(&item.attrs)? {
        match said {
            Said::Crate(path) => library = Some(path),
            other => all = Some(other),
        }
    }
    let library = Library::new(library, item.ident.span());
    let private = library.private();
    let arms = arms(&item, all, &library)?;
    let (name, span) = (&item.ident, library.span());
    let (impls, types, conditions) = item.generics.split_for_impl();
    Ok(quote_spanned! {span=>
        #[automatically_derived]
        impl #impls #private::Retryable for #name #types #conditions {
            #[allow(unused_variables)]
            fn retry(&self) -> #private::RetryHint {
                match *self { #(#arms)* }
            }
        }
    })
}

fn arms(item: &DeriveInput, all: Option<Said>, library: &Library) -> syn::Result<Vec<TokenStream>> {
    let data = match &item.data {
        Data::Struct(data) => return Ok(vec![arm(&quote! { Self }, &data.fields, all, library)?]),
        Data::Enum(data) => data,
        Data::Union(data) => return Err(syn::Error::new(data.union_token.span, "a union is no error")),
    };
    if let Some(Said::After(_) | Said::Transparent(_)) = all {
        return Err(syn::Error::new(
            item.ident.span(),
            "say this on the variants; only `never` is said of a whole enum",
        ));
    }
    let mut arms = Vec::new();
    for variant in &data.variants {
        let name = &variant.ident;
        let own = one(&variant.attrs)?;
        let said = own.or(match &all {
            Some(Said::Never(span)) => Some(Said::Never(*span)),
            _ => None,
        });
        arms.push(arm(&quote_spanned! {name.span()=> Self::#name }, &variant.fields, said, library)?);
    }
    Ok(arms)
}

fn arm(path: &TokenStream, fields: &Fields, said: Option<Said>, library: &Library) -> syn::Result<TokenStream> {
    let private = library.private();
    let pattern = match fields {
        Fields::Unit => quote! {},
        Fields::Named(fields) => {
            let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
            quote! { { #(ref #names),* } }
        }
        Fields::Unnamed(fields) => {
            let names = (0..fields.unnamed.len()).map(|i| format_ident!("_{i}"));
            quote! { ( #(ref #names),* ) }
        }
    };
    let hint = match said {
        None | Some(Said::Crate(_)) => quote! { #private::RetryHint::Yes },
        Some(Said::Never(_)) => quote! { #private::RetryHint::Never },
        Some(Said::After(wait)) => after(&wait, library),
        Some(Said::Transparent(span)) => {
            let field = only_field(fields).ok_or_else(|| {
                syn::Error::new(span, "`transparent` asks the only field: this has none, or more than one")
            })?;
            let private = library.private_at(span);
            let field = Ident::new(&field.to_string(), field.span().located_at(span));
            quote_spanned! {span=> #private::Retryable::retry(#field) }
        }
    };
    Ok(quote! { #path #pattern => #hint, })
}

fn after(wait: &Expr, library: &Library) -> TokenStream {
    let private = library.private_at(wait.span());
    match wait {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => quote_spanned! {text.span()=> {
            const __WAIT: ::core::time::Duration = #private::duration(#text);
            #private::RetryHint::After(__WAIT)
        }},
        wait => quote_spanned! {wait.span()=> #private::RetryDelay::hint(&(#wait)) },
    }
}

fn only_field(fields: &Fields) -> Option<Ident> {
    let mut all = fields.iter();
    let (first, None) = (all.next()?, all.next()) else { return None };
    Some(first.ident.clone().unwrap_or_else(|| format_ident!("_0")))
}

fn one(attributes: &[Attribute]) -> syn::Result<Option<Said>> {
    let mut all = said(attributes)?;
    let first = all.pop();
    match (&first, all.is_empty()) {
        (Some(Said::Crate(path)), _) => Err(syn::Error::new(path.span(), "`crate` is said on the type")),
        (_, false) => Err(syn::Error::new(Span::call_site(), "one `#[retry(..)]` for each variant")),
        (_, true) => Ok(first),
    }
}

fn said(attributes: &[Attribute]) -> syn::Result<Vec<Said>> {
    let ours = attributes.iter().filter(|attribute| attribute.path().is_ident("retry"));
    ours.map(|attribute| attribute.parse_args_with(read)).collect()
}

fn read(input: ParseStream<'_>) -> syn::Result<Said> {
    let key = input.call(Ident::parse_any)?;
    match key.to_string().as_str() {
        "never" => Ok(Said::Never(key.span())),
        "transparent" => Ok(Said::Transparent(key.span())),
        "after" => {
            input.parse::<Token![=]>()?;
            Ok(Said::After(Box::new(input.parse()?)))
        }
        "crate" => {
            input.parse::<Token![=]>()?;
            Ok(Said::Crate(input.parse()?))
        }
        _ => Err(syn::Error::new(
            key.span(),
            "write `never`, `after = \"5s\"` (or an expression over the fields), or `transparent`",
        )),
    }
}
