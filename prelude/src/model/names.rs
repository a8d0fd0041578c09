//! Hook points: typed names, with TransformerLens's spelling, read and written in this file only.

mod inner;
mod site;

pub use inner::Inner;
pub use site::Site;

use super::config::Config;
use crate::error::{Error, Result, suggestion};
use std::fmt;
use std::str::FromStr;

/// One place in a model's forward pass where an activation can be read or replaced.
///
/// It prints as TransformerLens's canonical name and is parsed from it, or from one of
/// TransformerLens's short names with a layer in it (`resid_pre5`, `k6a`, `scale4ln1`).
///
/// ```
/// use ferrolens::model::HookPoint;
/// let point: HookPoint = "blocks.3.attn.hook_pattern".parse()?;
/// assert_eq!(point.layer(), Some(3));
/// assert_eq!("pattern3".parse::<HookPoint>()?, point);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookPoint {
    layer: Option<usize>,
    site: Site,
    inner: Option<Inner>,
}

impl HookPoint {
    /// The hook point of this site: in block `layer`, or of the whole model where the site is
    /// outside the blocks (`layer` is then ignored).
    pub fn new(site: Site, layer: usize) -> Self {
        let layer = site.is_in_block().then_some(layer);
        Self {
            layer,
            site,
            inner: None,
        }
    }

    /// The layer of a point inside a block; nothing for points like `hook_embed`.
    pub fn layer(&self) -> Option<usize> {
        self.layer
    }

    /// Which activation of the block or of the model this is.
    pub fn site(&self) -> Site {
        self.site
    }

    /// The point of an autoencoder that stands in the place of this activation, where this is one.
    pub fn inner(&self) -> Option<Inner> {
        self.inner
    }

    /// The point inside what stands in the place of this activation.
    pub(crate) fn inside(self, inner: Inner) -> Self {
        Self {
            inner: Some(inner),
            ..self
        }
    }

    /// The width of the activation at each position, of one head or of all of them side by side, in a
    /// model of this config; nothing where it depends on the prompt or is not known.
    pub(crate) fn width(&self, config: &Config, heads_side_by_side: bool) -> Option<usize> {
        if self.inner.is_some() {
            return None;
        }
        let heads = match (heads_side_by_side, self.site) {
            (false, _) => 1,
            (true, Site::K | Site::V | Site::RotK) => config.key_value_heads(),
            (true, _) => config.n_heads,
        };
        self.site.width(config).map(|width| width * heads)
    }

    /// Whether its activation has a vector for each head, `[batch, pos, head, width]`.
    pub(crate) fn has_heads(&self) -> bool {
        self.dims_behind_pos() == 3
    }

    /// Where positions stand among the dimensions, counted from the last.
    pub(crate) fn dims_behind_pos(&self) -> usize {
        match self.inner {
            Some(inner) if inner.is_flat() => 2,
            _ => self.site.dims_behind_pos(),
        }
    }

    /// TransformerLens's canonical name, such as `blocks.0.hook_resid_pre`.
    pub fn name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "blocks.{layer}.{}", self.site.suffix()),
            None => f.write_str(self.site.suffix()),
        }?;
        match self.inner {
            Some(inner) => write!(f, ".{}", inner.suffix()),
            None => Ok(()),
        }
    }
}

/// Its name, as a list of hook points is shown in a notebook.
impl fmt::Debug for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for HookPoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        PointName::from(text).resolve(None)
    }
}

impl PartialEq<str> for HookPoint {
    fn eq(&self, name: &str) -> bool {
        self.name() == name
    }
}

impl PartialEq<&str> for HookPoint {
    fn eq(&self, name: &&str) -> bool {
        self == *name
    }
}

/// The canonical hook point behind a short name, by the rules of TransformerLens's
/// `get_act_name`: aliases (`attn` for `attn.hook_pattern`, `key` for `attn.hook_k`, ...), the
/// layer inside the name (`k6a`, `scale4ln1`), `scale` without a layer for `ln_final.hook_scale`.
///
/// ```
/// use ferrolens::model::get_act_name;
/// assert_eq!(get_act_name(("post", 2))?.name(), "blocks.2.mlp.hook_post");
/// assert_eq!(get_act_name(("scale", 4, "ln1"))?.name(), "blocks.4.ln1.hook_scale");
/// assert_eq!(get_act_name("embed")?.name(), "hook_embed");
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// A name that means no hook point, a block's point without a layer, or a negative layer (only a
/// model or a cache knows where the last layer is).
pub fn get_act_name(name: impl Into<PointName>) -> Result<HookPoint> {
    name.into().resolve(None)
}

/// A hook point as a user writes it: a name, and perhaps a layer and a layer type beside it.
///
/// Made from `"blocks.0.hook_resid_pre"`, `"k6a"`, `("resid_pre", 0)`, `("pattern", -1)`,
/// `("scale", 0, "ln1")` or a [`HookPoint`]. A negative layer counts from the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointName {
    name: String,
    layer: Option<isize>,
    layer_type: Option<String>,
}

impl PointName {
    /// The hook point meant, in a model of `n_layers` layers where that is known.
    pub(crate) fn resolve(&self, n_layers: Option<usize>) -> Result<HookPoint> {
        if let Some((outer, inner)) = Inner::split(&self.name) {
            let outer = Self {
                name: outer.to_owned(),
                ..self.clone()
            };
            return Ok(outer.resolve(n_layers)?.inside(inner));
        }
        let (site, layer) = self.site_and_layer()?;
        if !site.is_in_block() {
            return Ok(HookPoint::new(site, 0));
        }
        let Some(layer) = layer else {
            let suffix = site.suffix();
            return Err(Error::new(format!(
                "`{}` is a hook point of every block: say of which, as in `blocks.0.{suffix}`, or \
                 filter for all of them with `blocks.*.{suffix}`.",
                self.name
            )));
        };
        let layer = resolve_layer(layer, n_layers).map_err(|error| error.context(&self.name))?;
        Ok(HookPoint::new(site, layer))
    }

    fn site_and_layer(&self) -> Result<(Site, Option<isize>)> {
        let name = self.name.trim();
        if let Some((layer, suffix)) = split_block(name)
            && let Some(site) = Site::from_suffix(suffix)
            && site.is_in_block()
        {
            return Ok((site, Some(layer)));
        }
        if let Some(site) = Site::from_suffix(name) {
            return Ok((site, self.layer));
        }
        self.short().ok_or_else(|| self.unknown())
    }

    /// The rules of `get_act_name`.
    fn short(&self) -> Option<(Site, Option<isize>)> {
        let (name, layer, layer_type) = self.split_short();
        let name = name.strip_prefix("hook_").unwrap_or(name);
        let name = match name {
            "attn" => "pattern",
            "attn_logits" => "attn_scores",
            "key" => "k",
            "query" => "q",
            "value" => "v",
            "mlp_pre" => "pre",
            "mlp_mid" => "mid",
            "mlp_post" => "post",
            other => other,
        };
        let layer_type = match name {
            "k" | "v" | "q" | "z" | "rot_k" | "rot_q" | "result" | "pattern" | "attn_scores" => {
                Some("attn")
            }
            "pre" | "post" | "mid" | "pre_linear" => Some("mlp"),
            _ => match layer_type {
                Some("a" | "attn" | "attention") => Some("attn"),
                Some("m" | "mlp") => Some("mlp"),
                Some("b" | "block" | "blocks" | "") | None => None,
                Some(other) => Some(other),
            },
        };
        let is_final_norm = layer.is_none() && matches!(name, "scale" | "normalized");
        let suffix = match layer_type {
            Some(layer_type) => format!("{layer_type}.hook_{name}"),
            None if is_final_norm => format!("ln_final.hook_{name}"),
            None => format!("hook_{name}"),
        };
        Some((Site::from_suffix(&suffix)?, layer))
    }

    /// `k6a` is name `k`, layer 6, type `a`.
    fn split_short(&self) -> (&str, Option<isize>, Option<&str>) {
        let name = self.name.trim();
        let given = (name, self.layer, self.layer_type.as_deref());
        if self.layer.is_some() {
            return given;
        }
        let Some(start) = name.find(|c: char| c.is_ascii_digit()) else {
            return given;
        };
        let digits = name[start..].bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = name[start..].split_at(digits);
        match digits.parse() {
            Ok(layer) if start > 0 => {
                let written = Some(rest).filter(|rest| !rest.is_empty());
                (&name[..start], Some(layer), written.or(given.2))
            }
            _ => given,
        }
    }

    fn unknown(&self) -> Error {
        let layer = self
            .layer
            .or(split_block(&self.name).map(|(layer, _)| layer));
        let layer = layer
            .and_then(|layer| usize::try_from(layer).ok())
            .unwrap_or(0);
        let known = Site::ALL
            .iter()
            .map(|site| HookPoint::new(*site, layer).name());
        let suggestion = suggestion(&self.name, known);
        Error::new(format!(
            "no hook point is called `{self}`.{suggestion} `model.hook_points()` lists them all."
        ))
    }
}

/// A layer counted from the first (0, 1, ...) or from the last (-1, -2, ...).
pub(crate) fn resolve_layer(layer: isize, n_layers: Option<usize>) -> Result<usize> {
    let resolved = match (usize::try_from(layer), n_layers) {
        (Ok(layer), None) => Some(layer),
        (Ok(layer), Some(n_layers)) => (layer < n_layers).then_some(layer),
        (Err(_), Some(n_layers)) => n_layers.checked_sub(layer.unsigned_abs()),
        (Err(_), None) => None,
    };
    resolved.ok_or_else(|| {
        Error::new(match n_layers {
            Some(n_layers) => format!(
                "layer {layer} is outside the model, which has {n_layers} layers: use 0 to {}, or \
                 -1 for the last.",
                n_layers.saturating_sub(1)
            ),
            None => format!(
                "layer {layer} is negative, and no model is known here: count from the first layer."
            ),
        })
    })
}

/// `blocks.3.rest` is layer 3 and `rest`.
fn split_block(name: &str) -> Option<(isize, &str)> {
    let (layer, suffix) = name.strip_prefix("blocks.")?.split_once('.')?;
    Some((layer.parse().ok()?, suffix))
}

impl fmt::Display for PointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(layer) = self.layer {
            write!(f, ", {layer}")?;
        }
        if let Some(layer_type) = &self.layer_type {
            write!(f, ", {layer_type}")?;
        }
        Ok(())
    }
}

impl From<&str> for PointName {
    fn from(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            layer: None,
            layer_type: None,
        }
    }
}

impl From<String> for PointName {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl From<&String> for PointName {
    fn from(name: &String) -> Self {
        name.as_str().into()
    }
}

impl From<(&str, isize)> for PointName {
    fn from((name, layer): (&str, isize)) -> Self {
        Self {
            layer: Some(layer),
            ..name.into()
        }
    }
}

impl From<(&str, isize, &str)> for PointName {
    fn from((name, layer, layer_type): (&str, isize, &str)) -> Self {
        Self {
            layer_type: Some(layer_type.to_owned()),
            ..(name, layer).into()
        }
    }
}

impl From<HookPoint> for PointName {
    fn from(point: HookPoint) -> Self {
        point.name().into()
    }
}

impl From<&HookPoint> for PointName {
    fn from(point: &HookPoint) -> Self {
        point.name().into()
    }
}

#[cfg(test)]
mod tests;
