//! What could stand at a place, and what a name means.

use super::{Analyzer, markdown};
use ra_ap_ide::CallableSnippets;
use ra_ap_ide::{
    CompletionConfig, CompletionFieldsToResolve, CompletionItemKind, FilePosition, FileRange,
    HoverConfig, HoverDocFormat, RaFixtureConfig, SubstTyLen, SymbolKind, TextRange, TextSize,
};
use ra_ap_ide_db::SnippetCap;
use ra_ap_ide_db::imports::insert_use::{ImportGranularity, InsertUseConfig, PrefixKind};

/// What could stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What is put in, with the names of parameters.
    pub text: String,
    /// What a front end calls it, e.g. `function`.
    pub kind: String,
    pub label: String,
}

/// What a name means: its signature and documentation.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Meaning {
    pub markdown: String,
    /// The same for a reader without Markdown.
    pub plain: String,
}

impl Analyzer {
    /// What could stand at a byte of the text: everything, not only what begins as it is begun.
    pub fn suggestions(&self, at: usize) -> Vec<Suggestion> {
        let config = CompletionConfig {
            enable_postfix_completions: false,
            enable_imports_on_the_fly: false,
            enable_self_on_the_fly: false,
            enable_auto_iter: false,
            enable_auto_await: false,
            enable_private_editable: false,
            enable_term_search: false,
            term_search_fuel: 0,
            full_function_signatures: true,
            callable: Some(CallableSnippets::FillArguments),
            add_colons_to_module: true,
            add_semicolon_to_unit: false,
            snippet_cap: SnippetCap::new(true),
            insert_use: InsertUseConfig {
                prefix_kind: PrefixKind::ByCrate,
                group: false,
                granularity: ImportGranularity::Item,
                enforce_granularity: false,
                skip_glob_imports: false,
            },
            prefer_no_std: false,
            prefer_prelude: false,
            prefer_absolute: false,
            snippets: Vec::new(),
            limit: None,
            fields_to_resolve: CompletionFieldsToResolve::empty(),
            exclude_flyimport: Vec::new(),
            exclude_traits: &[],
            ra_fixture: RaFixtureConfig::default(),
        };
        let place = FilePosition {
            file_id: self.cells,
            offset: offset(at),
        };
        let found = self.host.analysis().completions(&config, place, None);
        let items = found.ok().flatten().unwrap_or_default();
        items
            .into_iter()
            .filter_map(|item| {
                let put_in = item.text_edit.iter().next()?;
                Some(Suggestion {
                    text: plain(&put_in.insert),
                    kind: kind(item.kind).to_owned(),
                    label: item.label.primary.to_string(),
                })
            })
            .collect()
    }

    /// What the name at a byte of the text means.
    pub fn meaning(&self, at: usize) -> Option<Meaning> {
        let config = HoverConfig {
            links_in_hover: false,
            memory_layout: None,
            documentation: true,
            keywords: true,
            format: HoverDocFormat::Markdown,
            max_trait_assoc_items_count: None,
            max_fields_count: Some(5),
            max_enum_variants_count: Some(5),
            max_subst_ty_len: SubstTyLen::Unlimited,
            show_drop_glue: false,
            ra_fixture: RaFixtureConfig::default(),
        };
        let place = FileRange {
            file_id: self.cells,
            range: TextRange::empty(offset(at)),
        };
        let found = self.host.analysis().hover(&config, place).ok()??;
        let markdown = markdown::tidy(&String::from(found.info.markup));
        Some(Meaning {
            plain: markdown::plain(&markdown),
            markdown,
        })
    }
}

fn offset(at: usize) -> TextSize {
    TextSize::try_from(at).unwrap_or_default()
}

/// A text with places to jump to, without them: `f(${1:x})$0` is `f(x)`.
fn plain(snippet: &str) -> String {
    let mut out = String::with_capacity(snippet.len());
    let mut rest = snippet;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(inside) = after.strip_prefix('{')
            && let Some((placeholder, behind)) = inside.split_once('}')
        {
            out.push_str(placeholder.split_once(':').map_or("", |(_, name)| name));
            rest = behind;
        } else {
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    out.push_str(rest);
    out
}

fn kind(kind: CompletionItemKind) -> &'static str {
    use SymbolKind as S;
    match kind {
        CompletionItemKind::SymbolKind(kind) => match kind {
            S::Function
            | S::Method
            | S::Macro
            | S::ProcMacro
            | S::Attribute
            | S::BuiltinAttr
            | S::Derive
            | S::DeriveHelper => "function",
            S::Struct
            | S::Enum
            | S::Union
            | S::Trait
            | S::TypeAlias
            | S::TypeParam
            | S::SelfType => "class",
            S::Module | S::CrateRoot | S::ToolModule => "module",
            _ => "instance",
        },
        CompletionItemKind::Keyword => "keyword",
        _ => "instance",
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn places_to_jump_to_leave_their_names() {
        for (snippet, text) in [
            ("sum(${1:dim})$0", "sum(dim)"),
            ("f(${1:a}, ${2:b})$0", "f(a, b)"),
            ("len()$0", "len()"),
            ("x", "x"),
            ("if $1 {\n    $0\n}", "if  {\n    \n}"),
        ] {
            assert_eq!(plain(snippet), text);
        }
    }
}
