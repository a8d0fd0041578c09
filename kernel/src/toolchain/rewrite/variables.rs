//! Which variables a cell takes out of the store, and what happens to them where it fails.
//!
//! The engine lets every cell take every variable, and takes those for lost that a cell defines again
//! and does not finish. A cell names few of them: the others stay where they are, which keeps cells
//! quick in a long notebook, and nothing can happen to them. Of those that the cell may lose, since
//! it gives them away or defines them again, the prelude keeps copies until the cell has succeeded.

use super::definitions::Definitions;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};
use std::collections::HashSet;
use std::ops::Range;

const STORE_OPENS: &str = "mod evcxr_internal_runtime {";
const CHECKED: &str = "if !vars_ok {return evcxr_variable_store;}}";
const RETURNED: &str = "evcxr_variable_store";

/// Around the user's code, without and with `await`.
const CLOSURES: &[(&str, &str)] = &[
    (
        "let _ = (|| -> std::result::Result<(), EvcxrUserCodeError> {",
        "Ok(())})();",
    ),
    (".block_on(async {", "Ok::<(), EvcxrUserCodeError>(())"),
];

/// What gives a variable back that the cell has read before it defined it again; where the cell has
/// given it away, this does not compile, and is left out.
pub(super) const GIVE_BACK: &str = "evcxr_variable_store.give_back(";

/// How the session takes back what the engine has forgotten; before its arguments.
pub(crate) const RESTORES: &str = "::ferrolens::emit::variables::restored(";

/// Replaces the engine's store by the prelude's, and takes only what the cell needs.
pub(super) fn replace(lines: &mut [String], give_back: bool) {
    replace_store(lines);
    let checked = lines.iter().position(|line| line.trim() == CHECKED);
    let returned = lines.iter().rposition(|line| line.trim() == RETURNED);
    let (Some(checked), Some(returned)) = (checked, returned) else {
        return;
    };
    lines[checked].push_str(" evcxr_variable_store.begin();");
    let mut given_back_at_the_end = Vec::new();
    // Without the closure that is looked for, every variable is taken, as the engine says.
    let code = user_code(lines, checked);
    for at in checked..lines.len() {
        let Some(name) = taken(&lines[at]).map(str::to_owned) else {
            continue;
        };
        let behind = code.as_ref().map_or(at, |(range, _)| range.end);
        let given_back = lines[behind..]
            .iter()
            .position(|line| stored(line) == Some(&name))
            .map(|line| behind + line);
        let needed = code
            .as_ref()
            .is_none_or(|(_, needed)| needed.contains(&name));
        if needed && given_back.is_none() {
            let defined_again = lines[at..behind]
                .iter()
                .any(|line| stored(line) == Some(&name));
            if defined_again && give_back {
                given_back_at_the_end.push(format!("{GIVE_BACK}stringify!({name}), || {name}); "));
            }
            lines[at].push_str(&format!(
                " {{ use ::ferrolens::emit::{{KeepCopy as _, KeepNothing as _}}; \
                 (&&::ferrolens::emit::Keep(&{name})).keep(stringify!({name})); }}"
            ));
        }
        if !needed {
            lines[at].clear();
            if let Some(line) = given_back {
                lines[line].clear();
            }
            if let Some(line) = lines[..checked]
                .iter_mut()
                .rfind(|line| looked_for(line) == Some(&name))
            {
                line.clear();
            }
        }
    }
    given_back_at_the_end.sort_unstable();
    let at_the_end = given_back_at_the_end.concat();
    lines[returned] = format!("{at_the_end}evcxr_variable_store.end(); evcxr_variable_store");
    let names: Vec<Option<String>> = lines
        .iter()
        .map(|line| stored(line).map(str::to_owned))
        .collect();
    number_definitions(lines);
    for (line, name) in lines.iter_mut().zip(names).skip(checked) {
        // What never gets a value is stored as `()`, and there is nothing to be said of either.
        if let Some(name) = name.filter(|_| !line.contains("put_variable::<()>")) {
            line.insert_str(
                0,
                &format!(
                    "{{ use ::ferrolens::emit::{{DescribeDebug as _, DescribeNothing as _, \
                     DescribeRich as _}}; (&&&::ferrolens::emit::Describing(&{name}))\
                     .note(stringify!({name})); }} "
                ),
            );
        }
    }
}

/// Says of variables of the user's own types which definitions those have.
fn number_definitions(lines: &mut [String]) {
    let is_about =
        |line: &str| stored(line).is_some() || looked_for(line).is_some() || restores(line);
    if !lines.iter().any(|line| is_about(line)) {
        return;
    }
    let definitions = Definitions::of(&lines.join("\n"));
    for line in lines.iter_mut().filter(|line| is_about(line)) {
        if let Some((start, rest)) = line.split_once(RESTORES) {
            let kind = start.split_once(": ").map_or(start, |(_, kind)| kind);
            let number = definitions.number(kind);
            *line = format!("{start}{RESTORES}{number}, {rest}");
            continue;
        }
        let Some((before, kind)) = line.split_once("_variable::<") else {
            continue;
        };
        let number = definitions.number(kind.rsplit_once(">(").map_or(kind, |(kind, _)| kind));
        if let Some((start, verb)) = before.rsplit_once('.').filter(|_| number != 0) {
            *line = format!("{start}.of({number}).{verb}_variable::<{kind}");
        }
    }
}

/// The engine compiles its store into every cell.
fn replace_store(lines: &mut [String]) {
    let Some(opening) = lines.iter().position(|line| line.trim() == STORE_OPENS) else {
        return;
    };
    let mut depth = 0_usize;
    for line in lines.iter_mut().skip(opening) {
        depth += line.matches('{').count();
        depth = depth.saturating_sub(line.matches('}').count());
        line.clear();
        if depth == 0 {
            break;
        }
    }
    lines[opening] = "use ::ferrolens::emit::variables as evcxr_internal_runtime;".to_owned();
}

/// The lines of the user's code, with the variables whose old values it needs.
fn user_code(lines: &[String], checked: usize) -> Option<(Range<usize>, HashSet<String>)> {
    let find = |what: &str| lines[checked..].iter().position(|line| line.trim() == what);
    let (opening, closes) = CLOSURES
        .iter()
        .find_map(|(opens, closes)| Some((checked + find(opens)?, *closes)))?;
    let end = lines.iter().rposition(|line| line.trim() == closes)?;
    (opening < end).then(|| {
        let range = opening + 1..end;
        let needed = needed(&lines[range.clone()].join("\n"));
        (range, needed)
    })
}

/// Reads statements in order: a name is needed unless a `let` of the cell binds it first.
fn needed(code: &str) -> HashSet<String> {
    let file = SourceFile::parse(&format!("fn f() {{{code}\n}}"), Edition::Edition2024).tree();
    let body = file.items().find_map(|item| match item {
        ast::Item::Fn(function) => function.body()?.stmt_list(),
        _ => None,
    });
    let mut needed = HashSet::new();
    let mut defined = HashSet::new();
    for statement in body.iter().flat_map(|body| body.syntax().children()) {
        if stored(&statement.text().to_string()).is_some() {
            continue;
        }
        let pattern = ast::LetStmt::cast(statement.clone()).and_then(|binding| binding.pat());
        let mentioned: HashSet<String> = match &pattern {
            Some(pattern) => statement
                .children()
                .filter(|child| child != pattern.syntax())
                .flat_map(|child| words(&child))
                .collect(),
            None => words(&statement),
        };
        needed.extend(mentioned.difference(&defined).cloned());
        defined.extend(
            pattern
                .iter()
                .flat_map(|pattern| names_bound(pattern.syntax())),
        );
    }
    needed
}

fn names_bound(pattern: &SyntaxNode) -> Vec<String> {
    pattern
        .descendants()
        .filter_map(ast::IdentPat::cast)
        .filter_map(|pattern| Some(pattern.name()?.text().to_string()))
        .collect()
}

/// Every word of the text, also those inside literals, where a format string may name a variable.
fn words(node: &SyntaxNode) -> HashSet<String> {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| token.kind() != SyntaxKind::COMMENT)
        .flat_map(|token| {
            token
                .text()
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether a line of the session's takes back what the engine has forgotten.
fn restores(line: &str) -> bool {
    line.contains(RESTORES)
}

/// The name in a line of the engine that takes a variable out.
fn taken(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("let ")?;
    let rest = rest.strip_prefix("mut ").unwrap_or(rest);
    let (name, _) = rest.split_once(" = evcxr_variable_store.take_variable::<")?;
    Some(name)
}

/// The name in a line of the engine that puts a variable in.
fn stored(line: &str) -> Option<&str> {
    name_behind(line, "evcxr_variable_store.put_variable::<")
}

/// The name in a line of the engine that looks whether a variable can be taken.
fn looked_for(line: &str) -> Option<&str> {
    name_behind(line, "vars_ok &= evcxr_variable_store.check_variable::<")
}

fn name_behind<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let rest = line.trim().strip_prefix(start)?;
    let (_, rest) = rest.rsplit_once(">(stringify!(")?;
    rest.split_once(')').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_needed_where_its_old_value_is_read() {
        for code in [
            "f(x)",
            "let y = x + 1;",
            "let x = x + 1;",
            "let x: [u8; x] = y;",
            "println!(\"{x}\");",
            "vec![1, x];",
            "for i in 0..3 { g(i, &x); }",
            "let z = || x.len();\nlet x = 3;",
            "{ let x = 1; }\nx",
            "let Some(y) = o else { return x; };",
            "x",
        ] {
            assert!(needed(code).contains("x"), "{code}");
        }
    }

    #[test]
    fn a_name_that_the_cell_defines_first_is_not() {
        for code in [
            "let x = f();\nx.len()",
            "let (x, mut y) = f()?;\nprintln!(\"{x}\");",
            "let x = f();\nlet x = x + 1;",
            "// x\nf(y)",
            "let S { a: x, .. } = s;",
            "xx + y",
            "let y = 1;\nevcxr_variable_store.put_variable::<i32>(stringify!(x), x);",
        ] {
            assert!(!needed(code).contains("x"), "{code}");
        }
    }

    fn generated(user: &str) -> Vec<String> {
        format!(
            "mod evcxr_internal_runtime {{\npub fn f() {{\n}}\n}}\n\
             pub extern \"C\" fn run_user_code_3(\n\
             {{let mut vars_ok = true;\n\
             vars_ok &= evcxr_variable_store.check_variable::<i32>(stringify!(x));\n\
             vars_ok &= evcxr_variable_store.check_variable::<Vec<u8>>(stringify!(y));\n\
             if !vars_ok {{return evcxr_variable_store;}}}}\n\
             let x = evcxr_variable_store.take_variable::<i32>(stringify!(x));\n\
             let mut y = evcxr_variable_store.take_variable::<Vec<u8>>(stringify!(y));\n\
             let _ = (|| -> std::result::Result<(), EvcxrUserCodeError> {{\n\
             {user}\n\
             evcxr_variable_store.put_variable::<i32>(stringify!(x), x);\n\
             Ok(())}})();\n\
             evcxr_variable_store.put_variable::<Vec<u8>>(stringify!(y), y);\n\
             evcxr_variable_store\n}}"
        )
        .lines()
        .map(str::to_owned)
        .collect()
    }

    #[test]
    fn a_variable_that_the_cell_does_not_name_stays_in_the_store() {
        let mut lines = generated("let x = 4;");
        let before = lines.len();
        replace(&mut lines, true);
        assert_eq!(lines.len(), before);
        let text = lines.join("\n");
        assert!(
            text.starts_with("use ::ferrolens::emit::variables as evcxr_internal_runtime;\n\n")
        );
        assert!(!text.contains("take_variable"), "{text}");
        assert!(!text.contains("check_variable"), "{text}");
        assert_eq!(
            text.matches("put_variable").count(),
            1,
            "the new `x`: {text}"
        );
        assert!(text.contains("return evcxr_variable_store;}} evcxr_variable_store.begin();"));
        assert!(text.contains("evcxr_variable_store.end(); evcxr_variable_store\n}"));
    }

    #[test]
    fn a_variable_that_the_cell_may_lose_is_kept() {
        let mut lines = generated("let x = x + y.len();");
        replace(&mut lines, true);
        let text = lines.join("\n");
        assert_eq!(text.matches("take_variable").count(), 2, "{text}");
        let end = "give_back(stringify!(x), || x); evcxr_variable_store.end();";
        assert!(text.contains(end), "{text}");
        assert_eq!(text.matches("emit::Keep(&x)").count(), 1, "{text}");
        assert!(!text.contains("emit::Keep(&y)"), "given back: {text}");
        assert_eq!(text.matches("emit::Describing(&").count(), 2, "{text}");
    }
}
