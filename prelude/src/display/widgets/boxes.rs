//! Widgets that hold widgets.

use super::widget::{Kind, Widget, anything, is_a_widget};
use serde_json::json;

macro_rules! container {
    ($name:ident, $function:ident, $kind:ident, $model:literal, $view:literal, $what:literal) => {
        #[doc = concat!($what, "; see [`", stringify!($function), "`].")]
        #[derive(Clone)]
        pub struct $name {
            widget: Widget,
        }

        static $kind: Kind = Kind {
            name: $model,
            library: "controls",
            view: $view,
            shows: &[],
            accept: anything,
        };

        impl $name {
            /// Replaces what it holds.
            pub fn set_children<W: Into<Widget>>(&self, children: impl IntoIterator<Item = W>) {
                self.widget
                    .set_children(children.into_iter().map(Into::into).collect());
            }

            /// What it holds.
            #[must_use]
            pub fn children(&self) -> Vec<Widget> {
                self.widget.children()
            }

            /// Takes it off the page with all that it holds.
            pub fn close(&self) {
                self.widget.close();
            }
        }

        is_a_widget!($name);
    };
}
container!(HBox, hbox, HBOX, "HBox", "HBoxView", "Widgets side by side");
container!(
    VBox,
    vbox,
    VBOX,
    "VBox",
    "VBoxView",
    "Widgets one below the other"
);
container!(
    Tab,
    tab,
    TAB,
    "Tab",
    "TabView",
    "Widgets of which one is in front"
);
container!(
    Accordion,
    accordion,
    ACCORDION,
    "Accordion",
    "AccordionView",
    "Widgets that unfold"
);

/// Widgets side by side.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let (layer, head) = (int_slider(0..=11_usize), int_slider(0..=11_usize));
/// hbox([&layer, &head]);
/// // Widgets of several kinds:
/// hbox([Widget::from(&layer), checkbox(true).into()]);
/// ```
pub fn hbox<W: Into<Widget>>(children: impl IntoIterator<Item = W>) -> HBox {
    let own = json!({"box_style": "", "children": []});
    let widget = Widget::new(&HBOX, own);
    widget.set_children(children.into_iter().map(Into::into).collect());
    HBox { widget }
}

/// Widgets one below the other; see [`hbox`].
pub fn vbox<W: Into<Widget>>(children: impl IntoIterator<Item = W>) -> VBox {
    let own = json!({"box_style": "", "children": []});
    let widget = Widget::new(&VBOX, own);
    widget.set_children(children.into_iter().map(Into::into).collect());
    VBox { widget }
}

/// Widgets with titles, of which one is in front.
///
/// ```
/// use ferrolens::prelude::*;
///
/// tab([("prompt", text_field("Hello").into()), ("layer", Widget::from(int_slider(0..=11)))]);
/// ```
pub fn tab<T: Into<String>, W: Into<Widget>>(pages: impl IntoIterator<Item = (T, W)>) -> Tab {
    Tab {
        widget: titled(&TAB, pages, json!(0)),
    }
}

/// Widgets with titles that unfold when their title is clicked; see [`tab`].
pub fn accordion<T: Into<String>, W: Into<Widget>>(
    pages: impl IntoIterator<Item = (T, W)>,
) -> Accordion {
    Accordion {
        widget: titled(&ACCORDION, pages, json!(null)),
    }
}

fn titled<T: Into<String>, W: Into<Widget>>(
    kind: &'static Kind,
    pages: impl IntoIterator<Item = (T, W)>,
    front: serde_json::Value,
) -> Widget {
    let (titles, children): (Vec<String>, Vec<Widget>) = pages
        .into_iter()
        .map(|(title, page)| (title.into(), page.into()))
        .unzip();
    let own = json!({
        "box_style": "", "children": [], "titles": titles, "selected_index": front,
    });
    let widget = Widget::new(kind, own);
    widget.set_children(children);
    widget
}
