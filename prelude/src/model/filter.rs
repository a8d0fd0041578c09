//! Which hook points are meant: everything, names, patterns with `*`, or a closure.

use super::names::{HookPoint, PointName};
use crate::error::{Error, Result, suggestion};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// A choice of hook points, resolved against a model when it is used.
///
/// Made by [`IntoFilter`] from what a notebook writes: `()` for everything, a name, a pattern such
/// as `"blocks.*.hook_resid_post"`, a list of them, `("resid_pre", 0)`, or a closure over the name.
#[derive(Clone)]
pub struct NamesFilter {
    parts: Arc<[Part]>,
}

#[derive(Clone)]
enum Part {
    All,
    Name(PointName),
    Where(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// The filter of every hook point that is on by default; `()` means the same.
#[derive(Clone, Copy, Debug)]
pub struct All;

impl NamesFilter {
    /// The points of `offered` that this filter means, as positions in firing order.
    ///
    /// # Errors
    /// A name that the model does not have, or a pattern or closure that matches nothing.
    pub(crate) fn resolve(&self, offered: &Offered) -> Result<HashSet<HookPoint>> {
        let mut chosen = HashSet::new();
        for part in self.parts.iter() {
            part.resolve(offered, &mut chosen)?;
        }
        Ok(chosen)
    }

    fn one(part: Part) -> Self {
        Self {
            parts: Arc::new([part]),
        }
    }
}

/// The hook points of a model: those on by default and those computed only when asked for by name.
pub(crate) struct Offered {
    pub(crate) by_default: Vec<HookPoint>,
    pub(crate) opt_in: Vec<HookPoint>,
    pub(crate) n_layers: usize,
}

impl Part {
    fn resolve(&self, offered: &Offered, chosen: &mut HashSet<HookPoint>) -> Result<()> {
        match self {
            Part::All => chosen.extend(&offered.by_default),
            Part::Name(name) if name.is_pattern() => {
                let pattern = name.to_string();
                let matching = |points: &[HookPoint]| -> Vec<HookPoint> {
                    let of = |point: &&HookPoint| matches_pattern(&pattern, &point.name());
                    points.iter().filter(of).copied().collect()
                };
                let mut found = matching(&offered.by_default);
                if found.is_empty() {
                    found = matching(&offered.opt_in);
                }
                if found.is_empty() {
                    return Err(offered.nothing_matches(&pattern));
                }
                chosen.extend(found);
            }
            Part::Name(name) => {
                let point = name.resolve(Some(offered.n_layers))?;
                if !offered.by_default.contains(&point) && !offered.opt_in.contains(&point) {
                    return Err(offered.absent(&point));
                }
                chosen.insert(point);
            }
            Part::Where(accepts) => {
                let found = offered
                    .by_default
                    .iter()
                    .filter(|point| accepts(&point.name()));
                let before = chosen.len();
                chosen.extend(found);
                if chosen.len() == before {
                    return Err(Error::new(format!(
                        "the filter's closure accepts none of the {} hook points of this model. It \
                         is called with full names, such as `{}`.",
                        offered.by_default.len(),
                        offered
                            .by_default
                            .last()
                            .map(HookPoint::name)
                            .unwrap_or_default(),
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Offered {
    fn names(&self) -> impl Iterator<Item = String> {
        let points = self.by_default.iter().chain(&self.opt_in);
        points.map(HookPoint::name)
    }

    fn nothing_matches(&self, pattern: &str) -> Error {
        let suggestion = suggestion(&pattern.replace('*', "0"), self.names());
        Error::new(format!(
            "no hook point of this model matches the pattern `{pattern}`.{suggestion} \
             `model.hook_points()` lists them all."
        ))
    }

    fn absent(&self, point: &HookPoint) -> Error {
        let suggestion = suggestion(&point.name(), self.names());
        Error::new(format!(
            "this model has no hook point `{point}`.{suggestion} `model.hook_points()` lists them all."
        ))
    }
}

impl PointName {
    fn is_pattern(&self) -> bool {
        self.to_string().contains('*')
    }
}

/// Whether `name` has the shape of `pattern`, in which each `*` stands for any text.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = name.find(piece) else {
            return false;
        };
        name = &name[at + piece.len()..];
    }
    name.ends_with(last)
}

impl fmt::Debug for NamesFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts.as_ref() {
            [only] => write!(f, "{only:?}"),
            parts => f.debug_list().entries(parts).finish(),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::All => f.write_str("everything"),
            Part::Name(name) => write!(f, "`{name}`"),
            Part::Where(_) => f.write_str("a closure's choice"),
        }
    }
}

/// What can be written where a choice of hook points is asked for.
///
/// * [`All`] or `()`: every hook point that is on by default;
/// * `"blocks.0.hook_resid_pre"`, `"resid_pre0"`, `("resid_pre", 0)`, a [`HookPoint`]: that one;
/// * `"blocks.*.hook_resid_post"`: those of this shape;
/// * `["...", "..."]`, `&[...]`, `vec![...]`: all that any of them means;
/// * `|name: &str| name.contains("resid")`: those whose full name it accepts.
///
/// Opt-in points (`attn.hook_result`, `unembed.hook_out`, ...) are never part of `()` or of a
/// closure's choice; their name, or a pattern that only they match, switches them on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` chooses no hook points",
    label = "this chooses no hook points",
    note = "write a name (`\"blocks.0.hook_resid_post\"`), a short name and a layer (`(\"resid_post\", 0)`), a pattern \
            (`\"blocks.*.hook_resid_post\"`), a list of those, a closure (`|name: &str| name.contains(\"resid\")`), or \
            `()` for every hook point"
)]
pub trait IntoFilter {
    /// The choice as a value.
    fn into_filter(self) -> NamesFilter;
}

impl IntoFilter for NamesFilter {
    fn into_filter(self) -> NamesFilter {
        self
    }
}

impl IntoFilter for &NamesFilter {
    fn into_filter(self) -> NamesFilter {
        self.clone()
    }
}

impl IntoFilter for () {
    fn into_filter(self) -> NamesFilter {
        NamesFilter::one(Part::All)
    }
}

impl IntoFilter for All {
    fn into_filter(self) -> NamesFilter {
        ().into_filter()
    }
}

impl<F: Fn(&str) -> bool + Send + Sync + 'static> IntoFilter for F {
    fn into_filter(self) -> NamesFilter {
        NamesFilter::one(Part::Where(Arc::new(self)))
    }
}

macro_rules! filter_from_name {
    ($($name:ty),* $(,)?) => {$(
        impl IntoFilter for $name {
            fn into_filter(self) -> NamesFilter {
                NamesFilter::one(Part::Name(self.into()))
            }
        }
    )*};
}

filter_from_name!(
    &str,
    String,
    &String,
    (&str, isize),
    (&str, isize, &str),
    HookPoint,
    &HookPoint,
    PointName
);

impl<T: Clone + Into<PointName>> IntoFilter for &[T] {
    fn into_filter(self) -> NamesFilter {
        let parts = self.iter().cloned().map(|name| Part::Name(name.into()));
        NamesFilter {
            parts: parts.collect(),
        }
    }
}

impl<T: Clone + Into<PointName>> IntoFilter for &Vec<T> {
    fn into_filter(self) -> NamesFilter {
        self.as_slice().into_filter()
    }
}

impl<T: Clone + Into<PointName>> IntoFilter for Vec<T> {
    fn into_filter(self) -> NamesFilter {
        self.as_slice().into_filter()
    }
}

impl<T: Clone + Into<PointName>, const N: usize> IntoFilter for [T; N] {
    fn into_filter(self) -> NamesFilter {
        self.as_slice().into_filter()
    }
}

impl<T: Clone + Into<PointName>, const N: usize> IntoFilter for &[T; N] {
    fn into_filter(self) -> NamesFilter {
        self.as_slice().into_filter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let matches = matches_pattern;
        assert!(matches(
            "blocks.*.hook_resid_post",
            "blocks.11.hook_resid_post"
        ));
        assert!(!matches(
            "blocks.*.hook_resid_post",
            "blocks.11.hook_resid_pre"
        ));
        assert!(matches("*", "hook_embed"));
        assert!(matches("*resid*", "blocks.0.hook_resid_mid"));
        assert!(matches("blocks.0.*", "blocks.0.attn.hook_z"));
        assert!(!matches("blocks.1.*", "blocks.10.attn.hook_z"));
        assert!(!matches("ab*ba", "aba"));
    }
}
