//! Whether a cell's own code is worth optimising. Most cells call the prelude, which is optimised already: what
//! they cost is their compilation. One that calculates in loops of its own is another matter.

use ra_ap_syntax::ast::{self, AstNode, HasArgList, HasLoopBody, HasName};
use ra_ap_syntax::{SyntaxKind, SyntaxNode};

/// Methods that go through everything there is.
const THROUGH_ALL: &[&str] = &[
    "dedup", "fold", "for_each", "product", "reduce", "retain", "scan", "sum",
];

/// Macros beside which a step of a loop costs nothing.
const SLOW: &[&str] = &[
    "display", "eprint", "eprintln", "print", "println", "write", "writeln",
];

/// Whether a cell calculates: a loop whose steps neither can fail nor print, a closure with arithmetic, a
/// function that calls itself.
pub(super) fn is_hot(cell: &SyntaxNode) -> bool {
    cell.descendants().any(|node| {
        body_of_loop(&node).map_or_else(
            || calculates(&node) || goes_through_all(&node) || calls_itself(&node),
            |body| !is_slow(&body),
        )
    })
}

fn body_of_loop(node: &SyntaxNode) -> Option<SyntaxNode> {
    let body = match node.kind() {
        SyntaxKind::FOR_EXPR => ast::ForExpr::cast(node.clone())?.loop_body(),
        SyntaxKind::WHILE_EXPR => ast::WhileExpr::cast(node.clone())?.loop_body(),
        _ => ast::LoopExpr::cast(node.clone())?.loop_body(),
    };
    Some(body?.syntax().clone())
}

/// What can fail calls a library; what prints takes its time.
fn is_slow(body: &SyntaxNode) -> bool {
    body.descendants().any(|node| {
        matches!(node.kind(), SyntaxKind::TRY_EXPR | SyntaxKind::AWAIT_EXPR)
            || ast::MacroCall::cast(node)
                .and_then(|call| call.path()?.segment()?.name_ref())
                .is_some_and(|name| SLOW.contains(&name.text()))
    })
}

/// A closure of something, with arithmetic in it.
fn calculates(node: &SyntaxNode) -> bool {
    let Some(closure) = ast::ClosureExpr::cast(node.clone()) else {
        return false;
    };
    let is_of_something = closure
        .param_list()
        .is_some_and(|list| list.params().next().is_some());
    is_of_something
        && closure.body().is_some_and(|body| {
            body.syntax()
                .descendants()
                .any(|node| matches!(node.kind(), SyntaxKind::BIN_EXPR | SyntaxKind::INDEX_EXPR))
        })
}

fn goes_through_all(node: &SyntaxNode) -> bool {
    let Some(call) = ast::MethodCallExpr::cast(node.clone()) else {
        return false;
    };
    let Some(name) = call.name_ref() else {
        return false;
    };
    // A tensor's `sum` is told of what; an iterator's is not.
    let is_of_a_tensor = matches!(name.text(), "sum" | "product")
        && call
            .arg_list()
            .is_some_and(|list| list.args().next().is_some());
    !is_of_a_tensor && (THROUGH_ALL.contains(&name.text()) || name.text().starts_with("sort"))
}

fn calls_itself(node: &SyntaxNode) -> bool {
    let Some(function) = ast::Fn::cast(node.clone()) else {
        return false;
    };
    let (Some(name), Some(body)) = (function.name(), function.body()) else {
        return false;
    };
    body.syntax()
        .descendants()
        .filter_map(ast::NameRef::cast)
        .any(|called| called.text() == name.text())
}

#[cfg(test)]
mod tests {
    use ra_ap_syntax::{Edition, SourceFile};

    fn is_hot(text: &str) -> bool {
        super::is_hot(&SourceFile::parse(text, Edition::Edition2024).syntax_node())
    }

    #[test]
    fn what_calculates_is_hot() {
        for code in [
            "for x in &v { sum += x; }",
            "while i < n { i = step(i); }",
            "loop { if done() { break } }",
            "for a in &v { for b in &v { n += 1; } println!(\"{n}\"); }",
            "v.iter().map(|x| x * x)",
            "v.iter().sum::<f64>()",
            "v.sort_by(f64::total_cmp)",
            "fn fib(n: u64) -> u64 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }",
            "std::thread::spawn(|| loop {})",
        ] {
            assert!(is_hot(&format!("fn f() {{ {code} }}")), "{code}");
        }
    }

    #[test]
    fn what_calls_libraries_is_not() {
        for code in [
            "let (logits, cache) = model.run_with_cache(prompt, All)?;",
            "for layer in 0..n { norms.push(cache.get(name)?.sqr()?); }",
            "for (name, norm) in names.iter().zip(&norms) { println!(\"{name} {norm}\"); }",
            "Hooks::new().add(point, |z, _| set_at(z, 2, 3, 0.))",
            "names.iter().map(|name| format!(\"{name}!\")).collect()",
            "let _ = (|| { 1 + 2 })();",
            "logits.sum(2)",
            "fn g(x: i32) -> i32 { x + 1 }",
        ] {
            assert!(!is_hot(&format!("fn f() {{ {code} }}")), "{code}");
        }
    }
}
