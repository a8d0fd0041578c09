//! What a front end asks about code that has not run: is it complete, what could stand at the cursor,
//! what is the thing under it.
//!
//! The interpreter's analyzer knows most. What it said about a type or a path is remembered, so that a
//! variable's methods are there at once, also while a cell compiles and nobody can be asked. Names
//! inside strings, commands and the look of variables are known without it.

mod assistant;
mod catalogue;
mod cell_names;
mod describing;
mod is_complete;
mod lexical;
mod memory;
mod names;
mod offsets;
mod place;
mod ranking;
mod target;
mod variable;

pub use assistant::Assistant;
pub use catalogue::{Catalogue, read as read_catalogue};
pub use describing::Description;
pub use is_complete::{Completeness, is_complete};
pub use offsets::{byte_of_character, character_of_byte};
pub use ranking::{Match, Matches};
