//! The types of the variables that a cell defines.

use super::Analyzer;
use ra_ap_base_db::EditionedFileId;
use ra_ap_hir::{HirDisplay, Module, Semantics, Type};
use ra_ap_ide_db::RootDatabase;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};
use serde::{Deserialize, Serialize};

/// A variable whose type has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub is_mutable: bool,
    /// The type as a cell can write it.
    pub kind: String,
}

impl Analyzer {
    /// What the `let` statements of a function bind, one entry a statement: the variables whose types the
    /// code does not say, and which can be written.
    pub fn variables(&self, function: &str) -> Vec<Vec<Variable>> {
        let db = self.host.raw_database();
        ra_ap_hir::attach_db(db, || {
            let semantics = Semantics::new(db);
            let file = EditionedFileId::new(db, self.cells, Edition::Edition2024);
            let file = semantics.parse(file);
            let function = file.items().find_map(|item| match item {
                ast::Item::Fn(it) if it.name()?.text() == function => Some(it),
                _ => None,
            });
            let Some(body) = function.as_ref().and_then(ast::Fn::body) else {
                return Vec::new();
            };
            let Some(module) = semantics.scope(body.syntax()).map(|scope| scope.module()) else {
                return Vec::new();
            };
            let lets = body.statements().filter_map(|statement| match statement {
                ast::Stmt::LetStmt(it) => Some(it),
                _ => None,
            });
            lets.map(|it| bound(&it, &semantics, module)).collect()
        })
    }
}

fn bound(
    statement: &ast::LetStmt,
    semantics: &Semantics<'_, RootDatabase>,
    module: Module,
) -> Vec<Variable> {
    let Some(pattern) = statement.pat() else {
        return Vec::new();
    };
    // One name has the type that is written; several have parts of it.
    let is_said = matches!(pattern, ast::Pat::IdentPat(_))
        && statement.ty().is_some_and(|it| is_whole(&it.to_string()));
    if is_said {
        return Vec::new();
    }
    let names = pattern
        .syntax()
        .descendants()
        .filter_map(ast::IdentPat::cast);
    names
        .filter_map(|name| {
            let found = semantics.type_of_pat(&ast::Pat::IdentPat(name.clone()))?;
            Some(Variable {
                name: name.name()?.text().to_string(),
                is_mutable: name.mut_token().is_some(),
                kind: written(&found.original(), semantics.db, module)?,
            })
        })
        .collect()
}

fn written(kind: &Type<'_>, db: &RootDatabase, module: Module) -> Option<String> {
    if kind.is_closure() {
        return None;
    }
    let text = kind.display_source_code(db, module.into(), true).ok()?;
    // What never has a value is of every type; this one can be written.
    if text == "!" {
        return Some("()".to_owned());
    }
    is_whole(&text).then_some(text)
}

/// Whether a type can be written so: the analyzer leaves out what it does not know.
fn is_whole(kind: &str) -> bool {
    let text = format!("const _: {kind} = f();");
    let parsed = SourceFile::parse(&text, Edition::Edition2024);
    parsed.errors().is_empty()
        && !parsed
            .syntax_node()
            .descendants()
            .any(|node| matches!(node.kind(), SyntaxKind::ERROR | SyntaxKind::INFER_TYPE))
}
